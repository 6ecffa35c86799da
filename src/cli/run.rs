//! `ocelli run`: runs a pipeline.

use super::global::Global;
use super::{console, progress, signals};
use crate::error::{Error, Result};
use crate::eval::measure::Tally;
use crate::eval::table::shown;
use crate::host::Board;
use crate::infer::bundle;
use crate::pipeline::{Checked, DEFAULT_MAX_FAULTS, Line, Options, Outcome, Pipeline, Run, Settings};
use crate::stage::{Env, Outputs};
use crate::trial::measuring;
use crate::types::Products;
use clap::Args;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Run a pipeline until its sources end or you press Ctrl-C
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ocelli run quickstart                             the bundled pipeline, from any folder
  ocelli run pipelines/quickstart.yaml --truth      also measure the answers against the truth
  ocelli run door.yaml --models /srv/models --log json
  ocelli run door.yaml yard.yaml --out-base /srv/found
  sed s/0.5/0.4/ door.yaml | ocelli run - | head -3

Ctrl-C (or SIGTERM) ends the run cleanly: packets in the queues are still processed, and files are closed. \
A second one, half a second later or more, ends it at once. SIGHUP makes a live run open its output files again, \
SIGUSR1 prints the table of counters.")]
pub struct RunArgs {
    /// The pipelines' YAML files, `-` for standard input, or the name of a bundled one (`ocelli init --list`); several
    /// run side by side
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Where relative paths of outputs start; the working folder if not given
    #[arg(long, value_name = "FOLDER")]
    out_base: Option<PathBuf>,
    /// Measure what is found against the source's truth, in an additional line of the pipeline
    #[arg(long)]
    truth: bool,
    /// End a live run when a line has failed on this many packets in a row because of its model or a bug; a recorded
    /// run ends at the first fault
    #[arg(long, value_name = "N", default_value_t = DEFAULT_MAX_FAULTS, value_parser = clap::value_parser!(u64).range(1..))]
    max_faults: u64,
    #[command(flatten)]
    show: ShowArgs,
}

impl RunArgs {
    /// Checks and runs the pipelines, and prints their counters.
    ///
    /// # Errors
    /// If a pipeline cannot start, or if a run fails.
    pub fn run(&self, global: &Global) -> Result<()> {
        if self.files.iter().filter(|file| file.as_os_str() == "-").count() > 1 {
            return Err(Error::Config("standard input can be read only once".into()));
        }
        let mut shared: Option<Env> = None;
        let (mut pipelines, mut tallies) = (Vec::new(), Vec::new());
        for given in &self.files {
            let file = found(given)?;
            let mut env = Env::for_file(&file, &global.models);
            if let Some(folder) = &self.out_base {
                env.outputs = Outputs::Base(folder.clone());
            }
            // A signal is for all of them.
            let first = shared.get_or_insert_with(|| env.clone());
            (env.stop, env.reopen) = (first.stop.clone(), first.reopen.clone());
            let mut checked = Pipeline::read(&file)?.check(&env)?;
            if self.truth {
                let (with, into) = measured(checked)?;
                checked = with.check(&env)?;
                tallies.push(into);
            }
            pipelines.push((given.display().to_string(), checked));
        }
        let options = Options { max_faults: self.max_faults, ..Options::default() };
        let named: Vec<(&str, &Checked)> = pipelines.iter().map(|(name, checked)| (name.as_str(), checked)).collect();
        let outcomes = drive_all(&named, &options, self.show)?;
        let mut fault = None;
        for ((name, _), outcome) in named.iter().zip(outcomes) {
            if let Err(error) = outcome.result.map_err(|e| e.at(name))
                && let Some(earlier) = fault.replace(error)
            {
                console::fault(&earlier);
            }
        }
        fault.map_or(Ok(()), Err)?;
        for tally in &tallies {
            summary(tally)?.iter().for_each(|line| console::say(line));
        }
        Ok(())
    }
}

/// Returns the file to run: the given one, or else the bundled pipeline of that name.
fn found(file: &Path) -> Result<PathBuf> {
    let bundled = file.to_str().filter(|name| !file.exists() && bundle::pipelines().any(|known| known == *name));
    let Some(name) = bundled else { return Ok(file.into()) };
    let path = bundle::installed(name)?;
    tracing::info!("running the bundled {}; its outputs go to ./out", path.display());
    Ok(path)
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

/// Summarises how much of the truth was found, and what of it does not fit the model.
fn summary(tally: &Mutex<Tally>) -> Result<Vec<String>> {
    let tally = std::mem::take(&mut *tally.lock().unwrap_or_else(PoisonError::into_inner));
    if tally.is_empty() {
        return Ok(Vec::new());
    }
    let measured = tally.finish()?;
    let Some(detection) = measured.detection else { return Ok(Vec::new()) };
    let (coco, total) = (&detection.coco.summary, detection.total);
    let mut lines: Vec<String> = measured.notes.iter().map(|note| format!("note: {note}")).collect();
    lines.push(format!(
        "against the truth: mAP {}, AP50 {}, precision {}, recall {} ({} frames; for more, use `ocelli eval`)",
        shown(coco.ap),
        shown(coco.ap50),
        shown(total.precision()),
        shown(total.recall()),
        measured.frames
    ));
    Ok(lines)
}

/// What is shown of a run.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(super) struct ShowArgs {
    /// Show no progress bar, and no table of counters at the end
    #[arg(long, short)]
    quiet: bool,
    /// How often one line about a live run goes into the log: 60s (the default unless the log is a terminal), or `off`
    #[arg(long, value_name = "TIME", value_parser = parse_status)]
    status: Option<Status>,
}

