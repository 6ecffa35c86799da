//! Compiled blocks against tract itself on random nets, and against ONNX Runtime on 8-bit nets, with each kind of kernels
//! and any number of threads. Real nets are in `field.rs`.
//!
//! `OCELLI_NETS=5000` tries so many random nets instead of 120; `OCELLI_NET=17` tries only the one of that seed.
#![allow(clippy::unwrap_used)]

#[path = "support/limit.rs"]
mod limit;
mod support;

use ocelli::internals::infer::{Card, Extra, Plan, Session};
use ocelli::internals::kernels::{Isa, Kernels};
use ocelli::internals::onnx::pb::{AttributeProto, GraphProto, ModelProto, OperatorSetId, ValueInfoProto};
use ocelli::internals::onnx::{DataType, Model, NodeProto, TensorProto};
use ocelli::internals::types::{Image, PixelFormat, Size};
use sha2::{Digest, Sha256};
use std::path::Path;
use std::sync::Arc;

/// Sums are in another order, and Winograd's filtering loses about 10 times as much as a direct sum (measured: 1e-5 of the
/// largest value; src/kernels/winograd.rs).
const TOLERANCE: f32 = 1e-4;

/// A small generator (Marsaglia, Xorshift RNGs, 2003).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number below `n`.
    fn below(&mut self, n: usize) -> usize {
        (self.next() >> 11) as usize % n
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    fn weights(&mut self, count: usize, spread: f32) -> Vec<f32> {
        (0..count).map(|_| ((self.next() >> 40) as f32 / (1 << 23) as f32 - 1.0) * spread).collect()
    }
}

/// An attribute of a word.
fn text(name: &str, value: &str) -> AttributeProto {
    AttributeProto {
        name: Some(name.into()),
        r#type: Some(3),
        s: Some(value.as_bytes().to_vec()),
        ..Default::default()
    }
}

/// A net that grows node by node, from maps that are there already.
struct Net {
    dice: Dice,
    nodes: Vec<NodeProto>,
    weights: Vec<TensorProto>,
    /// Names and `[channels, height, width]` of the maps so far.
    maps: Vec<(String, [usize; 3])>,
}

impl Net {
    fn weight(&mut self, sides: &[usize], spread: f32) -> String {
        let name = format!("w{}", self.weights.len());
        let values = self.dice.weights(sides.iter().product(), spread);
        self.weights.push(TensorProto::of_f32(&name, sides, &values));
        name
    }

    fn ints(&mut self, values: &[i64]) -> String {
        let name = format!("i{}", self.weights.len());
        self.weights.push(TensorProto::of_i64(&name, &[values.len()], values));
        name
    }

    fn node(&mut self, op: &str, inputs: &[&str]) -> (usize, String) {
        let name = format!("v{}", self.nodes.len());
        self.nodes.push(NodeProto::of(op, &name, inputs, &[&name]));
        (self.nodes.len() - 1, name)
    }

    fn set(&mut self, at: usize, change: impl FnOnce(NodeProto) -> NodeProto) {
        let node = self.nodes[at].clone();
        self.nodes[at] = change(node);
    }

