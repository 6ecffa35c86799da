//! The end of a model, as the trainer sees it.

use crate::eval::measure::Measured;
use crate::train::data::Target;
use crate::train::engine::Tensor;
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
