//! One step of training MobileNetV2 (224 x 224, batches of 8, one thread, normalised by the batch), beside PyTorch's; and one
//! of its last layer alone, on features that are kept.
//!
//! `OCELLI_PYTHON=/path/to/python cargo bench --bench train`, where that Python has torch; without it, only ours.

use ocelli::internals::train::engine::Net;
use ocelli::internals::train::loss::CrossEntropy;
use ocelli::internals::train::nets::{Wanted, find};
use ocelli::internals::train::optimizer::{Memory, Rule, step};
use ocelli::internals::types::Size;
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::time::Instant;

const BATCH: usize = 8;
const CLASSES: usize = 1000;
const ROUNDS: usize = 8;

/// A net and what its optimiser remembers.
struct Ours {
    net: Net,
    input: &'static str,
    values: Vec<f32>,
    memories: BTreeMap<String, Memory>,
}

impl Ours {
    fn step(&mut self) {
        self.net.forward(&[(self.input, &self.values)]).expect("forward");
        let logits = &self.net.value("logits").expect("logits").values;
        let targets: Vec<usize> = (0..BATCH).collect();
        let (_, gradient) = CrossEntropy::default().mean(logits, [BATCH, CLASSES, 1], &targets);
        for (name, gradient) in self.net.backward(&[("logits", &gradient)]).expect("backward") {
            let memory = self.memories.entry(name.clone()).or_default();
            if let Some(weight) = self.net.weight_mut(&name) {
                step(Rule::momentum(0.9), &mut weight.values, &gradient, memory, 1e-3, 0.0);
            }
        }
    }

    fn seconds(&mut self) -> f64 {
        let start = Instant::now();
        self.step();
        start.elapsed().as_secs_f64()
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The most memory that this process has had, in MB.
fn peak() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kb| kb.parse::<f64>().ok()).unwrap_or(f64::NAN) / 1024.0
}

fn main() {
    if rayon::ThreadPoolBuilder::new().num_threads(1).build_global().is_err() {
        eprintln!("the pool of threads is there already");
    }
    let plan = find("mobilenet_v2", Size::new(224, 224)).expect("the net");
    let mut model = plan.make(&Wanted { size: Size::new(224, 224), classes: CLASSES, seed: 1 }).model;
    for node in &mut model.graph_mut().node {
        if node.op() == "BatchNormalization" {
            *node = std::mem::take(node).with_int("training_mode", 1);
        }
    }
    let noise = |count: usize| (0..count).map(|at| (at * 7919 % 1000) as f32 / 500.0 - 1.0).collect::<Vec<f32>>();
    let kernel = |name: &str| name.ends_with("weight") || name.ends_with("bias");
    let last = |name: &str| name.starts_with("classes.");
    let net = Net::build(&model, &[("image", &[BATCH, 3, 224, 224])], &["logits"], &kernel).expect("a net");
    let mut whole = Ours { net, input: "image", values: noise(BATCH * 3 * 224 * 224), memories: BTreeMap::new() };
    let index = model.index();
    let linear = index.maker("logits").expect("the last layer");
    let flat: &'static str = model.graph().node[linear].input[0].clone().leak();
    let net = Net::build(&model, &[(flat, &[BATCH, 1280])], &["logits"], &last).expect("a net");
    let mut head = Ours { net, input: flat, values: noise(BATCH * 1280), memories: BTreeMap::new() };

    let mut torch = std::env::var_os("OCELLI_PYTHON").map(|python| {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/train/step.py");
        let mut child =
            Command::new(python).arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("Python");
        let (to, from) = (child.stdin.take().expect("a pipe"), child.stdout.take().expect("a pipe"));
        (child, to, BufReader::new(from))
    });
    let mut ask = || -> Option<(f64, f64)> {
        let (_, to, from) = torch.as_mut()?;
        writeln!(to, "step").ok()?;
        let mut line = String::new();
        from.read_line(&mut line).ok()?;
        let (seconds, memory) = line.trim().split_once(' ')?;
        Some((seconds.parse().ok()?, memory.parse().ok()?))
    };
    for _ in 0..2 {
        whole.step();
        ask();
    }
    let (mut ours, mut theirs, mut memory) = (Vec::new(), Vec::new(), 0.0);
    for _ in 0..ROUNDS {
        ours.push(whole.seconds());
        if let Some((seconds, megabytes)) = ask() {
            theirs.push(seconds);
            memory = megabytes;
        }
    }
    let (full, most) = (median(ours), peak());
    println!("ours: {full:.3} s a step, {most:.0} MB at most");
    if !theirs.is_empty() {
        let other = median(theirs);
        println!(
            "PyTorch: {other:.3} s a step, {memory:.0} MB at most; ours takes {:.2} of the time, {:.2} of the memory",
            full / other,
            most / memory
        );
    }
    let alone = median((0..200).map(|_| head.seconds()).collect());
    println!("the last layer on kept features: {:.2} ms a step, {:.0} times as cheap", alone * 1e3, full / alone);
}
