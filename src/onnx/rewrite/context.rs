//! What passes know beside the graph.

use crate::onnx::shape::Shapes;

/// What passes know beside the graph.
#[derive(Clone, Debug, Default)]
pub struct Context {
    /// Names of values to become the outputs, in order; empty: the graph's own. From the card.
    pub heads: Vec<String>,
    /// Outputs whose type must stay: states that are fed back as inputs.
    pub keep: Vec<String>,
    /// Shapes of the graph's inputs, from the card.
    pub inputs: Shapes,
    /// Whether activations are to be computed in floats although the file quantises them.
    pub float_activations: bool,
}
