//! Damaged and hostile ONNX files cause an error, never a panic, and never take more than 256 MB. Mutations are seeded;
//! the seed of a failing round is in the message. (Normally the hash in the card would reveal a damaged file; here each
//! card gets the hash of the damaged one.)
#![allow(clippy::unwrap_used)]

#[path = "support/limit.rs"]
mod limit;

use ocelli::internals::infer::{Card, Session};
use ocelli::internals::models::propose::propose;
use ocelli::internals::onnx::pb::{AttributeProto, GraphProto, ModelProto, OperatorSetId, ValueInfoProto};
use ocelli::internals::onnx::{DataType, Model, NodeProto, TensorProto};
use ocelli::internals::types::{Image, PixelFormat};
use sha2::{Digest, Sha256};
use std::alloc::{GlobalAlloc, Layout, System};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

fn grown(bytes: usize) {
    PEAK.fetch_max(NOW.fetch_add(bytes, Relaxed) + bytes, Relaxed);
}

// SAFETY: every call is passed to the system allocator unchanged; only counters are added.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grown(layout.size());
        unsafe { System.alloc(layout) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        grown(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        NOW.fetch_sub(layout.size(), Relaxed);
        grown(size);
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const MOST: usize = 256 << 20;

/// A xorshift generator, good enough for choosing bytes.
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides.max(1) as u64) as usize
    }

    /// Returns a number that hardly any real file contains.
    fn absurd(&mut self) -> i64 {
        [0, -1, 1, 2, 7, 4096, 65_537, 1 << 31, -(1 << 31), 1 << 40, i64::MAX, i64::MIN][self.roll(12)]
    }
}

/// Flips bits, overwrites bytes, cuts, repeats pieces.
fn mangle(original: &[u8], seed: u64) -> Vec<u8> {
    let mut dice = Dice::new(seed);
    let mut bytes = original.to_vec();
    for _ in 0..=dice.roll(4) {
        // Headers are at both ends of an ONNX file: names and nodes first, inputs and outputs last.
        let at = match dice.roll(4) {
            0 => dice.roll(bytes.len().min(2048)),
            1 => bytes.len().saturating_sub(1 + dice.roll(1024)),
            _ => dice.roll(bytes.len()),
        };
        let Some(byte) = bytes.get_mut(at) else { break };
        match dice.roll(5) {
            0 | 1 => *byte ^= 1 << dice.roll(8),
            2 => *byte = [0, 0xFF, 0x7F, 0x80][dice.roll(4)],
            3 if dice.roll(4) == 0 => bytes.truncate(at),
            _ => {
                let piece: Vec<u8> = bytes[at..(at + 1 + dice.roll(16)).min(bytes.len())].to_vec();
                bytes.splice(at..at, piece);
            }
        }
    }
    bytes
}

