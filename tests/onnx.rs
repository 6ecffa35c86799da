//! ONNX files are read and written back byte for byte, and rewritten without changing their answers.
#![allow(clippy::unwrap_used)]

#[path = "support/limit.rs"]
mod limit;
mod support;

use ocelli::internals::onnx::pb::{AttributeProto, GraphProto, ModelProto, OperatorSetId, ValueInfoProto};
use ocelli::internals::onnx::rewrite::{self, Context, PASSES};
use ocelli::internals::onnx::{DataType, Model, NodeProto, TensorProto, shape::Shapes};
use std::path::{Path, PathBuf};
use support::folder;
use tract_onnx::prelude::*;

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
    let mut files: Vec<PathBuf> = entries.filter(|p| p.extension().is_some_and(|e| e == "onnx")).collect();
    files.sort();
    files
}

fn round_trip(path: &Path) {
    let bytes = std::fs::read(path).unwrap();
    let model = Model::decode(bytes.clone()).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    assert!(model.exact, "{} would change", path.display());
    assert!(model.encode() == bytes, "{} changed", path.display());
    let mut sorted = model.clone();
    sorted.sort().unwrap();
    assert_eq!(sorted.graph().node.len(), model.graph().node.len());
}

#[test]
fn an_untouched_file_is_written_as_it_was_read() {
    let _limit = limit::within(120);
    round_trip(Path::new("models/scene/model.onnx"));
    for (variable, inside) in [("OCELLI_FIELD", "models"), ("OCELLI_VECTORS", "")] {
        let Some(folder) = folder(variable) else { continue };
        let all = files(&folder.join(inside));
        all.iter().for_each(|path| round_trip(path));
        eprintln!("{variable}: {} files written as they were read", all.len());
    }
}

// ---- Rewrites: small graphs that give each pass something to do, run by tract before and after.

fn value(name: &str, shape: &[usize]) -> ValueInfoProto {
    typed(name, DataType::F32, shape)
}

fn typed(name: &str, kind: DataType, shape: &[usize]) -> ValueInfoProto {
    let shape: Vec<Option<usize>> = shape.iter().map(|d| Some(*d)).collect();
    ValueInfoProto::of(name, kind, Some(&shape))
}

fn model(nodes: Vec<NodeProto>, weights: Vec<TensorProto>, input: ValueInfoProto, output: ValueInfoProto) -> Model {
    let graph = GraphProto {
        node: nodes,
        initializer: weights,
        input: vec![input],
        output: vec![output],
        name: Some("test".into()),
        ..Default::default()
    };
    let opset = OperatorSetId { domain: None, version: Some(13) };
    let proto = ModelProto { ir_version: Some(7), opset_import: vec![opset], graph: Some(graph), ..Default::default() };
    Model { proto, exact: true }
}

/// Returns numbers between -1 and 1, the same every time.
fn numbers(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    (0..count)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect()
}

fn weight(name: &str, shape: &[usize], seed: u32) -> TensorProto {
    TensorProto::of_f32(name, shape, &numbers(shape.iter().product(), seed))
}

/// Returns tract's answer without optimisation.
fn answer(model: &Model, input: &Tensor) -> Vec<f32> {
    let bytes = model.encode();
    let plan = tract_onnx::onnx()
        .model_for_read(&mut std::io::Cursor::new(bytes))
        .unwrap()
        .with_input_fact(0, InferenceFact::dt_shape(input.datum_type(), input.shape()))
        .unwrap()
        .into_typed()
        .unwrap()
        .into_runnable()
        .unwrap();
    let out = plan.run(tvec![input.clone().into_tvalue()]).unwrap().remove(0);
    let out = out.cast_to::<f32>().unwrap();
    out.try_as_plain_ram().unwrap().as_slice::<f32>().unwrap().to_vec()
}

fn floats(shape: &[usize], seed: u32) -> Tensor {
    Tensor::from_shape(shape, &numbers(shape.iter().product(), seed)).unwrap()
}

