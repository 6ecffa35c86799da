//! The training engine: every operator's result and gradients against PyTorch's (`OCELLI_VECTORS`) and against finite
//! differences.
#![cfg(feature = "train")]
#![allow(clippy::unwrap_used)]

#[path = "support/limit.rs"]
mod limit;
mod support;

use ocelli::internals::onnx::pb::{AttributeProto, GraphProto, ModelProto, OperatorSetId, ValueInfoProto};
use ocelli::internals::onnx::{Model, NodeProto, TensorProto};
use ocelli::internals::train::engine::Net;
use serde_json::Value;
use support::vectors::{Case, cases};

fn value(name: &str) -> ValueInfoProto {
    ValueInfoProto { name: Some(name.into()), ..Default::default() }
}

fn graph(nodes: Vec<NodeProto>, weights: Vec<TensorProto>) -> Model {
    let graph = GraphProto {
        node: nodes,
        initializer: weights,
        input: vec![value("data")],
        output: vec![value("y")],
        ..Default::default()
    };
    let opset = OperatorSetId { domain: None, version: Some(21) };
    let proto = ModelProto { graph: Some(graph), opset_import: vec![opset], ..Default::default() };
    Model { proto, exact: true }
}

fn float(mut node: NodeProto, name: &str, f: f32) -> NodeProto {
    node.attribute.push(AttributeProto { name: Some(name.into()), r#type: Some(1), f: Some(f), ..Default::default() });
    node
}

fn text(mut node: NodeProto, name: &str, s: &str) -> NodeProto {
    let s = Some(s.as_bytes().to_vec());
    node.attribute.push(AttributeProto { name: Some(name.into()), r#type: Some(3), s, ..Default::default() });
    node
}

fn ints(value: &Value) -> [i64; 2] {
    match value {
        Value::Array(list) => [list[0].as_i64().unwrap(), list[1].as_i64().unwrap()],
        one => [one.as_i64().unwrap(); 2],
    }
}

/// Window attributes as PyTorch's parameters say.
fn window(node: NodeProto, params: &Value, kernel: Option<[i64; 2]>) -> NodeProto {
    let pair = |name: &str, default: i64| params.get(name).map_or([default; 2], ints);
    let (stride, pad, dilation) = (pair("stride", 1), pair("padding", 0), pair("dilation", 1));
    let node = node
        .with_ints("strides", &stride)
        .with_ints("pads", &[pad[0], pad[1], pad[0], pad[1]])
        .with_ints("dilations", &dilation);
    match kernel {
        Some(kernel) => node.with_ints("kernel_shape", &kernel),
        None => node.with_int("group", params.get("groups").and_then(Value::as_i64).unwrap_or(1)),
    }
}

fn shape(case: &Case<'_>, name: &str) -> Vec<usize> {
    case.shape(name).iter().map(|side| *side as usize).collect()
}

fn tensor(case: &Case<'_>, name: &str) -> TensorProto {
    TensorProto::of_f32(name, &shape(case, name), &case.f32(name))
}

/// The nodes of a case, which lead from `x` to `y`.
fn nodes(case: &Case<'_>) -> Vec<NodeProto> {
    let p = &case.params;
    let one = |op: &str, inputs: &[&str]| NodeProto::of(op, "n", inputs, &["y"]);
    let square = |name: &str| [p[name].as_i64().unwrap(); 2];
    match case.op.as_str() {
        "conv2d" => vec![window(one("Conv", &["x", "w", "b"]), p, None)],
        "conv_transpose2d" => {
            let more = p.get("output_padding").map_or([0, 0], ints);
            vec![window(one("ConvTranspose", &["x", "w", "b"]), p, None).with_ints("output_padding", &more)]
        }
        "max_pool2d" => {
            let ceil = i64::from(p["ceil_mode"].as_bool().unwrap_or(false));
            vec![window(one("MaxPool", &["x"]), p, Some(square("kernel"))).with_int("ceil_mode", ceil)]
        }
        "avg_pool2d" => {
            let pads = i64::from(p["count_include_pad"].as_bool().unwrap());
            vec![window(one("AveragePool", &["x"]), p, Some(square("kernel"))).with_int("count_include_pad", pads)]
        }
        "adaptive_avg_pool2d" => adaptive(&shape(case, "x"), ints(&p["out"])),
        "global_avg_pool" => vec![one("ReduceMean", &["x"]).with_ints("axes", &[2, 3]).with_int("keepdims", 0)],
        "linear" => vec![one("Gemm", &["x", "w", "b"]).with_int("transB", 1)],
        "batch_norm" => {
            let training = i64::from(p["training"].as_bool().unwrap());
            vec![
                float(one("BatchNormalization", &["x", "w", "b", "mean", "var"]), "epsilon", 1e-5)
                    .with_int("training_mode", training),
            ]
        }
        "group_norm" => vec![
            float(one("GroupNormalization", &["x", "w", "b"]), "epsilon", 1e-5)
                .with_int("num_groups", p["groups"].as_i64().unwrap()),
        ],
        "interpolate" => {
            let form = match p["align_corners"].as_bool() {
                Some(true) => "align_corners",
                Some(false) => "half_pixel",
                None => "asymmetric",
            };
            let mode = if p["mode"] == "nearest" { "nearest" } else { "linear" };
            let node = text(one("Resize", &["x", "", "", "size"]), "coordinate_transformation_mode", form);
            vec![text(text(node, "mode", mode), "nearest_mode", "floor")]
        }
        "max_unpool2d" => vec![window(one("MaxUnpool", &["x", "indices", "full"]), p, Some(square("kernel")))],
        "activation" => match p["kind"].as_str().unwrap() {
            "relu" => vec![one("Relu", &["x"])],
            "relu6" => vec![float(float(one("Clip", &["x"]), "min", 0.0), "max", 6.0)],
            "leaky_relu_0.1" => vec![float(one("LeakyRelu", &["x"]), "alpha", 0.1)],
            "sigmoid" => vec![one("Sigmoid", &["x"])],
            "tanh" => vec![one("Tanh", &["x"])],
            "silu" => vec![NodeProto::of("Sigmoid", "s", &["x"], &["s"]), one("Mul", &["x", "s"])],
            "hardswish" => vec![one("HardSwish", &["x"])],
            "gelu" => vec![one("Gelu", &["x"])],
            "softplus" => vec![one("Softplus", &["x"])],
            "softmax_dim1" => vec![one("Softmax", &["x"]).with_int("axis", 1)],
            "log_softmax_dim1" => vec![one("LogSoftmax", &["x"]).with_int("axis", 1)],
            other => panic!("{}: activation {other}", case.name),
        },
        other => panic!("{}: operator {other}", case.name),
    }
}

/// The mean of each part of a map, as adaptive pooling cuts it: part `i` of `n` from `floor(i * side / n)` to
/// `ceil((i + 1) * side / n)`.
fn adaptive(shape: &[usize], out: [i64; 2]) -> Vec<NodeProto> {
    let cut = |i: i64, n: i64, side: i64| (i * side / n, ((i + 1) * side + n - 1) / n);
    let (high, wide) = (shape[2] as i64, shape[3] as i64);
    let (mut nodes, mut rows) = (Vec::new(), Vec::new());
    for y in 0..out[0] {
        let mut parts = Vec::new();
        for x in 0..out[1] {
            let ((top, bottom), (left, right)) = (cut(y, out[0], high), cut(x, out[1], wide));
            let (cut, mean) = (format!("cut{y}{x}"), format!("mean{y}{x}"));
            nodes.push(
                NodeProto::of("Slice", &cut, &["x"], &[&cut])
                    .with_ints("starts", &[top, left])
                    .with_ints("ends", &[bottom, right])
                    .with_ints("axes", &[2, 3]),
            );
            nodes.push(NodeProto::of("ReduceMean", &mean, &[&cut], &[&mean]).with_ints("axes", &[2, 3]));
            parts.push(mean);
        }
        let names: Vec<&str> = parts.iter().map(String::as_str).collect();
        let row = format!("row{y}");
        nodes.push(NodeProto::of("Concat", &row, &names, &[&row]).with_int("axis", 3));
        rows.push(row);
    }
    let names: Vec<&str> = rows.iter().map(String::as_str).collect();
    nodes.push(NodeProto::of("Concat", "all", &names, &["y"]).with_int("axis", 2));
    nodes
}

#[test]
fn operators_and_gradients_are_those_of_pytorch() {
    let _limit = limit::within(120);
    cases("nnops", |case| {
        if case.op == "batch_norm_running" {
            return running_statistics(case);
        }
        let mut weights = Vec::new();
        let unpool = case.op == "max_unpool2d";
        let x = if unpool {
            TensorProto::of_f32("x", &sides(&case.out_shape("pooled")), &case.out_f32("pooled"))
        } else {
            tensor(case, "x")
        };
        weights.push(x);
        weights.extend(["w", "b"].into_iter().filter(|name| case.takes(name)).map(|name| tensor(case, name)));
        match case.op.as_str() {
            "batch_norm" => {
                for (name, key, open) in [("mean", "running_mean", 0.0), ("var", "running_var", 1.0)] {
                    let known: Option<Vec<f32>> = case.params[key]
                        .as_array()
                        .map(|list| list.iter().map(|v| v.as_f64().unwrap() as f32).collect());
                    weights.push(TensorProto::of_f32(name, &[3], &known.unwrap_or_else(|| vec![open; 3])));
                }
            }
            "interpolate" => {
                let mut size: Vec<i64> = case.shape("x").iter().take(2).map(|side| i64::from(*side)).collect();
                size.extend(ints(&case.params["size"]));
                weights.push(TensorProto::of_i64("size", &[4], &size));
            }
            "max_unpool2d" => {
                // PyTorch counts places in a plane, ONNX in the whole tensor.
                let (pooled, full) = (sides(&case.out_shape("pooled")), sides(&case.out_shape("unpooled")));
                let each = pooled[2] * pooled[3];
                let area = full[2] * full[3];
                let places: Vec<f32> = case
                    .out_i64("indices")
                    .iter()
                    .enumerate()
                    .map(|(at, place)| (at / each * area) as f32 + *place as f32)
                    .collect();
                weights.push(TensorProto::of_f32("indices", &pooled, &places));
                weights.push(TensorProto::of_i64(
                    "full",
                    &[4],
                    &full.iter().map(|side| *side as i64).collect::<Vec<_>>(),
                ));
            }
            _ => {}
        }
        let model = graph(nodes(case), weights);
        let trains = |name: &str| ["x", "w", "b"].contains(&name);
        let mut net = Net::build(&model, &[], &["y"], &trains).unwrap_or_else(|error| panic!("{}: {error}", case.name));
        // Twice: what is left of the first run must not matter.
        for _ in 0..2 {
            net.forward(&[]).unwrap();
            let result = if unpool { "unpooled" } else { "y" };
            case.close(result, &net.value("y").unwrap().values);
            let gradients = net.backward(&[("y", &case.f32("grad_out"))]).unwrap();
            let first = if unpool { "grad_pooled" } else { "grad_x" };
            case.close(first, &gradients["x"]);
            for name in ["w", "b"].into_iter().filter(|name| case.takes(name)) {
                case.close(&format!("grad_{name}"), &gradients[name]);
            }
        }
    });
}

fn sides(shape: &[u32]) -> Vec<usize> {
    shape.iter().map(|side| *side as usize).collect()
}

/// The running statistics after one batch; PyTorch's momentum is the share of the new ones, ONNX's that of the old ones.
fn running_statistics(case: &Case<'_>) {
    let three = |name: &str, values: &[f32]| TensorProto::of_f32(name, &[3], values);
    let momentum = 1.0 - case.params["momentum"].as_f64().unwrap() as f32;
    let node = NodeProto::of("BatchNormalization", "n", &["x", "w", "b", "mean", "var"], &["y"]);
    let node = float(node, "momentum", momentum).with_int("training_mode", 1);
    let weights = vec![
        tensor(case, "x"),
        three("w", &[1.0; 3]),
        three("b", &[0.0; 3]),
        three("mean", &case.f32("mean0")),
        three("var", &case.f32("var0")),
    ];
    let mut net = Net::build(&graph(vec![node], weights), &[], &["y"], &|_| false).unwrap();
    net.forward(&[]).unwrap();
    case.close("mean1", &net.value("mean").unwrap().values);
    case.close("var1", &net.value("var").unwrap().values);
}

/// Numbers without pattern, the same in every run.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        // SplitMix64 (Steele et al. 2014).
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn between(&mut self, first: usize, last: usize) -> usize {
        first + self.below(last - first + 1)
    }

    /// From -1 to 1, and at least a hundredth away from 0 and from the other sixths: where functions have corners.
    fn values(&mut self, count: usize) -> Vec<f32> {
        let value = |chance: &mut Self| {
            let value = (chance.next() >> 40) as f32 / (1 << 23) as f32 - 1.0;
            let near = (value * 6.0).round() / 6.0;
            if (value - near).abs() < 0.02 { near + 0.02 } else { value }
        };
        (0..count).map(|_| value(self)).collect()
    }

    fn tensor(&mut self, name: &str, shape: &[usize]) -> TensorProto {
        TensorProto::of_f32(name, shape, &self.values(shape.iter().product()))
    }
}

/// A net of one operator on random shapes: its nodes, its weights, and which of them it is derived for.
type Random = (Vec<NodeProto>, Vec<TensorProto>, Vec<&'static str>);

/// The operators of the engine, each on shapes by chance.
fn random(kind: usize, chance: &mut Chance) -> Option<(&'static str, Random)> {
    let one = |op: &str, inputs: &[&str]| NodeProto::of(op, "n", inputs, &["y"]);
    let (n, c) = (chance.between(1, 3), chance.between(1, 4));
    let (h, w) = (chance.between(4, 8), chance.between(4, 9));
    let map = [n, c, h, w];
    let (kh, kw) = (chance.between(1, 3), chance.between(1, 3));
    let pads: Vec<i64> = (0..4).map(|_| chance.below(2) as i64).collect();
    let strides = [chance.between(1, 2) as i64, chance.between(1, 2) as i64];
    let dilations = [chance.between(1, if kh < 3 { 2 } else { 1 }) as i64, 1];
    let windowed = |node: NodeProto| {
        node.with_ints("pads", &pads).with_ints("strides", &strides).with_ints("dilations", &dilations)
    };
    let x = chance.tensor("x", &map);
    let activations = [
        "Relu",
        "Sigmoid",
        "Tanh",
        "HardSwish",
        "HardSigmoid",
        "LeakyRelu",
        "Elu",
        "Softplus",
        "Gelu",
        "Exp",
        "Identity",
    ];
    Some(match kind {
        0..=10 => (activations[kind], (vec![one(activations[kind], &["x"])], vec![x], vec!["x"])),
        11 => ("Clip", (vec![float(float(one("Clip", &["x"]), "min", -0.5), "max", 0.5)], vec![x], vec!["x"])),
        12 | 13 => {
            let groups = if kind == 12 { 1 } else { c };
            let out = groups * chance.between(1, 3);
            let weights = vec![chance.tensor("w", &[out, c / groups, kh, kw]), chance.tensor("b", &[out]), x];
            let node = windowed(one("Conv", &["x", "w", "b"])).with_int("group", groups as i64);
            ("Conv", (vec![node], weights, vec!["x", "w", "b"]))
        }
        14 => {
            let groups = if chance.below(2) == 0 { 1 } else { c };
            let per = chance.between(1, 3);
            let weights = vec![chance.tensor("w", &[c, per, kh + 1, kw + 1]), chance.tensor("b", &[groups * per]), x];
            let node = windowed(one("ConvTranspose", &["x", "w", "b"])).with_int("group", groups as i64);
            ("ConvTranspose", (vec![node], weights, vec!["x", "w", "b"]))
        }
        15 | 16 => {
            let op = ["MaxPool", "AveragePool"][kind - 15];
            // Values so far apart that a step does not make another one the greatest.
            let mut order: Vec<f32> = (0..n * c * h * w).map(|at| at as f32 * 0.01).collect();
            (1..order.len()).for_each(|at| order.swap(at, chance.below(at + 1)));
            let x = TensorProto::of_f32("x", &map, &order);
            let node = windowed(one(op, &["x"])).with_ints("kernel_shape", &[kh as i64 + 1, kw as i64 + 1]);
            let node = node.with_int("ceil_mode", chance.below(2) as i64);
            (op, (vec![node], vec![x], vec!["x"]))
        }
        17 => ("GlobalAveragePool", (vec![one("GlobalAveragePool", &["x"])], vec![x], vec!["x"])),
        18 => ("ReduceMean", (vec![one("ReduceMean", &["x"]).with_ints("axes", &[1, 2])], vec![x], vec!["x"])),
        19 => {
            let out = chance.between(1, 6);
            let x = chance.tensor("x", &[n, h]);
            let weights = vec![chance.tensor("w", &[out, h]), chance.tensor("b", &[out]), x];
            ("Gemm", (vec![one("Gemm", &["x", "w", "b"]).with_int("transB", 1)], weights, vec!["x", "w", "b"]))
        }
        20 => ("MatMul", (vec![one("MatMul", &["x", "w"])], vec![chance.tensor("w", &[w, h]), x], vec!["x", "w"])),
        21..=24 => {
            let op = ["Add", "Sub", "Mul", "Div"][kind - 21];
            let other = [[n, c, h, w], [1, c, 1, 1], [n, 1, h, 1], [1, 1, 1, w]][chance.below(4)];
            let mut b = chance.tensor("b", &other);
            if op == "Div" {
                let values: Vec<f32> = b.floats().unwrap().iter().map(|v| v.signum() * (0.5 + v.abs())).collect();
                b = TensorProto::of_f32("b", &other, &values);
            }
            (op, (vec![one(op, &["x", "b"])], vec![x, b], vec!["x", "b"]))
        }
        25 => {
            let b = chance.tensor("b", &[n, 2, h, w]);
            ("Concat", (vec![one("Concat", &["x", "b", "x"]).with_int("axis", 1)], vec![x, b], vec!["x", "b"]))
        }
        26 => {
            let node = one("Slice", &["x"]).with_ints("starts", &[1, -3]).with_ints("ends", &[i64::MAX, i64::MAX]);
            ("Slice", (vec![node.with_ints("axes", &[2, 3])], vec![x], vec!["x"]))
        }
        27 => ("Transpose", (vec![one("Transpose", &["x"]).with_ints("perm", &[0, 2, 3, 1])], vec![x], vec!["x"])),
        28 => {
            let mode = ["constant", "edge", "reflect"][chance.below(3)];
            let node = text(one("Pad", &["x"]), "mode", mode).with_ints("pads", &[0, 0, 1, 2, 0, 0, 2, 1]);
            ("Pad", (vec![node], vec![x], vec!["x"]))
        }
        29 => {
            let shape = TensorProto::of_i64("shape", &[3], &[0, -1, w as i64]);
            ("Reshape", (vec![one("Reshape", &["x", "shape"])], vec![x, shape], vec!["x"]))
        }
        30 => {
            let mode = ["nearest", "linear"][chance.below(2)];
            let form = ["half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"][chance.below(4)];
            let size = [n, c, chance.between(2, 13), chance.between(2, 13)].map(|side| side as i64);
            let node =
                text(text(one("Resize", &["x", "", "", "size"]), "mode", mode), "coordinate_transformation_mode", form);
            ("Resize", (vec![node], vec![x, TensorProto::of_i64("size", &[4], &size)], vec!["x"]))
        }
        31 | 32 => {
            let op = ["Softmax", "LogSoftmax"][kind - 31];
            (op, (vec![one(op, &["x"]).with_int("axis", chance.below(4) as i64)], vec![x], vec!["x"]))
        }
        33 | 34 => {
            let node =
                one("BatchNormalization", &["x", "w", "b", "mean", "var"]).with_int("training_mode", kind as i64 - 33);
            let var: Vec<f32> = chance.values(c).iter().map(|v| 0.5 + v.abs()).collect();
            let mut weights = vec![x, TensorProto::of_f32("var", &[c], &var)];
            weights.extend(["w", "b", "mean"].map(|name| chance.tensor(name, &[c])));
            ("BatchNormalization", (vec![node], weights, vec!["x", "w", "b"]))
        }
        35 => {
            let x = chance.tensor("x", &[n, 2 * c, h, w]);
            let weights = vec![chance.tensor("w", &[2 * c]), chance.tensor("b", &[2 * c]), x];
            let node = one("GroupNormalization", &["x", "w", "b"]).with_int("num_groups", c as i64);
            ("GroupNormalization", (vec![node], weights, vec!["x", "w", "b"]))
        }
        _ => return None,
    })
}

/// The gradient of a sum of the result times numbers by chance, against the change of that sum when one input changes.
#[test]
fn gradients_are_finite_differences() {
    let _limit = limit::within(300);
    let (mut chance, mut checked) = (Chance(17), 0);
    for round in 0..12 {
        let mut kind = 0;
        while let Some((op, (nodes, weights, derived))) = random(kind, &mut chance) {
            kind += 1;
            let model = graph(nodes, weights);
            let what = format!("{op}, round {round}");
            let mut net = match Net::build(&model, &[], &["y"], &|name| derived.contains(&name)) {
                Ok(net) => net,
                // A window that is larger than its map.
                Err(error) if error.to_string().contains("larger") => continue,
                Err(error) => panic!("{what}: {error}"),
            };
            net.forward(&[]).unwrap();
            let pull = chance.values(net.value("y").unwrap().values.len());
            let gradients = net.backward(&[("y", &pull)]).unwrap();
            let sum = |net: &mut Net| -> f64 {
                net.forward(&[]).unwrap();
                net.value("y").unwrap().values.iter().zip(&pull).map(|(y, g)| f64::from(*y) * f64::from(*g)).sum()
            };
            for name in derived {
                let gradient = &gradients[name];
                let scale = gradient.iter().fold(1.0_f32, |most, g| most.max(g.abs()));
                for _ in 0..6 {
                    let at = chance.below(gradient.len());
                    let old = net.value(name).unwrap().values[at];
                    // Small enough not to reach a corner, large enough not to drown in rounding.
                    let step = 4e-3;
                    net.weight_mut(name).unwrap().values[at] = old + step;
                    let up = sum(&mut net);
                    net.weight_mut(name).unwrap().values[at] = old - step;
                    let down = sum(&mut net);
                    net.weight_mut(name).unwrap().values[at] = old;
                    let found = (up - down) / (2.0 * f64::from(step));
                    let error = (found - f64::from(gradient[at])).abs();
                    // The next term of the series is about the square of the step; rounding adds 1e-7 of the sum over it.
                    assert!(
                        error < 4e-3 * f64::from(scale),
                        "{what}: {name}[{at}] is {}, {found} by differences",
                        gradient[at]
                    );
                    checked += 1;
                }
            }
        }
    }
    assert!(checked > 2500, "{checked}");
}

/// A net of several kinds of layers gives the same bits on any number of threads.
#[test]
fn threads_change_nothing() {
    let _limit = limit::within(120);
    let mut chance = Chance(5);
    let weights = vec![
        chance.tensor("x", &[11, 3, 17, 19]),
        chance.tensor("w1", &[8, 3, 3, 3]),
        chance.tensor("b1", &[8]),
        chance.tensor("w2", &[8, 1, 3, 3]),
        chance.tensor("w3", &[5, 8, 1, 1]),
    ];
    let nodes = vec![
        NodeProto::of("Conv", "a", &["x", "w1", "b1"], &["a"]).with_ints("strides", &[2, 2]),
        float(float(NodeProto::of("Clip", "b", &["a"], &["b"]), "min", 0.0), "max", 6.0),
        NodeProto::of("Conv", "c", &["b", "w2"], &["c"]).with_int("group", 8).with_ints("pads", &[1; 4]),
        NodeProto::of("HardSwish", "d", &["c"], &["d"]),
        NodeProto::of("Conv", "e", &["d", "w3"], &["y"]),
    ];
    let model = graph(nodes, weights);
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let mut net = Net::build(&model, &[], &["y"], &|_| true).unwrap();
            net.forward(&[]).unwrap();
            let result = net.value("y").unwrap().values.clone();
            let gradients = net.backward(&[("y", &result)]).unwrap();
            let bits = |values: &Vec<f32>| values.iter().map(|v| v.to_bits()).collect::<Vec<u32>>();
            (bits(&result), gradients.values().map(bits).collect::<Vec<_>>())
        })
    };
    let one = run(1);
    assert_eq!(one.1.len(), 5);
    [2, 3, 8].into_iter().for_each(|threads| assert!(run(threads) == one, "{threads} threads"));
}

/// Graphs are often exported for one picture: shapes in them begin with 1. A batch of several gives each the same answer.
#[test]
fn a_batch_gives_what_its_pictures_give_alone() {
    let _limit = limit::within(60);
    for shape in [[1, 6, -1], [1, -1, 6], [1, 6, 4], [-1, 6, 4], [0, 6, -1], [0, 6, 4]] {
        let nodes = vec![
            NodeProto::of("Conv", "conv", &["data", "w"], &["h"]),
            NodeProto::of("Reshape", "rows", &["h", "shape"], &["y"]),
        ];
        let weights: Vec<f32> = (0..18).map(|at| at as f32 / 7.0 - 1.0).collect();
        let weights = TensorProto::of_f32("w", &[6, 3, 1, 1], &weights);
        let model = graph(nodes, vec![weights, TensorProto::of_i64("shape", &[3], &shape)]);
        let data: Vec<f32> = (0..5 * 12).map(|at| (at * 13 % 29) as f32).collect();
        let run = |data: &[f32], batch: usize| {
            let mut net = Net::build(&model, &[("data", &[batch, 3, 2, 2])], &["y"], &|_| true).unwrap();
            net.forward(&[("data", data)]).unwrap();
            let y = net.value("y").unwrap();
            assert_eq!(y.shape[0], batch, "{shape:?}: {:?}", y.shape);
            y.values.clone()
        };
        let alone: Vec<f32> = data.chunks(12).flat_map(|picture| run(picture, 1)).collect();
        assert_eq!(run(&data, 5), alone, "{shape:?}");
    }
}

/// Exporters write shapes that follow from the picture or the batch as computations.
#[test]
fn computed_shapes_are_worked_out() {
    let _limit = limit::within(60);
    let nodes = vec![
        NodeProto::of("Conv", "conv", &["data", "w"], &["h"]),
        NodeProto::of("Shape", "shape", &["h"], &["sides"]),
        NodeProto::of("Slice", "slice", &["sides", "zero", "two", "zero"], &["first"]),
        NodeProto::of("Gather", "gather", &["sides", "two"], &["rows"]),
        NodeProto::of("Mul", "mul", &["rows", "two"], &["more"]),
        NodeProto::of("Div", "div", &["more", "two"], &["less"]),
        NodeProto::of("Concat", "concat", &["first", "open"], &["wanted"]).with_int("axis", 0),
        NodeProto::of("Reshape", "reshape", &["h", "wanted"], &["flat"]),
        NodeProto::of("Concat", "concat2", &["first", "less", "open"], &["again"]).with_int("axis", 0),
        NodeProto::of("Reshape", "reshape2", &["flat", "again"], &["y"]),
    ];
    let weights = vec![
        TensorProto::of_f32("w", &[4, 3, 1, 1], &[0.5; 12]),
        TensorProto::of_i64("zero", &[1], &[0]),
        TensorProto::of_i64("two", &[1], &[2]),
        TensorProto::of_i64("open", &[1], &[-1]),
    ];
    let model = graph(nodes, weights);
    for batch in [1, 3] {
        let mut net = Net::build(&model, &[("data", &[batch, 3, 5, 2])], &["y"], &|_| true).unwrap();
        net.forward(&[("data", &vec![1.0; batch * 30])]).unwrap();
        assert_eq!(net.value("y").unwrap().shape, [batch, 4, 5, 2]);
    }
}
