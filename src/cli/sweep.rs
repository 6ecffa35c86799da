//! `ocelli sweep`: plays the same recording with different settings.

use super::console::harmless;
use super::global::{Global, say};
use super::labels::LabelArgs;
use super::play::PlayArgs;
use super::progress;
use crate::error::Result;
use crate::pipeline::Setting;
use crate::trial::sweep::{Step, Sweep};
use crate::trial::write_file;
use clap::Args;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Play a recording with different settings: how do counts, precision and recall change?
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ocelli sweep door.yaml --from flights --set detect.min_score=0.3..0.7:0.05
  ocelli sweep photos.yaml --set nms.iou=0.3,0.5,0.7 --labels data/annotations.json --html sweep.html
  ocelli sweep door.yaml --from flights --set detect.min_score=0.3,0.5 --set nms.iou=0.4,0.6

With several settings, all combinations of their values are played. Precision and recall (at IoU 0.5) are shown if \
there are labels, or if the source has ground truth.")]
pub struct SweepArgs {
    /// The pipeline's YAML file
    file: PathBuf,
    #[command(flatten)]
    play: PlayArgs,
    /// What to change: LINE.SETTING=FROM..TO:STEP, or =A,B,C; may be given several times
    #[arg(long, value_name = "SETTING", required = true, value_parser = Setting::parse)]
    set: Vec<Setting>,
    #[command(flatten)]
    labels: LabelArgs,
    /// Only these classes, separated by commas
    #[arg(long, value_delimiter = ',')]
    classes: Vec<String>,
    /// Write an HTML page with the table and plots
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Write the table as JSON, one object per row
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

impl SweepArgs {
    /// Plays every combination.
    ///
    /// # Errors
    /// If the arguments do not fit the pipeline, or if a run fails.
    pub fn run(&self, global: &Global) -> Result<()> {
        let sweep = Sweep {
            file: &self.file,
            models: &global.models,
            playback: self.play.playback(),
            settings: &self.set,
            labels: self.labels.read()?,
            classes: &self.classes,
        };
        let combinations = sweep.combinations();
        let bar = progress::counted(combinations.len() as u64, "runs");
        let mut steps = Vec::new();
        for values in combinations {
            steps.push(sweep.step(values)?);
            bar.inc(1);
        }
        bar.finish_and_clear();
        let notes: BTreeSet<&String> = steps.iter().flat_map(Step::notes).collect();
        notes.into_iter().take(12).for_each(|note| tracing::warn!("{note}"));
        if let Some(path) = &self.html {
            write_file(path, sweep.page(&steps).as_bytes())?;
        }
        if let Some(path) = &self.json {
            write_file(path, sweep.json(&steps).as_bytes())?;
        }
        say(&harmless(&sweep.table(&steps)))
    }
}
