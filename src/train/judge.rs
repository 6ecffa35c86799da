//! Measures a model while it is trained: always the exported file in tract, through the stages that run on the device.

use super::data::Set;
use crate::error::{Error, Result};
use crate::eval::measure::{Measured, Tally};
use crate::stage::{Emitter, Env, LineEnv, Stage, StageConfig};
use crate::stages::STAGES;
use crate::types::{Frame, Packet};
use crate::yaml;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Measures the model called `name` in the folder `models` on the held-out pictures of a set. `lines` are those of a pipeline
/// behind its source; `keep` is how many of the worst pictures are kept for a report.
///
/// # Errors
/// [`Error::Model`] if the model cannot be run, [`Error::Data`] if labels or pictures are bad.
pub fn measure(set: &Set, models: &Path, lines: &[(&'static str, String)], keep: usize) -> Result<Measured> {
    let mut env = Env::new(models, &[models.to_path_buf()]);
    env.threads = std::thread::available_parallelism().map_or(1, usize::from).min(4);
    let mut stages: Vec<Box<dyn Stage>> = Vec::new();
    let mut tally = Tally::new(Some(Arc::clone(&set.labels)), &[], keep).trusting();
    tally.prepare(&set.played())?;
    for (word, settings) in lines {
        let config = config(word, settings)?;
        config.check(&env)?;
        let (score, classes) = config.leaves_out();
        tally.leaves_out(word, score, classes);
        stages.push(config.build(&LineEnv::alone(&env, word))?);
    }
    let mut out = Emitter::default();
    for (seq, sample) in set.val.iter().enumerate() {
        let image = sample.image()?;
        let mut frame = Frame { image, name: sample.name.clone(), seq: seq as u64, ..Frame::default() };
        frame.source = Arc::from("");
        let mut packet = Packet::new(Arc::new(frame));
        for stage in &mut stages {
            stage.process(packet, &mut out)?;
            let given = out.drain().next();
            packet = given.ok_or_else(|| Error::Internal("a stage produced no packet".into()))?;
        }
        tally.add(&packet).map_err(|e| e.at(sample.path.display()))?;
    }
    tally.finish()
}

/// A stage and its settings.
///
/// # Errors
/// [`Error::Internal`] if there is no such stage, or it has no such settings.
pub fn config(word: &str, settings: &str) -> Result<Box<dyn StageConfig>> {
    let broken = |what: String| Error::Internal(format!("{word}: {what}"));
    let part = STAGES.iter().find(|part| part.name == word).ok_or_else(|| broken("no such stage".into()))?;
    let node = yaml::parse(settings).map_err(|fault| broken(fault.message))?;
    (part.read)(&node).map_err(|fault| broken(fault.message))
}

/// The text of a pipeline that runs a trained model on pictures.
#[must_use]
pub fn pipeline(name: &str, pictures: &Path, lines: &[(&'static str, String)]) -> String {
    let path = serde_json::Value::from(format!("{}/**", pictures.display()));
    let mut text = format!(
        "# Runs the model `{name}`, which `ocelli train` made, on pictures.\npipeline:\n  - images: {{ path: {path} }}\n"
    );
    lines.iter().for_each(|(word, settings)| text.push_str(&format!("  - {word}: {settings}\n")));
    text.push_str("  - jsonl: { path: \"-\" }\n");
    text
}

/// The nearest folder that holds all held-out pictures.
#[must_use]
pub fn folder_of(set: &Set) -> PathBuf {
    let mut folders = set.val.iter().filter_map(|sample| sample.path.parent());
    let mut common = folders.next().unwrap_or(Path::new(".")).to_path_buf();
    for folder in folders {
        while !folder.starts_with(&common) {
            if !common.pop() {
                return PathBuf::from(".");
            }
        }
    }
    std::path::absolute(&common).unwrap_or(common)
}
