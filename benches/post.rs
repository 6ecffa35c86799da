//! What happens after the model, compared with alternatives in one run: NMS with torchvision's, class maps with
//! computing every class at every pixel, decoding in logit space with a sigmoid of everything.
//!
//! `cargo bench --bench post`; NMS is compared if `python3` (or `OCELLI_PYTHON`) can import torchvision. The two of
//! each pair take turns; the ratio is that of the medians.
#![allow(clippy::unwrap_used, missing_docs)]

use ocelli::internals::infer::Arrays;
use ocelli::internals::models::Detector;
use ocelli::internals::models::yolo::{Yolo, YoloDetector, decode};
use ocelli::internals::ops::nms::{Nms, Scope};
use ocelli::internals::ops::upsample::{Axis, Scores, argmax, argmax_plain};
use ocelli::internals::types::{BBox, Detection, Placement, Size};
use std::hint::black_box;
use std::process::Command;
use std::time::Instant;

/// Numbers from 0 to 1, the same every time.
struct Dice(u32);

impl Dice {
    fn roll(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 >> 8) as f32 / (1 << 24) as f32
    }
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn time(work: &mut dyn FnMut()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64() * 1e6
}

/// Times two implementations that take turns.
fn pair(name: &str, rounds: usize, ours: &mut dyn FnMut(), other: &str, theirs: &mut dyn FnMut()) {
    let (mut a, mut b) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        a.push(time(ours));
        b.push(time(theirs));
    }
    let (a, b) = (median(a), median(b));
    println!("{name:44} {a:9.0} us   {:26} {b:9.0} us   {:6.2} times as fast", other, b / a);
}

fn boxes(count: usize) -> Vec<Detection> {
    let mut dice = Dice(1);
    (0..count)
        .map(|at| {
            let (x, y, w, h) =
                (dice.roll() * 600.0, dice.roll() * 400.0, 10.0 + dice.roll() * 90.0, 10.0 + dice.roll() * 90.0);
            Detection::new(BBox::new(x, y, x + w, y + h), (at % 8) as u16, dice.roll())
        })
        .collect()
}

/// Runs torchvision's `batched_nms` on one thread in Python, and prints its median time and what it keeps.
const TORCHVISION: &str = "
import sys, time, numpy as np, torch, torchvision
torch.set_num_threads(1)
a = torch.from_numpy(np.fromfile(sys.argv[1], np.float32).reshape(-1, 6).copy())
times = []
for _ in range(int(sys.argv[2])):
    start = time.perf_counter()
    keep = torchvision.ops.batched_nms(a[:, :4], a[:, 4], a[:, 5].long(), 0.5)
    times.append(time.perf_counter() - start)
