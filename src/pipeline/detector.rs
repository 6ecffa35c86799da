//! Finds objects in single pictures, without YAML and threads.

use crate::error::{Error, Result};
use crate::media::still;
use crate::stage::{Emitter, Env, LineEnv, Stage, StageConfig};
use crate::stages::{Detect, Nms, Resize};
use crate::types::{Found, Frame, Image, Objects, Packet};
use std::path::Path;
use std::sync::Arc;

/// Finds objects in single pictures, as the lines `resize`, `detect` and `nms` do.
///
/// ```
/// use ocelli::{Detector, Env};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut detector = Detector::load("scene", 0.5, &Env::new(".", &[]))?;
/// let found = detector.detect_file("docs/pictures/quickstart.jpg")?;
/// assert!(!found.is_empty());
/// # Ok(())
/// # }
/// ```
pub struct Detector {
    stages: Vec<Box<dyn Stage>>,
    out: Emitter,
}

impl Detector {
    /// Loads a model: a folder with a `card.yaml` that `env` can find. Objects with a score below `min_score` (0–1) are
    /// left out.
    ///
    /// # Errors
    /// [`Error::Config`] if there is no such model, [`Error::Model`] if it is not a detector or cannot be loaded.
    pub fn load(model: &str, min_score: f32, env: &Env) -> Result<Self> {
        let lines: [(&str, Box<dyn StageConfig>); 3] = [
            ("resize", Box::new(Resize::for_model(model))),
            ("detect", Box::new(Detect::new(model, min_score))),
            ("nms", Box::new(Nms::default())),
        ];
        let build = |(id, stage): &(&str, Box<dyn StageConfig>)| {
            stage.check(env)?;
            stage.build(&LineEnv::alone(env, id))
        };
        Ok(Self { stages: lines.iter().map(build).collect::<Result<_>>()?, out: Emitter::default() })
    }

    /// Finds objects in a picture, best first; boxes are in pixels of the picture.
    ///
    /// # Errors
    /// [`Error::Model`] if the model cannot be run.
    pub fn detect(&mut self, image: Image) -> Result<Found<Objects>> {
        let mut packet = Packet::new(Arc::new(Frame { image, ..Frame::default() }));
        for stage in &mut self.stages {
            stage.process(packet, &mut self.out)?;
            let given = self.out.drain().next();
            packet = given.ok_or_else(|| Error::Internal("a stage produced no packet".into()))?;
        }
        packet.detections.ok_or_else(|| Error::Internal("`detect` produced no detections".into()))
    }

    /// Like [`Detector::detect`], but for a JPEG, PNG or BMP file.
    ///
    /// # Errors
    /// Also [`Error::Io`] and [`Error::Data`] if the file cannot be read.
    pub fn detect_file(&mut self, path: impl AsRef<Path>) -> Result<Found<Objects>> {
        let (path, mut image) = (path.as_ref(), Image::default());
        let bytes = std::fs::read(path).map_err(|e| Error::io(path, e))?;
        let _ = still::decode(&bytes, &mut image).map_err(|e| e.at(path.display()))?;
        self.detect(image)
    }
}