    /// A convolution: pointwise, square or not, strided, dilated, in groups, depthwise.
    fn conv(&mut self, from: &str, [c, h, w]: [usize; 3]) -> (String, [usize; 3]) {
        let kernel = [self.dice.pick(&[1, 1, 3, 3, 5, 2]), self.dice.pick(&[1, 3, 3, 5])];
        let square = self.dice.below(4) > 0;
        let kernel = if square { [kernel[0]; 2] } else { kernel };
        let stride = self.dice.pick(&[1, 1, 1, 2, 3]);
        let dilation = self.dice.pick(&[1, 1, 1, 2]);
        let pads: Vec<usize> = (0..4).map(|at| self.dice.below(kernel[at % 2] * dilation)).collect();
        let reach = kernel.map(|k| (k - 1) * dilation + 1);
        if h + pads[0] + pads[2] < reach[0] || w + pads[1] + pads[3] < reach[1] {
            return self.act(from, [c, h, w]);
        }
        let (groups, outputs) = match self.dice.below(4) {
            0 => (c, c),
            1 if c % 2 == 0 => (2, 2 * (1 + self.dice.below(12))),
            _ => (1, 1 + self.dice.below(40)),
        };
        let inputs = c / groups;
        let spread = 1.5 / ((inputs * kernel[0] * kernel[1]) as f32).sqrt();
        let weights = self.weight(&[outputs, inputs, kernel[0], kernel[1]], spread);
        let bias = self.weight(&[outputs], 0.3);
        let (at, name) = self.node("Conv", &[from, &weights, &bias]);
        let long = |values: &[usize]| values.iter().map(|v| *v as i64).collect::<Vec<i64>>();
        self.set(at, |node| {
            node.with_ints("kernel_shape", &long(&kernel))
                .with_ints("strides", &long(&[stride; 2]))
                .with_ints("dilations", &long(&[dilation; 2]))
                .with_ints("pads", &long(&pads))
                .with_int("group", groups as i64)
        });
        let side = |axis: usize, from: usize| (from + pads[axis] + pads[axis + 2] - reach[axis]) / stride + 1;
        (name, [outputs, side(0, h), side(1, w)])
    }

    /// An activation, as one node or several.
    fn act(&mut self, from: &str, sides: [usize; 3]) -> (String, [usize; 3]) {
        let name = match self.dice.below(7) {
            0 => self.node("Relu", &[from]).1,
            1 => {
                let gate = self.node("Sigmoid", &[from]).1;
                self.node("Mul", &[from, &gate]).1
            }
            2 => self.node("HardSwish", &[from]).1,
            3 => self.node("LeakyRelu", &[from]).1,
            4 => self.node("Sigmoid", &[from]).1,
            5 => {
                let slopes = self.weight(&[sides[0], 1, 1], 0.5);
                self.node("PRelu", &[from, &slopes]).1
            }
            _ => self.node("Tanh", &[from]).1,
        };
        (name, sides)
    }

