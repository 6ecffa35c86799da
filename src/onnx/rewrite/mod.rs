//! Changes to a graph that preserve its answers and make it safe and fast for tract. They are made in memory when a
//! model is loaded; the file is never modified. `ocelli models info --passes` lists what they did.

#![expect(clippy::unnecessary_wraps, reason = "passes have one signature")]

mod atrous;
mod batch_norm;
mod branches;
mod context;
mod dequantize;
mod dynamic;
mod half;
mod old;
mod qoperator;
mod repair;
mod tidy;
mod unpool;
mod weights;

pub use context::Context;

use super::graph::Model;
use crate::error::Result;

/// A named change.
pub struct Pass {
    /// Its name.
    pub name: &'static str,
    /// What it does, and why.
    pub what: &'static str,
    /// How much answers may change.
    pub tolerance: &'static str,
    apply: fn(&mut Model, &Context) -> Result<usize>,
}

impl Pass {
    /// Makes the change; returns at how many places.
    ///
    /// # Errors
    /// [`crate::error::Error::Model`] if the graph is not what it claims to be.
    pub fn apply(&self, model: &mut Model, context: &Context) -> Result<usize> {
        (self.apply)(model, context)
    }
}

/// All passes, in the order in which they run.
pub const PASSES: &[Pass] = &[
    Pass {
        name: "branches",
        what: "an If that only looks after an empty list is replaced by its other branch: tract wants both to have one shape",
        tolerance: "exact, where the largest coordinate of the boxes is not below 0",
        apply: branches::of_empty,
    },
    Pass {
        name: "heads",
        what: "the graph is cut at the values the card names: decoding and NMS inside the graph are left out",
        tolerance: "exact",
        apply: tidy::heads,
    },
    Pass { name: "constants", what: "constant nodes become weights", tolerance: "exact", apply: tidy::constants },
    Pass { name: "identity", what: "nodes that do nothing are dropped", tolerance: "exact", apply: tidy::identity },
    Pass {
        name: "half",
        what: "16-bit floats become 32-bit floats: tract is far slower with 16, and no processor of ours is faster",
        tolerance: "less rounding than in the file",
        apply: half::widen,
    },
    Pass {
        name: "upsample",
        what: "Upsample of old files, which tract lacks, becomes Resize, and Resize of set 10 rounds down, as it did then",
        tolerance: "exact",
        apply: old::upsample,
    },
    Pass {
        name: "constant_of_shape",
        what: "a ConstantOfShape that does not say its value gives 32-bit zeros; tract makes 64-bit ones",
        tolerance: "exact",
        apply: repair::constant_of_shape,
    },
    Pass {
        name: "conv_transpose",
        what: "a ConvTranspose that asks for an output shape gets the padding that ONNX prescribes; tract puts it on the wrong side",
        tolerance: "exact",
        apply: repair::conv_transpose,
    },
    Pass {
        name: "negative_pad",
        what: "a Pad with negative numbers becomes a Slice: tract panics",
        tolerance: "exact",
        apply: repair::negative_pad,
    },
    Pass {
        name: "celu",
        what: "Celu becomes Relu and Elu: tract's is wrong for an alpha other than 1",
        tolerance: "1e-6 of the value",
        apply: repair::celu,
    },
    Pass {
        name: "global_lp_pool",
        what: "GlobalLpPool becomes a norm over rows and columns: tract's is wrong",
        tolerance: "the order of summation",
        apply: repair::global_lp_pool,
    },
    Pass {
        name: "refuse",
        what: "operators that tract computes in another way, and that have no other form here, are refused",
        tolerance: "nothing is changed",
        apply: repair::refuse,
    },
    Pass {
        name: "modulo",
        what: "the remainder of negative integers gets the divisor's sign, as ONNX says",
        tolerance: "exact",
        apply: repair::modulo,
    },
    Pass {
        name: "qoperator",
        what: "operators on 8-bit numbers (QLinearConv …) become DequantizeLinear, the operator on floats, QuantizeLinear",
        tolerance: "exact except for the order of summation",
        apply: qoperator::expand,
    },
    Pass {
        name: "dynamic",
        what: "values are not rounded to 8 bits with a scale of each frame (DynamicQuantizeLinear, ConvInteger, MatMulInteger): floats are faster here",
        tolerance: "less quantisation noise",
        apply: dynamic::floats,
    },
    Pass {
        name: "sink_quantize",
        what: "rounding to 8 bits is moved behind operators that only rearrange numbers, where it can be removed",
        tolerance: "exact",
        apply: dequantize::sink,
    },
    Pass {
        name: "output_quantize",
        what: "outputs stay floats: tract folds a softmax before a final QuantizeLinear into a wrong table",
        tolerance: "half a quantisation step; the 8-bit range is kept",
        apply: dequantize::outputs,
    },
    Pass {
        name: "input_requantize",
        what: "u8 inputs are not converted to i8 first: tract refuses that",
        tolerance: "exact",
        apply: dequantize::inputs,
    },
    Pass {
        name: WEIGHTS,
        what: "weights of 4 to 32 bits become the floats they stand for",
        tolerance: "exact",
        apply: weights::floats,
    },
    Pass {
        name: "activation_dequantize",
        what: "activations are not rounded to 8 bits: tract computes them in floats anyway, and rounding costs time",
        tolerance: "less quantisation noise; measured on golden pictures in docs/models.md",
        apply: dequantize::activations,
    },
    Pass {
        name: "batch_norm",
        what: "batch normalisation is folded into the convolution before it",
        tolerance: "1e-5 of the largest value",
        apply: batch_norm::fold,
    },
    Pass {
        name: "centre_tap",
        what: "windows whose outer taps all lie outside the map keep only the inner ones",
        tolerance: "exact except for the order of summation: 1e-5 of the largest value",
        apply: atrous::centre_taps,
    },
    Pass {
        name: "max_unpool",
        what: "MaxUnpool, which tract lacks, becomes ScatterElements",
        tolerance: "exact",
        apply: unpool::scatter,
    },
    Pass {
        name: "value_info",
        what: "recorded shapes of inner values are dropped: they are stale if the input's size was changed",
        tolerance: "exact",
        apply: tidy::value_info,
    },
];

/// The pass that makes floats of 8-bit weights.
pub const WEIGHTS: &str = "weight_dequantize";

/// Runs all passes; returns the name of each that changed something, and at how many places.
///
/// # Errors
/// As [`Pass::apply`].
pub fn run(model: &mut Model, context: &Context) -> Result<Vec<(&'static str, usize)>> {
    // Passes walk from node to node; a cycle would make them walk forever.
    model.index().order(model.graph())?;
    let mut done = Vec::new();
    for pass in PASSES {
        if context.levels && pass.name == WEIGHTS {
            continue;
        }
        let places = pass.apply(model, context)?;
        if places > 0 {
            done.push((pass.name, places));
        }
    }
    Ok(done)
}
