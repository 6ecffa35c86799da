//! Enlarging and reducing maps, in ONNX's modes `nearest` and `linear`.

use super::graph::{Read, Values};
use crate::onnx::NodeProto;
use crate::train::engine::kernel::{Keeps, Kernel, Pass, Saved};
use crate::train::engine::tensor::Tensor;
use rayon::prelude::*;

/// For a place of the result: two places of the input, and the weight of the second.
type Source = (usize, usize, f32);

struct Resize {
    rows: Vec<Source>,
    columns: Vec<Source>,
}

pub(super) fn read<'a>(
    node: &'a NodeProto,
    values: &Values<'_>,
    shapes: &dyn Fn(&str) -> Option<Vec<usize>>,
) -> Read<'a> {
    let name = node.input(0).ok_or("it has no input")?;
    let from = shapes(name).ok_or_else(|| format!("the shape of `{name}` is not known"))?;
    let [_, _, high, wide] = from.as_slice() else { return Err(format!("an input of {from:?}")) };
    // Upsample has its scales second, Resize of opset 10 too, later ones third; sizes come fourth.
    let second = node.op() == "Upsample" || node.input.len() == 2;
    let scales = values.floats(node.input(if second { 1 } else { 2 })).filter(|scales| scales.len() == 4);
    let sizes = values.ints(node.input(3)).filter(|sizes| sizes.len() == 4);
    let side = |axis: usize, from: usize| -> Result<(usize, f32), String> {
        match (&sizes, &scales) {
            (Some(sizes), _) => Ok((sizes[axis] as usize, sizes[axis] as f32 / from as f32)),
            (None, Some(scales)) => Ok(((from as f32 * scales[axis]).floor() as usize, scales[axis])),
            (None, None) => Err("its size is computed; simplify the graph first".into()),
        }
    };
    let ((rows, down), (columns, across)) = (side(2, *high)?, side(3, *wide)?);
    let form = node.text("coordinate_transformation_mode");
    let form = if node.op() == "Upsample" || node.input.len() == 2 { "asymmetric".to_owned() } else { form };
    let nearest = match node.text("mode").as_str() {
        "" | "nearest" => Some(node.text("nearest_mode")),
        "linear" | "bilinear" => None,
        other => return Err(format!("the mode `{other}`; the engine knows nearest and linear")),
    };
    let sources = |result: usize, map: usize, scale: f32| -> Result<Vec<Source>, String> {
        (0..result)
            .map(|at| {
                let x = at as f32;
                let place = match form.as_str() {
                    "" | "half_pixel" => (x + 0.5) / scale - 0.5,
                    "pytorch_half_pixel" => {
                        if result > 1 {
                            (x + 0.5) / scale - 0.5
                        } else {
                            0.0
                        }
                    }
                    "asymmetric" => x / scale,
                    "align_corners" => {
                        if result > 1 {
                            x * (map - 1) as f32 / (result - 1) as f32
                        } else {
                            0.0
                        }
                    }
                    other => return Err(format!("the coordinates `{other}`")),
                };
                let last = (map - 1) as f32;
                Ok(match nearest.as_deref() {
                    Some(mode) => {
                        let near = match mode {
                            "floor" => place.floor(),
                            "ceil" => place.ceil(),
                            "round_prefer_ceil" => (place + 0.5).floor(),
                            _ => (place - 0.5).ceil(),
                        };
                        let near = near.clamp(0.0, last) as usize;
                        (near, near, 0.0)
                    }
                    None => {
                        let place = place.clamp(0.0, last);
                        let low = place.floor() as usize;
                        (low, (low + 1).min(map - 1), place - low as f32)
                    }
                })
            })
            .collect()
    };
    let kernel = Resize { rows: sources(rows, *high, down)?, columns: sources(columns, *wide, across)? };
    Ok((Box::new(kernel), vec![name]))
}

impl Kernel for Resize {
    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        Ok(vec![inputs[0][0], inputs[0][1], self.rows.len(), self.columns.len()])
    }

    fn keeps(&self) -> Keeps {
        Keeps::NOTHING
    }

    fn forward(&self, inputs: &[&Tensor], output: &mut Tensor, _: &mut Saved) {
        let ([_, _, high, wide], width) = (inputs[0].sides(), self.columns.len());
        let planes =
            output.values.par_chunks_mut(self.rows.len() * width).zip(inputs[0].values.par_chunks(high * wide));
        planes.for_each(|(to, from)| {
            for (to, (top, bottom, down)) in to.chunks_exact_mut(width).zip(&self.rows) {
                let (top, bottom) = (&from[top * wide..][..wide], &from[bottom * wide..][..wide]);
                for (to, (left, right, across)) in to.iter_mut().zip(&self.columns) {
                    let mix = |row: &[f32]| (1.0 - across) * row[*left] + across * row[*right];
                    *to = if *down == 0.0 { mix(top) } else { (1.0 - down) * mix(top) + down * mix(bottom) };
                }
            }
        });
    }

    fn backward(&self, pass: Pass<'_>, gradients: &mut [Option<Vec<f32>>]) {
        let Some(to) = &mut gradients[0] else { return };
        let ([_, _, high, wide], width) = (pass.inputs[0].sides(), self.columns.len());
        let planes = to.par_chunks_mut(high * wide).zip(pass.gradient.par_chunks(self.rows.len() * width));
        planes.for_each(|(to, g)| {
            for (g, (top, bottom, down)) in g.chunks_exact(width).zip(&self.rows) {
                for (g, (left, right, across)) in g.iter().zip(&self.columns) {
                    to[top * wide + left] += g * (1.0 - down) * (1.0 - across);
                    to[top * wide + right] += g * (1.0 - down) * across;
                    to[bottom * wide + left] += g * down * (1.0 - across);
                    to[bottom * wide + right] += g * down * across;
                }
            }
        });
    }
}
