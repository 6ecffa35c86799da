//! What is trained at the end of a model: where its loss attaches, how it gets other classes, how it is judged. One file for
//! each family.

mod classifier;
mod head;
mod levels;
mod linear;
mod segmentation;
mod yolo;

pub use head::{Head, Loss};
pub use linear::output_of;

use super::data::Set;
use super::recipe::Written;
use crate::error::{Error, Result};
use crate::infer::Card;
use crate::models::{Family, family};
use crate::onnx::Model;

/// Finds the end of a model, and gives it the classes of a set. Changes the graph where it has to.
///
/// # Errors
/// [`Error::Model`] if the graph is not one of the kinds that can be trained.
pub fn attach(written: &Written, card: &Card, model: &mut Model, set: &Set) -> Result<Box<dyn Head>> {
    let lacks = |what: &str| Error::Data(format!("model `{}` needs {what}, and the set has none", card.name));
    match family(card)? {
        Family::Classifier(spec) if set.train.iter().any(|sample| sample.class.is_some()) => {
            classifier::attach(&spec, written, card, model, &set.classes, &set.counts())
        }
        Family::Segmentation(spec) if set.train.iter().any(|sample| sample.rules.is_some()) => {
            segmentation::attach(&spec, written, card, model, &set.classes)
        }
        Family::Yolo(spec) if set.train.iter().any(|sample| !sample.objects.is_empty()) => {
            yolo::attach(&spec, written, card, model, &set.classes)
        }
        Family::Classifier(_) => Err(lacks("a class for each picture, such as a folder for each class")),
        Family::Segmentation(_) => Err(lacks("class maps")),
        Family::Yolo(_) => Err(lacks("boxes")),
        _ => Err(Error::Model(format!(
            "model `{}`: models of the family `{}` cannot be trained yet; classifiers, segmentation and YOLOX can",
            card.name,
            card.family_name()
        ))),
    }
}
