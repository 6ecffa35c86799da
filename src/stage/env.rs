//! What parts may use of the world, and what a line has of its own.

use super::Tap;
use crate::host::{Board, Clock, DropReason, Health, LineCounters, Role, Secrets, Stop, SystemClock};
use crate::infer::ModelStore;
use crate::types::Packet;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// What parts may use of the world.
#[derive(Clone)]
#[non_exhaustive]
pub struct Env {
    /// Folder of the pipeline's file; relative input paths start there or here.
    pub base_dir: PathBuf,
    /// Where models are found.
    #[doc(hidden)]
    pub models: ModelStore,
    /// Time.
    #[doc(hidden)]
    pub clock: Arc<dyn Clock>,
    /// The wish to stop.
    pub stop: Stop,
    /// What must not be shown.
    #[doc(hidden)]
    pub secrets: Secrets,
    /// Whoever records the run.
    #[doc(hidden)]
    pub tap: Option<Arc<dyn Tap>>,
    /// Where sinks write.
    #[doc(hidden)]
    pub outputs: Outputs,
    /// What the run is doing; empty until it has begun.
    pub board: Board,
}

/// Where sinks write.
#[derive(Clone, Default)]
pub enum Outputs {
    /// Where the YAML says.
    #[default]
    Named,
    /// Below this folder, whatever the YAML says: a replay must not write over what the live run wrote.
    Folder(PathBuf),
    /// Rows of `jsonl` go here; nothing else writes.
    Rows(Arc<Mutex<dyn std::io::Write + Send>>),
}

impl Outputs {
    /// Where a sink whose YAML says `path` writes.
    #[must_use]
    pub fn path(&self, path: &str) -> PathBuf {
        match self {
            Self::Folder(folder) if path == "-" => folder.join("rows.jsonl"),
            Self::Folder(folder) => {
                let inside = |part: &std::path::Component<'_>| matches!(part, std::path::Component::Normal(_));
                folder.join(std::path::Path::new(path).components().filter(inside).collect::<PathBuf>())
            }
            Self::Named | Self::Rows(_) => PathBuf::from(path),
        }
    }
}

impl Env {
    /// What the parts of a pipeline in `base_dir` may use: models of the folders given, then those in `models` beside
    /// the pipeline or in the working folder; the machine's clock.
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
            board: Board::default(),
        }
    }

    /// As [`Env::new`], for the pipeline in a file.
    #[must_use]
    pub fn for_file(file: impl AsRef<Path>, models: &[PathBuf]) -> Self {
        let folder = file.as_ref().parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Self::new(folder, models)
    }

    /// A path of the YAML: absolute as it is; relative from the working folder if it exists there, else
    /// from the pipeline's folder.
    #[must_use]
    pub fn input_path(&self, path: &str) -> PathBuf {
        let plain = PathBuf::from(path);
        let beside = self.base_dir.join(path);
        if plain.is_relative() && !plain.exists() && beside.exists() { beside } else { plain }
    }
}

/// What a part has once its line is about to run: the world, and its line's id, health and counters. Cloning copies
/// pointers.
#[derive(Clone)]
pub struct LineEnv {
    env: Arc<Env>,
    counters: Arc<LineCounters>,
}

impl Deref for LineEnv {
    type Target = Env;

    fn deref(&self) -> &Env {
        &self.env
    }
}

impl LineEnv {
    /// The part of the world that belongs to one line.
    #[must_use]
    #[doc(hidden)]
    pub const fn new(env: Arc<Env>, counters: Arc<LineCounters>) -> Self {
        Self { env, counters }
    }

    /// For a part that is used outside any run: its counters are seen by nobody.
    #[must_use]
    pub fn alone(env: &Env, id: &str) -> Self {
        Self::new(Arc::new(env.clone()), Arc::new(LineCounters::new(id, "", Role::Source)))
    }

    /// The line's id.
    #[must_use]
    pub fn id(&self) -> &Arc<str> {
        &self.counters.id
    }

    /// Whether the line works. The runner notes packets that fail; a part notes what else it knows.
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

    /// Counts a packet that the line does not work on, and tells whoever records.
    #[doc(hidden)]
    pub fn count_drop(&self, packet: &Packet, reason: DropReason) {
        self.counters.count_drop(reason);
        if let Some(tap) = &self.tap {
            tap.dropped(self.id(), &packet.frame.source, packet.frame.seq, reason);
        }
    }
}
