//! `ocelli replay`: runs a pipeline on what was recorded.

use super::run::drive;
use super::{Global, folder_of};
use crate::error::{Error, Result};
use crate::media::flight::{Entry, Flight};
use crate::pipeline::{Origin, Pipeline, Playback, Sinks};
use crate::stage::{Env, Outputs};
use clap::{Args, ValueEnum};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

/// Run a pipeline on a recording or a video: what would it have found?
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ocelli replay door.yaml --from flights > now.jsonl
  ocelli replay door.yaml --from flights --drops          the very bytes of the live run
  ocelli replay door.yaml --from street.mp4 --out replay  also videos and pictures, below replay/
  ocelli replay two.yaml --from left=a.mp4 --from right=b.mp4
  ocelli replay door.yaml --from flights --list

The YAML stays as it is; only sources and the clock are replaced. No frame is left out, time is that of the frames,
and the rows are the same bytes each time, at any queue size and number of threads (docs/determinism.md).

Without --out the rows of the pipeline's `jsonl` go to standard output and other sinks are left out, so that a
replay never writes over what the live run wrote.")]
pub struct ReplayArgs {
    /// The pipeline's YAML
    file: PathBuf,
    /// A recording's folder or a video; with several sources ID=PATH, once for each
    #[arg(long, value_name = "[ID=]PATH", required = true, value_parser = parse_origin)]
    from: Vec<Origin>,
    /// The recording's run; the last one if not given
    #[arg(long)]
    run: Option<u64>,
    /// Stop after so many frames of each source
    #[arg(long)]
    frames: Option<u64>,
    /// Each line leaves out the frames that it left out when this was recorded
    #[arg(long)]
    drops: bool,
    /// All sinks write, below this folder
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Id of the `jsonl` line whose rows to print, if there are several
    #[arg(long, value_name = "ID", conflicts_with = "out")]
    rows: Option<String>,
    /// How fast frames come
    #[arg(long, value_enum, default_value = "fast")]
    pace: Pace,
    /// Threads that work on one frame in each line with a model
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=64))]
    threads: Option<u64>,
    /// Make every line wait at random: the answers must not change
    #[arg(long, value_name = "SEED")]
    shake: Option<u64>,
    /// Tell what is in the recording, and run nothing
    #[arg(long)]
    list: bool,
    /// No table of counters at the end, no progress bar
    #[arg(long, short)]
    quiet: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Pace {
    /// As fast as it goes
    Fast,
    /// As they came
    Real,
}

/// `PATH` or `ID=PATH`.
pub fn parse_origin(text: &str) -> Result<Origin, String> {
    let (source, path) = match text.split_once('=') {
        Some((id, path)) if !id.contains('/') => (Some(id.to_owned()), path),
        _ => (None, text),
    };
    if path.is_empty() { Err("write PATH or ID=PATH".into()) } else { Ok(Origin { source, path: path.into() }) }
}

impl ReplayArgs {
    /// Replays.
    ///
    /// # Errors
    /// What does not fit, or what ended the run.
    pub fn run(&self, global: &Global) -> Result<()> {
        let mut env = global.env(&folder_of(&self.file));
        if self.list {
            return self.list(&env);
        }
        let mut pipeline = Pipeline::read(&self.file)?;
        let playback = Playback {
            from: self.from.clone(),
            run: self.run,
            frames: self.frames,
            drops: self.drops,
            faults: Vec::new(),
            threads: self.threads.map(|threads| threads as usize),
        };
        let sinks = if let Some(folder) = &self.out {
            env.outputs = Outputs::Folder(folder.clone());
            Sinks::All
        } else {
            env.outputs = Outputs::Rows(Arc::new(Mutex::new(std::io::stdout())));
            Sinks::Rows(self.rows.clone())
        };
        let taken = sinks.apply(&mut pipeline)?;
        let (options, notes) = playback.apply(&mut pipeline, &mut env)?;
        notes.iter().for_each(|note| tracing::warn!("{note}"));
        if !taken.is_empty() {
            tracing::info!("left out: {}; --out FOLDER runs them too", taken.join(", "));
        }
        let options = crate::pipeline::Options { pace: self.pace == Pace::Real, shake: self.shake, ..options };
        let outcome = drive(&pipeline, &env, &options, self.quiet)?;
        outcome.result.map_err(|e| e.at(self.file.display()))
    }

    fn list(&self, env: &Env) -> Result<()> {
        for origin in &self.from {
            let path = env.input_path(&origin.path.to_string_lossy());
            if !Flight::is_one(&path) {
                return Err(Error::Data(format!("{}: no recording", path.display())));
            }
            let last = Flight::open(&path, self.run)?;
            for run in if self.run.is_some() { vec![last.begin.run] } else { last.runs } {
                super::say(&describe(&Flight::open(&path, Some(run))?)?)?;
            }
        }
        Ok(())
    }
}

/// A run for people.
fn describe(flight: &Flight) -> Result<String> {
    use std::fmt::Write as _;
    let begin = &flight.begin;
    let mut text =
        format!("run {}: {}, began {}, ocelli {}, {}\n", begin.run, begin.file, begin.began, begin.ocelli, begin.cpu);
    for (model, hash) in &begin.models {
        let _ = writeln!(text, "  model {model}: sha256 {hash}");
    }
    let (mut entries, mut payload) = (flight.entries(), Vec::new());
    let mut counts = vec![(0u64, 0u64, 0u64, 0u64); begin.sources.len()];
    let (mut bytes, mut whole) = (0, false);
    let mut states = String::new();
    while let Some(entry) = entries.next_entry(&mut payload)? {
        bytes += payload.len();
        let at = entry.source().and_then(|id| begin.sources.iter().position(|source| source.id == id));
        let Some(at) = at else {
            whole |= entry == Entry::End;
            continue;
        };
        match entry {
            Entry::Frame(frame) => {
                counts[at].0 += 1;
                counts[at].1 = frame.pts_ns;
            }
            Entry::Missed { frames, .. } => counts[at].2 += frames,
            Entry::Drop { .. } => counts[at].3 += 1,
            Entry::State { source, at_ns, state, reason } => {
                let _ = writeln!(states, "  {:9.3} s  {source}: {state} {reason}", at_ns as f64 / 1e9);
            }
            _ => {}
        }
    }
    for (source, (frames, pts, missed, drops)) in begin.sources.iter().zip(counts) {
        let kind = if source.live { "live" } else { "recorded" };
        let seconds = pts as f64 / 1e9;
        let _ = writeln!(
            text,
            "  {} ({}, {kind}): {frames} frames over {seconds:.1} s, {missed} missed, {drops} left out by lines",
            source.id, source.word
        );
    }
    let end = if whole { "ended in order" } else { "cut: killed, or still being recorded" };
    let _ = writeln!(text, "  {:.1} MB, {end}", bytes as f64 / 1e6);
    Ok(text + &states)
}
