//! Quantised graphs in QDQ form (`QuantizeLinear`, `DequantizeLinear` around float operators).

use super::context::Context;
use crate::error::Result;
use crate::onnx::graph::{Index, Model};
use crate::onnx::pb::{AttributeProto, NodeProto, TensorProto, ValueInfoProto};
use crate::onnx::tensor::DataType;

/// Scale and zero point of a `QuantizeLinear` or `DequantizeLinear`, if both are known.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Params {
    pub scale: Vec<f32>,
    pub zero: Vec<i64>,
    kind: DataType,
    pub axis: i64,
}

/// Scale and zero point of a node; `None` if they are not known or not for the whole tensor or slices of an axis.
pub(super) fn params(model: &Model, index: &Index, node: &NodeProto) -> Option<Params> {
    let graph = model.graph();
    // Blocks have a function of their own; other types than floats behind it are not handled.
    if node.int("block_size", 0) != 0 || !matches!(node.int("output_dtype", 0), 0 | 1) {
        return None;
    }
    let scale = index.weight(graph, node.input(1)?)?;
    if scale.kind() != DataType::F32 || scale.dims.len() > 1 {
        return None;
    }
    let scale = scale.floats().ok()?;
    let (zero, kind) = match node.input(2) {
        Some(name) => {
            let tensor = index.weight(graph, name)?;
            (tensor.ints().ok().filter(|_| is_small(tensor.kind()))?, tensor.kind())
        }
        None => (vec![0; scale.len()], DataType::U8),
    };
    (zero.len() == scale.len() && !scale.is_empty()).then(|| Params { scale, zero, kind, axis: node.int("axis", 1) })
}

/// Whether a type is one that tensors are quantised to.
pub(super) const fn is_small(kind: DataType) -> bool {
    use DataType::{I4, I8, I16, I32, U4, U8, U16};
    matches!(kind, U4 | I4 | U8 | I8 | U16 | I16 | I32)
}

impl Params {
    /// Smallest and largest number that the bits can hold; `None` for per-channel scales.
    fn range(&self) -> Option<(f32, f32)> {
        let (lowest, span) = match self.kind {
            DataType::I8 => (-128, 255),
            DataType::U16 => (0, 65_535),
            DataType::I16 => (-32_768, 65_535),
            DataType::U4 => (0, 15),
            DataType::I4 => (-8, 15),
            _ => (0, 255),
        };
        let real = |level: i64| (level - self.zero[0]) as f32 * self.scale[0];
        (self.scale.len() == 1).then(|| (real(lowest), real(lowest + span)))
    }
}

/// Whether a value cannot leave a range by more than a step, judging by the nodes that produce it.
fn stays_within(model: &Model, index: &Index, value: &str, (low, high): (f32, f32), depth: u32) -> bool {
    let graph = model.graph();
    let Some(node) = index.maker(value).map(|at| &graph.node[at]).filter(|_| depth > 0) else { return false };
    let step = (high - low) / 255.0;
    let fits = |least: f32, most: f32| least >= low - step && most <= high + step;
    let number = |at: usize, name: &str, open: f32| {
        let weight = node.input(at).and_then(|input| index.weight(graph, input));
        let held = weight.and_then(|t| t.floats().ok()).and_then(|v| v.first().copied());
        if node.input(at).is_some() { held } else { Some(node.float(name, open)) }
    };
    let from = |input: &String| stays_within(model, index, input, (low, high), depth - 1);
    match node.op() {
        "Sigmoid" | "Softmax" | "HardSigmoid" => fits(0.0, 1.0),
        "Clip" => match (number(1, "min", f32::MIN), number(2, "max", f32::MAX)) {
            (Some(least), Some(most)) => fits(least, most),
            _ => false,
        },
        "DequantizeLinear" => {
            params(model, index, node).and_then(|p| p.range()).is_some_and(|(least, most)| fits(least, most))
        }
        // Padding brings zeros into the averages.
        "AveragePool" => low <= 0.0 && high >= 0.0 && node.input.first().is_some_and(from),
        "Resize" if node.text("mode") == "cubic" => false,
        "Concat" => node.input.iter().all(from),
        "MaxPool" | "GlobalAveragePool" | "Reshape" | "Transpose" | "Squeeze" | "Unsqueeze" | "Flatten" | "Slice"
        | "Split" | "Gather" | "Resize" | "Identity" => node.input.first().is_some_and(from),
        _ => false,
    }
}

