//! The operators that the engine knows: one file for each kind, one line for each name.
#![allow(clippy::unnecessary_wraps, reason = "all operators are read in one form")]

mod activation;
mod conv;
mod depthwise;
mod fold;
mod graph;
mod join;
mod linear;
mod norm;
mod pool;
mod product;
mod reduce;
mod resize;
mod shape;
mod sizes;
mod softmax;
mod sum;
mod transposed;
mod unpool;
mod window;

use crate::onnx::NodeProto;
pub use fold::fold;
pub use graph::{Read, Values};

/// The kernel of a node. `shape` gives the shapes of values that are known.
///
/// # Errors
/// What the engine cannot do.
pub fn read<'a>(node: &'a NodeProto, values: &Values<'_>, shape: &dyn Fn(&str) -> Option<Vec<usize>>) -> Read<'a> {
    match node.op() {
        "Conv" => conv::read(node),
        "ConvTranspose" => transposed::read(node),
        "Gemm" => linear::gemm(node),
        "MatMul" => linear::matmul(node, shape),
        "MaxPool" | "AveragePool" => pool::read(node),
        "GlobalAveragePool" => reduce::global(node),
        "ReduceMean" => reduce::mean(node, values, shape),
        "BatchNormalization" => norm::batch(node),
        "GroupNormalization" => norm::group(node),
        "Relu" | "Clip" | "LeakyRelu" | "HardSwish" | "HardSigmoid" | "Sigmoid" | "Tanh" | "Gelu" | "Softplus"
        | "Swish" | "Elu" | "Identity" | "Dropout" | "Exp" => activation::read(node, values),
        "Softmax" | "LogSoftmax" => softmax::read(node, shape),
        "Add" | "Sub" | "Mul" | "Div" => join::read(node),
        "Concat" => shape::concat(node),
        "Slice" => shape::slice(node, values, shape),
        "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" => shape::reshape(node, values, shape),
        "Transpose" => shape::transpose(node, shape),
        "Pad" => shape::pad(node, values, shape),
        "Resize" | "Upsample" => resize::read(node, values, shape),
        "MaxUnpool" => unpool::read(node, values),
        other => Err(format!(
            "the engine has no gradient of `{other}`; let `freeze` reach beyond it, or end the head in front of it"
        )),
    }
}
