//! `ocelli run`: runs a pipeline.

use super::global::Global;
use super::progress;
use crate::error::{Error, Result};
use crate::eval::measure::Tally;
use crate::eval::report::shown;
use crate::host::{Board, Stop};
use crate::infer::bundle;
use crate::pipeline::{Checked, Line, Options, Outcome, Pipeline, Run, Settings};
use crate::stage::Env;
use crate::trial::measuring;
use crate::types::Products;
use clap::Args;
use signal_hook::consts::{SIGINT, SIGTERM};
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Run a pipeline until its sources end or you press Ctrl-C
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ocelli run quickstart                             the bundled pipeline, from any folder
  ocelli run pipelines/quickstart.yaml --truth      also measure the answers against the truth
  ocelli run door.yaml --models /srv/models --log json
  ocelli run door.yaml | head -3

Ctrl-C (or SIGTERM) ends the run cleanly: packets in the queues are still processed, and files are closed. \
A second one ends it at once.")]
pub struct RunArgs {
    /// The pipeline's YAML file, or the name of a bundled one (`ocelli init --list`)
    file: PathBuf,
    /// Measure what is found against the source's truth, in an additional line of the pipeline
    #[arg(long)]
    truth: bool,
    /// Show no progress bar, and no table of counters at the end
    #[arg(long, short)]
    quiet: bool,
}

impl RunArgs {
    /// Checks and runs the pipeline, and prints the counters.
    ///
    /// # Errors
    /// If the pipeline cannot start, or if the run fails.
    pub fn run(&self, global: &Global) -> Result<()> {
        let file = self.found()?;
        let env = Env::for_file(&file, &global.models);
        let mut checked = Pipeline::read(&file)?.check(&env)?;
        let mut tally = None;
        if self.truth {
            let (with, into) = measured(checked)?;
            (checked, tally) = (with.check(&env)?, Some(into));
        }
        let outcome = drive(&checked, &Options::default(), self.quiet)?;
        outcome.result.map_err(|e| e.at(file.display()))?;
        if let Some(line) = tally.and_then(|tally| summary(&tally)) {
            let _ = writeln!(std::io::stderr(), "{line}");
        }
        Ok(())
    }
}

impl RunArgs {
    /// Returns the file to run: the given one, or else the bundled pipeline of that name.
    fn found(&self) -> Result<PathBuf> {
        let bundled =
            self.file.to_str().filter(|name| !self.file.exists() && bundle::pipelines().any(|known| known == *name));
        let Some(name) = bundled else { return Ok(self.file.clone()) };
        let path = bundle::installed(name)?;
        tracing::info!("running the bundled {}; its outputs go to ./out", path.display());
        Ok(path)
    }
}

/// The most packets to measure: a scene may be endless, and every measured object is kept.
const MEASURED: u64 = 20_000;

/// Returns the pipeline with one more line at its end, which measures the answers against the source's truth.
fn measured(checked: Checked) -> Result<(Pipeline, Arc<Mutex<Tally>>)> {
    let both = Products::TRUTH | Products::DETECTIONS;
    let lines = checked.lines();
    let last = (0..lines.len()).rev().find(|&at| !matches!(lines[at].settings, Settings::Sink(_)));
    let Some(last) = last.filter(|&at| checked.graph().nodes[at].carries.contains(both)) else {
        let message = "`--truth` needs detections, and a source that knows the truth: `scene`, a recording of one, or \
                       `video` with `truth:`";
        return Err(Error::Config(message.into()));
    };
    let tally = Arc::new(Mutex::new(Tally::new(None, &[], 0)));
    let (from, place) = (lines[last].id.clone(), lines[last].place);
    let mut line = Line::new("truth", "truth", Settings::Sink(Box::new(measuring(&tally, MEASURED))), place);
    line.from.push((from, place));
    let mut pipeline = checked.into_pipeline();
    pipeline.lines.push(line);
    Ok((pipeline, tally))
}

/// Summarises how much of the truth was found.
fn summary(tally: &Mutex<Tally>) -> Option<String> {
    let measured = std::mem::take(&mut *tally.lock().unwrap_or_else(PoisonError::into_inner)).finish().ok()?;
    let detection = measured.detection?;
    let (coco, total) = (&detection.coco.summary, detection.total);
    Some(format!(
        "against the truth: mAP {}, AP50 {}, precision {}, recall {} ({} frames; for more, use `ocelli eval`)",
        shown(coco.ap),
        shown(coco.ap50),
        shown(total.precision()),
        shown(total.recall()),
        measured.frames
    ))
}

/// Runs a checked pipeline until it ends or a signal arrives, with a progress bar and a table unless `quiet`.
pub(super) fn drive(checked: &Checked, options: &Options, quiet: bool) -> Result<Outcome> {
    for note in checked.notes() {
        tracing::warn!("{note}");
    }
    listen_for_signals(&checked.env().stop)?;
    let run = checked.start_with(options)?;
    if !quiet {
        show_progress(&run);
    }
    let outcome = run.wait();
    if !quiet {
        let table = outcome.board.table(outcome.elapsed);
        let _ = writeln!(std::io::stderr(), "\n{table}{:.1} s", outcome.elapsed.as_secs_f64());
    }
    Ok(outcome)
}

/// The first signal asks the run to stop; the second ends the program.
fn listen_for_signals(stop: &Stop) -> Result<()> {
    for signal in [SIGINT, SIGTERM] {
        let code = 128 + signal;
        signal_hook::flag::register_conditional_shutdown(signal, code, stop.flag())
            .and_then(|_| signal_hook::flag::register(signal, stop.flag()))
            .map_err(|e| Error::io("signals", e))?;
    }
    Ok(())
}

/// Shows a progress bar for the sources that know their length, until the run ends.
fn show_progress(run: &Run) {
    let total = |board: &Board| board.lines.iter().map(|line| line.expected.load(Relaxed)).sum::<u64>();
    let bar = progress::counted(total(&run.board), "frames");
    if bar.is_hidden() || bar.length() == Some(0) {
        return;
    }
    while !run.is_finished() {
        let known = run.board.lines.iter().filter(|line| line.expected.load(Relaxed) > 0);
        bar.set_position(known.map(|line| line.received.load(Relaxed)).sum());
        std::thread::sleep(Duration::from_millis(100));
    }
    bar.finish_and_clear();
}