/// A node that keeps a value in a range, and the weights it needs.
fn clip_node(model: &Model, input: &str, output: &str, (low, high): (f32, f32)) -> (NodeProto, Vec<TensorProto>) {
    let name = format!("{output}/range");
    if model.opset() < 11 {
        let number = |name: &str, f: f32| AttributeProto {
            name: Some(name.into()),
            r#type: Some(1),
            f: Some(f),
            ..Default::default()
        };
        let mut node = NodeProto::of("Clip", &name, &[input], &[output]);
        node.attribute = vec![number("min", low), number("max", high)];
        return (node, Vec::new());
    }
    let (min, max) = (format!("{output}/low"), format!("{output}/high"));
    let node = NodeProto::of("Clip", &name, &[input, &min, &max], &[output]);
    (node, vec![TensorProto::of_f32(&min, &[], &[low]), TensorProto::of_f32(&max, &[], &[high])])
}

/// Drops final `QuantizeLinear` nodes: the outputs stay floats, in the range that 8 bits could hold.
pub(super) fn outputs(model: &mut Model, context: &Context) -> Result<usize> {
    let index = model.index();
    let quantises = |node: &NodeProto| {
        let (input, output) = (node.input(0)?, node.output(0)?);
        let last = node.op() == "QuantizeLinear" && index.is_output(output) && index.users(output).is_empty();
        // A value that is an output itself, or an input, has no producer that could take over the name.
        let free = !index.is_output(input) && index.maker(input).is_some();
        let range = params(model, &index, node)?.range()?;
        let clip = (!stays_within(model, &index, input, range, 64)).then_some(range);
        (last && free && !context.keep.iter().any(|k| k == output)).then(|| (input.to_owned(), output.to_owned(), clip))
    };
    let all = model.graph().node.iter().enumerate();
    let found: Vec<_> = all.filter_map(|(at, node)| quantises(node).map(|found| (at, found))).collect();
    let mut count = 0;
    for (at, (input, name, clip)) in found {
        if let Some(range) = clip {
            let (node, weights) = clip_node(model, &input, &name, range);
            let graph = model.graph_mut();
            graph.node[at] = node;
            graph.initializer.extend(weights);
        } else if !model.bypass(at) {
            continue;
        }
        let graph = model.graph_mut();
        if let Some(output) = graph.output.iter_mut().find(|o| o.label() == name) {
            let shape = crate::onnx::element_type(output).and_then(|(_, shape)| shape);
            *output = ValueInfoProto::of(&name, DataType::F32, shape.as_deref());
        }
        count += 1;
    }
    model.graph_mut().node.retain(|node| !node.op().is_empty());
    Ok(count)
}

/// Removes the two middle nodes of `input (u8) → DequantizeLinear → QuantizeLinear (i8) → DequantizeLinear`, even if
/// there are transposes between them.
pub(super) fn inputs(model: &mut Model, _context: &Context) -> Result<usize> {
    let index = model.index();
    let graph = model.graph();
    let mut found = Vec::new();
    for (at, node) in graph.node.iter().enumerate() {
        if node.op() != "QuantizeLinear" {
            continue;
        }
        let (Some(input), Some(output)) = (node.input(0), node.output(0)) else { continue };
        // Back to the input, across transposes and one DequantizeLinear.
        let mut value = input;
        let mut dequantised = false;
        let from_input = loop {
            let Some(maker) = index.maker(value).map(|m| &graph.node[m]) else { break dequantised };
            let plain = index.users(value).len() == 1 && !index.is_output(value);
            match (maker.op(), maker.input(0)) {
                ("DequantizeLinear", Some(before)) if plain && !dequantised => {
                    dequantised = true;
                    value = before;
                }
                ("Transpose", Some(before)) if plain => value = before,
                _ => break false,
            }
        };
        let is_input = graph.input.iter().any(|i| i.label() == value);
        let users: Vec<usize> = index.users(output).to_vec();
        let only_dequantised = users.iter().all(|&u| graph.node[u].op() == "DequantizeLinear");
        if from_input && is_input && only_dequantised && !users.is_empty() && !index.is_output(output) {
            found.push((at, users));
        }
    }
    let count = found.len();
    for (quantize, users) in found {
        for node in users.into_iter().chain([quantize]) {
            model.bypass(node);
        }
    }
    model.graph_mut().node.retain(|node| !node.op().is_empty());
    Ok(count)
}

/// Operators that only rearrange numbers; all but `Concat` rearrange their first input.
const MOVES: [&str; 8] = ["Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten", "Slice", "Gather", "Concat"];

