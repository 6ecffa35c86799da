//! What passes know besides the graph.

use crate::onnx::shape::Shapes;

/// What passes know besides the graph.
#[derive(Clone, Debug, Default)]
pub struct Context {
    /// Names of the values that become the outputs, in order, from the card. If empty, the graph's own are kept.
    pub heads: Vec<String>,
    /// Outputs whose type must not change: states that are fed back as inputs.
    pub keep: Vec<String>,
    /// Shapes of the graph's inputs, from the card.
    pub inputs: Shapes,
    /// Whether activations are computed in floats even though the file quantises them.
    pub float_activations: bool,
    /// Whether 8-bit weights stay as they are, for kernels that multiply them.
    pub levels: bool,
}
