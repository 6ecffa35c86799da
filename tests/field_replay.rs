//! Three public models on three public clips (`OCELLI_FIELD`): a rerun gives the golden rows, and `ocelli test` and
//! `ocelli diff` show the effect of a changed threshold.
#![cfg(feature = "h264")]
#![allow(clippy::unwrap_used)]

#[path = "support/limit.rs"]
mod limit;
mod support;

use ocelli::internals::media::png;
use ocelli::internals::types::Image;
use std::path::Path;
use std::process::{Command, Output};
use support::cards::models;
use support::folder;

const CLIPS: [&str; 3] = ["person_mjpeg.avi", "bottle-detection.mp4", "carnd_test_video.mp4"];
const MODELS: [&str; 3] = ["yolox_nano", "ssd_mobilenet_v1", "nanodet"];

fn ocelli(root: &Path, args: &[&str]) -> (Output, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_ocelli"))
        .args(args)
        .current_dir(root)
        .env("OCELLI_MODELS", root.join("models"))
        .output()
        .unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output, said)
}

#[test]
fn goldens_hold_and_a_change_of_nms_is_shown() {
    let _limit = limit::within(600);
    let Some(field) = folder("OCELLI_FIELD") else { return };
    let (field, cards) = (field.canonicalize().unwrap(), models(&field));
    let root = tempfile::tempdir().unwrap();
    let home = root.path();
    std::os::unix::fs::symlink(cards.path(), home.join("models")).unwrap();
    let mut tests = Vec::new();
    for model in MODELS {
        let yaml = format!(
            "pipeline:\n- {{ id: cam, rtsp: {{ url: 'rtsp://camera/' }} }}\n- resize: {{ for: {model} }}\n- detect: {{ model: {model}, min_score: 0.3 }}\n- nms: {{ iou: 0.5 }}\n- jsonl\n"
        );
        std::fs::write(home.join(format!("{model}.yaml")), yaml).unwrap();
        for clip in CLIPS {
            let name = format!("{model}-{}", clip.split('.').next().unwrap());
            let from = field.join("video").join(clip);
            let test = format!(
                "pipeline: {model}.yaml\nfrom: {}\nframes: 38\nexpect: {{ golden: {name}.jsonl, rows: 38 }}\n",
                from.display()
            );
            std::fs::write(home.join(format!("{name}.test.yaml")), &test).unwrap();
            tests.push((name, test));
        }
    }
    let files: Vec<String> = tests.iter().map(|(name, _)| format!("{name}.test.yaml")).collect();
    let mut args: Vec<&str> = files.iter().map(String::as_str).collect();
    args.insert(0, "test");
    // Before the tests are blessed, there are no golden rows.
    let (output, said) = ocelli(home, &args[..2]);
    assert!(output.status.code() == Some(1) && said.contains("`--bless` writes it"), "{said}");
    let (output, said) = ocelli(home, &[&args[..], &["--bless"]].concat());
    assert!(output.status.success() && said.matches(": blessed").count() == 9, "{said}");
    let (output, said) = ocelli(home, &args);
    assert!(output.status.success() && said.contains("9 passed, 0 failed"), "{said}");
    eprintln!("{said}");
    // A deliberate change: overlapping boxes are no longer removed.
    let (name, test) = &tests[2];
    std::fs::rename(home.join(format!("{name}.jsonl")), home.join("golden.jsonl")).unwrap();
    let changed = test.replace(&format!("golden: {name}.jsonl"), "golden: golden.jsonl") + "set: [nms.iou=0.95]\n";
    std::fs::write(home.join("changed.test.yaml"), changed).unwrap();
    let (output, said) = ocelli(home, &["test", "changed.test.yaml", "--junit", "junit.xml"]);
    eprintln!("{said}");
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("FAIL  changed") && said.contains("first difference in frame") && said.contains("of `nms`"),
        "{said}"
    );
    assert!(std::fs::read_to_string(home.join("junit.xml")).unwrap().contains("failures=\"1\""));
    let mut picture = Image::default();
    png::decode(&std::fs::read(home.join("out/tests/changed.png")).unwrap(), &mut picture).unwrap();
    assert!(picture.size.width >= 2 * 1280 && picture.size.height > 720, "{}", picture.size);
    let (output, said) = ocelli(
        home,
        &[
            "diff",
            "golden.jsonl",
            "out/tests/changed.jsonl",
            "--html",
            "diff.html",
            "--from",
            &field.join("video").join(CLIPS[2]).display().to_string(),
        ],
    );
    assert!(output.status.code() == Some(1) && said.contains("appeared"), "{said}");
    let page = std::fs::read_to_string(home.join("diff.html")).unwrap();
    assert!(page.matches("data:image/jpeg").count() >= 5, "the page has too few pictures");
    if let Some(keep) = std::env::var_os("OCELLI_KEEP") {
        std::fs::copy(home.join("out/tests/changed.png"), keep).unwrap();
    }
}
