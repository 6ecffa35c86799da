//! What is asked of a net, and what it gives.

use crate::onnx::Model;
use crate::types::Size;

/// What a net is to be.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// The size of its input.
    pub size: Size,
    /// How many classes it knows.
    pub classes: usize,
    /// Its first weights follow from it.
    pub seed: u64,
}

/// A graph, and the words for its card.
pub struct Made {
    /// The graph.
    pub model: Model,
    /// How tensors become answers.
    pub family: &'static str,
}
