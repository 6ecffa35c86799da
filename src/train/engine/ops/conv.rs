//! Convolution, as products of matrices over columns of windows; a kernel for each channel has its own file.

use super::depthwise;
use super::graph::{Read, inputs};
use super::product::{gemm, lines};
use super::sizes::Sizes;
use super::sum::bias_gradient;
use super::window::Window;
use crate::kernels::gemm::{Matrix, Start};
use crate::onnx::NodeProto;
use crate::train::engine::kernel::{Keeps, Kernel, Pass, Saved};
use crate::train::engine::tensor::Tensor;
use rayon::prelude::*;

/// In how many parts the sums over pictures are added up, whatever the number of threads.
const PARTS: usize = 8;

pub(super) struct Conv {
    node: NodeProto,
    groups: usize,
    /// Of a clip behind it.
    bounds: Option<[f32; 2]>,
}

pub(super) fn read(node: &NodeProto) -> Read<'_> {
    let groups = usize::try_from(node.int("group", 1)).unwrap_or(0).max(1);
    let attribute = node.attribute.clone();
    Ok((
        Box::new(Conv { node: NodeProto { attribute, ..NodeProto::default() }, groups, bounds: None }),
        inputs(node, 3),
    ))
}

impl Conv {
    fn sizes(&self, x: &[usize], w: &[usize]) -> Result<Sizes, String> {
        let ([n, c, h, wide], [out, per, kh, kw]) = (x, w) else {
            return Err(format!("an input of {x:?} with weights of {w:?}; the engine works on maps of two dimensions"));
        };
        if per * self.groups != *c || out % self.groups != 0 || *kh == 0 || *kw == 0 {
            return Err(format!("weights of {w:?} for an input of {x:?} in {} groups", self.groups));
        }
        let window = Window::read(&self.node, Some([*kh, *kw]))?;
        let map = [*h, *wide];
        let result = window.size(map, false).ok_or_else(|| format!("the kernel is larger than its input of {x:?}"))?;
        Ok(Sizes { window, batch: *n, groups: self.groups, from: *per, to: out / self.groups, map, result })
    }

    fn known(&self, inputs: &[&Tensor]) -> Option<Sizes> {
        self.sizes(&inputs[0].shape, &inputs[1].shape).ok()
    }
}

impl Kernel for Conv {
    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        let sizes = self.sizes(inputs[0], inputs[1])?;
        if inputs.get(2).is_some_and(|bias| **bias != [sizes.to * sizes.groups]) {
            return Err(format!("a bias of {:?} for {} channels", inputs[2], sizes.to * sizes.groups));
        }
        Ok(vec![sizes.batch, sizes.to * sizes.groups, sizes.result[0], sizes.result[1]])
    }

    fn keeps(&self) -> Keeps {
        Keeps { inputs: true, output: self.bounds.is_some() }
    }

    fn overwrites(&self) -> bool {
        true
    }

    fn bound(&mut self, lo: f32, hi: f32) -> bool {
        let free = self.bounds.is_none();
        self.bounds = Some(self.bounds.unwrap_or([lo, hi]));
        free
    }

    fn forward(&self, inputs: &[&Tensor], output: &mut Tensor, _: &mut Saved) {
        let Some(s) = self.known(inputs) else { return };
        let (x, w, bias) = (&inputs[0].values, &inputs[1].values, inputs.get(2).map(|bias| bias.values.as_slice()));
        if s.from == 1 && s.to == 1 {
            return depthwise::forward(&s, x, w, bias, self.bounds, &mut output.values);
        }
        let none = vec![0.0; s.to * s.groups];
        let bias = bias.unwrap_or(&none);
        let (area, taps) = (s.area(), s.taps());
        let pictures = output.values.par_chunks_mut((s.to * s.groups * area).max(1)).enumerate();
        pictures.for_each_init(Vec::new, |room, (n, to)| {
            for group in 0..s.groups {
                let map = &x[(n * s.groups + group) * s.from * s.channel()..][..s.from * s.channel()];
                let weights = Matrix::rows(&w[group * s.to * taps..][..s.to * taps], taps);
                let to = &mut to[group * s.to * area..][..s.to * area];
                let start = Start::Rows(&bias[group * s.to..][..s.to]);
                for rows in s.strips() {
                    let len = rows.len() * s.result[1];
                    let columns = Matrix::rows(s.columns(map, &rows, room), len);
                    let to = &mut to[rows.start * s.result[1]..];
                    gemm().multiply([s.to, len, taps], weights, columns, to, area, start);
                }
            }
            if let Some([lo, hi]) = self.bounds {
                lines().clamp(to, [lo, hi]);
            }
        });
    }

    fn backward(&self, pass: Pass<'_>, gradients: &mut [Option<Vec<f32>>]) {
        let Some(s) = self.known(pass.inputs) else { return };
        let (x, w, g) = (&pass.inputs[0].values, &pass.inputs[1].values, pass.gradient);
        let area = s.area();
        if let Some([lo, hi]) = self.bounds {
            let y = pass.output.values.par_chunks(1 << 14);
            g.par_chunks_mut(1 << 14).zip(y).for_each(|(g, y)| {
                lines().within(g, y, [lo, hi]);
            });
        }
        let g = &*g;
        for (input, to) in gradients.iter_mut().enumerate().skip(1) {
            if let Some(to) = to.as_mut().filter(|_| pass.fresh[input]) {
                to.fill(0.0);
            }
        }
        if let Some(Some(bias)) = gradients.get_mut(2) {
            bias_gradient(g, area, bias);
        }
        if s.from == 1 && s.to == 1 {
            return depthwise::backward(&s, x, w, g, gradients, pass.fresh[0]);
        }
        let (inputs, weights) = gradients.split_at_mut(1);
        if let Some(to) = &mut inputs[0] {
            input_gradient(&s, w, g, to, pass.fresh[0]);
        }
        if let Some(to) = &mut weights[0] {
            weight_gradient(&s, x, g, to);
        }
    }
}

