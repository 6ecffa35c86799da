//! Operators that tract computes in another way than ONNX defines them.

use super::context::Context;
use crate::error::{Error, Result};
use crate::onnx::graph::Model;
use crate::onnx::pb::{AttributeProto, NodeProto, TensorProto};
use crate::onnx::shape;

/// Replaces nodes with `op` by what `with` makes of them, which ends in the same output. Weights are added.
fn replace(
    model: &mut Model,
    op: &str,
    with: impl Fn(&Model, &NodeProto, &str) -> Option<(Vec<NodeProto>, Vec<TensorProto>)>,
) -> usize {
    let mut count = 0;
    let mut at = 0;
    while at < model.graph().node.len() {
        let node = &model.graph().node[at];
        let made = if node.op() == op { with(model, node, &format!("repair/{op}/{at}_{count}")) } else { None };
        at += 1;
        if let Some((nodes, weights)) = made {
            let graph = model.graph_mut();
            let behind = nodes.len();
            graph.node.splice(at - 1..at, nodes);
            graph.initializer.extend(weights);
            at += behind - 1;
            count += 1;
        }
    }
    count
}

fn with_float(mut node: NodeProto, name: &str, value: f32) -> NodeProto {
    node.attribute.push(AttributeProto {
        name: Some(name.into()),
        r#type: Some(1),
        f: Some(value),
        ..AttributeProto::default()
    });
    node
}

/// `ConstantOfShape` without `value` gives floats of 32 bits; tract makes them of 64.
pub(super) fn constant_of_shape(model: &mut Model, _context: &Context) -> Result<usize> {
    let mut count = 0;
    for node in &mut model.graph_mut().node {
        if node.op() == "ConstantOfShape" && node.attribute("value").is_none() {
            node.attribute.push(AttributeProto {
                name: Some("value".into()),
                r#type: Some(4),
                t: Some(TensorProto::of_f32("", &[1], &[0.0])),
                ..AttributeProto::default()
            });
            count += 1;
        }
    }
    Ok(count)
}

/// `Celu`: `max(0, x) + min(0, a (exp(x / a) - 1))`, of which tract takes `a` for 1 in places.
pub(super) fn celu(model: &mut Model, _context: &Context) -> Result<usize> {
    Ok(replace(model, "Celu", |_, node, name| {
        let (input, output, alpha) = (node.input(0)?, node.output(0)?, node.float("alpha", 1.0));
        let [by, scaled, low, turned, below, above] =
            ["by", "scaled", "low", "turned", "below", "above"].map(|part| format!("{name}/{part}"));
        let nodes = vec![
            NodeProto::of("Div", &scaled, &[input, &by], &[&scaled]),
            with_float(NodeProto::of("Elu", &low, &[&scaled], &[&low]), "alpha", alpha),
            NodeProto::of("Neg", &turned, &[&low], &[&turned]),
            NodeProto::of("Relu", &below, &[&turned], &[&below]),
            NodeProto::of("Relu", &above, &[input], &[&above]),
            NodeProto::of("Sub", name, &[&above, &below], &[output]),
        ];
        Some((nodes, vec![TensorProto::of_f32(&by, &[], &[alpha])]))
    }))
}

/// `GlobalLpPool` for a map: the norm over rows and columns.
pub(super) fn global_lp_pool(model: &mut Model, _context: &Context) -> Result<usize> {
    if model.opset() >= 18 {
        // The axes would have to be an input; this operator is not seen in such files.
        return Ok(0);
    }
    let sums_by_input = model.opset() >= 13;
    Ok(replace(model, "GlobalLpPool", |_, node, name| {
        let power = node.int("p", 2);
        let op = match power {
            1 => "ReduceL1",
            2 => "ReduceL2",
            _ => {
                let [size, by, raised, axes, sum, root] =
                    ["size", "by", "raised", "axes", "sum", "root"].map(|part| format!("{name}/{part}"));
                let mut add = NodeProto::of("ReduceSum", &sum, &[&raised], &[&sum]).with_int("keepdims", 1);
                if sums_by_input {
                    add.input.push(axes.clone());
                } else {
                    add = add.with_ints("axes", &[2, 3]);
                }
                let nodes = vec![
                    NodeProto::of("Abs", &size, &[node.input(0)?], &[&size]),
                    NodeProto::of("Pow", &raised, &[&size, &by], &[&raised]),
                    add,
                    NodeProto::of("Pow", name, &[&sum, &root], &[node.output(0)?]),
                ];
                let weights = vec![
                    TensorProto::of_f32(&by, &[], &[power as f32]),
                    TensorProto::of_f32(&root, &[], &[1.0 / power as f32]),
                    TensorProto::of_i64(&axes, &[2], &[2, 3]),
                ];
                return Some((nodes, weights));
            }
        };
        let made = NodeProto::of(op, name, &[node.input(0)?], &[node.output(0)?]).with_ints("axes", &[2, 3]);
        Some((vec![made.with_int("keepdims", 1)], Vec::new()))
    }))
}

