//! Passes that only remove things.

use super::context::Context;
use crate::error::{Error, Result};
use crate::onnx::graph::Model;
use crate::onnx::pb::ValueInfoProto;
use crate::yaml::nearest;

/// Makes the values that the card names the graph's outputs.
pub(super) fn heads(model: &mut Model, context: &Context) -> Result<usize> {
    if context.heads.is_empty() {
        return Ok(0);
    }
    let index = model.index();
    let graph = model.graph_mut();
    let mut outputs = Vec::new();
    for name in context.heads.iter().chain(&context.keep) {
        let value = graph.output.iter().chain(&graph.value_info).find(|v| v.label() == name).cloned();
        if index.maker(name).is_none() {
            let all = graph.node.iter().flat_map(|n| n.output.iter().map(String::as_str));
            let hint = nearest(name, all).map_or(String::new(), |near| format!("; did you mean `{near}`?"));
            return Err(Error::Model(format!("the card names the output `{name}`, which no node produces{hint}")));
        }
        outputs.push(value.unwrap_or_else(|| ValueInfoProto { name: Some(name.clone()), ..Default::default() }));
    }
    let same = graph.output.iter().map(ValueInfoProto::label).eq(outputs.iter().map(ValueInfoProto::label));
    if same {
        return Ok(0);
    }
    graph.output = outputs;
    let before = graph.node.len();
    model.sweep();
    Ok((before - model.graph().node.len()).max(1))
}

/// Turns `Constant` nodes with a tensor into weights.
pub(super) fn constants(model: &mut Model, _context: &Context) -> Result<usize> {
    let index = model.index();
    let graph = model.graph_mut();
    let mut count = 0;
    for at in 0..graph.node.len() {
        let node = &graph.node[at];
        let Some(name) = node.output(0).filter(|_| node.op() == "Constant").map(str::to_owned) else { continue };
        let Some(mut tensor) = node.attribute("value").and_then(|a| a.t.clone()) else { continue };
        if index.is_output(&name) {
            continue;
        }
        tensor.name = Some(name);
        graph.initializer.push(tensor);
        graph.node[at] = crate::onnx::NodeProto::default();
        count += 1;
    }
    graph.node.retain(|node| !node.op().is_empty());
    Ok(count)
}

/// Drops `Identity`, and `Dropout` (which does nothing in inference).
pub(super) fn identity(model: &mut Model, _context: &Context) -> Result<usize> {
    let index = model.index();
    let idle = |at: usize| {
        let node = &model.graph().node[at];
        let mask_is_used = node.output(1).is_some_and(|mask| !index.users(mask).is_empty() || index.is_output(mask));
        node.op() == "Identity" || (node.op() == "Dropout" && !mask_is_used)
    };
    let idle: Vec<usize> = (0..model.graph().node.len()).filter(|&at| idle(at)).collect();
    let count = idle.into_iter().filter(|&at| model.bypass(at)).count();
    if count > 0 {
        model.graph_mut().node.retain(|node| !node.op().is_empty());
    }
    Ok(count)
}

/// Drops the shapes recorded for inner values.
pub(super) fn value_info(model: &mut Model, _context: &Context) -> Result<usize> {
    Ok(std::mem::take(&mut model.graph_mut().value_info).len())
}
