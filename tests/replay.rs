//! A recording played through a pipeline gives the same bytes every time, whatever the queues.
#![allow(clippy::unwrap_used)]

#[path = "support/limit.rs"]
mod limit;
mod support;

use std::path::Path;
use support::pipe;

fn quickstart(queue: &str, out: &Path) -> Vec<u8> {
    let text = format!(
        "pipeline:
- video: {{ path: examples/street.mp4, frames: 60 }}
- {{ resize: {{ for: scene }}{queue} }}
- {{ detect: {{ model: scene, min_score: 0.3 }}{queue} }}
- {{ nms: {{}}{queue} }}
- {{ jsonl: {{ path: '{}' }}{queue} }}
",
        out.display()
    );
    pipe::play(&text, &pipe::env(&[])).result.unwrap();
    std::fs::read(out).unwrap()
}

#[test]
fn two_runs_give_the_same_bytes_with_any_queues() {
    let _limit = limit::within(120);
    let folder = tempfile::tempdir().unwrap();
    let first = quickstart("", &folder.path().join("a.jsonl"));
    assert_eq!(first.iter().filter(|byte| **byte == b'\n').count(), 60);
    for capacity in [1, 3, 17, 256] {
        let queue = format!(", queue: {{ capacity: {capacity} }}");
        assert!(quickstart(&queue, &folder.path().join("b.jsonl")) == first, "capacity {capacity}: bytes differ");
    }
}

/// Two sources and two branches into one sink: packets come in order of media time, the same in every run.
#[test]
fn merged_streams_come_in_the_same_order_each_time() {
    let _limit = limit::within(120);
    let folder = tempfile::tempdir().unwrap();
    let run = |name: &str| {
        let out = folder.path().join(name);
        let text = format!(
            "pipeline:
- {{ id: a, scene: {{ frames: 40, size: [64, 48], fps: 10 }} }}
- {{ id: thin, resize: {{ size: [32, 32] }}, every: 9 }}
- {{ id: b, scene: {{ frames: 40, size: [320, 240], seed: 2, fps: 7 }} }}
- {{ from: [a, thin, b], jsonl: {{ path: '{}' }} }}
",
            out.display()
        );
        pipe::play(&text, &pipe::env(&[])).result.unwrap();
        std::fs::read_to_string(out).unwrap()
    };
    let first = run("1.jsonl");
    assert_eq!(first.lines().count(), 40 + 5 + 40);
    let times: Vec<f64> = first
        .lines()
        .map(|l| serde_json::from_str::<serde_json::Value>(l).unwrap()["pts_ms"].as_f64().unwrap())
        .collect();
    assert!(times.is_sorted(), "not in order of media time");
    for name in ["2.jsonl", "3.jsonl", "4.jsonl"] {
        assert!(run(name) == first, "the order differs");
    }
}

/// Two merges of the same two sources, crossed and sparse: waiting for one stream must not block the other.
#[test]
fn merges_do_not_stop_each_other() {
    let _limit = limit::within(120);
    let folder = tempfile::tempdir().unwrap();
    let out = |name: &str| folder.path().join(name).display().to_string();
    let text = format!(
        "pipeline:
- {{ id: s1, scene: {{ frames: 60, size: [32, 32] }} }}
- {{ id: s2, scene: {{ frames: 60, size: [32, 32], seed: 2 }} }}
- {{ id: a, from: s1, resize: {{ size: [16, 16] }}, every: 2s }}
- {{ id: b, from: s2, resize: {{ size: [16, 16] }}, every: 2s }}
- {{ id: m1, from: [a, s2], jsonl: {{ path: '{}' }} }}
- {{ id: m2, from: [s1, b], jsonl: {{ path: '{}' }} }}
",
        out("1"),
        out("2")
    );
    pipe::play(&text, &pipe::env(&[])).result.unwrap();
    for name in ["1", "2"] {
        assert_eq!(std::fs::read_to_string(out(name)).unwrap().lines().count(), 63);
    }
}