fn input_gradient(s: &Sizes, w: &[f32], g: &[f32], to: &mut [f32], fresh: bool) {
    let (area, taps) = (s.area(), s.taps());
    // Turned once, not for each picture.
    let mut turned = vec![0.0; w.len()];
    for (w, turned) in w.chunks_exact(s.to * taps).zip(turned.chunks_exact_mut(s.to * taps)) {
        for (at, row) in w.chunks_exact(taps).enumerate() {
            row.iter().enumerate().for_each(|(tap, value)| turned[tap * s.to + at] = *value);
        }
    }
    to.par_chunks_mut((s.from * s.groups * s.channel()).max(1)).enumerate().for_each_init(Vec::new, |room, (n, to)| {
        for group in 0..s.groups {
            let to = &mut to[group * s.from * s.channel()..][..s.from * s.channel()];
            let weights = Matrix::rows(&turned[group * s.to * taps..][..s.to * taps], s.to);
            let g = &g[(n * s.groups + group) * s.to * area..][..s.to * area];
            if s.window.is_point() {
                let start = if fresh { Start::Zero } else { Start::Kept };
                gemm().multiply([taps, area, s.to], weights, Matrix::rows(g, area), to, area, start);
                continue;
            }
            if fresh {
                to.fill(0.0);
            }
            for rows in s.strips() {
                let len = rows.len() * s.result[1];
                room.resize(taps * len, 0.0);
                let g = Matrix::rows(&g[rows.start * s.result[1]..], area);
                gemm().multiply([taps, len, s.to], weights, g, room, len, Start::Zero);
                s.window.add_columns(room, [s.from, s.map[0], s.map[1]], rows, s.result[1], to);
            }
        }
    });
}

fn weight_gradient(s: &Sizes, x: &[f32], g: &[f32], to: &mut [f32]) {
    let (area, taps) = (s.area(), s.taps());
    let each = s.batch.div_ceil(PARTS).max(1);
    let one = |pictures: std::ops::Range<usize>| {
        let (mut sums, mut room) = (vec![0.0; to.len()], Vec::new());
        for n in pictures {
            for group in 0..s.groups {
                let map = &x[(n * s.groups + group) * s.from * s.channel()..][..s.from * s.channel()];
                let g = &g[(n * s.groups + group) * s.to * area..][..s.to * area];
                let sums = &mut sums[group * s.to * taps..][..s.to * taps];
                for rows in s.strips() {
                    let len = rows.len() * s.result[1];
                    let columns = Matrix::turned(s.columns(map, &rows, &mut room), len);
                    let g = Matrix::rows(&g[rows.start * s.result[1]..], area);
                    gemm().multiply([s.to, taps, len], g, columns, sums, taps, Start::Kept);
                }
            }
        }
        sums
    };
    let starts: Vec<usize> = (0..s.batch).step_by(each).collect();
    let parts: Vec<Vec<f32>> = starts.into_par_iter().map(|from| one(from..(from + each).min(s.batch))).collect();
    for part in parts {
        to.iter_mut().zip(part).for_each(|(to, part)| *to += part);
    }
}
