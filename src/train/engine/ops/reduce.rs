//! Means over whole maps or over some axes.

use super::graph::{Read, Values, inputs};
use crate::onnx::NodeProto;
use crate::train::engine::kernel::{Keeps, Kernel, Pass, Saved};
use crate::train::engine::tensor::Tensor;

/// The mean over some axes of `[before, over, behind]`.
struct Mean {
    axes: Vec<usize>,
    keep: bool,
}

pub(super) fn global(node: &NodeProto) -> Read<'_> {
    // All sides but the first two; shapes say how many there are.
    Ok((Box::new(Mean { axes: Vec::new(), keep: true }), inputs(node, 1)))
}

pub(super) fn mean<'a>(
    node: &'a NodeProto,
    values: &Values<'_>,
    shape: &dyn Fn(&str) -> Option<Vec<usize>>,
) -> Read<'a> {
    let rank = node.input(0).and_then(shape).map_or(4, |shape| shape.len());
    let axes = node.ints("axes").map(<[i64]>::to_vec).or_else(|| values.ints(node.input(1)));
    let axes = axes.unwrap_or_else(|| (0..rank as i64).collect());
    let mut axes: Vec<usize> =
        axes.iter().map(|axis| if *axis < 0 { axis + rank as i64 } else { *axis } as usize).collect();
    axes.sort_unstable();
    if axes.is_empty() || axes.windows(2).any(|two| two[0] + 1 != two[1]) || axes[axes.len() - 1] >= rank {
        return Err(format!("a mean over the axes {axes:?}; the engine takes axes that lie side by side"));
    }
    Ok((Box::new(Mean { axes, keep: node.int("keepdims", 1) != 0 }), inputs(node, 1)))
}

impl Mean {
    fn axes(&self, rank: usize) -> std::ops::Range<usize> {
        match (self.axes.first(), self.axes.last()) {
            (Some(first), Some(last)) => *first..last + 1,
            _ => 2.min(rank)..rank,
        }
    }

    fn parts(&self, shape: &[usize]) -> [usize; 3] {
        let axes = self.axes(shape.len());
        let part = |sides: &[usize]| sides.iter().product::<usize>();
        [part(&shape[..axes.start]), part(&shape[axes.clone()]).max(1), part(&shape[axes.end..]).max(1)]
    }
}

impl Kernel for Mean {
    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        let axes = self.axes(inputs[0].len());
        let side = |(at, side): (usize, &usize)| if axes.contains(&at) { self.keep.then_some(1) } else { Some(*side) };
        Ok(inputs[0].iter().enumerate().filter_map(side).collect())
    }

    fn keeps(&self) -> Keeps {
        Keeps::NOTHING
    }

    fn forward(&self, inputs: &[&Tensor], output: &mut Tensor, _: &mut Saved) {
        let [_, over, behind] = self.parts(&inputs[0].shape);
        let blocks = inputs[0].values.chunks_exact(over * behind).zip(output.values.chunks_exact_mut(behind));
        for (from, to) in blocks {
            if behind == 1 {
                to[0] = super::sum::sum(from) / over as f32;
                continue;
            }
            to.fill(0.0);
            from.chunks_exact(behind).for_each(|row| to.iter_mut().zip(row).for_each(|(to, x)| *to += x));
            to.iter_mut().for_each(|to| *to /= over as f32);
        }
    }

    fn backward(&self, pass: Pass<'_>, gradients: &mut [Option<Vec<f32>>]) {
        let Some(to) = &mut gradients[0] else { return };
        let [_, over, behind] = self.parts(&pass.inputs[0].shape);
        for (to, g) in to.chunks_exact_mut(over * behind).zip(pass.gradient.chunks_exact(behind)) {
            for row in to.chunks_exact_mut(behind) {
                row.iter_mut().zip(g).for_each(|(to, g)| *to += g / over as f32);
            }
        }
    }
}
