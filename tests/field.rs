//! Real models on real pictures and clips against golden answers (`OCELLI_FIELD`).
//!
//! Golden answers are ONNX Runtime's on Pillow-resized pictures; the tolerances are the golden files' own:
//! same classes, IoU >= 0.9 and |score| <= 0.02 for float models, 0.8 and 0.06 for quantised ones; items
//! within that margin of the threshold may appear or vanish.
#![allow(clippy::unwrap_used)]

mod support;

use ocelli::ops::iou::iou;
use ocelli::types::BBox;
use serde_json::Value;
use std::path::{Path, PathBuf};
use support::{folder, pipe};

/// A models folder with the cards of `tests/cards` and links to the weights of the field.
fn models(field: &Path) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let field = field.canonicalize().unwrap();
    for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cards")).unwrap() {
        let card = entry.unwrap().path();
        let home = root.path().join(card.file_stem().unwrap());
        std::fs::create_dir(&home).unwrap();
        let text = std::fs::read_to_string(&card).unwrap();
        std::fs::write(home.join("card.yaml"), &text).unwrap();
        for line in text.lines() {
            if let Some(name) = line.trim().strip_prefix("file: ").or_else(|| line.strip_prefix("labels: ")) {
                std::os::unix::fs::symlink(field.join("models").join(name), home.join(name)).unwrap();
            }
        }
    }
    root
}

#[derive(Debug)]
struct Found {
    class: i64,
    score: f64,
    bbox: BBox,
}

fn found(list: &Value, class: &str) -> Vec<Found> {
    let read = |v: &Value| {
        let b: Vec<f32> = v["box"].as_array().unwrap().iter().map(|x| x.as_f64().unwrap() as f32).collect();
        Found {
            class: v[class].as_i64().unwrap(),
            score: v["score"].as_f64().unwrap(),
            bbox: BBox::new(b[0], b[1], b[2], b[3]),
        }
    };
    list.as_array().unwrap().iter().map(read).collect()
}

/// Runs a model over the golden pictures and compares; returns how many golden boxes were matched.
fn compare(model: &str, golden: &str, least: f64, nms: f64, min_iou: f32, score: f64) {
    let Some(field) = folder("OCELLI_FIELD") else { return };
    let root = models(&field);
    let golden: Value =
        serde_json::from_str(&std::fs::read_to_string(field.join("golden").join(golden)).unwrap()).unwrap();
    let out = root.path().join("found.jsonl");
    // A little below the threshold, so that an answer that slipped under it is still seen.
    let text = format!(
        "pipeline:\n- images: {{ path: '{}' }}\n- resize: {{ for: {model} }}\n- detect: {{ model: {model}, min_score: {} }}\n- nms: {{ iou: {nms} }}\n- jsonl: {{ path: '{}' }}\n",
        field.join("images").display(),
        least - score,
        out.display()
    );
    let outcome = pipe::play(&text, &pipe::env(&[root.path().to_path_buf()]));
    outcome.result.unwrap();
    let lines: Vec<Value> =
        std::fs::read_to_string(&out).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let (mut matched, mut pictures, mut worst_iou, mut worst_score) = (0, 0, 1.0_f32, 0.0_f64);
    for (name, expect) in golden["images"].as_object().unwrap() {
        let ours =
            lines.iter().find(|line| line["name"] == name.as_str()).unwrap_or_else(|| panic!("{name} was not read"));
        let mut ours = found(&ours["detections"], "class");
        pictures += 1;
        let golden = found(&expect["detections"], "class_id");
        for (index, real) in golden.iter().enumerate() {
            let best = (0..ours.len())
                .filter(|&i| ours[i].class == real.class)
                .max_by(|&a, &b| iou(&ours[a].bbox, &real.bbox).total_cmp(&iou(&ours[b].bbox, &real.bbox)));
            let hit = best
                .filter(|&i| iou(&ours[i].bbox, &real.bbox) >= min_iou && (ours[i].score - real.score).abs() <= score);
            match hit {
                Some(at) => {
                    worst_iou = worst_iou.min(iou(&ours[at].bbox, &real.bbox));
                    worst_score = worst_score.max((ours[at].score - real.score).abs());
                    ours.remove(at);
                    matched += 1;
                }
                None => {
                    // A box that NMS nearly took away there may be taken away here.
                    let nearly = golden[..index]
                        .iter()
                        .any(|b| b.class == real.class && f64::from(iou(&b.bbox, &real.bbox)) > nms - 0.05);
                    assert!(nearly || real.score < least + score, "{model}: {name}: {real:?} has no match in {ours:?}");
                }
            }
        }
        for extra in &ours {
            assert!(extra.score < least + score, "{model}: {name}: {extra:?} is not in the golden answers");
        }
    }
    eprintln!(
        "{model}: {pictures} pictures, {matched} golden boxes matched, least IoU {worst_iou:.3}, largest score difference {worst_score:.4}"
    );
    assert!(pictures >= 9 && matched >= 15, "{model}: too little to compare");
}

#[test]
fn ssd_mobilenet_v1_uint8_finds_what_onnx_runtime_finds() {
    compare("ssd_mobilenet_v1", "ssd_mobilenet_v1_coco_quant.json", 0.5, 0.6, 0.8, 0.06);
}

#[test]
fn yolox_nano_finds_what_onnx_runtime_finds() {
    compare("yolox_nano", "yolox_nano.json", 0.3, 0.45, 0.9, 0.02);
}

/// By eye: nobody is in frames 0 to 59; in frame 61 a head enters from below, in frame 64 it is a person seen
/// from behind to the waist; in frame 195 half the person has left on the right, in frame 205 nobody is there.
#[test]
fn people_are_found_from_the_frame_they_walk_in() {
    let Some(field) = folder("OCELLI_FIELD") else { return };
    let root = models(&field);
    for model in ["ssd_mobilenet_v1", "yolox_nano"] {
        let out: PathBuf = root.path().join(format!("{model}.jsonl"));
        let text = format!(
            "pipeline:\n- video: {{ path: '{}', frames: 210 }}\n- resize: {{ for: {model} }}\n- detect: {{ model: {model}, min_score: 0.4, classes: [person] }}\n- nms\n- jsonl: {{ path: '{}' }}\n",
            field.join("video/one-by-one-person-detection.mp4").display(),
            out.display()
        );
        pipe::play(&text, &pipe::env(&[root.path().to_path_buf()])).result.unwrap();
        let people: Vec<usize> = std::fs::read_to_string(&out)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap()["detections"].as_array().unwrap().len())
            .collect();
        let first = people.iter().position(|count| *count > 0).unwrap();
        let seen = people[64..185].iter().filter(|count| **count > 0).count();
        eprintln!("{model}: first person in frame {first}, then in {seen} of 121 frames");
        assert!((60..=62).contains(&first), "{model}: first person in frame {first}");
        assert!(seen >= 119, "{model}: a person in {seen} of 121 frames");
    }
}
