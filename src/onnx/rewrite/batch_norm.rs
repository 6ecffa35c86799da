//! Folds batch normalisation into the convolution before it. Ioffe and Szegedy 2015, §3.1: in inference it is
//! `y = (x - mean) / sqrt(var + epsilon) * gamma + beta`, one factor and one offset per channel.

use super::context::Context;
use crate::error::Result;
use crate::onnx::DataType;
use crate::onnx::graph::Model;
use crate::onnx::pb::TensorProto;

pub(super) fn fold(model: &mut Model, _context: &Context) -> Result<usize> {
    let mut count = 0;
    let mut at = 0;
    while at < model.graph().node.len() {
        if fold_one(model, at)?.is_some() {
            count += 1;
        }
        at += 1;
    }
    if count > 0 {
        model.graph_mut().node.retain(|node| !node.op().is_empty());
        model.sweep();
    }
    Ok(count)
}

/// Folds node `at` if it is a batch normalisation after a convolution that nothing else reads.
fn fold_one(model: &mut Model, at: usize) -> Result<Option<()>> {
    let graph = model.graph();
    let norm = &graph.node[at];
    if norm.op() != "BatchNormalization" || norm.int("training_mode", 0) != 0 {
        return Ok(None);
    }
    let index = model.index();
    let weight = |name: Option<&str>| name.and_then(|name| index.weight(graph, name));
    let Some(input) = norm.input(0) else { return Ok(None) };
    let Some(conv) = index.maker(input).filter(|&c| graph.node[c].op() == "Conv") else { return Ok(None) };
    if index.users(input).len() != 1 || index.is_output(input) {
        return Ok(None);
    }
    let [Some(gamma), Some(beta), Some(mean), Some(var), Some(kernel)] = [
        weight(norm.input(1)),
        weight(norm.input(2)),
        weight(norm.input(3)),
        weight(norm.input(4)),
        weight(graph.node[conv].input(1)),
    ] else {
        return Ok(None);
    };
    if [gamma, beta, mean, var, kernel].iter().any(|t| t.kind() != DataType::F32) {
        return Ok(None);
    }
    let (gamma, beta, mean, var) = (gamma.floats()?, beta.floats()?, mean.floats()?, var.floats()?);
    let (shape, mut values) = (kernel.shape(), kernel.floats()?);
    let channels = shape.first().copied().unwrap_or(0);
    let bias = match graph.node[conv].input(2) {
        Some(name) => match index.weight(graph, name) {
            Some(tensor) if tensor.kind() == DataType::F32 => tensor.floats()?,
            _ => return Ok(None),
        },
        None => vec![0.0; channels],
    };
    if channels == 0 || [&gamma, &beta, &mean, &var, &bias].iter().any(|v| v.len() != channels) {
        return Ok(None);
    }
    let epsilon = norm.float("epsilon", 1e-5);
    let factor: Vec<f32> = gamma.iter().zip(&var).map(|(g, v)| g / (v + epsilon).sqrt()).collect();
    let slice = values.len() / channels;
    for (filter, factor) in values.chunks_exact_mut(slice.max(1)).zip(&factor) {
        filter.iter_mut().for_each(|w| *w *= factor);
    }
    let offset: Vec<f32> = (0..channels).map(|c| (bias[c] - mean[c]) * factor[c] + beta[c]).collect();
    let (kernel_name, bias_name) = (model.fresh("folded_kernel"), model.fresh("folded_bias"));
    let graph = model.graph_mut();
    graph.initializer.push(TensorProto::of_f32(&kernel_name, &shape, &values));
    graph.initializer.push(TensorProto::of_f32(&bias_name, &[channels], &offset));
    graph.node[conv].input.resize(3, String::new());
    graph.node[conv].input[1] = kernel_name;
    graph.node[conv].input[2] = bias_name;
    // The convolution produces its input, so this cannot fail.
    model.bypass(at);
    Ok(Some(()))
}
