//! A custom stage with its own YAML word: `largest` keeps the largest box of each frame.
//!
//! `cargo run --release --example own_stage`

use ocelli::{Emitter, Env, Found, LineEnv, Packet, Part, Parts, Pipeline, Products, Result, Stage, StageConfig};
use serde::Deserialize;

/// The settings, as written in the YAML.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Largest {
    /// Smaller boxes are left out, in square pixels.
    #[serde(default)]
    min_area_px: f32,
}

impl StageConfig for Largest {
    fn needs(&self) -> Products {
        Products::DETECTIONS
    }

    fn gives(&self) -> Products {
        Products::DETECTIONS
    }

    fn build(&self, _env: &LineEnv) -> Result<Box<dyn Stage>> {
        Ok(Box::new(self.clone()))
    }
}

// This stage has no state, so its settings also do the work.
impl Stage for Largest {
    fn process(&mut self, mut packet: Packet, out: &mut Emitter) -> Result<()> {
        if let Some(Found { items, by }) = packet.detections.take() {
            let large = items.iter().filter(|object| object.bbox.area() >= self.min_area_px);
            let largest = large.max_by(|a, b| a.bbox.area().total_cmp(&b.bbox.area())).cloned();
            packet.detections = Some(Found { items: items.with(largest.into_iter().collect::<Vec<_>>()), by });
        }
        out.emit(packet);
        Ok(())
    }
}

const TEXT: &str = "
pipeline:
  - scene: { frames: 10 }
  - resize: { for: scene }
  - detect: { model: scene }
  - nms
  - largest: { min_area_px: 400 }
  - jsonl
";

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let parts = Parts::builtin().with(Part::stage::<Largest>("largest"));
    let pipeline = Pipeline::parse("own_stage.yaml", TEXT, &parts)?;
    pipeline.check(&Env::new(".", &[]))?.run()?.result?;
    Ok(())
}
