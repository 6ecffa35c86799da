//! `GridSample` on maps: neighbours and weights of a place are found once for all channels. Deformable attention (RT-DETR,
//! D-FINE) is made of it.

#![allow(clippy::wildcard_imports, reason = "tract's macros name much of it")]

use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::ops::nn::{GridSample, InterpolationMode, PaddingMode};

/// Bilinear sampling of `[N, C, H, W]` floats at `[N, h, w, 2]`, with zeros or the border outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fast(GridSample);

impl Fast {
    /// The faster form of a node, if it has one.
    pub fn of(model: &TypedModel, at: usize) -> Option<Self> {
        let node = &model.nodes[at];
        let op = node.op_as::<GridSample>()?;
        let inputs = model.node_input_facts(at).ok()?;
        let fits = op.mode == InterpolationMode::Bilinear
            && op.padding_mode != PaddingMode::Reflection
            && inputs.iter().all(|fact| fact.datum_type == f32::datum_type() && fact.rank() == 4);
        fits.then(|| Self(op.clone()))
    }

    /// The four neighbours of a place and their weights, in the order in which tract adds them up; a neighbour outside has
    /// no place.
    fn neighbours(&self, [x, y]: [f32; 2], [height, width]: [usize; 2]) -> [(Option<usize>, f32); 4] {
        let spread = |at: f32, side: usize| {
            let side = side as f32;
            if self.0.align_corners { f32::midpoint(at, 1.0) * (side - 1.0) } else { ((at + 1.0) * side - 1.0) / 2.0 }
        };
        let (mut y, mut x) = (spread(y, height), spread(x, width));
        let border = self.0.padding_mode == PaddingMode::Border;
        if border {
            (y, x) = (y.clamp(0.0, height as f32 - 1.0), x.clamp(0.0, width as f32 - 1.0));
        }
        let (top, left) = (y.floor() as isize, x.floor() as isize);
        let cell = |row: isize, column: isize| {
            let inside = |at: isize, side: usize| usize::try_from(at).ok().filter(|at| *at < side);
            if border {
                let near = |at: isize, side: usize| (at.max(0) as usize).min(side - 1);
                return Some(near(row, height) * width + near(column, width));
            }
            Some(inside(row, height)? * width + inside(column, width)?)
        };
        let ([y0, y1], [x0, x1]) = ([(top + 1) as f32 - y, y - top as f32], [(left + 1) as f32 - x, x - left as f32]);
        [
            (cell(top, left), y0 * x0),
            (cell(top + 1, left), y1 * x0),
            (cell(top, left + 1), y0 * x1),
            (cell(top + 1, left + 1), y1 * x1),
        ]
    }
}

impl Op for Fast {
    fn name(&self) -> StaticName {
        "GridSampleByChannels".into()
    }

    op_as_typed_op!();
}

impl EvalOp for Fast {
    op_out_of_plan!();

    fn eval(&self, _: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let (map, grid) = args_2!(inputs);
        let (&[batch, channels, height, width], &[_, rows, columns, _]) = (map.shape(), grid.shape()) else {
            bail!("GridSample of {:?} at {:?}", map.shape(), grid.shape());
        };
        let (cells, places) = (height * width, rows * columns);
        let values = map.try_as_plain_ram()?.as_slice::<f32>()?;
        let points = grid.try_as_plain_ram()?.as_slice::<f32>()?.as_chunks::<2>().0;
        let mut sampled = vec![0.0_f32; batch * channels * places];
        if cells > 0 && places > 0 && channels > 0 {
            let pictures = values.chunks_exact(channels * cells).zip(points.chunks_exact(places));
            for ((maps, points), out) in pictures.zip(sampled.chunks_exact_mut(channels * places)) {
                let taps: Vec<_> = points.iter().map(|point| self.neighbours(*point, [height, width])).collect();
                for (map, out) in maps.chunks_exact(cells).zip(out.chunks_exact_mut(places)) {
                    for (value, taps) in out.iter_mut().zip(&taps) {
                        *value = taps
                            .iter()
                            .fold(0.0, |sum, (cell, weight)| sum + weight * cell.map_or(0.0, |cell| map[cell]));
                    }
                }
            }
        }
        let shape = [batch, channels, rows, columns];
        Ok(tvec!(tract_ndarray::ArrayD::from_shape_vec(&shape[..], sampled)?.into_tensor().into_tvalue()))
    }
}

impl TypedOp for Fast {
    as_op!();

    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        self.0.output_facts(inputs)
    }
}
