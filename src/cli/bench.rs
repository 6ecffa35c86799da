//! `ocelli bench`: how fast a pipeline runs on this machine, and where its bottleneck is.

use super::global::{Global, say};
use super::play::PlayArgs;
use super::progress;
use crate::error::Result;
use crate::pipeline::{Plan, Sinks};
use crate::stage::Outputs;
use crate::trial::bench::{Bench, Rounds};
use crate::trial::write_file;
use clap::Args;
use std::path::PathBuf;

/// Measure a pipeline on this machine: each line's time, allocations and waits, and which line is the bottleneck
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ocelli bench pipelines/quickstart.yaml
  ocelli bench door.yaml --from flights --json pi4.json
  ocelli bench door.yaml --from flights --compare pi4.json    compare with those numbers
  ocelli bench door.yaml --from flights --rate 15             does it keep up with 15 frames per second?

The recording is played several times, and the median round is reported. Sinks write to a temporary folder, which is \
removed at the end. `cpu` is the line's own thread; the other threads that work on a frame count as `other threads`. Where \
the YAML says no `threads`, a line with a model takes its share of the processors, at most 4. \
The JSON holds what a comparison needs: machine, kernel, governor, temperature, hashes of the models, and all numbers.")]
pub struct BenchArgs {
    /// The pipeline's YAML file
    file: PathBuf,
    #[command(flatten)]
    play: PlayArgs,
    /// How many times to play it
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=100))]
    rounds: u64,
    /// Play frames at this rate instead of as fast as possible
    #[arg(long, value_name = "FPS", value_parser = parse_rate)]
    rate: Option<f64>,
    /// Write all numbers as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Compare with a file written by --json
    #[arg(long, value_name = "FILE")]
    compare: Option<PathBuf>,
}

fn parse_rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate: &f64| (0.01..=10_000.0).contains(rate));
    rate.ok_or_else(|| "write frames per second, 0.01 to 10000".into())
}

impl BenchArgs {
    /// Plays the pipeline and measures it.
    ///
    /// # Errors
    /// If the arguments do not fit the pipeline, or if a run fails.
    pub fn run(&self, global: &Global) -> Result<()> {
        let before = self.compare.as_ref().map(|path| Bench::read(path)).transpose()?;
        let folder = std::env::temp_dir().join(format!("ocelli-bench-{}", std::process::id()));
        let bar = progress::counted(self.rounds, "rounds");
        let mut rounds = Rounds::default();
        let mut play = None;
        for _ in 0..self.rounds {
            let plan = Plan {
                file: &self.file,
                models: &global.models,
                settings: Vec::new(),
                playback: self.play.playback(),
                sinks: Sinks::All,
                outputs: Outputs::Folder(folder.clone()),
            };
            let done = rounds.play(plan, self.rate);
            // Nothing is left behind, even after a fault.
            let _ = std::fs::remove_dir_all(&folder);
            play = Some(done?);
            bar.inc(1);
        }
        bar.finish_and_clear();
        let Some(play) = play else { return Ok(()) };
        let bench = rounds.bench(&self.file, &play, &self.play.playback(), self.rate)?;
        if let Some(path) = &self.json {
            write_file(path, bench.json()?.as_bytes())?;
        }
        say(&bench.text())?;
        before.map_or(Ok(()), |before| say(&bench.compared(&before)))
    }
}
