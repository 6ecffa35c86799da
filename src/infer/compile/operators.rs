//! Which operators are compiled, and by what.

use super::lower::{Lower, Reason};
use super::{arrange, dense, levels, maps};

/// Lowers a node.
///
/// # Errors
/// Why it stays with tract.
pub fn lower(lower: &mut Lower, at: usize) -> Result<(), Reason> {
    let node = lower.node(at);
    if !matches!(node.domain.as_deref(), None | Some("" | "ai.onnx")) {
        return Err(format!("the operator is of the domain {}", node.domain.as_deref().unwrap_or_default()));
    }
    if lower.fold(node) {
        return Ok(());
    }
    match node.op() {
        "QuantizeLinear" => levels::quantize(lower, node),
        "DequantizeLinear" => levels::dequantize(lower, node),
        "Conv" => match levels::conv(lower, at)? {
            Some(()) => Ok(()),
            None => dense::conv(lower, at),
        },
        "ConvTranspose" => dense::transposed(lower, at),
        "Gemm" => dense::gemm(lower, at),
        "MatMul" => dense::matmul(lower, at),
        // Levels first.
        "Sigmoid" | "Mul" | "Relu" | "Clip" | "LeakyRelu" | "HardSwish" | "HardSigmoid" if on_levels(lower, at)? => {
            Ok(())
        }
        "Add" | "Mul" if levels::pair(lower, node)?.is_some() => Ok(()),
        "MaxPool" | "AveragePool" => maps::pool(lower, node),
        "GlobalAveragePool" | "GlobalMaxPool" | "ReduceMean" => maps::global_pool(lower, node),
        "Resize" => maps::resize(lower, node),
        "ArgMax" => maps::arg_max(lower, node),
        "Softmax" => maps::softmax(lower, node),
        "Add" | "Sub" | "Mul" | "Div" | "PRelu" | "Max" | "Min" => maps::binary(lower, at),
        "BatchNormalization" => maps::batch_norm(lower, at),
        "Identity" | "Dropout" | "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" | "Transpose" | "Slice" | "Split"
        | "Gather" | "Concat" | "Pad" | "DepthToSpace" => arrange::lower(lower, at),
        _ => maps::unary(lower, at),
    }
}

/// Lowers an activation of levels that is rounded again; `true` if it is one.
fn on_levels(lower: &mut Lower, at: usize) -> Result<bool, Reason> {
    let Some((act, input, name, nodes)) = levels::act_at(lower, at) else { return Ok(false) };
    Ok(levels::table(lower, at, act, &input, &name, &nodes)?.is_some())
}
