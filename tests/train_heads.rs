//! `ocelli train` with each kind of head on rendered pictures, and against real ones (`OCELLI_FIELD`).
#![cfg(feature = "train")]
#![allow(clippy::unwrap_used)]

#[path = "support/limit.rs"]
mod limit;

use std::path::{Path, PathBuf};
use std::process::Command;

fn says(home: &Path, args: &[&str], code: i32) -> String {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    let mut command = Command::new(env!("CARGO_BIN_EXE_ocelli"));
    command.args(args).arg("--models").arg(home.join("models")).arg("--models").arg(models).current_dir(home);
    let output = command.env("OCELLI_CACHE", home.join("cache")).output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
    said
}

/// The metric of the last row that has one, and of the best.
fn metrics(home: &Path, run: &str) -> (f64, f64) {
    let csv = std::fs::read_to_string(home.join("runs").join(run).join("results.csv")).unwrap();
    let values: Vec<f64> = csv.lines().skip(1).filter_map(|line| line.rsplit(',').nth(1)?.parse().ok()).collect();
    (*values.last().unwrap(), values.iter().copied().fold(0.0, f64::max))
}

fn render(home: &Path, export: &str, out: &str, seed: &str, frames: &str) {
    let args = [
        "scene", "--export", export, "--out", out, "--seed", seed, "--frames", frames, "--every", "3.7", "--format",
        "png", "--size", "512x288",
    ];
    says(home, &args, 0);
}

/// A detector of six things learns to call two of them by other names, and no longer sees the others.
#[test]
fn a_detector_gets_other_classes() {
    let _limit = limit::within(300);
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path();
    render(home, "coco", "train", "5", "24");
    render(home, "coco", "val", "6", "8");
    let labels =
        |set: &str| format!("{{ path: {set}/annotations.json, map: {{ person: somebody, car: vehicle, dog: ~ }} }}");
    let text = format!(
        "data: {{ train: {}, val: {} }}\nmodel: scene\nfreeze: backbone\naugment: {{ color: 0, crop: 0.8 }}\n\
         schedule: {{ epochs: 10, batch: 8, rate: 0.003 }}\nexport: {{ to: models/street }}\n",
        labels("train"),
        labels("val")
    );
    std::fs::write(home.join("street.yaml"), text).unwrap();
    let said = says(home, &["train", "street.yaml"], 0);
    assert!(said.contains("2 classes: somebody, vehicle") && said.contains("all but the backbone"), "{said}");
    let (_, best) = metrics(home, "street");
    assert!(best > 0.6, "{best}: {said}");
    let rows = says(home, &["run", "street-pipeline.yaml"], 0);
    assert!(rows.contains("\"label\":\"vehicle\"") && !rows.contains("\"label\":\"car\""), "{rows}");
}

/// Nets from scratch begin to learn: boxes and class maps. Five kinds of things are as many as the columns before them.
#[test]
fn nets_from_scratch_begin_to_learn() {
    let _limit = limit::within(300);
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path();
    render(home, "masks", "train", "5", "12");
    let boxes = "data: { train: { path: train/annotations.json, map: { book: ~ } }, classes: [person, car, dog, ball, cup] }\n\
                 model: { new: detector, size: [256, 160] }\n";
    let maps = "data: { train: train/masks, classes: [background, person, car, dog, ball, cup, book] }\n\
                model: { new: unet, size: [128, 64] }\n";
    for (name, text) in [("boxes", boxes), ("maps", maps)] {
        let rest = "augment: { cache: none }\nschedule: { epochs: 6, batch: 4, rate: 0.003, measure: 6 }\n";
        std::fs::write(home.join(format!("{name}.yaml")), format!("{text}{rest}export: {{ to: models/{name} }}\n"))
            .unwrap();
        says(home, &["train", &format!("{name}.yaml")], 0);
        let csv = std::fs::read_to_string(home.join("runs").join(name).join("results.csv")).unwrap();
        let head: Vec<&str> = csv.lines().next().unwrap().split(',').collect();
        let losses: Vec<f64> = csv
            .lines()
            .skip(1)
            .map(|line| {
                line.split(',')
                    .zip(&head)
                    .filter(|(_, name)| name.starts_with("train_"))
                    .map(|(v, _)| v.parse::<f64>().unwrap())
                    .sum()
            })
            .collect();
        assert!(losses[5] < 0.8 * losses[0], "{name}: {losses:?}");
    }
}