/// The truth of a scene keeps its own class names, whatever a model calls its classes.
#[test]
fn truth_keeps_its_names() {
    let _limit = limit::within(120);
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("t.jsonl");
    let text = format!(
        "pipeline:\n- scene: {{ frames: 3, fps: 0.2 }}\n- jsonl: {{ path: '{}', truth: true }}\n",
        out.display()
    );
    pipe::play(&text, &pipe::env(&[])).result.unwrap();
    let text = std::fs::read_to_string(&out).unwrap();
    assert!(text.contains("\"label\":\"car\"") && !text.contains("detections"), "{text}");
}

/// Folders in a pattern are created. `found` with `every` takes the first picture of each turn that has detections.
#[test]
fn snapshots_go_where_the_pattern_says() {
    let _limit = limit::within(120);
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "pipeline:\n- {{ id: cam, scene: {{ frames: 20, size: [64, 48] }} }}\n- {{ snapshot: {{ path: '{}/{{source}}/{{seq}}.jpg' }}, every: 1s }}\n",
        folder.path().display()
    );
    pipe::play(&text, &pipe::env(&[])).result.unwrap();
    assert!(folder.path().join("cam/000000.jpg").is_file() && folder.path().join("cam/000010.jpg").is_file());
}

/// The rendered scene is the same on every machine: its truth equals the golden files (`OCELLI_BLESS=1` rewrites them).
#[test]
fn the_scene_is_the_same_everywhere() {
    let _limit = limit::within(120);
    let folder = tempfile::tempdir().unwrap();
    for setting in ["street", "table"] {
        let out = folder.path().join("truth.jsonl");
        let text = format!(
            "pipeline:\n- scene: {{ setting: {setting}, seed: 5, frames: 20, fps: 1, size: [320, 180] }}\n- jsonl: {{ path: '{}', truth: true }}\n",
            out.display()
        );
        pipe::play(&text, &pipe::env(&[])).result.unwrap();
        let found = std::fs::read_to_string(&out).unwrap();
        let golden = format!("tests/golden/{setting}.jsonl");
        if std::env::var_os("OCELLI_BLESS").is_some() {
            std::fs::create_dir_all("tests/golden").unwrap();
            std::fs::write(&golden, &found).unwrap();
        }
        assert!(std::fs::read_to_string(&golden).unwrap_or_default() == found, "{golden} differs");
    }
}

/// The bundled model finds what is in the scene: most of it at IoU 0.5, and little else.
#[test]
fn the_bundled_model_finds_what_is_there() {
    let _limit = limit::within(120);
    use ocelli::internals::ops::iou::iou;
    use ocelli::internals::types::BBox;
    let folder = tempfile::tempdir().unwrap();
    for setting in ["street", "table"] {
        let out = folder.path().join("found.jsonl");
        // A seed that is neither in the training set (100-119) nor in the test set (900-903).
        let text = format!(
            "pipeline:\n- scene: {{ setting: {setting}, seed: 4242, frames: 40, fps: 0.4 }}\n- resize: {{ for: scene }}\n- detect: {{ model: scene, min_score: 0.5 }}\n- nms\n- jsonl: {{ path: '{}', truth: true }}\n",
            out.display()
        );
        pipe::play(&text, &pipe::env(&[])).result.unwrap();
        let read = |v: &serde_json::Value| -> Vec<(u64, BBox)> {
            let one = |d: &serde_json::Value| {
                let b: Vec<f32> = d["box"].as_array().unwrap().iter().map(|x| x.as_f64().unwrap() as f32).collect();
                (d["class"].as_u64().unwrap(), BBox::new(b[0], b[1], b[2], b[3]))
            };
            v.as_array().unwrap().iter().map(one).collect()
        };
        let (mut real, mut found, mut hits) = (0, 0, 0);
        for line in std::fs::read_to_string(&out).unwrap().lines() {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            let (truth, mut ours) = (read(&line["truth"]), read(&line["detections"]));
            real += truth.len();
            found += ours.len();
            for (class, bbox) in truth {
                if let Some(at) = ours.iter().position(|(c, b)| *c == class && iou(b, &bbox) >= 0.5) {
                    ours.remove(at);
                    hits += 1;
                }
            }
        }
        let (recall, precision) = (f64::from(hits) / real as f64, f64::from(hits) / found as f64);
        eprintln!("{setting}: {real} objects, recall {recall:.3}, precision {precision:.3}");
        assert!(recall > 0.8 && precision > 0.85, "{setting}: recall {recall:.3}, precision {precision:.3}");
    }
}
