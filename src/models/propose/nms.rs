//! Graphs that end in non-maximum suppression: the value in front of it holds all boxes, which our own `nms` can reduce.

use super::facts::Found;
use crate::infer::Probed;
use crate::onnx::Model;

/// Returns the value that joins boxes and scores in front of a graph's non-maximum suppression.
pub fn joined(model: &Model) -> Option<String> {
    let (graph, index) = (model.graph(), model.index());
    if !graph.node.iter().any(|node| node.op() == "NonMaxSuppression") {
        return None;
    }
    let made_by = |value: &str, op: &str| index.maker(value).is_some_and(|at| graph.node[at].op() == op);
    let joins = |node: &&crate::onnx::NodeProto| {
        node.op() == "Concat" && node.input.len() == 2 && node.input(1).is_some_and(|scores| made_by(scores, "Sigmoid"))
    };
    let mut all = graph.node.iter().filter(joins);
    let only = all.next().filter(|_| all.next().is_none())?;
    only.output(0).map(str::to_owned)
}

/// What columns of boxes and scores are, `[1, 4 + classes, N]`: corners if each box's second corner lies behind its first.
pub fn columns(output: &Probed, named: usize) -> Option<Found> {
    let (shape, values) = output.held.as_ref()?;
    let [1, rows, n] = shape[..] else { return None };
    if rows != 4 + named || n == 0 {
        return None;
    }
    let at = |row: usize, column: usize| values[row * n + column];
    let corners = (0..n).all(|column| at(2, column) > at(0, column) && at(3, column) > at(1, column));
    let form = if corners { "" } else { "form: centre, " };
    Some(Found::new(format!("boxes: {{ {form}axis: columns, columns: [box, scores] }}"), named))
}