/// Makes valid messages with absurd contents: shapes, sizes, attributes, names.
fn absurd(original: &Model, seed: u64) -> Vec<u8> {
    let mut dice = Dice::new(seed ^ 0xABCD);
    let mut model = original.clone();
    let graph = model.graph_mut();
    for _ in 0..=dice.roll(2) {
        let node = dice.roll(graph.node.len());
        match dice.roll(8) {
            0 => {
                let tensor = dice.roll(graph.initializer.len());
                if let Some(dims) = graph.initializer.get_mut(tensor).map(|t| &mut t.dims) {
                    let at = dice.roll(dims.len());
                    dims[at..].iter_mut().take(1).for_each(|d| *d = dice.absurd());
                }
            }
            1 => {
                // The numbers of a shape, if a weight holds one.
                let shapes: Vec<&mut TensorProto> =
                    graph.initializer.iter_mut().filter(|t| t.kind() == DataType::I64).collect();
                let which = dice.roll(shapes.len());
                if let Some(tensor) = shapes.into_iter().nth(which) {
                    let mut values = tensor.ints().unwrap();
                    let at = dice.roll(values.len());
                    values[at..].iter_mut().take(1).for_each(|v| *v = dice.absurd());
                    *tensor = TensorProto::of_i64(tensor.label(), &tensor.shape(), &values);
                }
            }
            2 | 3 => {
                let attributes = &mut graph.node[node].attribute;
                let which = dice.roll(attributes.len());
                if let Some(attribute) = attributes.get_mut(which) {
                    let at = dice.roll(attribute.ints.len());
                    attribute.ints.iter_mut().skip(at).take(1).for_each(|v| *v = dice.absurd());
                    attribute.i = attribute.i.map(|_| dice.absurd());
                }
            }
            4 => {
                let (from, input) = (dice.roll(graph.node.len()), dice.roll(3));
                let name = graph.node[from].output.first().cloned().unwrap_or_default();
                graph.node[node].input.iter_mut().skip(input).take(1).for_each(|i| i.clone_from(&name));
            }
            5 => {
                let ops = [
                    "Conv",
                    "Resize",
                    "ConstantOfShape",
                    "Expand",
                    "Tile",
                    "MaxUnpool",
                    "Gemm",
                    "Loop",
                    "If",
                    "Einsum",
                ];
                graph.node[node].op_type = Some(ops[dice.roll(10)].into());
            }
            6 => {
                let sides: Vec<Option<usize>> =
                    (0..dice.roll(6)).map(|_| usize::try_from(dice.absurd()).ok()).collect();
                let input = graph.input.first().map(|i| i.label().to_owned()).unwrap_or_default();
                graph.input[0] = ValueInfoProto::of(&input, DataType::F32, Some(&sides));
            }
            _ => {
                let tensor = dice.roll(graph.initializer.len());
                if let Some(tensor) = graph.initializer.get_mut(tensor) {
                    tensor.data_type = Some(dice.roll(24) as i32);
                    tensor.raw_data =
                        tensor.raw_data.take().map(|raw| raw.slice(..raw.len() - dice.roll(raw.len().min(9))));
                }
            }
        }
    }
    model.encode()
}

/// Reads, rewrites, optimises and runs a file, and proposes a card for it. Returns whether it could be run.
fn attempt(folder: &Path, card: &str, bytes: &[u8]) -> bool {
    let hash: String = Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect();
    std::fs::write(folder.join("model.onnx"), bytes).unwrap();
    std::fs::write(folder.join("card.yaml"), card.replace("SHA", &hash)).unwrap();
    let card = Card::read(folder).unwrap();
    if let Ok(model) = Model::decode(bytes.to_vec()) {
        let _ = propose(&model, None, None);
    }
    let Ok(mut session) = Session::load(&card) else { return false };
    let image = Image::new(card.fields.input.size, PixelFormat::Rgb8);
    session.run(&Arc::from(""), &image).is_ok()
}

fn survives(name: &str, card: &str, original: &Model, rounds: u64) {
    let folder = tempfile::tempdir().unwrap();
    let bytes = original.encode();
    assert!(attempt(folder.path(), card, &bytes), "{name}: the undamaged file cannot be run");
    let (mut ran, mut most) = (0, 0);
    for seed in 0..rounds {
        let damaged = if seed % 2 == 0 { mangle(&bytes, seed) } else { absurd(original, seed) };
        let before = NOW.load(Relaxed);
        PEAK.store(before, Relaxed);
        let outcome = catch_unwind(AssertUnwindSafe(|| attempt(folder.path(), card, &damaged)));
        let taken = PEAK.load(Relaxed) - before;
        most = most.max(taken);
        assert!(taken <= MOST, "{name}: seed {seed}: {taken} bytes");
        ran += usize::from(outcome.unwrap_or_else(|_| panic!("{name}: seed {seed} panicked")));
    }
    eprintln!("{name}: {rounds} damaged files, {ran} could still be run, at most {} MB", most >> 20);
}

fn card(input: &str) -> String {
    format!(
        "model: {{ file: model.onnx, sha256: SHA, license: MIT, source: a test }}\ninput: {input}\nfamily: {{ reconstruction: {{}} }}\n"
    )
}

fn bundled(name: &str) -> Model {
    Model::decode(std::fs::read(format!("models/{name}/model.onnx")).unwrap()).unwrap()
}