fn only(name: &str, model: &mut Model, shape: &[usize]) -> usize {
    let pass = PASSES.iter().find(|p| p.name == name).unwrap();
    let inputs = Shapes::from([("x".to_owned(), shape.to_vec())]);
    pass.apply(model, &Context { inputs, float_activations: true, ..Context::default() }).unwrap()
}

/// Applies one pass. Answers may differ by `tolerance`, relative to the largest.
fn keeps(name: &str, before: &Model, input: &Tensor, places: usize, tolerance: f32) -> Model {
    let mut after = before.clone();
    assert_eq!(only(name, &mut after, input.shape()), places, "{name}");
    let (a, b) = (answer(before, input), answer(&after, input));
    let largest = a.iter().fold(0.0_f32, |m, v| m.max(v.abs()));
    let worst = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0_f32, f32::max);
    assert_eq!(a.len(), b.len(), "{name}");
    assert!(worst <= tolerance * largest, "{name}: off by {worst} of {largest}");
    assert!(largest > 0.0, "{name}: nothing to compare");
    after
}

#[test]
fn identity_nodes_and_constants_go() {
    let _limit = limit::within(120);
    let mut constant = NodeProto::of("Constant", "c", &[], &["k"]);
    let t = Some(weight("", &[1, 3, 1, 1], 5));
    constant.attribute.push(AttributeProto { name: Some("value".into()), r#type: Some(4), t, ..Default::default() });
    let nodes = vec![
        constant,
        NodeProto::of("Identity", "i", &["x"], &["h"]),
        NodeProto::of("Mul", "m", &["h", "k"], &["z"]),
        NodeProto::of("Identity", "j", &["z"], &["y"]),
    ];
    let m = model(nodes, vec![], value("x", &[1, 3, 4, 4]), value("y", &[1, 3, 4, 4]));
    let input = floats(&[1, 3, 4, 4], 1);
    let after = keeps("identity", &keeps("constants", &m, &input, 1, 0.0), &input, 2, 0.0);
    assert_eq!(after.graph().node.len(), 1);
}

#[test]
fn batch_norm_is_folded() {
    let _limit = limit::within(120);
    let variance: Vec<f32> = numbers(4, 9).iter().map(|v| v.abs() + 0.1).collect();
    let weights = vec![
        weight("w", &[4, 3, 3, 3], 1),
        weight("g", &[4], 2),
        weight("b", &[4], 3),
        weight("m", &[4], 4),
        TensorProto::of_f32("v", &[4], &variance),
    ];
    let nodes = vec![
        NodeProto::of("Conv", "c", &["x", "w"], &["h"]).with_ints("pads", &[1, 1, 1, 1]),
        NodeProto::of("BatchNormalization", "n", &["h", "g", "b", "m", "v"], &["y"]),
    ];
    let m = model(nodes, weights, value("x", &[1, 3, 5, 6]), value("y", &[1, 4, 5, 6]));
    let after = keeps("batch_norm", &m, &floats(&[1, 3, 5, 6], 7), 1, 1e-5);
    assert_eq!(after.graph().node.len(), 1);
    assert_eq!(after.graph().initializer.len(), 2, "the old weights are removed");
}

#[test]
fn windows_beyond_the_map_lose_their_outer_taps() {
    let _limit = limit::within(120);
    // (dilation, size of the map, taps left per side)
    for (d, map, stays) in [(12_i64, 10, 1), (9, 10, 3), (10, 10, 1), (24, 20, 1), (6, 20, 3)] {
        let conv = NodeProto::of("Conv", "c", &["x", "w"], &["y"])
            .with_ints("dilations", &[d, d])
            .with_ints("pads", &[d, d, d, d])
            .with_ints("kernel_shape", &[3, 3]);
        let shape = [1, 2, map, map];
        let m =
            model(vec![conv], vec![weight("w", &[3, 2, 3, 3], 1)], value("x", &shape), value("y", &[1, 3, map, map]));
        let after = keeps("centre_tap", &m, &floats(&shape, 7), usize::from(stays == 1), 1e-5);
        let side = after.graph().initializer[0].shape()[2];
        assert_eq!(side, stays, "dilation {d} on a map of {map}");
    }
    // Wide and low: only rows of taps are removed.
    let conv = NodeProto::of("Conv", "c", &["x", "w"], &["y"])
        .with_ints("dilations", &[8, 8])
        .with_ints("pads", &[8, 8, 8, 8])
        .with_ints("kernel_shape", &[3, 3]);
    let shape = [1, 2, 6, 30];
    let m = model(vec![conv], vec![weight("w", &[3, 2, 3, 3], 1)], value("x", &shape), value("y", &[1, 3, 6, 30]));
    let after = keeps("centre_tap", &m, &floats(&shape, 7), 1, 1e-5);
    assert_eq!(after.graph().initializer[0].shape(), [3, 2, 1, 3]);
}

#[test]
fn unpooling_becomes_a_scatter() {
    let _limit = limit::within(120);
    let pool = NodeProto::of("MaxPool", "p", &["x"], &["h", "i"])
        .with_ints("kernel_shape", &[2, 2])
        .with_ints("strides", &[2, 2]);
    let unpool = NodeProto::of("MaxUnpool", "u", &["h", "i"], &["y"])
        .with_ints("kernel_shape", &[2, 2])
        .with_ints("strides", &[2, 2]);
    let mut m = model(vec![pool, unpool], vec![], value("x", &[1, 2, 4, 6]), value("y", &[1, 2, 4, 6]));
    assert_eq!(only("max_unpool", &mut m, &[1, 2, 4, 6]), 1);
    let input = floats(&[1, 2, 4, 6], 3);
    let x = numbers(48, 3);
    // Computed by hand: each 2x2 window keeps its largest number in place.
    let mut expect = vec![0.0; 48];
    for (plane, y, column) in (0..2).flat_map(|p| (0..2).flat_map(move |y| (0..3).map(move |c| (p, y, c)))) {
        let places = [0, 1, 6, 7].map(|step| plane * 24 + y * 12 + column * 2 + step);
        let best = places.into_iter().max_by(|&a, &b| x[a].total_cmp(&x[b])).unwrap();
        expect[best] = x[best];
    }
    assert_eq!(answer(&m, &input), expect);
}

fn scalar(name: &str, scale: f32, zero: u8, kind: DataType) -> [TensorProto; 2] {
    [
        TensorProto::of_f32(&format!("{name}_s"), &[], &[scale]),
        TensorProto::of(&format!("{name}_z"), kind, &[], vec![zero]),
    ]
}

fn quantize(from: &str, to: &str, by: &str) -> NodeProto {
    NodeProto::of("QuantizeLinear", to, &[from, &format!("{by}_s"), &format!("{by}_z")], &[to])
}

fn dequantize(from: &str, to: &str, by: &str) -> NodeProto {
    NodeProto::of("DequantizeLinear", to, &[from, &format!("{by}_s"), &format!("{by}_z")], &[to])
}

/// u8 picture → (u8→i8) → 8-bit convolution with absorbed ReLU → softmax → u8: what TensorFlow Lite files become.
fn quantised_classifier() -> Model {
    let mut weights: Vec<TensorProto> = [
        scalar("in", 1.0 / 128.0, 128, DataType::U8),
        scalar("mid", 1.0 / 128.0, 0, DataType::I8),
        scalar("w", 0.01, 3, DataType::I8),
        scalar("act", 0.02, 0x80, DataType::I8),
        scalar("out", 1.0 / 256.0, 0, DataType::U8),
    ]
    .concat();
    let kernel: Vec<u8> = numbers(4 * 3 * 9, 11).iter().map(|v| ((v * 90.0) as i8) as u8).collect();
    weights.push(TensorProto::of("k", DataType::I8, &[4, 3, 3, 3], kernel));
    let nodes = vec![
        dequantize("x", "a", "in"),
        NodeProto::of("Transpose", "t", &["a"], &["b"]).with_ints("perm", &[0, 3, 1, 2]),
        quantize("b", "c", "mid"),
        dequantize("c", "d", "mid"),
        dequantize("k", "kf", "w"),
        NodeProto::of("Conv", "conv", &["d", "kf"], &["e"]).with_ints("pads", &[1, 1, 1, 1]),
        quantize("e", "f", "act"),
        dequantize("f", "g", "act"),
        NodeProto::of("GlobalAveragePool", "pool", &["g"], &["h"]),
        NodeProto::of("Softmax", "soft", &["h"], &["i"]).with_int("axis", 1),
        quantize("i", "y", "out"),
    ];
    model(nodes, weights, typed("x", DataType::U8, &[1, 5, 6, 3]), typed("y", DataType::U8, &[1, 4, 1, 1]))
}

fn levels() -> Tensor {
    let bytes: Vec<u8> = numbers(90, 21).iter().map(|v| (v * 127.0 + 128.0) as u8).collect();
    Tensor::from_shape(&[1, 5, 6, 3], &bytes).unwrap()
}

#[test]
fn a_quantised_classifier_keeps_its_answers_through_every_pass() {
    let _limit = limit::within(120);
    let before = quantised_classifier();
    let expect: Vec<f32> = answer(&before, &levels()).iter().map(|q| q / 256.0).collect();
    // Each pass alone: within half a step of the output if the pass is otherwise exact.
    for (name, places, tolerance) in [
        ("output_quantize", 1, 0.5 / 256.0),
        ("input_requantize", 1, 1.5 / 256.0),
        ("weight_dequantize", 1, 0.0),
        ("activation_dequantize", 2, 3.0 / 256.0),
    ] {
        let mut after = before.clone();
        let found = only(name, &mut after, &[1, 5, 6, 3]);
        assert_eq!(found, places, "{name}");
        let steps = if name == "output_quantize" { 1.0 } else { 256.0 };
        for (a, b) in answer(&after, &levels()).iter().zip(&expect) {
            assert!((a / steps - b).abs() <= tolerance + 1e-6, "{name}: {} instead of {b}", a / steps);
        }
    }
    // All passes together, run as tract optimises the graph: this is what goes wrong without them.
    let mut all = before;
    let inputs = Shapes::from([("x".to_owned(), vec![1, 5, 6, 3])]);
    let done = rewrite::run(&mut all, &Context { inputs, float_activations: true, ..Context::default() }).unwrap();
    let names: Vec<&str> = done.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["output_quantize", "input_requantize", "weight_dequantize", "activation_dequantize"]);
    assert!(!all.graph().node.iter().any(|n| n.op() == "QuantizeLinear"));
    assert!(all.graph().node.iter().any(|n| n.op() == "Clip"), "the absorbed ReLU must stay");
    for (a, b) in answer(&all, &levels()).iter().zip(&expect) {
        assert!((a - b).abs() <= 4.0 / 256.0, "{a} instead of {b}");
    }
}

/// SSD heads: two maps with the same quantisation are reshaped and concatenated as bytes. No rounding remains.
#[test]
fn roundings_go_behind_what_only_moves_numbers() {
    let _limit = limit::within(120);
    let mut weights = scalar("q", 0.05, 0x80, DataType::U8).to_vec();
    weights.push(TensorProto::of_i64("flat", &[2], &[1, -1]));
    let nodes = vec![
        NodeProto::of("Sin", "sin", &["x"], &["a"]),
        NodeProto::of("Cos", "cos", &["x"], &["b"]),
        quantize("a", "qa", "q"),
        quantize("b", "qb", "q"),
        NodeProto::of("Reshape", "ra", &["qa", "flat"], &["fa"]),
        NodeProto::of("Reshape", "rb", &["qb", "flat"], &["fb"]),
        NodeProto::of("Concat", "join", &["fa", "fb"], &["y"]).with_int("axis", 1),
    ];
    let m = model(nodes, weights, value("x", &[1, 3, 4, 4]), typed("y", DataType::U8, &[1, 96]));
    let input = floats(&[1, 3, 4, 4], 1);
    let after = keeps("sink_quantize", &m, &input, 3, 0.0);
    assert_eq!(after.graph().node.iter().filter(|n| n.op() == "QuantizeLinear").count(), 1);
    let mut all = m.clone();
    rewrite::run(&mut all, &Context { float_activations: true, ..Context::default() }).unwrap();
    assert!(!all.graph().node.iter().any(|n| n.op() == "QuantizeLinear"));
    for (a, q) in answer(&all, &input).iter().zip(answer(&m, &input)) {
        assert!((a - (q - 128.0) * 0.05).abs() <= 0.026, "{a} {q}");
    }
}

/// A quantiser may absorb a ReLU into a range that begins at zero. The ReLU must also stay if the numbers are only
/// moved before they are dequantised, and at the end of the graph.
#[test]
fn a_swallowed_relu_stays_wherever_the_rounding_stood() {
    let _limit = limit::within(120);
    let mut weights = scalar("q", 0.02, 0, DataType::U8).to_vec();
    weights.push(weight("w", &[4, 3, 1, 1], 1));
    weights.push(TensorProto::of_i64("flat", &[2], &[1, -1]));
    let conv = || NodeProto::of("Conv", "conv", &["x", "w"], &["a"]);
    let moved = vec![
        conv(),
        quantize("a", "q", "q"),
        NodeProto::of("Reshape", "r", &["q", "flat"], &["b"]),
        dequantize("b", "c", "q"),
        NodeProto::of("Relu", "end", &["c"], &["y"]),
    ];
    let last = vec![conv(), NodeProto::of("Reshape", "r", &["a", "flat"], &["b"]), quantize("b", "y", "q")];
    let input = floats(&[1, 3, 4, 4], 7);
    for (nodes, kind, step) in [(moved, DataType::F32, 1.0), (last, DataType::U8, 0.02)] {
        let before = model(nodes, weights.clone(), value("x", &[1, 3, 4, 4]), typed("y", kind, &[1, 64]));
        let expect: Vec<f32> = answer(&before, &input).iter().map(|v| v * step).collect();
        assert!(expect.contains(&0.0), "some values must be cut off");
        let mut after = before.clone();
        rewrite::run(&mut after, &Context { float_activations: true, ..Context::default() }).unwrap();
        assert!(!after.graph().node.iter().any(|n| n.op() == "QuantizeLinear"));
        for (a, b) in answer(&after, &input).iter().zip(&expect) {
            assert!((a - b).abs() <= 0.011, "{a} instead of {b}");
        }
    }
}

#[test]
fn hostile_graphs_are_refused_by_the_passes() {
    let _limit = limit::within(120);
    let q = scalar("q", 0.02, 0, DataType::U8).to_vec();
    let flat = TensorProto::of_i64("flat", &[1], &[-1]);
    // A cycle.
    let circle =
        vec![NodeProto::of("Reshape", "r", &["q", "flat"], &["r"]), quantize("r", "q", "q"), dequantize("q", "y", "q")];
    let weights = [q.clone(), vec![flat.clone()]].concat();
    let mut m = model(circle, weights.clone(), value("x", &[1]), value("y", &[1]));
    assert!(rewrite::run(&mut m, &Context { float_activations: true, ..Context::default() }).is_err());
    // A rounding without an input.
    let nothing = vec![
        NodeProto::of("QuantizeLinear", "q", &["", "q_s", "q_z"], &["q"]),
        NodeProto::of("Reshape", "r", &["q", "flat"], &["y"]),
    ];
    let mut m = model(nothing, weights, value("x", &[1]), value("y", &[1]));
    let _ = rewrite::run(&mut m, &Context { float_activations: true, ..Context::default() });
    // Two nodes that make the same value.
    let twice = vec![NodeProto::of("Relu", "a", &["x"], &["y"]), NodeProto::of("Abs", "b", &["x"], &["y"])];
    let m = model(twice, vec![], value("x", &[1]), value("y", &[1]));
    assert!(Model::decode(m.encode()).unwrap_err().to_string().contains("two nodes produce"));
}

#[test]
fn a_graph_is_cut_at_the_heads_that_the_card_names() {
    let _limit = limit::within(120);
    let nodes = vec![
        NodeProto::of("Relu", "r", &["x"], &["h"]),
        NodeProto::of("Sigmoid", "s", &["h"], &["z"]),
        NodeProto::of("NonMaxSuppression", "n", &["z", "z"], &["y"]),
    ];
    let mut m = model(nodes, vec![], value("x", &[1, 4]), value("y", &[1, 4]));
    m.graph_mut().value_info.push(value("z", &[9, 9]));
    let cut = |heads: &[&str]| Context { heads: heads.iter().map(|h| (*h).to_owned()).collect(), ..Context::default() };
    let wrong = rewrite::run(&mut m.clone(), &cut(&["hh"])).unwrap_err();
    assert!(wrong.to_string().contains("did you mean `h`?"), "{wrong}");
    rewrite::run(&mut m, &cut(&["h"])).unwrap();
    assert_eq!(m.graph().node.len(), 1);
    assert_eq!(m.graph().output[0].label(), "h");
    assert!(m.graph().value_info.is_empty());
}

#[test]
fn weights_in_other_files_are_refused_or_brought_in() {
    let _limit = limit::within(120);
    let folder = tempfile::tempdir().unwrap();
    let mut outside = weight("w", &[2, 2], 3);
    let raw = outside.raw_data.take().unwrap();
    let entry = |key: &str, value: &str| ocelli::internals::onnx::pb::StringStringEntry {
        key: Some(key.into()),
        value: Some(value.into()),
    };
    outside.data_location = Some(1);
    outside.external_data = vec![entry("location", "w.bin"), entry("offset", "4"), entry("length", "16")];
    let build = |tensor: &TensorProto| {
        let node = NodeProto::of("MatMul", "m", &["x", "w"], &["y"]);
        model(vec![node], vec![tensor.clone()], value("x", &[1, 2]), value("y", &[1, 2])).encode()
    };
    let refused = Model::decode(build(&outside)).unwrap_err().to_string();
    assert!(refused.contains("models new"), "{refused}");
    let missing = Model::decode_with_files(build(&outside), folder.path()).unwrap_err();
    assert!(missing.to_string().contains("w.bin"), "{missing}");
    std::fs::write(folder.path().join("w.bin"), [&[0; 4], &raw[..]].concat()).unwrap();
    let packed = Model::decode_with_files(build(&outside), folder.path()).unwrap();
    assert_eq!(packed.graph().initializer[0].floats().unwrap(), numbers(4, 3));
    for (key, value) in [("location", "../w.bin"), ("location", "/etc/passwd"), ("length", "4000000000")] {
        let mut bad = outside.clone();
        bad.external_data
            .iter_mut()
            .filter(|e| e.key.as_deref() == Some(key))
            .for_each(|e| e.value = Some(value.into()));
        assert!(Model::decode_with_files(build(&bad), folder.path()).is_err(), "{key} {value}");
    }
}

/// What is quantised from frame to frame is computed in floats only if the scale is multiplied in again, and nothing else
/// looks at the levels.
#[test]
fn dynamic_rounding_goes_only_where_its_scale_comes_back() {
    let _limit = limit::within(120);
    let quantize = || NodeProto::of("DynamicQuantizeLinear", "q", &["x"], &["levels", "scale", "zero"]);
    let product = || NodeProto::of("MatMulInteger", "p", &["levels", "w", "zero"], &["sum"]);
    let cast = |from: &str, to: &str| NodeProto::of("Cast", to, &[from], &[to]).with_int("to", 1);
    let weights = || vec![TensorProto::of("w", DataType::I8, &[4, 2], vec![1, 255, 3, 4, 5, 250, 7, 8])];
    let graph = |nodes| model(nodes, weights(), value("x", &[3, 4]), value("y", &[3, 2]));
    let scaled = NodeProto::of("Mul", "m", &["float", "scale"], &["y"]);
    let mut whole = graph(vec![quantize(), product(), cast("sum", "float"), scaled.clone()]);
    assert_eq!(only("dynamic", &mut whole, &[3, 4]), 1);
    assert!(whole.graph().node.iter().all(|node| !node.op().contains("Integer") && !node.op().contains("Dynamic")));
    // Without the scale, the answer is the sum of levels.
    let mut raw = graph(vec![quantize(), product(), cast("sum", "y")]);
    assert_eq!(only("dynamic", &mut raw, &[3, 4]), 0);
    // The scale goes elsewhere.
    let other = NodeProto::of("Mul", "o", &["float", "float"], &["y"]);
    let unused = NodeProto::of("Mul", "u", &["scale", "scale"], &["z"]);
    let mut elsewhere = graph(vec![quantize(), product(), cast("sum", "float"), other, unused]);
    assert_eq!(only("dynamic", &mut elsewhere, &[3, 4]), 0);
    // Somebody computes with the levels himself.
    let own = vec![quantize(), cast("levels", "a"), cast("zero", "b")];
    let rest = vec![NodeProto::of("Sub", "s", &["a", "b"], &["c"]), NodeProto::of("Mul", "m", &["c", "scale"], &["y"])];
    let mut by_hand = model([own, rest].concat(), vec![], value("x", &[3, 4]), value("y", &[3, 4]));
    assert_eq!(only("dynamic", &mut by_hand, &[3, 4]), 0);
    assert_eq!(by_hand.graph().node.len(), 5);
}

/// torchvision's way to shift boxes of each class apart, inside an `If` for lists that are empty.
#[test]
fn branches_for_empty_lists_go_and_no_others() {
    let _limit = limit::within(120);
    let constant = |name: &str, tensor: TensorProto| {
        let mut node = NodeProto::of("Constant", name, &[], &[name]);
        node.attribute.push(AttributeProto {
            name: Some("value".into()),
            r#type: Some(4),
            t: Some(tensor),
            ..Default::default()
        });
        node
    };
    let branch = |name: &str, nodes: Vec<NodeProto>| {
        let graph = GraphProto {
            node: nodes,
            output: vec![value("inner", &[4])],
            name: Some(name.into()),
            ..Default::default()
        };
        AttributeProto { name: Some(name.into()), r#type: Some(5), g: Some(graph), ..Default::default() }
    };
    let test = |list: &str, at: &str, then: TensorProto| {
        let [shape, count, equal, truth] = ["shape", "count", "equal", "truth"].map(|part| format!("{at}{part}"));
        let most = NodeProto::of("ReduceMax", "most", &[list], &["most"]).with_int("keepdims", 0);
        let add = NodeProto::of("Add", "inner", &["row", "most"], &["inner"]);
        let mut node = NodeProto::of("If", at, &[&truth], &[at]);
        node.attribute.push(branch("then_branch", vec![constant("inner", then)]));
        node.attribute.push(branch("else_branch", vec![most, add]));
        vec![
            NodeProto::of("Shape", &shape, &[list], &[&shape]),
            NodeProto::of("ReduceProd", &count, &[&shape], &[&count]).with_int("keepdims", 0),
            NodeProto::of("Equal", &equal, &[&count, "none"], &[&equal]),
            NodeProto::of("Cast", &truth, &[&equal], &[&truth]).with_int("to", 9),
            node,
        ]
    };
    let empty = || TensorProto::of_f32("", &[0], &[]);
    let weights = || vec![TensorProto::of_i64("none", &[], &[0]), weight("row", &[4], 3)];
    let join = NodeProto::of("Add", "j", &["a", "b"], &["y"]);
    let two = [test("x", "a", empty()), test("x", "b", empty()), vec![join.clone()]].concat();
    let mut m = model(two, weights(), value("x", &[3, 4]), value("y", &[4]));
    assert_eq!(only("branches", &mut m, &[3, 4]), 2);
    let input = floats(&[3, 4], 9);
    let row = numbers(4, 3);
    let most = numbers(12, 9).into_iter().fold(0.0_f32, f32::max);
    let found = answer(&m, &input);
    assert!(found.iter().zip(&row).all(|(found, row)| (found - 2.0 * (row + most)).abs() < 1e-6), "{found:?}");
    // An empty list would give something else than nothing.
    let other = [test("x", "a", weight("", &[4], 5)), test("x", "b", empty()), vec![join]].concat();
    let mut m = model(other, weights(), value("x", &[3, 4]), value("y", &[4]));
    assert_eq!(only("branches", &mut m, &[3, 4]), 1);
}
