//! Graphs that end in non-maximum suppression: the value in front of it holds all boxes, which our own `nms` can reduce.

use super::boxes::{Further, further};
use super::facts::{Facts, Found};
use crate::infer::Probed;
use crate::onnx::Model;

/// Returns the values that may join boxes and scores in front of a graph's non-maximum suppression.
pub fn candidates(model: &Model) -> Vec<String> {
    let (graph, index) = (model.graph(), model.index());
    // Turned boxes are suppressed by plain operators.
    if !graph.node.iter().any(|node| matches!(node.op(), "NonMaxSuppression" | "NonZero")) {
        return Vec::new();
    }
    let made_by = |value: &str, op: &str| index.maker(value).is_some_and(|at| graph.node[at].op() == op);
    let joins = |node: &&crate::onnx::NodeProto| {
        node.op() == "Concat" && node.input.len() >= 2 && node.input.iter().any(|value| made_by(value, "Sigmoid"))
    };
    graph.node.iter().filter(joins).filter_map(|node| node.output(0).map(str::to_owned)).take(8).collect()
}

/// Finds the one among the probed candidates that holds columns of boxes, scores and what a task adds,
/// `[1, 4 + classes + further, N]`, and says what they are. Boxes are corners if the graph makes them so, or, if
/// it does not tell, if all second corners lie behind the first; else a person must say.
pub fn columns(facts: &Facts<'_>, candidates: &[Probed], guesses: &mut Vec<String>) -> Option<(String, Found)> {
    let least = 4 + facts.names.len();
    candidates.iter().find_map(|output| {
        let (shape, values) = output.held.as_ref()?;
        let [1, rows, n] = shape[..] else { return None };
        if rows < least || n <= rows {
            return None;
        }
        let Further { column, spec, turned } = further(facts, guesses, rows - least);
        let at = |row: usize, column: usize| values[row * n + column];
        let behind = |column: &usize| at(2, *column) > at(0, *column) && at(3, *column) > at(1, *column);
        let all = (0..n).filter(behind).count();
        let form = match (turned, forms(facts.model, &output.name)) {
            (true, _) | (_, Some(false)) => "form: centre, ",
            (_, Some(true)) => "",
            (_, None) if all == n => "",
            (_, None) if all * 2 > n => "form: corners?, ",
            (_, None) => "form: centre?, ",
        };
        let family = format!("boxes: {{ {form}axis: columns, columns: [box, scores{column}]{spec} }}");
        Some((output.name.clone(), Found::new(family, facts.names.len())))
    })
}

/// Whether a joined value begins with corners: a difference (anchor minus distance) joined with a sum. A centre is half a
/// sum, joined with a difference.
fn forms(model: &Model, joined: &str) -> Option<bool> {
    let (graph, index) = (model.graph(), model.index());
    let maker = |value: &str| index.maker(value).map(|at| &graph.node[at]);
    let mut node = maker(maker(joined)?.input(0)?)?;
    while matches!(node.op(), "Mul" | "Reshape" | "Transpose") {
        node = maker(node.input(0)?)?;
    }
    let part = |at: usize| node.input(at).and_then(maker).map(crate::onnx::pb::NodeProto::op);
    match (node.op(), part(0)?, part(1)?) {
        ("Concat", "Sub", "Add") => Some(true),
        ("Concat", "Div" | "Mul", "Sub") => Some(false),
        _ => None,
    }
}
