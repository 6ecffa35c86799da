//! What is trained at the end of a model: where its loss attaches, how it gets other classes, how it is judged. One file for
//! each family.

mod classifier;
mod levels;
mod linear;
mod segmentation;
mod yolo;

use super::data::Target;
use super::engine::Tensor;
use super::recipe::Written;
use crate::error::{Error, Result};
use crate::eval::measure::Measured;
use crate::infer::Card;
use crate::models::{Family, family};
use crate::onnx::Model;
use std::collections::BTreeSet;

/// How wrong a batch of answers is.
#[derive(Clone, Debug, Default)]
pub struct Loss {
    /// The parts of the loss, by name; their sum is what becomes smaller.
    pub parts: Vec<(&'static str, f64)>,
    /// The gradient of each output.
    pub gradients: Vec<Vec<f32>>,
}

/// The end of a model.
pub trait Head: Send + Sync {
    /// The values of the graph that the loss looks at.
    fn outputs(&self) -> &[String];

    /// The weights of the last layer.
    fn last(&self) -> &BTreeSet<String>;

    /// Whether a weight belongs to the layers that extract features.
    fn is_backbone(&self, weight: &str) -> bool {
        !self.last().contains(weight)
    }

    /// The loss of a batch. There may be fewer targets than answers; the others do not count.
    fn loss(&self, outputs: &[&Tensor], targets: &[Target]) -> Loss;

    /// The lines of a pipeline behind `resize` that turn the model's answers into what is measured. `least` is the least score
    /// of an answer; if not given, one that people would choose.
    fn lines(&self, model: &str, least: Option<f64>) -> Vec<(&'static str, String)>;

    /// The name of what counts.
    fn metric_name(&self) -> &'static str;

    /// The value of what counts, from 0 to 1.
    fn metric(&self, measured: &Measured) -> Option<f64>;
}

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
