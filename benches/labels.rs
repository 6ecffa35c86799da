//! How long labels take to load: COCO's JSON of 200 MB, written here, beside the same text read without keeping anything.
//!
//! `cargo bench --bench labels`

use ocelli::internals::labels::{Labels, Truth};
use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Instant;

/// Writes a file as large as COCO's own training labels: 120,000 pictures, objects with polygons.
fn write(path: &std::path::Path, bytes: usize) -> usize {
    let mut file = std::io::BufWriter::new(std::fs::File::create(path).expect("a file"));
    let pictures = 120_000;
    let mut text = String::from("{\"info\": {}, \"images\": [");
    for at in 0..pictures {
        let comma = if at > 0 { ", " } else { "" };
        let _ =
            write!(text, "{comma}{{\"id\": {at}, \"file_name\": \"{at:012}.jpg\", \"width\": 640, \"height\": 480}}");
    }
    text.push_str("], \"annotations\": [");
    let (mut written, mut objects) = (0, 0usize);
    while written + text.len() < bytes {
        let (x, y) = (objects % 500, objects % 380);
        let comma = if objects > 0 { ", " } else { "" };
        let _ = write!(
            text,
            "{comma}{{\"id\": {objects}, \"image_id\": {}, \"category_id\": {}, \"bbox\": [{x}.25, {y}.5, {}.75, {}.0], \"area\": {}.5, \"iscrowd\": 0, \"segmentation\": [[",
            objects % pictures,
            objects % 80 + 1,
            20 + objects % 90,
            20 + objects % 70,
            400 + objects % 999
        );
        (0..12).for_each(|point| {
            _ = write!(text, "{}{}.15, {}.3", if point > 0 { ", " } else { "" }, x + point, y + point);
        });
        text.push_str("]]}");
        objects += 1;
        if text.len() > 1 << 20 {
            file.write_all(text.as_bytes()).expect("written");
            written += text.len();
            text.clear();
        }
    }
    text.push_str("], \"categories\": [");
    (1..=80).for_each(|id| {
        _ = write!(text, "{}{{\"id\": {id}, \"name\": \"class {id}\"}}", if id > 1 { ", " } else { "" });
    });
    text.push_str("]}");
    file.write_all(text.as_bytes()).and_then(|()| file.flush()).expect("written");
    objects
}

fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("instances.json");
    let objects = write(&path, 200_000_000);
    let size = std::fs::metadata(&path).map_or(0, |m| m.len());
    println!("{:.0} MB, {objects} objects", size as f64 / 1e6);
    for _ in 0..3 {
        let begin = Instant::now();
        let labels = Labels::read(&Truth::at(&path)).expect("labels");
        let ours = begin.elapsed().as_secs_f64();
        assert_eq!(labels.pictures.iter().map(|picture| picture.boxes.len()).sum::<usize>(), objects);
        let begin = Instant::now();
        let bytes = std::fs::read(&path).expect("bytes");
        let _: serde::de::IgnoredAny = serde_json::from_slice(&bytes).expect("JSON");
        let skipped = begin.elapsed().as_secs_f64();
        println!(
            "labels {ours:.2} s, {:.2} of the time of reading the JSON and keeping nothing ({skipped:.2} s)",
            ours / skipped
        );
    }
}