/// Zero for `off`.
#[derive(Clone, Copy, Debug)]
struct Status(Duration);

fn parse_status(text: &str) -> Result<Status, String> {
    if text == "off" {
        return Ok(Status(Duration::ZERO));
    }
    let time = humantime::parse_duration(text).ok().filter(|time| *time >= Duration::from_secs(1));
    time.map(Status).ok_or_else(|| "write a time of at least a second, such as 60s or 10m, or `off`".to_owned())
}

impl ShowArgs {
    pub(super) const fn is_quiet(&self) -> bool {
        self.quiet
    }

    fn status(&self, live: bool) -> Option<Duration> {
        let default = if std::io::stderr().is_terminal() { Duration::ZERO } else { Duration::from_mins(1) };
        let Status(time) = self.status.unwrap_or(Status(default));
        Some(time).filter(|time| live && !time.is_zero())
    }
}

/// Runs a checked pipeline until it ends or a signal arrives, with a progress bar and a table.
pub(super) fn drive(checked: &Checked, options: &Options, show: ShowArgs) -> Result<Outcome> {
    let outcome = drive_all(&[("", checked)], options, show)?.pop();
    outcome.ok_or_else(|| Error::Internal("no pipeline was run".into()))
}

/// What is running: names, boards, and when each began.
type Boards = Arc<Mutex<Vec<(String, Board, Instant)>>>;

/// Runs checked pipelines side by side until all end or a signal arrives. If one fails, the others go on.
fn drive_all(pipelines: &[(&str, &Checked)], options: &Options, show: ShowArgs) -> Result<Vec<Outcome>> {
    let several = pipelines.len() > 1;
    let Some((_, first)) = pipelines.first() else { return Ok(Vec::new()) };
    for (name, checked) in pipelines {
        for note in checked.notes() {
            if several { tracing::warn!("{name}: {note}") } else { tracing::warn!("{note}") }
        }
    }
    let boards = Boards::default();
    let shown = Arc::clone(&boards);
    let table = move || {
        for (name, board, began) in &*shown.lock().unwrap_or_else(PoisonError::into_inner) {
            console::table(name, board, began.elapsed());
        }
    };
    signals::listen(first.env().stop.clone(), first.env().reopen.clone(), table)?;
    let mut runs = Vec::new();
    for (name, checked) in pipelines {
        let run = checked.start_with(options).map_err(|e| {
            // The others end, and what they have written so far is not complete.
            runs.iter().for_each(|run: &Run| run.stop().fail());
            if several { e.at(name) } else { e }
        })?;
        let name = if several { (*name).to_owned() } else { String::new() };
        boards.lock().unwrap_or_else(PoisonError::into_inner).push((name, run.board.clone(), Instant::now()));
        runs.push(run);
    }
    watch(&runs, pipelines, show);
    let outcomes: Vec<Outcome> = runs.into_iter().map(Run::wait).collect();
    if !show.quiet {
        for ((name, _), outcome) in pipelines.iter().zip(&outcomes) {
            console::table(if several { name } else { "" }, &outcome.board, outcome.elapsed);
        }
    }
    Ok(outcomes)
}

/// Shows a progress bar for the sources that know their length, and logs how live runs go, until all have ended.
fn watch(runs: &[Run], pipelines: &[(&str, &Checked)], show: ShowArgs) {
    let sources = || runs.iter().flat_map(|run| run.board.lines.iter()).filter(|line| line.expected.load(Relaxed) > 0);
    let rows = |line: &Line| matches!(&line.settings, Settings::Sink(sink) if sink.writes().is_some_and(|path| path == Path::new("-")));
    // Rows and a bar on one terminal would overwrite each other.
    let mixed =
        std::io::stdout().is_terminal() && pipelines.iter().any(|(_, checked)| checked.lines().iter().any(rows));
    let bar = progress::counted(sources().map(|line| line.expected.load(Relaxed)).sum(), "frames");
    let bar = Some(bar).filter(|bar| !show.quiet && !mixed && !bar.is_hidden() && bar.length() != Some(0));
    let status = show.status(pipelines.iter().any(|(_, checked)| checked.graph().nodes.iter().any(|node| node.live)));
    if bar.is_none() && status.is_none() && runs.len() == 1 {
        return;
    }
    console::set_bar(bar.clone());
    let (mut told, mut counts) = (Instant::now(), vec![Vec::new(); runs.len()]);
    let mut faulty = vec![false; runs.len()];
    while !runs.iter().all(Run::is_finished) {
        std::thread::sleep(Duration::from_millis(100));
        if let Some(bar) = &bar {
            bar.set_position(sources().map(|line| line.received.load(Relaxed)).sum());
        }
        // The end of one of several would otherwise show only when all have ended.
        for ((run, (name, _)), faulty) in runs.iter().zip(pipelines).zip(&mut faulty).filter(|_| runs.len() > 1) {
            if let Some(fault) = run.fault().filter(|_| !std::mem::replace(faulty, true)) {
                tracing::error!("{name}: ends: {fault}; the other pipelines go on");
            }
        }
        if status.is_some_and(|status| told.elapsed() >= status) {
            for ((run, (_, checked)), counts) in runs.iter().zip(pipelines).zip(&mut counts) {
                tracing::info!("{}", run.board.status(counts, told.elapsed(), checked.env().clock.now()));
            }
            told = Instant::now();
        }
    }
    console::set_bar(None);
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
}