    /// Another node on one of the maps, preferably the last.
    fn grow(&mut self) {
        let last = self.maps.len() - 1;
        let at = if self.dice.below(3) > 0 { last } else { self.dice.below(last + 1) };
        let (from, sides) = self.maps[at].clone();
        let [c, h, w] = sides;
        let alike: Vec<String> = self
            .maps
            .iter()
            .filter(|(name, other)| *other == sides && *name != from)
            .map(|(name, _)| name.clone())
            .collect();
        let (name, sides) = match self.dice.below(14) {
            0..=4 => self.conv(&from, sides),
            6 | 7 if !alike.is_empty() => {
                let other = alike[self.dice.below(alike.len())].clone();
                let op = self.dice.pick(&["Add", "Add", "Mul", "Sub", "Max"]);
                (self.node(op, &[&from, &other]).1, sides)
            }
            8 if !alike.is_empty() => {
                let other = alike[self.dice.below(alike.len())].clone();
                let (at, name) = self.node("Concat", &[&from, &other]);
                self.set(at, |node| node.with_int("axis", 1));
                (name, [2 * c, h, w])
            }
            9 if h > 2 && w > 2 => {
                let (at, name) = if self.dice.below(2) == 0 {
                    self.node("MaxPool", &[&from])
                } else {
                    self.node("AveragePool", &[&from])
                };
                self.set(at, |node| {
                    node.with_ints("kernel_shape", &[3, 3]).with_ints("strides", &[2, 2]).with_ints("pads", &[1; 4])
                });
                (name, [c, (h - 1) / 2 + 1, (w - 1) / 2 + 1])
            }
            10 if h * w < 400 => {
                let scales = format!("s{}", self.weights.len());
                self.weights.push(TensorProto::of_f32(&scales, &[4], &[1.0, 1.0, 2.0, 2.0]));
                let (at, name) = self.node("Resize", &[&from, "", &scales]);
                let linear = self.dice.below(2) == 0;
                self.set(at, |mut node| {
                    node.attribute.push(text("mode", if linear { "linear" } else { "nearest" }));
                    node.attribute
                        .push(text("coordinate_transformation_mode", if linear { "half_pixel" } else { "asymmetric" }));
                    node.attribute.push(text("nearest_mode", "floor"));
                    node
                });
                (name, [c, 2 * h, 2 * w])
            }
            11 => {
                // Squeeze and excite.
                let mean = self.node("GlobalAveragePool", &[&from]).1;
                let weights = self.weight(&[c, c, 1, 1], 1.0 / c as f32);
                let (conv, few) = self.node("Conv", &[&mean, &weights]);
                self.set(conv, |node| node.with_ints("kernel_shape", &[1, 1]));
                let gate = self.node("HardSigmoid", &[&few]).1;
                (self.node("Mul", &[&from, &gate]).1, sides)
            }
            12 if c % 2 == 0 => {
                // A shuffle of channels.
                let apart = self.ints(&[1, 2, (c / 2) as i64, h as i64, w as i64]);
                let together = self.ints(&[1, c as i64, h as i64, w as i64]);
                let pairs = self.node("Reshape", &[&from, &apart]).1;
                let (at, turned) = self.node("Transpose", &[&pairs]);
                self.set(at, |node| node.with_ints("perm", &[0, 2, 1, 3, 4]));
                (self.node("Reshape", &[&turned, &together]).1, sides)
            }
            13 if c >= 4 => {
                let (start, end) = (1 + self.dice.below(c / 2), c - self.dice.below(c / 4 + 1));
                let inputs = [self.ints(&[start as i64]), self.ints(&[end as i64]), self.ints(&[1])];
                (self.node("Slice", &[&from, &inputs[0], &inputs[1], &inputs[2]]).1, [end - start, h, w])
            }
            _ => self.act(&from, sides),
        };
        self.maps.push((name, sides));
    }

    /// A net of a few nodes with one to three outputs; some have an operator in the middle that we do not compile.
    fn random(seed: u64) -> (Model, Size) {
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        for _ in 0..4 {
            dice.next();
        }
        // Every eighth is large enough for strips.
        let side = if seed.is_multiple_of(8) { 150 } else { 6 };
        let size = Size::new((side + dice.below(26)) as u32, (side + dice.below(26)) as u32);
        let map = ("x".to_owned(), [3, size.height as usize, size.width as usize]);
        let mut net = Self { dice, nodes: Vec::new(), weights: Vec::new(), maps: vec![map] };
        let (first, sides) = net.conv("x", net.maps[0].1);
        net.maps.push((first, sides));
        for _ in 0..2 + net.dice.below(14) {
            net.grow();
            if net.dice.below(25) == 0 {
                let (from, sides) = net.maps[net.maps.len() - 1].clone();
                let name = net.node("Erf", &[&from]).1;
                net.maps.push((name, sides));
            }
        }
        let mut outputs = vec![net.maps[net.maps.len() - 1].clone()];
        for _ in 0..net.dice.below(3) {
            let more = net.maps[1 + net.dice.below(net.maps.len() - 1)].clone();
            if !outputs.contains(&more) {
                outputs.push(more);
            }
        }
        let info = |name: &str, [c, h, w]: [usize; 3]| {
            ValueInfoProto::of(name, DataType::F32, Some(&[Some(1), Some(c), Some(h), Some(w)]))
        };
        let graph = GraphProto {
            node: net.nodes,
            initializer: net.weights,
            input: vec![info("x", net.maps[0].1)],
            output: outputs.iter().map(|(name, sides)| info(name, *sides)).collect(),
            name: Some("net".into()),
            ..Default::default()
        };
        let opset = OperatorSetId { domain: None, version: Some(16) };
        let proto =
            ModelProto { ir_version: Some(8), opset_import: vec![opset], graph: Some(graph), ..Default::default() };
        (Model { proto, exact: true }, size)
    }
}

