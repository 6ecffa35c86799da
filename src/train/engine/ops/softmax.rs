//! Softmax and its logarithm over one axis.

use super::graph::{Read, inputs};
use crate::onnx::NodeProto;
use crate::train::engine::kernel::{Keeps, Kernel, Pass, Saved};
use crate::train::engine::tensor::Tensor;

struct Softmax {
    axis: usize,
    logarithm: bool,
}

pub(super) fn read<'a>(node: &'a NodeProto, shape: &dyn Fn(&str) -> Option<Vec<usize>>) -> Read<'a> {
    let rank = node.input(0).and_then(shape).map_or(2, |shape| shape.len()) as i64;
    let axis = node.int("axis", -1);
    let axis = usize::try_from(if axis < 0 { axis + rank } else { axis }).map_err(|_| "an `axis` before the first")?;
    Ok((Box::new(Softmax { axis, logarithm: node.op() == "LogSoftmax" }), inputs(node, 1)))
}

impl Softmax {
    /// Calls for each line along the axis with its first place; steps and length are the same for all.
    fn lines(&self, shape: &[usize], mut call: impl FnMut(usize, usize, usize)) {
        let (len, step) = (shape[self.axis], shape[self.axis + 1..].iter().product::<usize>());
        let before: usize = shape[..self.axis].iter().product();
        for block in 0..before {
            (0..step).for_each(|at| call(block * len * step + at, step, len));
        }
    }
}

impl Kernel for Softmax {
    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        if self.axis >= inputs[0].len() {
            return Err(format!("axis {} of an input of {:?}", self.axis, inputs[0]));
        }
        Ok(inputs[0].to_vec())
    }

    fn keeps(&self) -> Keeps {
        Keeps::OUTPUT
    }

    fn forward(&self, inputs: &[&Tensor], output: &mut Tensor, _: &mut Saved) {
        let (x, y) = (&inputs[0].values, &mut output.values);
        self.lines(&inputs[0].shape, |first, step, len| {
            let places = || (0..len).map(|at| first + at * step);
            let most = places().map(|at| x[at]).fold(f32::NEG_INFINITY, f32::max);
            let sum: f32 = places().map(|at| (x[at] - most).exp()).sum();
            if self.logarithm {
                let log = sum.ln() + most;
                places().for_each(|at| y[at] = x[at] - log);
            } else {
                places().for_each(|at| y[at] = (x[at] - most).exp() / sum);
            }
        });
    }

    fn backward(&self, pass: Pass<'_>, gradients: &mut [Option<Vec<f32>>]) {
        let Some(to) = &mut gradients[0] else { return };
        let (y, g) = (&pass.output.values, pass.gradient);
        self.lines(&pass.output.shape, |first, step, len| {
            let places = || (0..len).map(|at| first + at * step);
            if self.logarithm {
                let sum: f32 = places().map(|at| g[at]).sum();
                places().for_each(|at| to[at] += g[at] - y[at].exp() * sum);
            } else {
                let dot: f32 = places().map(|at| g[at] * y[at]).sum();
                places().for_each(|at| to[at] += y[at] * (g[at] - dot));
            }
        });
    }
}
