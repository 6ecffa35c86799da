//! Reads, inspects, edits and writes ONNX files. `rewrite` makes a graph safe and fast for tract.

mod check;
mod constants;
mod graph;
pub mod head;
pub mod pb;
pub mod rewrite;
pub mod shape;
mod tensor;

pub use graph::{Index, Model};
pub use pb::{GraphProto, ModelProto, NodeProto, TensorProto};
pub use tensor::{DataType, element_type};
