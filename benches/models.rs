//! Models alone, in one run: one thread against two, and quantised files without and with their roundings.
//!
//! `cargo bench --bench models`; with `OCELLI_FIELD`, also on public models. The two of each pair take turns; the ratio
//! is that of the medians.
#![allow(clippy::unwrap_used, missing_docs)]

use ocelli::internals::infer::{Card, Extra, Plan, Session};
use ocelli::internals::types::{Image, PixelFormat};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Returns the median times of two sessions that take turns, in milliseconds.
fn pair(card: &Card, one: &mut Session, other: &mut Session) -> (f64, f64) {
    let mut image = Image::new(card.fields.input.size, PixelFormat::Rgb8);
    image.data.iter_mut().enumerate().for_each(|(at, byte)| *byte = (at * 31 % 251) as u8);
    let source: Arc<str> = Arc::from("");
    let run = |session: &mut Session| {
        let start = Instant::now();
        session.run(&source, &image).unwrap();
        start.elapsed().as_secs_f64() * 1e3
    };
    let (mut a, mut b) = (Vec::new(), Vec::new());
    for round in 0..24 {
        let times = (run(one), run(other));
        // The first rounds fill caches and start threads.
        if round >= 3 {
            a.push(times.0);
            b.push(times.1);
        }
    }
    (median(a), median(b))
}

fn threads(card: &Card) {
    let plan = Arc::new(Plan::load(card, &Extra::default()).unwrap());
    let mut one = Session::of(card, Arc::clone(&plan), 1).unwrap();
    let mut two = Session::of(card, plan, 2).unwrap();
    let (a, b) = pair(card, &mut one, &mut two);
    println!("{:28} 1 thread {a:7.1} ms   2 threads {b:7.1} ms   {:.2} times as fast", card.name, a / b);
}

fn precision(card: &Card, folder: &Path) {
    let text = std::fs::read_to_string(card.folder.join("card.yaml")).unwrap();
    let as_is = folder.join(format!("{}.as_is", card.name));
    std::fs::create_dir(&as_is).unwrap();
    std::fs::write(as_is.join("card.yaml"), text.replace("  license:", "  precision: as_is\n  license:")).unwrap();
    for entry in std::fs::read_dir(&card.folder).unwrap().map(Result::unwrap).filter(|e| e.file_name() != "card.yaml") {
        std::os::unix::fs::symlink(entry.path().canonicalize().unwrap(), as_is.join(entry.file_name())).unwrap();
    }
    let rounded = Card::read(&as_is).unwrap();
    let (mut float, mut rounding) = (Session::load(card).unwrap(), Session::load(&rounded).unwrap());
    let (a, b) = pair(card, &mut float, &mut rounding);
    println!("{:28} floats   {a:7.1} ms   as it is  {b:7.1} ms   {:.2} times as fast", card.name, b / a);
}

fn main() {
    for name in ["scene", "scene_mask", "scene_tags"] {
        threads(&Card::read(&Path::new("models").join(name)).unwrap());
    }
    let Some(field) = std::env::var_os("OCELLI_FIELD").map(PathBuf::from) else {
        println!("skipped: set OCELLI_FIELD for public models");
        return;
    };
    let root = tempfile::tempdir().unwrap();
    for name in ["ssd_mobilenet_v1", "yolox_nano", "mobilenet_v2_quant_f32out", "deeplab_v3"] {
        let text = std::fs::read_to_string(format!("tests/cards/{name}.yaml")).unwrap();
        let home = root.path().join(name);
        std::fs::create_dir(&home).unwrap();
        std::fs::write(home.join("card.yaml"), &text).unwrap();
        for line in text.lines() {
            let file = line.trim().strip_prefix("file: ").or_else(|| line.strip_prefix("labels: "));
            if let Some(file) = file.filter(|f| !f.starts_with('[')) {
                let from = field.join("models").join(file).canonicalize().unwrap();
                std::os::unix::fs::symlink(from, home.join(file)).unwrap();
            }
        }
        let card = Card::read(&home).unwrap();
        threads(&card);
        if name != "yolox_nano" {
            precision(&card, root.path());
        }
    }
}
