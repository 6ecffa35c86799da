//! Graphs that are quantised while they run: ONNX Runtime's `quantize_dynamic` puts `DynamicQuantizeLinear` in front of
//! `ConvInteger` and `MatMulInteger`, and multiplies by both scales behind them.

use super::context::Context;
use crate::error::Result;
use crate::onnx::graph::{Index, Model};
use crate::onnx::pb::{GraphProto, NodeProto, TensorProto};
use crate::onnx::tensor::DataType;

/// Computes in floats what is quantised from frame to frame: the integer operators become those on floats, with the weights
/// less their zero points, and the scale of the picture's values becomes 1.
pub(super) fn floats(model: &mut Model, context: &Context) -> Result<usize> {
    if !context.float_activations {
        return Ok(0);
    }
    let index = model.index();
    let found: Vec<(usize, Vec<(usize, TensorProto)>)> = (0..model.graph().node.len())
        .filter_map(|at| users(model.graph(), &index, at).map(|users| (at, users)))
        .collect();
    let count = found.len();
    for (at, users) in found {
        let node = model.graph().node[at].clone();
        let (Some(value), Some(scale)) = (node.input(0), node.output(1)) else { continue };
        for (user, mut weight) in users {
            let name = model.fresh("weight");
            weight.name = Some(name.clone());
            let graph = model.graph_mut();
            let node = &mut graph.node[user];
            node.op_type = Some(if node.op() == "ConvInteger" { "Conv" } else { "MatMul" }.into());
            node.input = vec![value.to_owned(), name];
            graph.initializer.push(weight);
        }
        let graph = model.graph_mut();
        graph.node[at] = NodeProto::default();
        graph.initializer.push(TensorProto::of_f32(scale, &[], &[1.0]));
    }
    model.graph_mut().node.retain(|node| !node.op().is_empty());
    if count > 0 {
        model.sweep();
    }
    Ok(count)
}

/// The integer operators behind a `DynamicQuantizeLinear`, with their weights in floats; `None` if anything else looks at
/// its outputs.
fn users(graph: &GraphProto, index: &Index, at: usize) -> Option<Vec<(usize, TensorProto)>> {
    let node = &graph.node[at];
    let [levels, scale, zero] = [0, 1, 2].map(|output| node.output(output).unwrap_or_default());
    let hidden = |value: &str| !value.is_empty() && !index.is_output(value);
    if node.op() != "DynamicQuantizeLinear" || ![levels, scale, zero].into_iter().all(hidden) {
        return None;
    }
    // What the scale is multiplied by: weights' scales, and then the products, or the products at once.
    if index.users(scale).is_empty() || !index.users(scale).iter().all(|&user| graph.node[user].op() == "Mul") {
        return None;
    }
    let integer = |user: usize| {
        let node = &graph.node[user];
        let ours = matches!(node.op(), "ConvInteger" | "MatMulInteger")
            && node.input(0) == Some(levels)
            && node.input(1) != Some(levels)
            && node.input(2) == Some(zero);
        let output = node.output(0).filter(|output| ours && !index.is_output(output))?;
        // What follows takes floats.
        let scaled = |value: &str| is_scaled(graph, index, value, scale);
        let to_float = |&next: &usize| {
            let next = &graph.node[next];
            let is_float = next.op() == "Cast" && next.int("to", 0) == i64::from(DataType::F32.number());
            is_float && next.output(0).is_some_and(scaled)
        };
        index.users(output).iter().all(to_float).then_some(())?;
        weight(graph, index, node)
    };
    let used = index.users(levels);
    if used.is_empty() || !index.users(zero).iter().all(|user| used.contains(user)) {
        return None;
    }
    used.iter().map(|&user| Some((user, integer(user)?))).collect()
}

/// Whether all that looks at a product multiplies it by the scale, or by the scale times a constant.
fn is_scaled(graph: &GraphProto, index: &Index, product: &str, scale: &str) -> bool {
    let of_scale = |value: &String| {
        let made = index.maker(value).map(|at| &graph.node[at]);
        value == scale || made.is_some_and(|node| node.op() == "Mul" && node.input.iter().any(|input| input == scale))
    };
    let multiplies = |&user: &usize| {
        let node = &graph.node[user];
        node.op() == "Mul" && node.input.iter().any(|input| input != product && of_scale(input))
    };
    !index.is_output(product) && !index.users(product).is_empty() && index.users(product).iter().all(multiplies)
}

/// Weights less their zero points: one for all, or one for each output channel (`[M, …]` of a convolution, `[…, N]` of a
/// product).
fn weight(graph: &GraphProto, index: &Index, node: &NodeProto) -> Option<TensorProto> {
    let tensor = index.weight(graph, node.input(1)?)?;
    let (shape, levels) = (tensor.shape(), tensor.ints().ok()?);
    let zeros = match node.input(3) {
        Some(name) => index.weight(graph, name)?.ints().ok()?,
        None => vec![0],
    };
    let axis = if node.op() == "ConvInteger" { 0 } else { shape.len().checked_sub(1)? };
    let (sides, inner) = (*shape.get(axis)?, shape[axis + 1..].iter().product::<usize>());
    if zeros.len() != 1 && zeros.len() != sides {
        return None;
    }
    let zero = |at: usize| if zeros.len() == 1 { zeros[0] } else { zeros[at / inner.max(1) % sides] };
    let values: Vec<f32> = levels.iter().enumerate().map(|(at, level)| (level - zero(at)) as f32).collect();
    Some(TensorProto::of_f32("", &shape, &values))
}
