//! `ocelli replay`: runs a pipeline on what was recorded.

use super::global::Global;
use super::play::PlayArgs;
use super::run::{ShowArgs, drive};
use crate::error::{Error, Result};
use crate::eval::golden::{self, Tolerance};
use crate::eval::rows;
use crate::media::flight::{Entry, Flight};
use crate::pipeline::{Options, Pace, Plan, Play, Playback, Setting, Sinks};
use crate::stage::{Env, Outputs};
use clap::{Args, ValueEnum};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Run a pipeline on a recording or a video: what would it have found?
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ocelli replay door.yaml --from flights > now.jsonl
  ocelli replay door.yaml --from flights --drops          exactly the bytes of the live run
  ocelli replay door.yaml --from street.mp4 --out replay  also videos and pictures, in replay/
  ocelli replay two.yaml --from left=a.mp4 --from right=b.mp4
  ocelli replay door.yaml --from flights --check then.jsonl --tolerance score=0.01,pixels=1
  ocelli replay door.yaml --from flights --list

The YAML stays as it is; only the sources and the clock are replaced. No frame is dropped, the clock follows the \
frames, and the rows are the same bytes every time, at any queue size and number of threads (docs/determinism.md).

Without --out, the rows of the pipeline's `jsonl` go to standard output and other sinks do not run, so a replay \
never overwrites what the live run wrote.")]
pub struct ReplayArgs {
    /// The pipeline's YAML file
    file: PathBuf,
    #[command(flatten)]
    play: PlayArgs,
    /// Each line drops the frames that it dropped when this was recorded
    #[arg(long)]
    drops: bool,
    /// Run all sinks, and write their files below this folder
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Id of the `jsonl` line whose rows are printed, if there are several
    #[arg(long, value_name = "ID", conflicts_with = "out")]
    rows: Option<String>,
    /// Compare the rows with those in this file and print only the result; exit code 1 if they differ
    #[arg(long, value_name = "FILE", conflicts_with = "out")]
    check: Option<PathBuf>,
    /// How far rows may differ from those of --check, for other kinds of processors: score=0.01,pixels=1,objects=1
    #[arg(long, value_name = "LIST", requires = "check", value_parser = parse_tolerance)]
    tolerance: Option<Tolerance>,
    /// How fast to play the frames
    #[arg(long, value_enum, default_value = "fast")]
    pace: HowFast,
    /// Change a setting: LINE.SETTING=VALUE; may be given several times
    #[arg(long, value_name = "SETTING", value_parser = Setting::parse)]
    set: Vec<Setting>,
    /// Delay every line at random, which must not change the answers
    #[arg(long, value_name = "SEED")]
    shake: Option<u64>,
    /// Show what the recording contains, and run nothing
    #[arg(long)]
    list: bool,
    #[command(flatten)]
    show: ShowArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum HowFast {
    /// As fast as possible
    Fast,
    /// At the pace at which they came
    Real,
}

/// Parses `score=0.01,pixels=1,objects=1`, each part of which may be missing.
fn parse_tolerance(text: &str) -> Result<Tolerance, String> {
    let mut tolerance = Tolerance::default();
    for part in text.split(',') {
        let bad = || format!("`{part}`: write score=0.01,pixels=1,objects=1");
        let (name, value) = part.split_once('=').ok_or_else(bad)?;
        let number = value.parse::<f64>().ok().filter(|number| *number >= 0.0).ok_or_else(bad)?;
        match name.trim() {
            "score" => tolerance.score = number,
            "pixels" => tolerance.pixels = number,
            "objects" => tolerance.objects = number as usize,
            _ => return Err(bad()),
        }
    }
    Ok(tolerance)
}

impl ReplayArgs {
    /// Replays the pipeline.
    ///
    /// # Errors
    /// If the arguments do not fit the pipeline, or if the run fails.
    pub fn run(&self, global: &Global) -> Result<()> {
        if self.play.from.is_empty() {
            let message = "nothing to replay: give --from FOLDER-OR-CLIP; `ocelli record` makes a folder";
            return Err(Error::Config(message.into()));
        }
        if self.list {
            return self.list(&Env::for_file(&self.file, &global.models));
        }
        let buffer = Arc::<Mutex<Vec<u8>>>::default();
        let rows = || Sinks::Rows(self.rows.clone());
        let (sinks, outputs) = match (&self.out, &self.check) {
            (Some(folder), _) => (Sinks::All, Outputs::Folder(folder.clone())),
            (None, Some(_)) => (rows(), Outputs::Rows(buffer.clone())),
            (None, None) => (rows(), Outputs::Rows(Arc::new(Mutex::new(std::io::stdout())))),
        };
        let settings = super::play::single(&self.set)?;
        let playback = Playback { drops: self.drops, ..self.play.playback() };
        let play =
            Play::prepare(Plan { file: &self.file, models: &global.models, settings, playback, sinks, outputs })?;
        play.notes.iter().for_each(|note| tracing::warn!("{note}"));
        let ids: Vec<&str> = play.left_out.iter().map(|(id, _)| id.as_str()).collect();
        if !ids.is_empty() {
            tracing::info!("not run: {}; --out FOLDER runs them too", ids.join(", "));
        }
        let pace = (self.pace == HowFast::Real).then_some(Pace::Real);
        let options = Options { pace, shake: self.shake, ..play.options };
        let outcome = drive(&play.checked, &options, self.show)?;
        outcome.result.map_err(|e| e.at(self.file.display()))?;
        match &self.check {
            Some(path) => self.compare(path, &buffer.lock().unwrap_or_else(PoisonError::into_inner)),
            None => Ok(()),
        }
    }