/// Writes a model's folder.
fn install(folder: &Path, model: &Model, size: Size) -> Card {
    install_bytes(folder, &model.encode(), size, "auto")
}

fn install_bytes(folder: &Path, bytes: &[u8], size: Size, precision: &str) -> Card {
    let hash: String = Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect();
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join("m.onnx"), bytes).unwrap();
    let card = format!(
        "model: {{ file: m.onnx, sha256: {hash}, license: MIT, source: a test, precision: {precision} }}\ninput: {{ size: [{}, {}], mean: [127, 127, 127], std: [127, 127, 127] }}\nfamily: {{ classifier: {{}} }}\nlabels: [a]\n",
        size.width, size.height
    );
    std::fs::write(folder.join("card.yaml"), card).unwrap();
    Card::read(folder).unwrap_or_else(|e| panic!("{e}"))
}

fn noise(size: Size) -> Image {
    let mut image = Image::new(size, PixelFormat::Rgb8);
    image.data.iter_mut().enumerate().for_each(|(at, byte)| *byte = (at * at * 31 % 253) as u8);
    image
}

/// All outputs of a run.
fn outputs(card: &Card, kernels: Kernels, threads: usize) -> Result<(Vec<Vec<f32>>, usize), String> {
    let plan = Plan::load_with(card, &Extra::default(), kernels).map_err(|e| e.to_string())?;
    let blocks = plan.compiled.blocks.len();
    let count = plan.outputs.len();
    let mut session = Session::of(card, Arc::new(plan), threads).map_err(|e| e.to_string())?;
    let image = noise(card.fields.input.size);
    // Twice: the second run finds the first one's values in its buffers.
    for _ in 0..2 {
        session.run(&Arc::from(""), &image).map_err(|e| e.to_string())?;
    }
    let read = |at: usize| {
        let mut values = Vec::new();
        session.output(at).and_then(|output| output.read(1.0, 0, &mut values)).unwrap();
        values
    };
    Ok(((0..count).map(read).collect(), blocks))
}

/// The largest difference, over the largest value.
fn difference(ours: &[Vec<f32>], theirs: &[Vec<f32>]) -> f32 {
    assert_eq!(ours.len(), theirs.len());
    let one = |(ours, theirs): (&Vec<f32>, &Vec<f32>)| {
        assert_eq!(ours.len(), theirs.len());
        let most = theirs.iter().fold(1e-3_f32, |most, v| most.max(v.abs()));
        let apart = ours.iter().zip(theirs).map(|(a, b)| (a - b).abs());
        apart.fold(0.0_f32, |most, v| if v.is_nan() { f32::INFINITY } else { most.max(v) }) / most
    };
    ours.iter().zip(theirs).map(one).fold(0.0, f32::max)
}

fn same_bytes(ours: &[Vec<f32>], theirs: &[Vec<f32>]) -> bool {
    let bits = |all: &[Vec<f32>]| all.iter().flatten().map(|v| v.to_bits()).collect::<Vec<u32>>();
    bits(ours) == bits(theirs)
}

