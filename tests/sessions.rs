//! Sessions: memory between frames, shared weights, threads, and plans that are refused.
#![allow(clippy::unwrap_used)]

#[path = "support/limit.rs"]
mod limit;
mod support;

use ocelli::internals::infer::{Card, Extra, ModelStore, Outputs, Plan, Session, selfcheck};
use ocelli::internals::models::propose::propose;
use ocelli::internals::onnx::pb::{GraphProto, ModelProto, OperatorSetId, ValueInfoProto};
use ocelli::internals::onnx::{DataType, Model, NodeProto, TensorProto};
use ocelli::internals::types::{Image, PixelFormat, Size};
use sha2::{Digest, Sha256};
use std::path::Path;
use std::sync::Arc;

fn value(name: &str, kind: DataType, shape: &[usize]) -> ValueInfoProto {
    let shape: Vec<Option<usize>> = shape.iter().map(|d| Some(*d)).collect();
    ValueInfoProto::of(name, kind, Some(&shape))
}

fn graph(
    nodes: Vec<NodeProto>,
    weights: Vec<TensorProto>,
    inputs: Vec<ValueInfoProto>,
    outputs: Vec<ValueInfoProto>,
) -> Model {
    let graph = GraphProto {
        node: nodes,
        initializer: weights,
        input: inputs,
        output: outputs,
        name: Some("test".into()),
        ..Default::default()
    };
    let opset = OperatorSetId { domain: None, version: Some(13) };
    let proto = ModelProto { ir_version: Some(7), opset_import: vec![opset], graph: Some(graph), ..Default::default() };
    Model { proto, exact: true }
}

/// Writes a model's folder. `SHA` in the card is replaced by the model's hash.
fn install(root: &Path, name: &str, model: &Model, card: &str) -> Card {
    let folder = root.join(name);
    std::fs::create_dir_all(&folder).unwrap();
    let bytes = model.encode();
    let hash: String = Sha256::digest(&bytes).iter().map(|b| format!("{b:02x}")).collect();
    std::fs::write(folder.join("m.onnx"), bytes).unwrap();
    std::fs::write(folder.join("card.yaml"), card.replace("SHA", &hash)).unwrap();
    Card::read(&folder).unwrap_or_else(|e| panic!("{e}"))
}

/// `y = mean(x) + memory`, and `y` is the next memory.
fn counting() -> Model {
    let mean =
        NodeProto::of("ReduceMean", "mean", &["x"], &["m"]).with_ints("axes", &[1, 2, 3]).with_int("keepdims", 0);
    let add = NodeProto::of("Add", "add", &["m", "memory"], &["y"]);
    let copy = NodeProto::of("Mul", "copy", &["y", "one"], &["next"]);
    graph(
        vec![mean, add, copy],
        vec![TensorProto::of_f32("one", &[1], &[1.0])],
        vec![value("memory", DataType::F32, &[1]), value("x", DataType::F32, &[1, 3, 4, 4])],
        vec![value("y", DataType::F32, &[1]), value("next", DataType::F32, &[1])],
    )
}

const COUNTING: &str = "model: { file: m.onnx, sha256: SHA, license: MIT, source: a test, state: [{ input: memory, output: next }] }\ninput: { size: [4, 4] }\nfamily: { classifier: {} }\nlabels: [sum]\n";

#[test]
fn a_memory_goes_from_frame_to_frame_and_each_source_has_its_own() {
    let _limit = limit::within(120);
    let root = tempfile::tempdir().unwrap();
    let card = install(root.path(), "counting", &counting(), COUNTING);
    let mut session = Session::load(&card).unwrap_or_else(|e| panic!("{e}"));
    let image = |level: u8| Image { size: Size::new(4, 4), format: PixelFormat::Rgb8, data: vec![level; 48] };
    let (door, yard): (Arc<str>, Arc<str>) = (Arc::from("door"), Arc::from("yard"));
    let mut sums = Vec::new();
    for (source, level) in [(&door, 1), (&door, 2), (&yard, 10), (&door, 3), (&yard, 20)] {
        session.run(source, &image(level)).unwrap();
        let (mut shape, mut values) = (Vec::new(), Vec::new());
        session.read(0, 1.0, 0, &mut shape, &mut values).unwrap();
        sums.push(values[0]);
    }
    assert_eq!(sums, [1.0, 3.0, 10.0, 6.0, 30.0]);
}

#[test]
fn a_state_that_does_not_fit_is_refused_with_the_names_there_are() {
    let _limit = limit::within(120);
    let root = tempfile::tempdir().unwrap();
    let wrong = COUNTING.replace("output: next", "output: nxt");
    let card = install(root.path(), "counting", &counting(), &wrong);
    let error = Session::load(&card).err().unwrap().to_string();
    assert!(error.contains("the outputs y, next"), "{error}");
    let forgotten = COUNTING.replace(", state: [{ input: memory, output: next }]", "");
    let card = install(root.path(), "counting", &counting(), &forgotten.replace("input: {", "input: { name: x,"));
    let error = Session::load(&card).err().unwrap().to_string();
    assert!(error.contains("nothing feeds: memory"), "{error}");
}

#[test]
fn two_lines_with_one_model_hold_its_weights_once() {
    let _limit = limit::within(120);
    let store = ModelStore::new(&[], Path::new("."));
    let card = store.card("scene").unwrap();
    let one = store.session(&card, &Extra::default(), 1).unwrap();
    let two = store.clone().session(&card, &Extra::default(), 2).unwrap();
    assert!(Arc::ptr_eq(one.plan(), two.plan()));
    // Other outputs need another plan. A plan that nobody uses any more is freed.
    let more = Extra { values: one.plan().outputs.clone() };
    let three = store.session(&card, &more, 1).unwrap();
    assert!(!Arc::ptr_eq(one.plan(), three.plan()));
    let plan = Arc::downgrade(one.plan());
    drop((one, two));
    assert!(plan.upgrade().is_none());
}

