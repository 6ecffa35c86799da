//! The ends of a detector whose rows are gathered from several maps: which convolution gives which columns of which level.

use super::linear::Layer;
use crate::onnx::{Index, Model};
use std::collections::BTreeSet;

/// A convolution at the end of a level, and the columns of a row that it gives.
#[derive(Clone, Debug)]
pub struct End {
    /// The convolution.
    pub layer: Layer,
    /// The first of its columns.
    pub first: usize,
    /// How many it gives.
    pub count: usize,
    /// The level, from 0.
    pub level: usize,
}

/// Operators that only pass on their first input in another form.
const THROUGH: [&str; 8] = ["Transpose", "Reshape", "Flatten", "Sigmoid", "Identity", "Squeeze", "Unsqueeze", "Cast"];

/// Finds the convolutions that the rows of an output are gathered from. Each row has `columns` numbers.
#[must_use]
pub fn ends(model: &Model, output: &str, columns: usize) -> Option<Vec<End>> {
    let index = model.index();
    let mut ends = Vec::new();
    gather(model, &index, output, columns, &mut ends)?;
    let levels: BTreeSet<usize> = ends.iter().map(|end| end.level).collect();
    let whole =
        |level: &usize| ends.iter().filter(|end| end.level == *level).map(|end| end.count).sum::<usize>() == columns;
    levels.iter().all(whole).then_some(ends)
}

/// Goes back from a value that holds whole rows.
fn gather(model: &Model, index: &Index, value: &str, columns: usize, ends: &mut Vec<End>) -> Option<()> {
    let node = &model.graph().node[index.maker(value)?];
    let next = ends.last().map_or(0, |end| end.level + 1);
    match node.op() {
        op if THROUGH.contains(&op) => gather(model, index, node.input(0)?, columns, ends),
        "Concat" => {
            let widths: Option<Vec<usize>> = node.input.iter().map(|name| width(model, index, name, columns)).collect();
            if widths?.iter().all(|width| *width == columns) {
                return node.input.iter().try_for_each(|name| gather(model, index, name, columns, ends));
            }
            parts(model, index, value, (0, next), ends).map(|_| ())
        }
        _ => parts(model, index, value, (0, next), ends).map(|_| ()),
    }
}

/// Adds the convolutions of one level, from a column on; returns the column behind them.
fn parts(
    model: &Model,
    index: &Index,
    value: &str,
    (first, level): (usize, usize),
    ends: &mut Vec<End>,
) -> Option<usize> {
    let graph = model.graph();
    let node = &graph.node[index.maker(value)?];
    match node.op() {
        op if THROUGH.contains(&op) => parts(model, index, node.input(0)?, (first, level), ends),
        "Concat" => node.input.iter().try_fold(first, |at, name| parts(model, index, name, (at, level), ends)),
        _ => {
            let (layer, count) = (Layer::of(model, value)?, width(model, index, value, usize::MAX)?);
            ends.push(End { layer, first, count, level });
            Some(first + count)
        }
    }
}

/// The numbers of one row, or one part of it, that a value holds, if whole rows have `columns`.
fn width(model: &Model, index: &Index, value: &str, columns: usize) -> Option<usize> {
    let graph = model.graph();
    let node = &graph.node[index.maker(value)?];
    match node.op() {
        op if THROUGH.contains(&op) => width(model, index, node.input(0)?, columns),
        "Conv" => index.weight(graph, node.input(1)?).map(|weight| weight.shape()[0]),
        "Add" => (0..2).find_map(|at| width(model, index, node.input(at)?, columns)),
        "Concat" => {
            let widths: Option<Vec<usize>> = node.input.iter().map(|name| width(model, index, name, columns)).collect();
            let widths = widths?;
            // Whole rows one after the other, or parts of a row side by side.
            Some(if widths.iter().all(|width| *width == columns) { columns } else { widths.iter().sum() })
        }
        _ => None,
    }
}

/// The weights that lead to one level alone: its tower. Of a detector with one level, those of the last layers.
#[must_use]
pub fn towers(model: &Model, ends: &[End]) -> BTreeSet<String> {
    if ends.iter().all(|end| end.level == 0) {
        return ends.iter().flat_map(|end| end.layer.weights()).collect();
    }
    let (graph, index) = (model.graph(), model.index());
    let mut levels = vec![None; graph.node.len()];
    for end in ends {
        let mut open = vec![end.layer.logits.as_str()];
        while let Some(name) = open.pop() {
            let Some(at) = index.maker(name) else { continue };
            let now = match levels[at] {
                None => Some(end.level),
                Some(known) if known == end.level => continue,
                // Several levels read it.
                Some(usize::MAX) => continue,
                Some(_) => Some(usize::MAX),
            };
            levels[at] = now;
            open.extend(graph.node[at].input.iter().map(String::as_str));
        }
    }
    let own = graph.node.iter().zip(&levels).filter(|(_, level)| level.is_some_and(|level| level != usize::MAX));
    let shared: BTreeSet<&String> = graph
        .node
        .iter()
        .zip(&levels)
        .filter(|(_, level)| **level == Some(usize::MAX))
        .flat_map(|(node, _)| &node.input)
        .collect();
    own.flat_map(|(node, _)| &node.input)
        .filter(|name| index.weight(graph, name).is_some() && !shared.contains(name))
        .cloned()
        .collect()
}
