//! Quantised graphs in QOperator form (`QLinearConv` and its kin): each operator becomes `DequantizeLinear`, the operator on
//! floats, `QuantizeLinear`, which is its definition. The other passes then treat them as graphs in QDQ form.

use super::context::Context;
use crate::error::{Error, Result};
use crate::onnx::graph::{Index, Model};
use crate::onnx::pb::{NodeProto, TensorProto};

/// An operator on integers, and what it is on floats.
struct Form {
    float: &'static str,
    /// The quantised inputs: where each one and its scale and zero point stand.
    inputs: Vec<[usize; 3]>,
    /// Where the scale and zero point of the output stand.
    output: [usize; 2],
    /// Where the bias stands, if there is one.
    bias: Option<usize>,
}

/// From ONNX Operators and the contributed operators of ONNX Runtime.
fn form(node: &NodeProto) -> Option<Form> {
    let of = |float: &'static str, inputs: &[[usize; 3]], output: [usize; 2], bias: Option<usize>| {
        Some(Form { float, inputs: inputs.to_vec(), output, bias })
    };
    let one = [[0, 1, 2]];
    let two = [[0, 1, 2], [3, 4, 5]];
    match node.op() {
        "QLinearConv" => of("Conv", &two, [6, 7], Some(8)),
        "QLinearMatMul" => of("MatMul", &two, [6, 7], None),
        "QLinearAdd" => of("Add", &two, [6, 7], None),
        "QLinearMul" => of("Mul", &two, [6, 7], None),
        "QGemm" => of("Gemm", &two, [7, 8], Some(6)),
        "QLinearSigmoid" => of("Sigmoid", &one, [3, 4], None),
        "QLinearLeakyRelu" => of("LeakyRelu", &one, [3, 4], None),
        "QLinearSoftmax" => of("Softmax", &one, [3, 4], None),
        "QLinearAveragePool" if node.int("channels_last", 0) == 0 => of("AveragePool", &one, [3, 4], None),
        "QLinearGlobalAveragePool" if node.int("channels_last", 0) == 0 => of("GlobalAveragePool", &one, [3, 4], None),
        "QLinearConcat" => {
            let parts: Vec<[usize; 3]> = (2..node.input.len()).step_by(3).map(|at| [at, at + 1, at + 2]).collect();
            Some(Form { float: "Concat", inputs: parts, output: [0, 1], bias: None })
        }
        _ => None,
    }
}

pub(super) fn expand(model: &mut Model, _context: &Context) -> Result<usize> {
    let (mut count, mut at) = (0, 0);
    let index = model.index();
    while at < model.graph().node.len() {
        let node = model.graph().node[at].clone();
        at += 1;
        let Some(form) = form(&node) else { continue };
        let (nodes, weights) = expanded(model, &index, &node, &form, &format!("qop/{count}"))
            .ok_or_else(|| Error::Model(format!("a {} whose scales are not constant", node.op())))?;
        let behind = nodes.len();
        let graph = model.graph_mut();
        graph.node.splice(at - 1..at, nodes);
        graph.initializer.extend(weights);
        at += behind - 1;
        count += 1;
    }
    Ok(count)
}

fn expanded(
    model: &Model,
    index: &Index,
    node: &NodeProto,
    form: &Form,
    name: &str,
) -> Option<(Vec<NodeProto>, Vec<TensorProto>)> {
    let (mut nodes, mut weights, mut inputs) = (Vec::new(), Vec::new(), Vec::new());
    let graph = model.graph();
    for (number, [value, scale, zero]) in form.inputs.iter().enumerate() {
        let real = format!("{name}/in{number}");
        let mut names = vec![node.input(*value)?, node.input(*scale)?];
        names.extend(node.input(*zero));
        let mut dequantize = NodeProto::of("DequantizeLinear", &real, &names, &[&real]);
        if index.weight(graph, names[1])?.floats().ok()?.len() > 1 {
            // Weights of convolutions have a scale for each output channel, those of products one for each column.
            let axis = i64::from(form.float != "Conv" && node.int("transB", 0) != 1);
            dequantize = dequantize.with_int("axis", axis);
        }
        nodes.push(dequantize);
        inputs.push(real);
    }
    if let Some(bias) = form.bias.and_then(|at| node.input(at)) {
        let floats = |at: usize| index.weight(graph, node.input(at)?)?.floats().ok();
        let (steps, x, w) = (index.weight(graph, bias)?.ints().ok()?, floats(1)?, floats(4)?);
        let scale = |at: usize| x[0] * w.get(at).or(w.first()).copied().unwrap_or(1.0);
        let alpha = if form.float == "Gemm" { node.float("alpha", 1.0) } else { 1.0 };
        let values: Vec<f32> = steps.iter().enumerate().map(|(at, step)| *step as f32 * scale(at) * alpha).collect();
        let real = format!("{name}/bias");
        weights.push(TensorProto::of_f32(&real, &index.weight(graph, bias)?.shape(), &values));
        inputs.push(real);
    }
    let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
    let real = format!("{name}/out");
    let mut float = NodeProto::of(form.float, &real, &inputs, &[&real]);
    float.attribute.clone_from(&node.attribute);
    let own = ["channels_last", "opset"];
    float.attribute.retain(|a| !own.contains(&a.name.as_deref().unwrap_or_default()));
    nodes.push(float);
    let mut back = vec![real.as_str(), node.input(form.output[0])?];
    back.extend(node.input(form.output[1]));
    nodes.push(NodeProto::of("QuantizeLinear", name, &back, &[node.output(0)?]));
    Some((nodes, weights))
}
