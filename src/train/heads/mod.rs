//! What is trained at the end of a model: where its loss attaches, how it gets other classes, how it is judged. One file for
//! each family.

mod classifier;
mod head;
mod levels;
mod linear;
mod segmentation;
mod yolo;

pub use head::{Head, Loss};

use super::recipe::Written;
use crate::error::{Error, Result};
use crate::infer::Card;
use crate::models::{Family, family};
use crate::onnx::Model;

/// Finds the end of a model, and gives it the classes of a set. Changes the graph where it has to.
///
/// # Errors
/// [`Error::Model`] if the graph is not one of the kinds that can be trained.
pub fn attach(
    written: &Written,
    card: &Card,
    model: &mut Model,
    classes: &[String],
    counts: &[u64],
) -> Result<Box<dyn Head>> {
    match family(card)? {
        Family::Classifier(spec) => classifier::attach(&spec, written, card, model, classes, counts),
        Family::Segmentation(spec) => segmentation::attach(&spec, written, card, model, classes),
        Family::Yolo(spec) => yolo::attach(&spec, written, card, model, classes),
        other => Err(Error::Model(format!(
            "model `{}`: models of the family `{}` cannot be trained yet; classifiers, segmentation and YOLOX can",
            card.name,
            other.stage()
        ))),
    }
}
