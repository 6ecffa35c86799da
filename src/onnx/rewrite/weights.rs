//! Quantised weights, which become floats when a model is loaded.

use super::context::Context;
use super::dequantize::{Params, is_small, params};
use crate::error::{Error, Result};
use crate::onnx::graph::{Index, Model};
use crate::onnx::pb::{NodeProto, TensorProto};

/// Turns each `DequantizeLinear` of a weight into a weight of floats.
pub(super) fn floats(model: &mut Model, _context: &Context) -> Result<usize> {
    let index = model.index();
    let mut made = Vec::new();
    for (at, node) in model.graph().node.iter().enumerate() {
        let quantised = node.input(0).and_then(|name| index.weight(model.graph(), name));
        let (Some(tensor), "DequantizeLinear", Some(output)) = (quantised, node.op(), node.output(0)) else { continue };
        if index.is_output(output) {
            continue;
        }
        if !is_small(tensor.kind()) {
            continue;
        }
        let floats = match params(model, &index, node) {
            Some(params) => Some(dequantized(tensor, &params, output)?),
            None => blocks(model, &index, node, tensor),
        };
        made.extend(floats.map(|floats| (at, floats)));
    }
    let count = made.len();
    let graph = model.graph_mut();
    for (at, tensor) in made {
        graph.node[at] = NodeProto::default();
        graph.initializer.push(tensor);
    }
    graph.node.retain(|node| !node.op().is_empty());
    if count > 0 {
        model.sweep();
    }
    Ok(count)
}

/// `(q - zero) * scale` with a scale for each block of `block_size` neighbours along an axis (`DequantizeLinear` of set 21).
fn blocks(model: &Model, index: &Index, node: &NodeProto, tensor: &TensorProto) -> Option<TensorProto> {
    let graph = model.graph();
    let size = usize::try_from(node.int("block_size", 0)).ok().filter(|size| *size > 0)?;
    let scale = index.weight(graph, node.input(1)?)?;
    let zeros = match node.input(2) {
        Some(name) => Some(index.weight(graph, name)?.ints().ok()?),
        None => None,
    };
    let (shape, scale_shape) = (tensor.shape(), scale.shape());
    let (levels, scales) = (tensor.ints().ok()?, scale.floats().ok()?);
    let axis = node.int("axis", 1);
    let axis = usize::try_from(if axis < 0 { axis + shape.len() as i64 } else { axis }).ok()?;
    let mut expected = shape.clone();
    let blocks = expected.get_mut(axis)?;
    *blocks = blocks.div_ceil(size);
    if scale_shape != expected || zeros.as_ref().is_some_and(|zeros| zeros.len() != scales.len()) {
        return None;
    }
    let inner: usize = shape[axis + 1..].iter().product();
    let value = |(at, level): (usize, &i64)| {
        let (outer, along, last) = (at / inner / shape[axis], at / inner % shape[axis], at % inner);
        let block = (outer * expected[axis] + along / size) * inner + last;
        (level - zeros.as_ref().map_or(0, |zeros| zeros[block])) as f32 * scales[block]
    };
    let values: Vec<f32> = levels.iter().enumerate().map(value).collect();
    Some(TensorProto::of_f32(node.output(0)?, &shape, &values))
}

/// `(q - zero) * scale`, per tensor or per slice of an axis (ONNX Operators, `DequantizeLinear`).
fn dequantized(tensor: &TensorProto, params: &Params, name: &str) -> Result<TensorProto> {
    let (shape, levels) = (tensor.shape(), tensor.ints()?);
    let axis = if params.axis < 0 { params.axis.saturating_add(shape.len() as i64) } else { params.axis };
    let axis = usize::try_from(axis).ok().filter(|axis| *axis < shape.len()).unwrap_or(0);
    let inner: usize = shape.get(axis + 1..).unwrap_or_default().iter().product();
    let slices = if params.scale.len() == 1 { 1 } else { shape.get(axis).copied().unwrap_or(0) };
    if slices != params.scale.len() {
        let message = format!("tensor `{}` {shape:?} has {} scales on axis {axis}", tensor.label(), params.scale.len());
        return Err(Error::Model(message));
    }
    let value = |(at, &q): (usize, &i64)| {
        let slice = if slices == 1 { 0 } else { at / inner % slices };
        (q - params.zero[slice]) as f32 * params.scale[slice]
    };
    let values: Vec<f32> = levels.iter().enumerate().map(value).collect();
    Ok(TensorProto::of_f32(name, &shape, &values))
}
