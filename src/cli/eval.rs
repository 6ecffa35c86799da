//! `ocelli eval`: measures how good a pipeline's answers are.

use super::console::harmless;
use super::global::{Global, say};
use super::labels::LabelArgs;
use super::play::{PlayArgs, single};
use crate::error::Result;
use crate::eval::compare::read;
use crate::eval::measure::Tally;
use crate::pipeline::{Plan, Setting, Sinks};
use crate::stage::Outputs;
use crate::trial::{measure, write_file};
use clap::Args;
use std::path::PathBuf;

/// Measure a pipeline's output against labels
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ocelli eval pipelines/recording.yaml                     against the ground truth in the recording
  ocelli eval photos.yaml --labels data/annotations.json   COCO
  ocelli eval photos.yaml --labels data/annotations/       Pascal VOC .xml, YOLO .txt, or .png class maps
  ocelli eval tags.yaml --labels photos/                   one folder per class
  ocelli eval photos.yaml --labels data/ --set detect.min_score=0.05 --html report.html
  ocelli eval photos.yaml --labels data.yaml --map automobile=car,sign=   rename or drop classes
  ocelli eval photos.yaml --labels data/ --json new.json --against old.json   is it better, or is it chance?

The pipeline's own output is measured, with its own thresholds: what is measured is what runs. Pictures and labels \
are matched by path and name. The numbers equal those of pycocotools, detectron2's VOC code and scikit-learn.")]
pub struct EvalArgs {
    /// The pipeline's YAML file
    file: PathBuf,
    #[command(flatten)]
    play: PlayArgs,
    #[command(flatten)]
    labels: LabelArgs,
    /// Id of the `jsonl` line whose rows are measured, if there are several
    #[arg(long, value_name = "ID")]
    rows: Option<String>,
    /// Only these classes, separated by commas
    #[arg(long, value_delimiter = ',')]
    classes: Vec<String>,
    /// Change a setting: LINE.SETTING=VALUE; may be given several times
    #[arg(long, value_name = "SETTING", value_parser = Setting::parse)]
    set: Vec<Setting>,
    /// Write an HTML report with curves and the worst pictures
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Write the numbers as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Maximum number of worst pictures in the report (at most 2000)
    #[arg(long, default_value_t = 200)]
    worst: usize,
    /// Compare with an earlier run: the file that its --json wrote
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
}

impl EvalArgs {
    /// Runs the pipeline and measures it.
    ///
    /// # Errors
    /// If the arguments do not fit the pipeline, or if the run fails.
    pub fn run(&self, global: &Global) -> Result<()> {
        let before = self.against.as_deref().map(read).transpose()?;
        let labels = self.labels.read()?;
        let keep = if self.html.is_some() { self.worst.min(2000) } else { 0 };
        let settings = single(&self.set)?;
        let tally = Tally::new(labels, &self.classes, keep);
        let plan = Plan {
            file: &self.file,
            models: &global.models,
            settings,
            playback: self.play.playback(),
            sinks: Sinks::All,
            outputs: Outputs::default(),
        };
        let (measured, notes) = measure(plan, tally, self.rows.as_deref())?;
        notes.iter().for_each(|note| tracing::warn!("{note}"));
        let comparison = before.map(|before| before.compare(&measured.records, &measured.provenance)).transpose()?;
        if let Some(path) = &self.html {
            write_file(
                path,
                measured.html(&format!("{}: evaluation", self.file.display()), comparison.as_ref())?.as_bytes(),
            )?;
        }
        if let Some(path) = &self.json {
            let mut json = measured.json();
            if let Some(comparison) = &comparison {
                json["comparison"] = comparison.json();
            }
            write_file(path, format!("{json}\n").as_bytes())?;
        }
        say(&harmless(&measured.text()))?;
        let (Some(comparison), Some(other)) = (comparison, &self.against) else { return Ok(()) };
        say(&harmless(&format!("\nagainst {}: {}", other.display(), comparison.text())))
    }
}
