//! Finds what a class activation map needs in the graph of a classifier: the last feature map, and the weights of
//! the linear layer after the average over it. Zhou et al. 2016, Learning Deep Features for Discriminative
//! Localization, §2.

use super::graph::{Index, Model};
use super::pb::{NodeProto, TensorProto};

/// The head of a classifier: `logits = weights · mean(features) + bias`.
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    /// Name of the feature map, `[1, K, H, W]`, or `[1, H, W, K]` if `channels_last`.
    pub features: String,
    /// Whether the channels are the last axis.
    pub channels_last: bool,
    /// `[classes, K]`.
    pub weights: Vec<f32>,
    /// Number of classes.
    pub classes: usize,
    /// Number of channels, K.
    pub channels: usize,
    /// Name of the value that holds the logits, bias included.
    pub logits: String,
}

/// Nodes that only pass on their first input, in another shape or through a monotone function.
const THROUGH: [&str; 12] = [
    "Reshape",
    "Squeeze",
    "Unsqueeze",
    "Flatten",
    "Identity",
    "Dropout",
    "Transpose",
    "Softmax",
    "LogSoftmax",
    "QuantizeLinear",
    "DequantizeLinear",
    "Cast",
];

/// Finds the head that leads to an output of the graph; `None` if there is anything between the feature map and that
/// output but an average over the whole map and one linear layer.
#[must_use]
pub fn find(model: &Model, output: &str) -> Option<Head> {
    let (graph, index) = (model.graph(), model.index());
    let mut value = output;
    // Back to the linear layer.
    let (linear, logits) = loop {
        let node = &graph.node[index.maker(value)?];
        match node.op() {
            "Gemm" | "MatMul" | "Conv" => break (node, value),
            // A bias as a separate node.
            "Add" => {
                let sides = [node.input(0)?, node.input(1)?];
                let bias = sides.iter().position(|side| index.weight(graph, side).is_some())?;
                let inner = sides[1 - bias];
                if let Some((linear, _)) = linear_through(model, &index, inner) {
                    break (linear, value);
                }
                value = inner;
            }
            op if THROUGH.contains(&op) => value = node.input(0)?,
            _ => return None,
        }
    };
    let weight = index.weight(graph, linear.input(1)?)?;
    let (weights, classes, channels) = rows(linear, weight)?;
    // Back to the average.
    let mut value = linear.input(0)?;
    let pool = loop {
        let node = &graph.node[index.maker(value)?];
        match node.op() {
            "GlobalAveragePool" | "AveragePool" | "ReduceMean" => break node,
            "Reshape" | "Squeeze" | "Flatten" | "Identity" | "Dropout" | "Transpose" | "QuantizeLinear"
            | "DequantizeLinear" => value = node.input(0)?,
            _ => return None,
        }
    };
    let channels_last = channels_last(model, &index, pool)?;
    let features = pool.input(0)?.to_owned();
    Some(Head { features, channels_last, weights, classes, channels, logits: logits.to_owned() })
}

/// Whether a pool keeps the last axis, which then holds the channels; `None` if it is not the mean of a map.
fn channels_last(model: &Model, index: &Index, pool: &NodeProto) -> Option<bool> {
    if pool.op() != "ReduceMean" {
        return Some(false);
    }
    let stored = pool.input(1).and_then(|name| index.weight(model.graph(), name)).and_then(|t| t.ints().ok());
    let mut axes = pool.ints("axes").map(<[i64]>::to_vec).or(stored)?;
    axes.iter_mut().filter(|a| (-4..0).contains(*a)).for_each(|a| *a += 4);
    axes.sort_unstable();
    match axes.as_slice() {
        [2, 3] => Some(false),
        [1, 2] => Some(true),
        _ => None,
    }
}

fn linear_through<'a>(model: &'a Model, index: &Index, value: &str) -> Option<(&'a NodeProto, String)> {
    let node = &model.graph().node[index.maker(value)?];
    matches!(node.op(), "Gemm" | "MatMul" | "Conv").then(|| (node, value.to_owned()))
}

/// The weights as `[classes, K]`.
fn rows(linear: &NodeProto, weight: &TensorProto) -> Option<(Vec<f32>, usize, usize)> {
    let (shape, values) = (weight.shape(), weight.floats().ok()?);
    let transposed = match linear.op() {
        "Conv" if shape.len() == 4 && shape[2..] == [1, 1] && linear.int("group", 1) == 1 => false,
        "Gemm" if shape.len() == 2 && linear.float("alpha", 1.0) == 1.0 => linear.int("transB", 0) == 0,
        "MatMul" if shape.len() == 2 => true,
        _ => return None,
    };
    if !transposed {
        return Some((values, shape[0], shape[1]));
    }
    let (channels, classes) = (shape[0], shape[1]);
    let turned = (0..classes).flat_map(|c| (0..channels).map(move |k| (c, k))).map(|(c, k)| values[k * classes + c]);
    Some((turned.collect(), classes, channels))
}

/// The last value of the graph that is still a feature map: the input of the last pool, mean or flatten. For activation
/// maps that need no head (Eigen-CAM, Score-CAM).
#[must_use]
pub fn last_map(model: &Model) -> Option<(String, bool)> {
    let (graph, index) = (model.graph(), model.index());
    let order = index.order(graph).ok()?;
    let last = order.into_iter().rev().map(|at| &graph.node[at]).find(|node| {
        let flattens = matches!(node.op(), "GlobalAveragePool" | "AveragePool" | "Flatten");
        flattens || (node.op() == "ReduceMean" && channels_last(model, &index, node).is_some())
    })?;
    let mut value = last.input(0)?;
    // A pool before a flatten has already discarded the positions.
    while let Some(node) = index.maker(value).map(|at| &graph.node[at]) {
        match node.op() {
            "GlobalAveragePool" | "AveragePool" | "Identity" | "Dropout" => value = node.input(0)?,
            _ => break,
        }
    }
    Some((value.to_owned(), channels_last(model, &index, last).unwrap_or(false)))
}
