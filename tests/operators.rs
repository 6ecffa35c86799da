//! Graphs of one operator each, as image models use them, against ONNX's own reference evaluator (and ONNX Runtime where it has
//! none of its own; where the two disagree, either will do). `scripts/operator-sweep.py` wrote `tests/golden/operators.json`.
#![allow(clippy::unwrap_used)]

#[path = "support/limit.rs"]
mod limit;

use ocelli::internals::infer::{ProbeInput, probe_with};
use ocelli::internals::kernels::Isa;
use ocelli::internals::onnx::{DataType, Model};
use ocelli::internals::types::{Image, PixelFormat, Size};
use serde_json::Value;

/// What is refused, and why that is all right.
const REFUSED: &[&str] = &[
    // tract has no scales that depend on the picture, no such operator, or another way of computing it.
    "DynamicQuantizeLinear (17)",
    "GridSample bicubic border 0 (16)",
    "GridSample bicubic border 1 (16)",
    "LpPool (17)",
    "Pad wrap (19)",
    "RoiAlign avg (16)",
    "RoiAlign max (16)",
];

/// Sums are in another order, and inputs may differ in the last bit.
fn is_near(found: f32, right: f64, tolerance: f64) -> bool {
    (f64::from(found) - right).abs() <= tolerance + 1e-3 * right.abs()
}

fn picture() -> Image {
    let mut image = Image::new(Size::new(8, 6), PixelFormat::Rgb8);
    for (at, pixel) in image.data.as_chunks_mut::<3>().0.iter_mut().enumerate() {
        let base = 37 * (at % 8) + 59 * (at / 8);
        *pixel = [0, 1, 2].map(|channel| ((base + 83 * channel) % 256) as u8);
    }
    image
}

/// Runs all graphs, on tract alone or with our kernels where they know the operator; returns how many of those there were.
fn all_are_right(isa: Option<Isa>) -> usize {
    let cases: Value = serde_json::from_str(include_str!("golden/operators.json")).unwrap();
    let picture = picture();
    let input = ProbeInput { name: "x".into(), shape: vec![1, 3, 6, 8], nhwc: false, kind: DataType::F32 };
    let (mut right, mut wrong, mut refused, mut compiled) = (0, Vec::new(), Vec::new(), 0);
    for (name, case) in cases.as_object().unwrap() {
        let hex = case["model"].as_str().unwrap().as_bytes();
        let bytes: Vec<u8> =
            hex.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect();
        let answer = Model::decode(bytes).and_then(|model| probe_with(&model, &input, &picture, &[], isa));
        let (shape, values) = match answer {
            Err(error) => {
                refused.push((name.as_str(), error.to_string()));
                continue;
            }
            Ok((mut outputs, failed, blocks)) => match outputs.remove(0).held {
                Some(held) => {
                    compiled += blocks.min(1);
                    held
                }
                None => {
                    refused.push((name.as_str(), failed.unwrap_or_default()));
                    continue;
                }
            },
        };
        // Rounding to 8 bits is left out: half a step.
        let tolerance = if name.contains("QuantizeLinear") { 0.011 } else { 1e-4 };
        let fits = |answer: &Value| {
            let all = answer["values"].as_array().unwrap();
            serde_json::json!(shape) == answer["shape"]
                && all.iter().zip(&values).all(|(right, found)| is_near(*found, right.as_f64().unwrap(), tolerance))
        };
        if fits(case) || case.get("other").is_some_and(fits) {
            right += 1;
        } else {
            let found: Vec<f32> = values.iter().take(4).copied().collect();
            wrong.push(format!(
                "{name}: {shape:?} {found:?}, not {} {:?}",
                case["shape"],
                &case["values"].as_array().unwrap()[..4.min(values.len())]
            ));
        }
    }
    for (name, why) in &refused {
        println!("refused: {name}: {}", why.lines().next().unwrap_or_default());
    }
    assert!(wrong.is_empty(), "{right} right, {} refused, wrong:\n{}", refused.len(), wrong.join("\n"));
    let refused: Vec<&str> = refused.into_iter().map(|(name, _)| name).collect();
    assert_eq!(refused, REFUSED);
    assert!(right >= 280, "{right}");
    compiled
}

#[test]
fn operators_compute_what_onnx_defines() {
    let _limit = limit::within(300);
    assert_eq!(all_are_right(None), 0);
}

#[test]
fn so_do_our_kernels() {
    let _limit = limit::within(300);
    for isa in Isa::here() {
        let compiled = all_are_right(Some(isa));
        assert!(compiled >= 100, "{compiled} with {}", isa.name());
        println!("{compiled} operators with {}", isa.name());
    }
}