/// What an environment variable says, if it is a number.
fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn random_nets_answer_as_tract_does() {
    let _limit = limit::within(number("OCELLI_NETS").unwrap_or(0).max(900));
    let (count, only) = (number("OCELLI_NETS").unwrap_or(120), number("OCELLI_NET"));
    let root = tempfile::tempdir().unwrap();
    let (mut worst, mut compiled, mut split) = (0.0_f32, 0, 0);
    for seed in only.map_or(1..=count, |seed| seed..=seed) {
        let (model, size) = Net::random(seed);
        let card = install(&root.path().join("net"), &model, size);
        let Ok((theirs, _)) = outputs(&card, Kernels::Off, 1) else { continue };
        let mut first: Option<Vec<Vec<f32>>> = None;
        // Plain Rust is slow on large maps.
        let large = size.width > 60;
        for isa in Isa::here().into_iter().filter(|isa| !large || *isa != Isa::Plain) {
            let (ours, blocks) = outputs(&card, Kernels::On(isa), 1).unwrap_or_else(|e| panic!("net {seed}: {e}"));
            (compiled, split) = (compiled + blocks.min(1), split + usize::from(blocks > 1));
            let found = difference(&ours, &theirs);
            if let Some(kept) = std::env::var_os("OCELLI_KEEP").filter(|_| found >= TOLERANCE || only.is_some()) {
                std::fs::write(kept, model.encode()).unwrap();
                println!(
                    "ours {:?}\ntheirs {:?}",
                    &ours[0][..8.min(ours[0].len())],
                    &theirs[0][..8.min(theirs[0].len())]
                );
            }
            assert!(found < TOLERANCE, "net {seed}, {}: {found}", isa.name());
            worst = worst.max(found);
            let first = first.get_or_insert_with(|| ours.clone());
            assert!(
                same_bytes(&ours, first),
                "net {seed}: {} gives other bytes than the first; {} apart",
                isa.name(),
                difference(&ours, first)
            );
        }
        let best = Kernels::named("auto").unwrap();
        for threads in [2, 3] {
            let (ours, _) = outputs(&card, best, threads).unwrap();
            assert!(same_bytes(&ours, first.as_ref().unwrap()), "net {seed}: {threads} threads give other bytes");
        }
    }
    println!("{compiled} plans with blocks, {split} with several; largest difference {worst:.1e}");
    assert!(only.is_some() || compiled as u64 >= count && split > 0);
}

/// The end of a segmentation net is computed a row at a time, unless somebody else looks at the resized map.
#[test]
fn classes_are_those_of_the_whole_map() {
    let _limit = limit::within(300);
    let root = tempfile::tempdir().unwrap();
    for (channels, rounded) in [(2, false), (5, false), (16, false), (21, false), (40, false), (5, true), (21, true)] {
        let net = |exposed: bool| {
            let mut net = Net { dice: Dice(channels as u64 + 7), nodes: Vec::new(), weights: Vec::new(), maps: vec![] };
            let weights = net.weight(&[channels, 3, 1, 1], 1.0);
            let (at, map) = net.node("Conv", &["x", &weights]);
            net.set(at, |node| node.with_ints("kernel_shape", &[1, 1]));
            net.weights.push(TensorProto::of_f32("scales", &[4], &[1.0, 1.0, 3.0, 2.5]));
            let (at, large) = net.node("Resize", &[&map, "", "scales"]);
            net.set(at, |mut node| {
                node.attribute.push(text("mode", "linear"));
                node.attribute.push(text("coordinate_transformation_mode", "half_pixel"));
                node
            });
            let mut last = large.clone();
            if rounded {
                net.weights.push(TensorProto::of_f32("scale", &[], &[0.1]));
                let levels = net.node("QuantizeLinear", &[&last, "scale"]).1;
                last = net.node("DequantizeLinear", &[&levels, "scale"]).1;
            }
            let (at, classes) = net.node("ArgMax", &[&last]);
            net.set(at, |node| node.with_int("axis", 1).with_int("keepdims", 0));
            let mut output = vec![ValueInfoProto::of(&classes, DataType::I64, Some(&[Some(1), Some(27), Some(17)]))];
            if exposed {
                output.push(ValueInfoProto::of(
                    &large,
                    DataType::F32,
                    Some(&[Some(1), Some(channels), Some(27), Some(17)]),
                ));
            }
            let input = vec![ValueInfoProto::of("x", DataType::F32, Some(&[Some(1), Some(3), Some(9), Some(7)]))];
            let (node, initializer) = (net.nodes, net.weights);
            let graph = GraphProto { node, initializer, input, output, name: Some("net".into()), ..Default::default() };
            let opset = OperatorSetId { domain: None, version: Some(16) };
            let proto =
                ModelProto { ir_version: Some(8), opset_import: vec![opset], graph: Some(graph), ..Default::default() };
            Model { proto, exact: true }.encode()
        };
        let size = Size::new(7, 9);
        let [whole, rows] = [true, false].map(|exposed| {
            let folder = root.path().join(if exposed { "whole" } else { "rows" });
            install_bytes(&folder, &net(exposed), size, if rounded { "int8" } else { "auto" })
        });
        let (right, _) = outputs(&whole, Kernels::On(Isa::Plain), 1).unwrap();
        assert!(right[0].iter().any(|class| *class != right[0][0]), "{channels}: all are one class");
        for isa in Isa::here() {
            for threads in [1, 2, 3] {
                let (ours, blocks) = outputs(&rows, Kernels::On(isa), threads).unwrap();
                assert_eq!(blocks, 1);
                assert!(same_bytes(&ours, &right[..1]), "{channels} classes, {}, {threads} threads", isa.name());
            }
        }
    }
}