/// Class maps: two of seven classes, from scratch in the last layer.
#[test]
fn a_segmenter_gets_other_classes() {
    let _limit = limit::within(300);
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path();
    render(home, "masks", "train", "5", "24");
    render(home, "masks", "val", "6", "8");
    // The maps know no names: 0 is the background, and one more than the class elsewhere.
    let text = "data: { train: train/masks, val: val/masks, classes: [background, person, car, dog, ball, cup, book] }\n\
                model: scene_mask\nheads: { fresh: true }\nfreeze: all_but_head\naugment: { color: 0, crop: 0.8 }\n\
                schedule: { epochs: 12, batch: 4, rate: 0.02 }\nexport: { to: models/pixels }\n";
    std::fs::write(home.join("pixels.yaml"), text).unwrap();
    let said = says(home, &["train", "pixels.yaml"], 0);
    let (_, best) = metrics(home, "pixels");
    assert!(best > 0.5, "{best}: {said}");
    // A map of another size is no map of its picture.
    let map = std::fs::read_dir(home.join("val/masks")).unwrap().flatten().next().unwrap().path();
    let args = ["scene", "--export", "masks", "--out", "small", "--frames", "1", "--size", "256x144"];
    says(home, &args, 0);
    let small = std::fs::read_dir(home.join("small/masks")).unwrap().flatten().next().unwrap().path();
    std::fs::copy(small, map).unwrap();
    let said = says(home, &["train", "pixels.yaml"], 5);
    assert!(said.contains("the class map is 256x144"), "{said}");
}

/// The folder of the real data, and a home with the models that are asked for.
fn field(models: &[(&str, &[&str])]) -> Option<(PathBuf, tempfile::TempDir)> {
    let Some(field) = std::env::var_os("OCELLI_FIELD").map(|field| std::path::absolute(field).unwrap()) else {
        println!("skipped: set OCELLI_FIELD");
        return None;
    };
    let folder = tempfile::tempdir().unwrap();
    for (card, files) in models {
        let model = folder.path().join("models").join(card);
        std::fs::create_dir_all(&model).unwrap();
        std::fs::copy(format!("tests/cards/{card}.yaml"), model.join("card.yaml")).unwrap();
        for file in *files {
            std::fs::copy(field.join("models").join(file), model.join(file)).unwrap();
        }
    }
    Some((field, folder))
}

/// 96 pictures of raccoons, with the towers of a YOLOX-nano that knows COCO.
#[test]
fn raccoons_are_found() {
    let _limit = limit::within(900);
    let Some((field, folder)) = field(&[("yolox_nano", &["yolox_nano.onnx", "coco80.txt"])]) else { return };
    let home = folder.path();
    let data = field.join("datasets/raccoon/annotations").display().to_string();
    let text = format!(
        "data: {{ train: {data}/train, val: {data}/val }}\nmodel: yolox_nano\nfreeze: backbone\n\
         schedule: {{ epochs: 8, measure: 4 }}\nexport: {{ to: models/raccoon }}\n"
    );
    std::fs::write(home.join("raccoon.yaml"), text).unwrap();
    let said = says(home, &["train", "raccoon.yaml"], 0);
    let (_, best) = metrics(home, "raccoon");
    println!("AP50 {best}");
    // 28 raccoons: one is 0.036.
    assert!(best >= 0.77, "{best}: {said}");
}
