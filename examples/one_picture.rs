//! Finds objects in one picture, without YAML.
//!
//! `cargo run --release --example one_picture -- models/scene/golden.jpg`

use ocelli::{Detector, Env};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let picture = std::env::args().nth(1).unwrap_or_else(|| "models/scene/golden.jpg".into());
    let mut detector = Detector::load("scene", 0.5, &Env::new(".", &[]))?;
    let found = detector.detect_file(&picture)?;
    for object in found.iter() {
        let label = found.by.label(object.class).unwrap_or("?");
        println!("{label} {:.0}% at {:?}", object.score * 100.0, object.bbox);
    }
    Ok(())
}