/// `scripts/int8-nets.py` made the nets with ONNX Runtime's quantizer, and its answers on integers. `OCELLI_INT8_NETS` names a
/// file with others.
#[test]
fn integers_are_those_of_onnx_runtime() {
    let _limit = limit::within(if std::env::var("OCELLI_INT8_NETS").is_ok() { 3600 } else { 300 });
    let root = tempfile::tempdir().unwrap();
    let file = std::env::var("OCELLI_INT8_NETS").map(|path| std::fs::read_to_string(path).unwrap());
    let text = file.as_deref().unwrap_or(include_str!("golden/int8_nets.json"));
    let nets: serde_json::Value = serde_json::from_str(text).unwrap();
    let (mut exact, mut wrong) = (0, Vec::new());
    for net in nets.as_array().unwrap() {
        let name = net["name"].as_str().unwrap();
        let hex = net["model"].as_str().unwrap().as_bytes();
        let bytes: Vec<u8> =
            hex.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect();
        let side = |at: usize| net["size"][at].as_u64().unwrap() as u32;
        let card = install_bytes(&root.path().join("net"), &bytes, Size::new(side(0), side(1)), "int8");
        let right: Vec<f32> = net["answer"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect();
        let mut first: Option<Vec<Vec<f32>>> = None;
        for isa in Isa::here() {
            let (ours, blocks) = outputs(&card, Kernels::On(isa), 1).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert_eq!(blocks, 1, "{name}");
            let first = first.get_or_insert_with(|| ours.clone());
            assert!(same_bytes(&ours, first), "{name}: {} gives other bytes than plain Rust", isa.name());
            assert!(same_bytes(&outputs(&card, Kernels::On(isa), 2).unwrap().0, first), "{name}: two threads");
        }
        let ours = &first.unwrap()[0];
        assert_eq!(ours.len(), right.len(), "{name}");
        let most = right.iter().fold(0.0_f32, |most, v| most.max(v.abs()));
        let apart = ours.iter().zip(&right).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        let floats = net["floats"].as_bool().unwrap();
        // Sums of floats in another order differ by some bits; of a rounding, by far more.
        let bits = if floats { most * 1e-6 } else { 0.0 };
        let equal = ours.iter().zip(&right).filter(|(a, b)| (**a - **b).abs() <= bits).count();
        println!("{name}: {equal} of {} equal, {:.4} apart", right.len(), apart / most);
        // It computed some of these in floats: a half may be rounded another way, and a convolution spreads that.
        let good = if floats { apart <= most * 0.02 && equal * 10 >= right.len() * 9 } else { equal == right.len() };
        exact += usize::from(good && !floats);
        if !good {
            wrong.push(format!("{name}: {equal} of {} equal, {apart} of {most} apart, floats: {floats}", right.len()));
        }
    }
    println!("{exact} nets on integers");
    assert!(wrong.is_empty(), "{} nets:\n{}", wrong.len(), wrong.join("\n"));
    assert!(exact >= 25);
}
