//! What is known of a graph, and what it is proposed to be.

use super::input::Input;
use crate::infer::Probed;
use crate::onnx::Model;

/// What is known of a graph.
pub struct Facts<'a> {
    pub model: &'a Model,
    pub input: Input,
    pub outputs: Vec<Probed>,
    pub names: Vec<String>,
    /// What the metadata of Ultralytics say it is for.
    pub task: Option<String>,
    pub is_ultralytics: bool,
    /// Whether they say that its head is RT-DETR's: boxes in parts of the input, pictures squeezed into it.
    pub is_rt_detr: bool,
    /// What they say of points: how many an object has, and how many numbers each is (`kpt_shape`).
    pub points: Option<[usize; 2]>,
}

impl Facts<'_> {
    /// Whether an operator occurs in the graph.
    pub fn has(&self, operator: &str) -> bool {
        self.model.graph().node.iter().any(|node| node.op() == operator)
    }
}

/// What a graph is proposed to be.
pub struct Found {
    /// The text below `family:`.
    pub family: String,
    /// The number of its classes; 0 if it has none.
    pub classes: usize,
}

impl Found {
    pub fn new(family: impl Into<String>, classes: usize) -> Self {
        Self { family: family.into(), classes }
    }
}
