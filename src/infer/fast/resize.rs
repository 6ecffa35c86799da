//! Linear `Resize` of maps: row by row, both axes at once.

#![allow(clippy::wildcard_imports, reason = "tract's macros name much of it")]

use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::ops::nn::resize::AxisPlan;
use tract_onnx::tract_core::ops::nn::{Interpolator, Resize};

/// Linear resizing of the last two axes of `[N, C, H, W]` floats of known sizes.
#[derive(Clone, Debug)]
pub struct Fast {
    inner: Resize,
    from: [usize; 4],
    down: Arc<Vec<Tap>>,
    across: Arc<Vec<Tap>>,
}

/// Two cells and their weights.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Tap {
    at: [usize; 2],
    weights: [f32; 2],
}

impl PartialEq for Fast {
    fn eq(&self, other: &Self) -> bool {
        self.inner == other.inner && self.from == other.from && self.down == other.down && self.across == other.across
    }
}

impl Eq for Fast {}

impl Fast {
    /// The faster form of a node, if it has one.
    pub fn of(model: &TypedModel, at: usize) -> Option<Self> {
        let node = &model.nodes[at];
        let op = node.op_as::<Resize>().filter(|op| matches!(op.interpolator, Interpolator::Linear))?;
        let inputs = model.node_input_facts(at).ok()?;
        let float = inputs[0].datum_type == f32::datum_type();
        let from: [usize; 4] = inputs[0].shape.as_concrete()?.try_into().ok()?;
        let to: [usize; 4] = node.outputs[0].fact.shape.as_concrete()?.try_into().ok()?;
        if !float || from[..2] != to[..2] {
            return None;
        }
        let given = op.optional_scales_input.map(|input| inputs[input].konst.clone());
        let scales: Vec<f32> = match given {
            Some(scales) => {
                let scales = scales?;
                scales.try_as_plain_ram().ok()?.as_slice::<f32>().ok()?.to_vec()
            }
            None => Vec::new(),
        };
        let scale = |axis: usize| match scales.len() {
            4 => scales[axis],
            _ => to[axis] as f32 / from[axis] as f32,
        };
        if scales.len() == 4 && scales[..2] != [1.0, 1.0] {
            return None;
        }
        let taps = |axis: usize| -> Option<Arc<Vec<Tap>>> {
            if from[axis] == to[axis] && scale(axis) == 1.0 {
                let same = |at| Tap { at: [at, at], weights: [1.0, 0.0] };
                return Some(Arc::new((0..to[axis]).map(same).collect()));
            }
            taps(&op.plan_axis(scale(axis), from[axis], to[axis])).map(Arc::new)
        };
        Some(Self { inner: op.clone(), from, down: taps(2)?, across: taps(3)? })
    }
}

fn taps(plan: &AxisPlan) -> Option<Vec<Tap>> {
    if plan.window != 2 || plan.extrapolated.contains(&true) {
        return None;
    }
    let pairs = plan.indices.as_chunks::<2>().0.iter().zip(plan.weights.as_chunks::<2>().0);
    Some(pairs.map(|(at, weights)| Tap { at: *at, weights: *weights }).collect())
}

impl Op for Fast {
    fn name(&self) -> StaticName {
        "ResizeByRows".into()
    }

    op_as_typed_op!();
}

impl EvalOp for Fast {
    op_out_of_plan!();

    fn eval(&self, ctx: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        if inputs[0].shape() != self.from {
            return self.inner.eval(ctx, inputs);
        }
        let [batch, channels, height, width] = self.from;
        let (rows, columns) = (self.down.len(), self.across.len());
        let values = inputs[0].try_as_plain_ram()?.as_slice::<f32>()?;
        let mut resized = vec![0.0_f32; batch * channels * rows * columns];
        let mut line = vec![0.0_f32; width];
        if rows > 0 && columns > 0 && height > 0 && width > 0 {
            for (map, out) in values.chunks_exact(height * width).zip(resized.chunks_exact_mut(rows * columns)) {
                for (tap, out) in self.down.iter().zip(out.chunks_exact_mut(columns)) {
                    // The sums begin with 0, as tract's do.
                    let [upper, lower] = tap.at.map(|row| &map[row * width..][..width]);
                    for ((value, upper), lower) in line.iter_mut().zip(upper).zip(lower) {
                        *value = 0.0 + tap.weights[0] * upper + tap.weights[1] * lower;
                    }
                    for (value, tap) in out.iter_mut().zip(self.across.iter()) {
                        *value = 0.0 + tap.weights[0] * line[tap.at[0]] + tap.weights[1] * line[tap.at[1]];
                    }
                }
            }
        }
        let shape = [batch, channels, rows, columns];
        Ok(tvec!(tract_ndarray::ArrayD::from_shape_vec(&shape[..], resized)?.into_tensor().into_tvalue()))
    }
}

impl TypedOp for Fast {
    as_op!();

    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        self.inner.output_facts(inputs)
    }
}
