//! Transposed convolution: each value spreads a kernel over the result. It is the way back of a convolution, run forward.

use super::graph::{Read, inputs};
use super::product::gemm;
use super::sum::bias_gradient;
use super::window::Window;
use crate::kernels::gemm::{Matrix, Start};
use crate::onnx::NodeProto;
use crate::train::engine::kernel::{Keeps, Kernel, Pass, Saved};
use crate::train::engine::tensor::Tensor;
use rayon::prelude::*;

struct Transposed {
    node: NodeProto,
    groups: usize,
}

pub(super) fn read(node: &NodeProto) -> Read<'_> {
    let groups = usize::try_from(node.int("group", 1)).unwrap_or(0).max(1);
    let attribute = node.attribute.clone();
    Ok((Box::new(Transposed { node: NodeProto { attribute, ..NodeProto::default() }, groups }), inputs(node, 3)))
}

#[derive(Clone, Copy)]
struct Sizes {
    window: Window,
    batch: usize,
    from: usize,
    to: usize,
    map: [usize; 2],
    result: [usize; 2],
}

impl Transposed {
    fn sizes(&self, x: &[usize], w: &[usize]) -> Result<Sizes, String> {
        let ([n, c, h, wide], [from, to, kh, kw]) = (x, w) else {
            return Err(format!("an input of {x:?} with weights of {w:?}; the engine works on maps of two dimensions"));
        };
        if from != c || c % self.groups != 0 || *kh == 0 || *kw == 0 {
            return Err(format!("weights of {w:?} for an input of {x:?} in {} groups", self.groups));
        }
        if self.node.ints("output_shape").is_some() {
            return Err("`output_shape` is given; write the pads out".into());
        }
        let window = Window::read(&self.node, Some([*kh, *kw]))?;
        let more = match self.node.ints("output_padding") {
            Some([a, b]) if *a >= 0 && *b >= 0 => [*a as usize, *b as usize],
            _ => [0, 0],
        };
        let map = [*h, *wide];
        let result = window.spread(map, more).ok_or_else(|| format!("nothing is left of an input of {x:?}"))?;
        Ok(Sizes { window, batch: *n, from: c / self.groups, to: *to, map, result })
    }
}

impl Sizes {
    fn taps(&self) -> usize {
        self.to * self.window.kernel[0] * self.window.kernel[1]
    }

    /// The result as a map over which the window moves.
    fn spread(&self) -> [usize; 3] {
        [self.to, self.result[0], self.result[1]]
    }
}

impl Kernel for Transposed {
    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        let s = self.sizes(inputs[0], inputs[1])?;
        Ok(vec![s.batch, s.to * self.groups, s.result[0], s.result[1]])
    }

    fn keeps(&self) -> Keeps {
        Keeps::INPUTS
    }

    fn forward(&self, inputs: &[&Tensor], output: &mut Tensor, _: &mut Saved) {
        let Ok(s) = self.sizes(&inputs[0].shape, &inputs[1].shape) else { return };
        let (x, w, bias) = (&inputs[0].values, &inputs[1].values, inputs.get(2).map(|bias| bias.values.as_slice()));
        let (area, channel, taps) = (s.result[0] * s.result[1], s.map[0] * s.map[1], s.taps());
        let pictures = output.values.par_chunks_mut((s.to * self.groups * area).max(1)).enumerate();
        pictures.for_each_init(Vec::new, |room: &mut Vec<f32>, (n, to)| {
            for (channel, plane) in to.chunks_exact_mut(area).enumerate() {
                plane.fill(bias.map_or(0.0, |bias| bias[channel]));
            }
            for group in 0..self.groups {
                let map = &x[(n * self.groups + group) * s.from * channel..][..s.from * channel];
                let weights = Matrix::turned(&w[group * s.from * taps..][..s.from * taps], taps);
                let to = &mut to[group * s.to * area..][..s.to * area];
                room.resize(taps * channel, 0.0);
                gemm().multiply(
                    [taps, channel, s.from],
                    weights,
                    Matrix::rows(map, channel),
                    room,
                    channel,
                    Start::Zero,
                );
                s.window.add_columns(room, s.spread(), 0..s.map[0], s.map[1], to);
            }
        });
    }

    fn backward(&self, pass: Pass<'_>, gradients: &mut [Option<Vec<f32>>]) {
        let Ok(s) = self.sizes(&pass.inputs[0].shape, &pass.inputs[1].shape) else { return };
        let (x, w) = (&pass.inputs[0].values, &pass.inputs[1].values);
        let (area, channel, taps) = (s.result[0] * s.result[1], s.map[0] * s.map[1], s.taps());
        if let Some(Some(bias)) = gradients.get_mut(2) {
            bias_gradient(pass.gradient, area, bias);
        }
        let (to_input, to_weights) = gradients.split_at_mut(1);
        let mut room = vec![0.0; taps * channel];
        for n in 0..s.batch {
            for group in 0..self.groups {
                let place = n * self.groups + group;
                let g = &pass.gradient[place * s.to * area..][..s.to * area];
                s.window.columns(g, s.spread(), 0..s.map[0], s.map[1], &mut room);
                let range = place * s.from * channel..(place + 1) * s.from * channel;
                let weights = &w[group * s.from * taps..][..s.from * taps];
                if let Some(to) = &mut to_input[0] {
                    let (rows, columns) = (Matrix::rows(weights, taps), Matrix::rows(&room, channel));
                    gemm().multiply(
                        [s.from, channel, taps],
                        rows,
                        columns,
                        &mut to[range.clone()],
                        channel,
                        Start::Kept,
                    );
                }
                if let Some(to) = &mut to_weights[0] {
                    let (rows, columns) = (Matrix::rows(&x[range], channel), Matrix::turned(&room, channel));
                    let to = &mut to[group * s.from * taps..][..s.from * taps];
                    gemm().multiply([s.from, taps, channel], rows, columns, to, taps, Start::Kept);
                }
            }
        }
    }
}
