//! `ocelli bench`: how fast is a pipeline on this machine, and what holds it up?

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

/// Measure a pipeline on this machine: each line's time, allocations and waits, and which line holds it up
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ocelli bench pipelines/quickstart.yaml
  ocelli bench door.yaml --from flights --json pi4.json
  ocelli bench door.yaml --from flights --compare pi4.json    ratios to what was measured there
  ocelli bench door.yaml --from flights --rate 15             does it keep up with 15 frames a second?

The recording is played several times, the sinks write into a folder that is removed at the end, and the round in the
middle counts. `cpu` is the line's own thread; tract's helpers for `threads: 2` are counted under `other threads`.
The JSON holds what others need to compare: machine, kernel, governor, temperature, hashes of models, all numbers.")]
pub struct BenchArgs {
    /// The pipeline's YAML
    file: PathBuf,
    #[command(flatten)]
    play: PlayArgs,
    /// How often it is played
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=100))]
    rounds: u64,
    /// Frames come at this rate, not as fast as it goes
    #[arg(long, value_name = "FPS", value_parser = parse_rate)]
    rate: Option<f64>,
    /// Write all numbers for others
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Compare with what was written by --json
    #[arg(long, value_name = "FILE")]
    compare: Option<PathBuf>,
}

fn parse_rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate: &f64| (0.01..=10_000.0).contains(rate));
    rate.ok_or_else(|| "write frames a second, 0.01 to 10000".into())
}

impl BenchArgs {
    /// Plays and measures.
    ///
    /// # Errors
    /// What does not fit, or what ended a run.
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
            // Also after a fault nothing is left behind.
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