/// Moves a `QuantizeLinear` behind an operator that only rearranges numbers, so that it meets its `DequantizeLinear` or
/// the end of the graph, and can be removed there.
pub(super) fn sink(model: &mut Model, context: &Context) -> Result<usize> {
    if !context.float_activations {
        return Ok(0);
    }
    let mut count = 0;
    // Each round moves one; there are fewer moves than the number of nodes squared.
    while let Some((at, quantize)) = next_move(model) {
        let name = model.fresh("moved");
        let graph = model.graph_mut();
        let inputs = graph.node[at].input.len();
        let moved = if graph.node[at].op() == "Concat" { inputs } else { 1 };
        let floats: Vec<String> = graph.node[at].input[..moved]
            .iter()
            .filter_map(|value| graph.node.iter().find(|n| n.output(0) == Some(value)).and_then(|n| n.input(0)))
            .map(str::to_owned)
            .collect();
        let node = &mut graph.node[at];
        node.input[..moved].clone_from_slice(&floats);
        let output = std::mem::replace(&mut node.output[0], name.clone());
        let mut behind = graph.node[quantize].clone();
        behind.name = Some(format!("{output}/quantize"));
        behind.input[0] = name;
        behind.output = vec![output];
        graph.node.insert(at + 1, behind);
        count += 1;
    }
    if count > 0 {
        model.sweep();
    }
    Ok(count)
}

/// The next operator that only rearranges numbers, all quantised with the same parameters, and one of their
/// `QuantizeLinear` nodes.
fn next_move(model: &Model) -> Option<(usize, usize)> {
    let (graph, index) = (model.graph(), model.index());
    graph.node.iter().enumerate().find_map(|(at, node)| {
        if !MOVES.contains(&node.op()) || node.output.len() != 1 {
            return None;
        }
        let moved = if node.op() == "Concat" { node.input.len() } else { 1 };
        let makers: Option<Vec<usize>> = node.input.get(..moved)?.iter().map(|value| index.maker(value)).collect();
        let makers = makers?;
        let of = |&maker: &usize| {
            let node = &graph.node[maker];
            let plain = node.op() == "QuantizeLinear" && node.output.len() == 1 && node.input(0).is_some();
            // Per-channel scales would have to be rearranged too.
            params(model, &index, node).filter(|p| plain && p.scale.len() == 1)
        };
        let first = of(makers.first()?)?;
        makers.iter().all(|maker| of(maker).as_ref() == Some(&first)).then(|| (at, makers[0]))
    })
}

/// Removes `QuantizeLinear → DequantizeLinear` between float operators. The 8-bit range remains as a `Clip`, because it
/// may stand for a ReLU or ReLU6 that the quantiser absorbed. If the nodes before it show that values cannot leave the
/// range, the `Clip` is removed too.
pub(super) fn activations(model: &mut Model, context: &Context) -> Result<usize> {
    if !context.float_activations {
        return Ok(0);
    }
    let mut count = 0;
    while let Some((quantize, users, clip)) = next_pair(model) {
        let node = model.graph().node[quantize].clone();
        let input = node.input(0).unwrap_or_default().to_owned();
        for user in users {
            model.bypass(user);
        }
        // Same output name, or that of the graph's output: the users of the pair now read it.
        let output = model.graph().node[quantize].output(0).unwrap_or_default().to_owned();
        let (node, weights) = match clip {
            Some(range) => clip_node(model, &input, &output, range),
            None => (NodeProto::of("Identity", "", &[&input], &[&output]), Vec::new()),
        };
        let graph = model.graph_mut();
        graph.node[quantize] = node;
        graph.initializer.extend(weights);
        count += 1;
    }
    super::tidy::identity(model, context)?;
    model.graph_mut().node.retain(|node| !node.op().is_empty());
    model.sweep();
    Ok(count)
}

/// The next `QuantizeLinear` whose users are all `DequantizeLinear` with the same parameters, and the range to clip to.
#[expect(clippy::type_complexity, reason = "node, its users, and a range")]
fn next_pair(model: &Model) -> Option<(usize, Vec<usize>, Option<(f32, f32)>)> {
    let (graph, index) = (model.graph(), model.index());
    graph.node.iter().enumerate().find_map(|(at, node)| {
        let (input, output) = (node.input(0)?, node.output(0)?);
        if node.op() != "QuantizeLinear" || index.is_output(output) {
            return None;
        }
        // Per-channel scales have no single range to clip to.
        let ours = params(model, &index, node).filter(|p| p.scale.len() == 1)?;
        let users = index.users(output).to_vec();
        let pair = |&user: &usize| {
            let node = &graph.node[user];
            let theirs = params(model, &index, node);
            // A graph output must keep its name, and one producer cannot take over the names of several.
            let free = users.len() == 1 || node.output(0).is_some_and(|o| !index.is_output(o));
            node.op() == "DequantizeLinear" && free && theirs.as_ref() == Some(&ours)
        };
        if users.is_empty() || !users.iter().all(pair) {
            return None;
        }
        let clip = ours.range().filter(|range| !stays_within(model, &index, input, *range, 64));
        Some((at, users, clip))
    })
}