/// Refuses what tract computes in another way, and what nobody has needed yet.
pub(super) fn refuse(model: &mut Model, _context: &Context) -> Result<usize> {
    let cubic = |node: &NodeProto| matches!(node.text("mode").as_str(), "bicubic" | "cubic");
    let wrong = |node: &NodeProto| node.op() == "GridSample" && cubic(node) && node.text("padding_mode") == "border";
    match model.graph().node.iter().find(|node| wrong(node)) {
        Some(node) => Err(Error::Model(format!(
            "`{}`: GridSample with bicubic interpolation and border padding is computed in another way here; export it with bilinear interpolation",
            node.name.as_deref().unwrap_or("GridSample")
        ))),
        None => Ok(0),
    }
}

/// `Mod` of integers has the sign of the divisor; tract's has that of the number.
pub(super) fn modulo(model: &mut Model, _context: &Context) -> Result<usize> {
    Ok(replace(model, "Mod", |_, node, name| {
        if node.int("fmod", 0) != 0 {
            return None;
        }
        let (number, by, output) = (node.input(0)?, node.input(1)?, node.output(0)?);
        let [rest, moved] = ["rest", "moved"].map(|part| format!("{name}/{part}"));
        let nodes = vec![
            NodeProto::of("Mod", &rest, &[number, by], &[&rest]),
            NodeProto::of("Add", &moved, &[&rest, by], &[&moved]),
            NodeProto::of("Mod", name, &[&moved, by], &[output]),
        ];
        Some((nodes, Vec::new()))
    }))
}

/// `Pad` with negative numbers cuts; tract panics.
pub(super) fn negative_pad(model: &mut Model, _context: &Context) -> Result<usize> {
    if model.opset() < 11 {
        return Ok(0);
    }
    let index = model.index();
    Ok(replace(model, "Pad", |model, node, name| {
        let pads = index.weight(model.graph(), node.input(1)?)?.ints().ok()?;
        // Axes of their own came with 18.
        if pads.iter().all(|pad| *pad >= 0) || pads.len() % 2 != 0 || node.input(3).is_some() {
            return None;
        }
        let rank = pads.len() / 2;
        let [starts, ends, axes, left, cut] =
            ["starts", "ends", "axes", "left", "cut"].map(|part| format!("{name}/{part}"));
        let from: Vec<i64> = pads[..rank].iter().map(|pad| (-pad).max(0)).collect();
        let to: Vec<i64> = pads[rank..].iter().map(|pad| if *pad < 0 { *pad } else { i64::MAX }).collect();
        let rest: Vec<i64> = pads.iter().map(|pad| (*pad).max(0)).collect();
        let list = |name: &str, values: &[i64]| TensorProto::of_i64(name, &[values.len()], values);
        let all: Vec<i64> = (0..rank as i64).collect();
        let mut pad = node.clone();
        pad.input[0].clone_from(&cut);
        pad.input[1].clone_from(&left);
        let slice = NodeProto::of("Slice", &cut, &[node.input(0)?, &starts, &ends, &axes], &[&cut]);
        let weights = vec![list(&starts, &from), list(&ends, &to), list(&axes, &all), list(&left, &rest)];
        Some((vec![slice, pad], weights))
    }))
}

/// `ConvTranspose` with `output_shape`: the padding that leads to it, the larger half at the start unless it says
/// `SAME_UPPER` (ONNX Operators, `ConvTranspose`).
pub(super) fn conv_transpose(model: &mut Model, context: &Context) -> Result<usize> {
    let asks = |node: &NodeProto| node.op() == "ConvTranspose" && node.ints("output_shape").is_some();
    if !model.graph().node.iter().any(asks) {
        return Ok(0);
    }
    let shapes = shape::infer(model, &context.inputs);
    let mut count = 0;
    for node in model.graph_mut().node.iter_mut().filter(|node| asks(node)) {
        let (Some(x), Some(w)) = (node.input(0).and_then(|x| shapes.get(x)), node.input(1).and_then(|w| shapes.get(w)))
        else {
            continue;
        };
        let wanted = node.ints("output_shape").unwrap_or_default().to_vec();
        let rank = w.len().saturating_sub(2);
        let wanted = &wanted[wanted.len().saturating_sub(rank)..];
        if wanted.len() != rank || x.len() != rank + 2 {
            continue;
        }
        let number =
            |name: &str, at: usize, open: i64| node.ints(name).and_then(|v| v.get(at)).copied().unwrap_or(open);
        let upper = node.text("auto_pad") == "SAME_UPPER";
        let (mut begin, mut end, mut more) = (Vec::new(), Vec::new(), Vec::new());
        for at in 0..rank {
            let reach = (w[at + 2] as i64 - 1) * number("dilations", at, 1) + 1;
            let whole = number("strides", at, 1) * (x[at + 2] as i64 - 1) + reach;
            let total = whole + number("output_padding", at, 0) - wanted[at];
            // Too short: it is padded behind instead.
            more.push(number("output_padding", at, 0) + (-total).max(0));
            let total = total.max(0);
            begin.push(if upper { total / 2 } else { total - total / 2 });
            end.push(if upper { total - total / 2 } else { total / 2 });
        }
        let dropped = ["output_shape", "auto_pad", "pads", "output_padding"];
        node.attribute.retain(|a| !dropped.contains(&a.name.as_deref().unwrap_or_default()));
        begin.extend(end);
        let made = std::mem::take(node).with_ints("pads", &begin).with_ints("output_padding", &more);
        *node = made;
        count += 1;
    }
    Ok(count)
}
