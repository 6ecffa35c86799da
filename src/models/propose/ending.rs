//! What a graph does last.

use crate::onnx::Model;

/// The last thing that a graph does to the numbers of an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    Softmax,
    Sigmoid,
    Tanh,
    /// Class numbers.
    ArgMax,
    Other,
}

/// Operators that only rearrange numbers, or round them.
const THROUGH: [&str; 12] = [
    "QuantizeLinear",
    "DequantizeLinear",
    "Reshape",
    "Identity",
    "Transpose",
    "Squeeze",
    "Unsqueeze",
    "Flatten",
    "Cast",
    "Slice",
    "Resize",
    "Clip",
];

/// Returns what a graph does last to an output.
pub fn of(model: &Model, output: &str) -> Ending {
    let (graph, index) = (model.graph(), model.index());
    let mut value = output;
    while let Some(node) = index.maker(value).map(|at| &graph.node[at]) {
        match node.op() {
            "Softmax" => return Ending::Softmax,
            "Sigmoid" | "HardSigmoid" => return Ending::Sigmoid,
            "Tanh" => return Ending::Tanh,
            "ArgMax" => return Ending::ArgMax,
            op if THROUGH.contains(&op) => value = node.input(0).unwrap_or_default(),
            _ => return Ending::Other,
        }
    }
    Ending::Other
}