    fn compare(&self, path: &Path, found: &[u8]) -> Result<()> {
        let expected = std::fs::read(path).map_err(|e| Error::io(path, e))?;
        let tolerance = self.tolerance.unwrap_or_default();
        let before = rows::read(&expected, &path.display().to_string())?;
        let after = rows::read(found, "rows")?;
        if let Some(difference) = golden::compare(&before, &after, &tolerance) {
            return Err(Error::Differs(format!("{}: {difference}", path.display())));
        }
        if self.tolerance.is_none() && expected != found {
            return Err(Error::Differs(format!("{}: same values, but different bytes", path.display())));
        }
        let how = if expected == found { "byte for byte" } else { "within the tolerances" };
        super::global::say(&format!("{}: {} rows, equal {how}\n", path.display(), after.len()))
    }

    fn list(&self, env: &Env) -> Result<()> {
        for origin in &self.play.from {
            let path = env.input_path(&origin.path.to_string_lossy());
            if !Flight::is_one(&path) {
                return Err(Error::Data(format!("{}: not a recording", path.display())));
            }
            let last = Flight::open(&path, self.play.run)?;
            for run in if self.play.run.is_some() { vec![last.begin.run] } else { last.runs } {
                super::global::say(&describe(&Flight::open(&path, Some(run))?)?)?;
            }
        }
        Ok(())
    }
}

/// Describes a run.
fn describe(flight: &Flight) -> Result<String> {
    use std::fmt::Write as _;
    let begin = &flight.begin;
    let mut text =
        format!("run {}: {}, started {}, ocelli {}, {}\n", begin.run, begin.file, begin.began, begin.ocelli, begin.cpu);
    for (model, hash) in &begin.models {
        let _ = writeln!(text, "  model {model}: sha256 {hash}");
    }
    let (mut entries, mut payload) = (flight.entries(), Vec::new());
    let mut counts = vec![(0u64, 0u64, 0u64, 0u64); begin.sources.len()];
    let mut firsts = vec![None; begin.sources.len()];
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
                firsts[at].get_or_insert(frame.pts_ns);
                counts[at].0 += 1;
                counts[at].1 = frame.pts_ns.saturating_sub(firsts[at].unwrap_or_default());
            }
            Entry::Missed { frames, .. } => counts[at].2 = counts[at].2.saturating_add(frames),
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
            "  {} ({}, {kind}): {frames} frames over {seconds:.1} s, {missed} missed, {drops} dropped by lines",
            source.id, source.word
        );
    }
    let end = if whole { "ended normally" } else { "cut off: killed, or still being recorded" };
    let _ = writeln!(text, "  {:.1} MB, {end}", bytes as f64 / 1e6);
    Ok(text + &states)
}
