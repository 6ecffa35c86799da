//! A part of a training: the epochs in which the same layers are frozen.

use crate::error::Result;
use crate::onnx::{DataType, Model, TensorProto};
use crate::train::heads::Head;
use crate::train::plan::Division;
use crate::train::recipe::Freeze;

/// A part of a training.
#[derive(Clone, Debug)]
pub struct Part {
    /// What is trained, in words.
    pub what: &'static str,
    /// What is not.
    pub freeze: Freeze,
    /// How often all pictures are seen.
    pub epochs: u64,
    /// The learning rate.
    pub rate: f64,
}

impl Part {
    /// Divides a graph.
    pub(super) fn division(&self, head: &dyn Head, model: &Model) -> Result<Division> {
        Division::new(model, head.outputs(), &|name| self.keeps(head, name))
    }

    fn keeps(&self, head: &dyn Head, weight: &str) -> bool {
        match &self.freeze {
            Freeze::None => false,
            Freeze::Backbone => head.is_backbone(weight),
            Freeze::AllButHead => !head.last().contains(weight),
            Freeze::Patterns(patterns) => {
                patterns.iter().any(|pattern| glob::Pattern::new(pattern).is_ok_and(|pattern| pattern.matches(weight)))
            }
        }
    }
}

/// How many numbers the weights of a graph have.
pub(super) fn total(model: &Model) -> usize {
    let floats = model.graph().initializer.iter().filter(|t| t.kind() == DataType::F32);
    floats.filter_map(TensorProto::volume).sum()
}