/// A model with every operator whose output can be arbitrarily large, and with quantised weights: what the passes and
/// checks look at.
fn makers() -> Model {
    let ints = |name: &str, values: &[i64]| TensorProto::of_i64(name, &[values.len()], values);
    let mode = AttributeProto {
        name: Some("mode".into()),
        r#type: Some(3),
        s: Some(b"nearest".to_vec()),
        ..Default::default()
    };
    let mut resize = NodeProto::of("Resize", "resize", &["d", "", "", "sizes"], &["e"]);
    resize.attribute.push(mode);
    let window = |op: &str, inputs: &[&str], outputs: &[&str]| {
        NodeProto::of(op, op, inputs, outputs).with_ints("kernel_shape", &[2, 2]).with_ints("strides", &[2, 2])
    };
    let nodes = vec![
        NodeProto::of("DequantizeLinear", "dq", &["w8", "s", "z"], &["w"]),
        NodeProto::of("Conv", "conv", &["x", "w"], &["a"])
            .with_ints("kernel_shape", &[3, 3])
            .with_ints("dilations", &[2, 2])
            .with_ints("pads", &[2, 2, 2, 2]),
        NodeProto::of("BatchNormalization", "bn", &["a", "g", "g", "g", "v"], &["b"]),
        window("MaxPool", &["b"], &["p", "i"]),
        window("MaxUnpool", &["p", "i"], &["c"]),
        NodeProto::of("ConstantOfShape", "zeros", &["shape"], &["k"]),
        NodeProto::of("Add", "add", &["c", "k"], &["d"]),
        resize,
        NodeProto::of("Tile", "tile", &["e", "times"], &["f"]),
        NodeProto::of("Expand", "expand", &["f", "wide"], &["h"]),
        NodeProto::of("Pad", "pad", &["h", "borders"], &["j"]),
        NodeProto::of("Reshape", "reshape", &["j", "flat"], &["y"]),
    ];
    let weights = vec![
        TensorProto::of("w8", DataType::I8, &[3, 3, 3, 3], (0..81).collect()),
        TensorProto::of_f32("s", &[], &[0.01]),
        TensorProto::of("z", DataType::I8, &[], vec![3]),
        TensorProto::of_f32("g", &[3], &[0.5, 0.25, 1.0]),
        TensorProto::of_f32("v", &[3], &[1.0, 2.0, 3.0]),
        ints("shape", &[1, 3, 8, 8]),
        ints("sizes", &[1, 3, 4, 4]),
        ints("times", &[1, 1, 2, 2]),
        ints("wide", &[1, 3, 8, 8]),
        ints("borders", &[0, 0, 0, 0, 0, 0, 0, 0]),
        ints("flat", &[1, 3, 8, 8]),
    ];
    let shape = [Some(1), Some(3), Some(8), Some(8)];
    let graph = GraphProto {
        node: nodes,
        initializer: weights,
        input: vec![ValueInfoProto::of("x", DataType::F32, Some(&shape))],
        output: vec![ValueInfoProto::of("y", DataType::F32, Some(&shape))],
        name: Some("makers".into()),
        ..Default::default()
    };
    let opset = OperatorSetId { domain: None, version: Some(13) };
    let proto = ModelProto { ir_version: Some(7), opset_import: vec![opset], graph: Some(graph), ..Default::default() };
    Model { proto, exact: true }
}

/// There is only one test function, because the counters cover the whole process.
#[test]
fn damaged_models_are_errors_and_nothing_more() {
    let _limit = limit::within(300);
    // This graph is also the seed of the fuzz target.
    let seed = Path::new("fuzz/seeds/onnx/makers.onnx");
    if std::env::var_os("OCELLI_BLESS").is_some() {
        std::fs::create_dir_all(seed.parent().unwrap()).unwrap();
        std::fs::write(seed, makers().encode()).unwrap();
    }
    assert_eq!(std::fs::read(seed).unwrap(), makers().encode(), "{}: OCELLI_BLESS=1 rewrites it", seed.display());
    survives("makers", &card("{ size: [8, 8] }"), &makers(), 1600);
    survives("scene_x2", &card("{ size: [256, 144], color: gray }"), &bundled("scene_x2"), 300);
    survives("scene_tags", &card("{ size: [256, 144] }"), &bundled("scene_tags"), 200);
    survives("scene", &card("{ size: [320, 192] }"), &bundled("scene"), 60);
}
