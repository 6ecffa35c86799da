//! Operators that tract computes slowly, in a faster form that gives the same bytes. They stand in for tract's in the
//! optimised plan only, so that the check of a plan compares them with tract's own.

mod grid_sample;
mod resize;

use tract_onnx::prelude::TypedModel;

/// Puts the faster forms in their places.
pub(super) fn replace(model: &mut TypedModel) {
    for at in 0..model.nodes.len() {
        let fast =
            grid_sample::Fast::of(model, at).map(Into::into).or_else(|| resize::Fast::of(model, at).map(Into::into));
        if let Some(op) = fast {
            model.nodes[at].op = op;
        }
    }
}
