//! `If` nodes that only look after an empty list: PyTorch writes one around the NMS of torchvision's detectors.

use super::context::Context;
use crate::error::Result;
use crate::onnx::graph::{Index, Model};
use crate::onnx::pb::{GraphProto, NodeProto, TensorProto, ValueInfoProto};
use crate::onnx::tensor::DataType;
use std::collections::HashSet;

/// Replaces an `If` by its other branch, if its condition is that a list is empty and it then gives an empty constant. The
/// largest of all numbers of the list gets a zero to look at, so that the branch works for an empty list, too: it is the
/// distance that keeps boxes of different classes apart, which may be larger.
pub(super) fn of_empty(model: &mut Model, _context: &Context) -> Result<usize> {
    let mut count = 0;
    while let Some((at, mut body, list)) = next(model) {
        let prefix = model.fresh(&format!("branch{count}"));
        rename(&mut body, &prefix);
        let graph = model.graph_mut();
        let outer = graph.node[at].clone();
        let mut nodes: Vec<NodeProto> = Vec::new();
        for node in body.node {
            // The largest coordinate of no box is not defined; with a zero beside it, it is 0.
            let whole = node.input.len() == 1 && node.attribute("axes").is_none() && node.int("keepdims", 1) == 0;
            let lonely = node.op() == "ReduceMax" && whole && node.input(0) == Some(&list);
            if let (true, Some(output)) = (lonely, node.output(0)) {
                let [flat, zero, beside, shape] =
                    ["flat", "zero", "beside", "shape"].map(|part| format!("{output}/{part}"));
                graph.initializer.push(TensorProto::of_f32(&zero, &[1], &[0.0]));
                graph.initializer.push(TensorProto::of_i64(&shape, &[1], &[-1]));
                nodes.push(NodeProto::of("Reshape", &flat, &[&list, &shape], &[&flat]));
                nodes.push(NodeProto::of("Concat", &beside, &[&flat, &zero], &[&beside]).with_int("axis", 0));
                let mut most = node.clone();
                most.input = vec![beside];
                nodes.push(most);
            } else {
                nodes.push(node);
            }
        }
        for (inside, outside) in body.output.iter().zip(&outer.output) {
            nodes.push(NodeProto::of("Identity", outside, &[inside.label()], &[outside]));
        }
        graph.initializer.extend(body.initializer);
        graph.node.splice(at..=at, nodes);
        count += 1;
    }
    Ok(count)
}

/// The next such node, the branch for lists that are not empty, and the list.
fn next(model: &Model) -> Option<(usize, GraphProto, String)> {
    let (graph, index) = (model.graph(), model.index());
    graph.node.iter().enumerate().filter(|(_, node)| node.op() == "If").find_map(|(at, node)| {
        let list = empty_list(graph, &index, node.input(0)?)?;
        let branch = |name: &str| node.attribute(name)?.g.as_ref();
        let (empty, other) = (branch("then_branch")?, branch("else_branch")?);
        // An empty list gives an empty list.
        let nothing = |output: &ValueInfoProto| {
            let maker = empty.node.iter().find(|node| node.output(0) == Some(output.label()));
            let tensor =
                maker.filter(|node| node.op() == "Constant").and_then(|node| node.attribute("value")?.t.as_ref());
            tensor.is_some_and(|tensor| tensor.dims.contains(&0))
        };
        let constant = empty.output.iter().all(nothing);
        let inner = other.node.iter().any(|node| node.attribute.iter().any(|a| a.g.is_some()));
        (constant && !inner && other.output.len() == node.output.len()).then(|| (at, other.clone(), list))
    })
}

/// The list whose emptiness a condition tests: `Cast(Equal(ReduceProd(Shape(list)), 0))` or with `Size`.
fn empty_list(graph: &GraphProto, index: &Index, condition: &str) -> Option<String> {
    let maker = |value: &str| index.maker(value).map(|at| &graph.node[at]);
    let mut node = maker(condition)?;
    while matches!(node.op(), "Cast" | "Identity" | "Squeeze") {
        node = maker(node.input(0)?)?;
    }
    if node.op() != "Equal" || !is_zero(graph, index, node.input(1)?) {
        return None;
    }
    let count = maker(node.input(0)?)?;
    let shape = match count.op() {
        "Size" => count,
        "ReduceProd" => maker(count.input(0)?).filter(|node| node.op() == "Shape")?,
        _ => return None,
    };
    Some(shape.input(0)?.to_owned())
}

fn is_zero(graph: &GraphProto, index: &Index, value: &str) -> bool {
    let made = index.maker(value).and_then(|at| graph.node[at].attribute("value")?.t.as_ref());
    let Some(tensor) = index.weight(graph, value).or(made) else { return false };
    tensor.kind() != DataType::F32 && tensor.ints().is_ok_and(|values| values == [0])
}

/// Gives all values that a branch makes names of their own.
fn rename(body: &mut GraphProto, prefix: &str) {
    let made: HashSet<String> = body
        .node
        .iter()
        .flat_map(|node| node.output.iter().cloned())
        .chain(body.initializer.iter().map(|tensor| tensor.label().to_owned()))
        .filter(|name| !name.is_empty())
        .collect();
    let new = |name: &str| format!("{prefix}/{name}");
    for node in &mut body.node {
        node.input
            .iter_mut()
            .chain(&mut node.output)
            .filter(|name| made.contains(*name))
            .for_each(|name| *name = new(name));
        node.name = node.name.as_ref().map(|name| new(name));
    }
    for tensor in &mut body.initializer {
        tensor.name = Some(new(tensor.label()));
    }
    for output in body.output.iter_mut().filter(|output| made.contains(output.label())) {
        output.name = Some(new(output.label()));
    }
}