#[test]
fn threads_change_no_answer() {
    let _limit = limit::within(120);
    let store = ModelStore::new(&[], Path::new("."));
    let card = store.card("scene").unwrap();
    let mut image = Image::new(card.fields.input.size, PixelFormat::Rgb8);
    image.data.iter_mut().enumerate().for_each(|(at, byte)| *byte = (at * 31 % 251) as u8);
    let answers = [1, 2, 3].map(|threads| {
        let mut session = store.session(&card, &Extra::default(), threads).unwrap();
        session.run(&Arc::from(""), &image).unwrap();
        let (mut shape, mut values) = (Vec::new(), Vec::new());
        session.read(0, 1.0, 0, &mut shape, &mut values).unwrap();
        values
    });
    assert!(answers[0] == answers[1] && answers[1] == answers[2], "the same bits");
}

/// tract 0.23.9 folds `DequantizeLinear → Softmax → QuantizeLinear` into a table of 256 bytes. In the middle of a graph
/// that must keep its roundings, none of our passes prevents that. So the check must refuse the plan.
#[test]
fn a_plan_that_tract_optimised_wrongly_is_refused() {
    let _limit = limit::within(120);
    let root = tempfile::tempdir().unwrap();
    let scalar = |name: &str, scale: f32| {
        [
            TensorProto::of_f32(&format!("{name}_s"), &[], &[scale]),
            TensorProto::of(&format!("{name}_z"), DataType::U8, &[], vec![0]),
        ]
    };
    let nodes = vec![
        NodeProto::of("DequantizeLinear", "d", &["x", "in_s", "in_z"], &["a"]),
        NodeProto::of("Softmax", "s", &["a"], &["b"]).with_int("axis", 3),
        NodeProto::of("QuantizeLinear", "q", &["b", "out_s", "out_z"], &["c"]),
        NodeProto::of("DequantizeLinear", "e", &["c", "out_s", "out_z"], &["f"]),
        NodeProto::of("Relu", "r", &["f"], &["y"]),
    ];
    let weights = [scalar("in", 0.05), scalar("out", 1.0 / 256.0)].concat();
    let model = graph(
        nodes,
        weights,
        vec![value("x", DataType::U8, &[1, 3, 8, 8])],
        vec![value("y", DataType::F32, &[1, 3, 8, 8])],
    );
    let text = "model: { file: m.onnx, sha256: SHA, license: MIT, source: a test, precision: as_is }\ninput: { size: [8, 8], dtype: u8 }\nfamily: { reconstruction: {} }\n";
    let card = install(root.path(), "folded", &model, text);
    let plan = Arc::new(Plan::load(&card, &Extra::default()).unwrap());
    let error = selfcheck::compare(&card, &plan).unwrap_err().to_string();
    assert!(error.contains("optimised plan computes a different `y`") && error.contains("precision: float"), "{error}");
    let store = ModelStore::new(&[root.path().to_path_buf()], Path::new("."));
    assert!(store.session(&card, &Extra::default(), 1).is_err(), "a session must not start");
    // With floats, there is nothing to fold.
    let card = install(root.path(), "folded", &model, &text.replace("as_is", "float"));
    assert!(store.session(&card, &Extra::default(), 1).is_ok());
}

#[test]
fn cards_are_proposed_for_what_can_be_told_from_a_graph() {
    let _limit = limit::within(120);
    let file = |path: &str| Model::decode(std::fs::read(path).unwrap()).unwrap();
    let proposal = propose(&file("models/scene/model.onnx"), None, None).unwrap();
    assert!(proposal.card.contains("kind: x") && proposal.card.contains("size: [320, 192]"), "{}", proposal.card);
    assert_eq!(proposal.labels.len(), 6);
    let proposal = propose(&file("models/scene_mask/model.onnx"), None, None).unwrap();
    assert!(proposal.card.contains("segmentation: { form: logits }"), "{}", proposal.card);
    let proposal = propose(&file("models/scene_tags/model.onnx"), None, None).unwrap();
    assert!(proposal.card.contains("classifier: { scores: logits }"), "{}", proposal.card);
    let proposal = propose(&file("models/scene_x2/model.onnx"), None, None).unwrap();
    assert!(
        proposal.card.contains("reconstruction: { times: 2 }") && proposal.card.contains("color: gray"),
        "{}",
        proposal.card
    );
    let Some(field) = support::folder("OCELLI_FIELD") else { return };
    for (name, family) in [
        ("yolox_nano", "kind: x"),
        ("fastestdet", "fastestdet"),
        ("nanodet_m_320", "nanodet: { bins: 8 }"),
        ("yunet_n_320", "yunet"),
        ("ultraface_rfb_320", "index: 1 }, scores_output: { index: 0 }"),
        ("ssd_mobilenet_v1_coco_quant_raw", "maps: [19, 10, 5, 3, 2, 1]"),
        ("mobilenet_v1_0.25_128_quant", "classifier: {}"),
        ("cifar_resnet8_int8_f32out", "dtype: i8"),
        ("deeplabv3_mnv2_pascal_quant", "form: classes"),
        ("deeplabv3_257_mv_gpu", "form: logits"),
        ("fsrcnn_x2_120x160", "times: 2"),
    ] {
        let proposal = propose(&file(field.join("models").join(format!("{name}.onnx")).to_str().unwrap()), None, None);
        let proposal = proposal.unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(proposal.card.contains(family), "{name}:\n{}", proposal.card);
    }
}
