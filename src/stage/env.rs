//! The environment of parts, and what each line has of its own.

use super::Tap;
use crate::error::{Error, Result};
use crate::host::{Board, Clock, DropReason, Health, LineCounters, Reopen, Role, Secrets, Stop, SystemClock};
use crate::infer::ModelStore;
use crate::types::Packet;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

/// The environment that parts use.
#[derive(Clone)]
#[non_exhaustive]
pub struct Env {
    /// The folder of the pipeline's file. Relative input paths start there, or else in the working folder.
    pub base_dir: PathBuf,
    /// Where models are found.
    #[doc(hidden)]
    pub models: ModelStore,
    /// The clock.
    #[doc(hidden)]
    pub clock: Arc<dyn Clock>,
    /// The request to stop.
    pub stop: Stop,
    /// Values that must not be shown.
    #[doc(hidden)]
    pub secrets: Secrets,
    /// The listener that records the run, if any.
    #[doc(hidden)]
    pub tap: Option<Arc<dyn Tap>>,
    /// Where sinks write.
    #[doc(hidden)]
    pub outputs: Outputs,
    /// The request to open outputs again.
    #[doc(hidden)]
    pub reopen: Reopen,
    /// The clock's time of the first picture of any live source of the run: where their `pts` begin.
    #[doc(hidden)]
    pub epoch: Arc<OnceLock<Duration>>,
    /// The state of the run; empty until it has started.
    pub board: Board,
    /// Threads that work on one frame in a line with a model, if its settings do not say how many.
    #[doc(hidden)]
    pub threads: usize,
}

/// The most threads that a line with a model takes by itself: small nets gain little from more.
const MOST_THREADS: usize = 4;

/// Threads for each of `lines` lines with a model: their share of the processors. On two processors, two threads play a
/// recording through YOLOX-nano 1.3 to 1.4 times as fast as one, for a tenth more processor time (docs/performance.md).
#[must_use]
pub fn threads_of(processors: usize, lines: usize) -> usize {
    (processors / lines.max(1)).clamp(1, MOST_THREADS)
}

/// Where sinks write.
#[derive(Clone, Default)]
pub enum Outputs {
    /// To the paths in the YAML.
    #[default]
    Named,
    /// To the paths in the YAML; relative ones start in this folder.
    Base(PathBuf),
    /// Below this folder, whatever the YAML says, so that a replay does not overwrite the files of the live run.
    Folder(PathBuf),
    /// The rows of `jsonl` go here; no other sink writes.
    Rows(Arc<Mutex<dyn std::io::Write + Send>>),
}

impl Outputs {
    /// Returns where a sink writes if its path in the YAML is `path`.
    #[must_use]
    pub fn path(&self, path: &str) -> PathBuf {
        match self {
            Self::Folder(folder) if path == "-" => folder.join("rows.jsonl"),
            Self::Folder(folder) => {
                let inside = |part: &std::path::Component<'_>| matches!(part, std::path::Component::Normal(_));
                folder.join(std::path::Path::new(path).components().filter(inside).collect::<PathBuf>())
            }
            Self::Base(folder) if path != "-" => folder.join(path),
            Self::Named | Self::Base(_) | Self::Rows(_) => PathBuf::from(path),
        }
    }
}

impl Env {
    /// Creates the environment for a pipeline in `base_dir`. Models are looked up in the given folders, then in
    /// `models` next to the pipeline or in the working folder. The clock is the system clock.
    #[must_use]
    pub fn new(base_dir: impl AsRef<Path>, models: &[PathBuf]) -> Self {
        let base_dir = base_dir.as_ref();
        Self {
            base_dir: base_dir.to_path_buf(),
            models: ModelStore::new(models, base_dir),
            clock: Arc::new(SystemClock::default()),
            stop: Stop::default(),
            secrets: Secrets::default(),
            tap: None,
            outputs: Outputs::default(),
            reopen: Reopen::default(),
            epoch: Arc::default(),
            board: Board::default(),
            threads: 1,
        }
    }

    /// Like [`Env::new`], but for a pipeline file.
    #[must_use]
    pub fn for_file(file: impl AsRef<Path>, models: &[PathBuf]) -> Self {
        let folder = file.as_ref().parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Self::new(folder, models)
    }

    /// Resolves an input path of the YAML. An absolute path stays as it is. A relative one starts in the pipeline's
    /// folder if it exists there, otherwise in the working folder.
    #[must_use]
    pub fn input_path(&self, path: &str) -> PathBuf {
        let beside = self.base_dir.join(path);
        if beside.exists() { beside } else { PathBuf::from(path) }
    }

    /// Like [`Env::input_path`], for a file or folder that must exist.
    ///
    /// # Errors
    /// [`Error::Config`] names every place that was tried.
    pub fn existing_input(&self, path: &str) -> Result<PathBuf> {
        let found = self.input_path(path);
        if found.exists() {
            return Ok(found);
        }
        let beside = self.base_dir.join(path);
        if Path::new(path).is_absolute() || beside == found {
            return Err(Error::Config(format!("{path} does not exist")));
        }
        let here = std::path::absolute(&found).unwrap_or(found);
        let there = std::path::absolute(&beside).unwrap_or(beside);
        if let Some(name) = path.strip_prefix('$') {
            return Err(Error::Config(format!(
                "{path} does not exist; for an environment variable, write `${{{name}}}`"
            )));
        }
        let second = if there == here { String::new() } else { format!(" and {}", here.display()) };
        Err(Error::Config(format!("{path} does not exist; looked for {}{second}", there.display())))
    }
}

/// The environment of a part whose line is about to run, with the line's id, health and counters. Cloning is cheap.
#[derive(Clone)]
pub struct LineEnv {
    env: Arc<Env>,
    counters: Arc<LineCounters>,
    live: bool,
}

impl Deref for LineEnv {
    type Target = Env;

    fn deref(&self) -> &Env {
        &self.env
    }
}

impl LineEnv {
    /// Creates the environment of one line.
    #[must_use]
    #[doc(hidden)]
    pub const fn new(env: Arc<Env>, counters: Arc<LineCounters>, live: bool) -> Self {
        Self { env, counters, live }
    }

    /// Creates the environment of a part that is used outside a run; its counters are not shown anywhere.
    #[must_use]
    pub fn alone(env: &Env, id: &str) -> Self {
        Self::new(Arc::new(env.clone()), Arc::new(LineCounters::new(id, "", Role::Source)), false)
    }

    /// The line's id.
    #[must_use]
    pub fn id(&self) -> &Arc<str> {
        &self.counters.id
    }

    /// Whether a live source is somewhere above the line: its run goes on for years, is killed and started again, and its
    /// packets never come a second time.
    #[must_use]
    pub const fn live(&self) -> bool {
        self.live
    }

    /// Whether the line works. The runner records failed packets; a part records what else it knows.
    #[must_use]
    #[doc(hidden)]
    pub fn health(&self) -> &Health {
        &self.counters.health
    }

    /// The line's counters, kept by the runner.
    #[must_use]
    #[doc(hidden)]
    pub const fn counters(&self) -> &Arc<LineCounters> {
        &self.counters
    }

    /// Counts a packet that the line does not process, and reports it to the recorder.
    #[doc(hidden)]
    pub fn count_drop(&self, packet: &Packet, reason: DropReason) {
        self.counters.count_drop(reason);
        if let Some(tap) = &self.tap {
            tap.dropped(self.id(), &packet.frame.source, packet.frame.seq, reason);
        }
    }
}