print(sorted(times)[len(times) // 2] * 1e6, ' '.join(str(int(k)) for k in keep))
";

fn nms() {
    let python = std::env::var("OCELLI_PYTHON").unwrap_or_else(|_| "python3".into());
    let file = std::env::temp_dir().join("ocelli-bench-boxes.f32");
    for count in [300, 1000, 4000] {
        let found = boxes(count);
        let row = |d: &Detection| [d.bbox.x1, d.bbox.y1, d.bbox.x2, d.bbox.y2, d.score, f32::from(d.class)];
        let bytes: Vec<u8> = found.iter().flat_map(row).flat_map(f32::to_le_bytes).collect();
        std::fs::write(&file, bytes).unwrap();
        let mut nms = Nms::default();
        let rounds = 31;
        // Half of our rounds run before theirs and half after, so a machine that slows down slows both.
        let mut times: Vec<f64> = Vec::new();
        let mut ours = || {
            for _ in 0..rounds {
                times.push(time(&mut || _ = black_box(nms.greedy(&found, 0.5, Scope::Class, usize::MAX).len())));
            }
        };
        ours();
        let output = Command::new(&python).args(["-c", TORCHVISION]).arg(&file).arg(rounds.to_string()).output();
        ours();
        let us = median(times);
        let text = output.ok().filter(|o| o.status.success()).map(|o| String::from_utf8_lossy(&o.stdout).into_owned());
        let Some(text) = text else {
            println!("NMS, {count} boxes of 8 classes: {us:.0} us; no torchvision to compare with ({python})");
            continue;
        };
        let mut words = text.split_whitespace();
        let theirs: f64 = words.next().unwrap().parse().unwrap();
        let kept: Vec<u32> = words.map(|w| w.parse().unwrap()).collect();
        assert_eq!(nms.greedy(&found, 0.5, Scope::Class, usize::MAX), kept, "the same boxes must be kept");
        let name = format!("NMS, {count} boxes of 8 classes, {} kept", kept.len());
        println!(
            "{name:44} {us:9.0} us   {:26} {theirs:9.0} us   {:6.2} times as fast",
            "torchvision batched_nms",
            theirs / us
        );
    }
}

/// Class maps: 21 classes of 65x65 cells to 513x513 pixels, as in DeepLab.
fn segmentation() {
    let (classes, side, out) = (21, 65, 513);
    for (kind, coarse) in [("smooth scores", 8), ("noise", 1)] {
        let mut dice = Dice(3);
        let rough = side / coarse + 2;
        let corners: Vec<f32> = (0..classes * rough * rough).map(|_| dice.roll()).collect();
        let smooth = |class: usize, y: usize, x: usize| {
            let at = |y: usize, x: usize| corners[(class * rough + y) * rough + x];
            let (fy, fx) = ((y % coarse) as f32 / coarse as f32, (x % coarse) as f32 / coarse as f32);
            let (y, x) = (y / coarse, x / coarse);
            let top = at(y, x) * (1.0 - fx) + at(y, x + 1) * fx;
            top * (1.0 - fy) + (at(y + 1, x) * (1.0 - fx) + at(y + 1, x + 1) * fx) * fy
        };
        let scores: Vec<f32> =
            (0..classes * side * side).map(|at| smooth(at / (side * side), at / side % side, at % side)).collect();
        let scores = Scores::planes(&scores, classes, side, side);
        let axis = Axis::half_pixel(side, out);
        let (mut best, mut fast, mut plain) = (Vec::new(), Vec::new(), Vec::new());
        pair(
            &format!("class map 21x65x65 to 513x513, {kind}"),
            11,
            &mut || argmax(&scores, &axis, &axis, &mut best, &mut fast),
            "every class, every pixel",
            &mut || argmax_plain(&scores, &axis, &axis, &mut plain),
        );
        assert_eq!(fast, plain, "the same bytes");
    }
}

/// YOLO v8's heads at 640x640: 8,400 cells, 80 classes; about forty cells are above the threshold.
fn decoding() {
    let (classes, bins) = (80, 16);
    let mut dice = Dice(5);
    let maps = [80_usize, 40, 20].map(|side| {
        let channels = 4 * bins + classes;
        let values = (0..channels * side * side).map(|at| {
            let score = at / (side * side) >= 4 * bins;
            if score {
                -9.0 + 4.0 * dice.roll() + if dice.roll() > 0.99994 { 9.0 } else { 0.0 }
            } else {
                dice.roll() * 4.0
            }
        });
        (vec![1, channels, side, side], values.collect::<Vec<f32>>())
    });
    let spec = || -> Yolo { serde_json::from_str(r#"{"kind": "v8"}"#).unwrap() };
    let input = Size::new(640, 640);
    let placement = Placement { scale: (1.0, 1.0), offset: (0.0, 0.0), frame: input };
    let outputs = Arrays(maps.to_vec());
    let mut detector = YoloDetector::for_input(spec(), input, classes);
    let (mut found, mut dense) = (Vec::new(), Vec::new());
    pair(
        "YOLO v8 heads at 640x640",
        21,
        &mut || {
            found.clear();
            detector.decode(&outputs, &placement, 0.4, &mut found).unwrap();
        },
        "a sigmoid of everything",
        &mut || {
            dense.clear();
            everything(&maps, bins, classes, &placement, &mut dense);
        },
    );
    assert_eq!(found.len(), dense.len(), "the same answers");
    for (a, b) in found.iter().zip(&dense) {
        assert!(a.class == b.class && (a.score - b.score).abs() < 1e-5 && (a.bbox.x1 - b.bbox.x1).abs() < 1e-2);
    }
}

/// The plain approach: computes the probabilities and boxes of all cells, then applies the threshold.
fn everything(
    maps: &[(Vec<usize>, Vec<f32>)],
    bins: usize,
    classes: usize,
    placement: &Placement,
    found: &mut Vec<Detection>,
) {
    for (shape, map) in maps {
        // Reading the tensor is part of both approaches.
        let values = map.clone();
        let (side, plane) = (shape[3], shape[2] * shape[3]);
        let stride = 640.0 / side as f32;
        let probabilities: Vec<f32> = values[4 * bins * plane..].iter().map(|v| 1.0 / (1.0 + (-v).exp())).collect();
        let distances: Vec<f32> = (0..4 * plane)
            .map(|at| {
                let (edge, cell) = (at / plane, at % plane);
                let weights: Vec<f32> = (0..bins).map(|bin| values[(edge * bins + bin) * plane + cell].exp()).collect();
                let mean: f32 = weights.iter().enumerate().map(|(bin, w)| bin as f32 * w).sum();
                mean / weights.iter().sum::<f32>()
            })
            .collect();
        for cell in 0..plane {
            let score = |class: usize| probabilities[class * plane + cell];
            let best = (0..classes).max_by(|&a, &b| score(a).total_cmp(&score(b)).then(b.cmp(&a))).unwrap();
            if score(best) >= 0.4 {
                let place = decode::Cell { x: (cell % side) as f32, y: (cell / side) as f32, stride };
                let bbox = decode::v8([0, 1, 2, 3].map(|edge| distances[edge * plane + cell]), &place);
                found.push(Detection::new(placement.to_frame(bbox), best as u16, score(best)));
            }
        }
    }
}

fn main() {
    nms();
    segmentation();
    decoding();
}
