//! `ocelli run`: runs a pipeline.

use super::{Global, folder_of, progress};
use crate::error::{Error, Result};
use crate::host::{Metrics, Stop};
use crate::pipeline::{Graph, Options, Outcome, Pipeline, Run};
use crate::stage::Env;
use clap::Args;
use signal_hook::consts::{SIGINT, SIGTERM};
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// Run a pipeline until its sources end or Ctrl-C
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ocelli run pipelines/quickstart.yaml
  ocelli run door.yaml --models /srv/models --log json
  ocelli run door.yaml | head -3

Ctrl-C (or SIGTERM) ends the run in order: what is in the queues is still worked on and files are closed.
A second one ends it at once.")]
pub struct RunArgs {
    /// The pipeline's YAML
    file: PathBuf,
    /// No table of counters at the end, no progress bar
    #[arg(long, short)]
    quiet: bool,
}

impl RunArgs {
    /// Checks, starts, waits, and prints the counters.
    ///
    /// # Errors
    /// What kept the pipeline from starting or ended it.
    pub fn run(&self, global: &Global) -> Result<()> {
        let env = global.env(&folder_of(&self.file));
        let pipeline = Pipeline::read(&self.file)?;
        let outcome = drive(&pipeline, &env, &Options::default(), self.quiet)?;
        outcome.result.map_err(|e| e.at(self.file.display()))
    }
}

/// Checks and runs a pipeline to its end or a signal, with a progress bar and a table unless `quiet`.
pub(super) fn drive(pipeline: &Pipeline, env: &Env, options: &Options, quiet: bool) -> Result<Outcome> {
    let graph = Graph::check(pipeline, env)?;
    for note in &graph.notes {
        tracing::warn!("{note}");
    }
    listen_for_signals(&env.stop)?;
    let run = Run::start_with(pipeline, &graph, env, options)?;
    if !quiet {
        show_progress(&run);
    }
    let outcome = run.wait();
    if !quiet {
        let table = outcome.metrics.table(outcome.elapsed);
        let _ = writeln!(std::io::stderr(), "\n{table}{:.1} s", outcome.elapsed.as_secs_f64());
    }
    Ok(outcome)
}

/// The first signal asks to stop, the second ends the program.
fn listen_for_signals(stop: &Stop) -> Result<()> {
    for signal in [SIGINT, SIGTERM] {
        let code = 128 + signal;
        signal_hook::flag::register_conditional_shutdown(signal, code, stop.flag())
            .and_then(|_| signal_hook::flag::register(signal, stop.flag()))
            .map_err(|e| Error::io("signals", e))?;
    }
    Ok(())
}

/// A bar for the sources that know how long they are, until the run ends.
fn show_progress(run: &Run) {
    let total = |metrics: &Metrics| metrics.lines.iter().map(|line| line.expected.load(Relaxed)).sum::<u64>();
    let bar = progress::counted(total(&run.metrics), "frames");
    if bar.is_hidden() || bar.length() == Some(0) {
        return;
    }
    while !run.is_finished() {
        let known = run.metrics.lines.iter().filter(|line| line.expected.load(Relaxed) > 0);
        bar.set_position(known.map(|line| line.received.load(Relaxed)).sum());
        std::thread::sleep(Duration::from_millis(100));
    }
    bar.finish_and_clear();
}
