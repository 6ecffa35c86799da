//! The greatest value or the mean of a window.

use super::graph::{Read, inputs};
use super::window::Window;
use crate::onnx::NodeProto;
use crate::train::engine::kernel::{Keeps, Kernel, Pass, Saved};
use crate::train::engine::tensor::Tensor;

struct Pool {
    window: Window,
    ceil: bool,
    /// Of a mean: whether padding counts. `None` is the greatest value.
    mean: Option<bool>,
}

pub(super) fn read(node: &NodeProto) -> Read<'_> {
    let mean = (node.op() == "AveragePool").then(|| node.int("count_include_pad", 0) != 0);
    let pool = Pool { window: Window::read(node, None)?, ceil: node.int("ceil_mode", 0) != 0, mean };
    Ok((Box::new(pool), inputs(node, 1)))
}

impl Pool {
    /// Calls with the result's place, and the rows and columns of the map that its window covers.
    fn windows(
        &self,
        [high, wide]: [usize; 2],
        [rows, width]: [usize; 2],
        mut call: impl FnMut(usize, &mut dyn Iterator<Item = usize>),
    ) {
        let w = &self.window;
        let side = |axis: usize, at: usize, end: usize| {
            (0..w.kernel[axis]).filter_map(move |tap| {
                (at * w.stride[axis] + tap * w.dilation[axis]).checked_sub(w.pads[axis]).filter(|place| *place < end)
            })
        };
        for y in 0..rows {
            for x in 0..width {
                let mut places =
                    side(0, y, high).flat_map(|row| side(1, x, wide).map(move |column| row * wide + column));
                call(y * width + x, &mut places);
            }
        }
    }

    /// What a sum over the window of a place is divided by.
    fn divisor(&self, [high, wide]: [usize; 2], width: usize, place: usize, inside: usize) -> f32 {
        if self.mean != Some(true) {
            return inside.max(1) as f32;
        }
        // Padding counts, but not what hangs over its end.
        let w = &self.window;
        let side = |axis: usize, at: usize, map: usize| {
            let end = map + w.pads[axis] + w.pads[axis + 2];
            (0..w.kernel[axis]).filter(|tap| at * w.stride[axis] + tap * w.dilation[axis] < end).count()
        };
        (side(0, place / width, high) * side(1, place % width, wide)).max(1) as f32
    }
}

impl Kernel for Pool {
    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        let [n, c, high, wide] = inputs[0] else { return Err(format!("an input of {:?}", inputs[0])) };
        let [rows, width] = self.window.size([*high, *wide], self.ceil).ok_or("the window is larger than its input")?;
        Ok(vec![*n, *c, rows, width])
    }

    fn keeps(&self) -> Keeps {
        Keeps::NOTHING
    }

    fn forward(&self, inputs: &[&Tensor], output: &mut Tensor, saved: &mut Saved) {
        let ([_, _, high, wide], [_, _, rows, width]) = (inputs[0].sides(), output.sides());
        saved.places.clear();
        let planes = inputs[0].values.chunks_exact(high * wide).zip(output.values.chunks_exact_mut(rows * width));
        for (from, to) in planes {
            self.windows([high, wide], [rows, width], |place, window| {
                if self.mean.is_some() {
                    let (sum, count) = window.fold((0.0, 0), |(sum, count), at| (sum + from[at], count + 1));
                    to[place] = sum / self.divisor([high, wide], width, place, count);
                } else {
                    // The first of equal values, and the first that is not a number, as PyTorch.
                    let most = window.fold(None, |most: Option<usize>, at| match most {
                        Some(known) if from[known] >= from[at] || from[known].is_nan() => Some(known),
                        _ => Some(at),
                    });
                    let most = most.unwrap_or(0);
                    to[place] = from[most];
                    saved.places.push(most as u32);
                }
            });
        }
    }

    fn backward(&self, pass: Pass<'_>, gradients: &mut [Option<Vec<f32>>]) {
        let Some(to) = &mut gradients[0] else { return };
        let ([_, _, high, wide], [_, _, rows, width]) = (pass.inputs[0].sides(), pass.output.sides());
        let planes = to.chunks_exact_mut(high * wide).zip(pass.gradient.chunks_exact(rows * width)).enumerate();
        for (plane, (to, g)) in planes {
            if self.mean.is_none() {
                let places = &pass.saved.places[plane * rows * width..];
                g.iter().zip(places).for_each(|(g, place)| to[*place as usize] += g);
                continue;
            }
            self.windows([high, wide], [rows, width], |place, window| {
                let places: smallvec::SmallVec<[usize; 16]> = window.collect();
                let share = g[place] / self.divisor([high, wide], width, place, places.len());
                places.into_iter().for_each(|at| to[at] += share);
            });
        }
    }
}
