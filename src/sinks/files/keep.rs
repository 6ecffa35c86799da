//! Removes old files.

use super::pattern::Pattern;
use super::settings::Keep;
use crate::host::{Limiter, Role, is_locked};
use crate::stage::LineEnv;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// The closed files of a sink, the oldest first, and how many of them are kept.
pub struct Kept {
    keep: Keep,
    files: VecDeque<Old>,
    bytes: u64,
    limiter: Limiter,
}

struct Old {
    path: PathBuf,
    bytes: u64,
    written: SystemTime,
}

impl Kept {
    /// Looks for the files that earlier runs have left.
    #[must_use]
    pub fn scan(keep: Keep, pattern: &Pattern, env: &LineEnv) -> Self {
        let sources = env.board.lines.iter().filter(|line| line.role == Role::Source);
        let sources: Vec<&str> = sources.map(|line| &*line.id).collect();
        let mut kept = Self { keep, files: VecDeque::new(), bytes: 0, limiter: Limiter::default() };
        for (path, bytes, written) in pattern.existing(&sources) {
            kept.bytes += bytes;
            kept.files.push_back(Old { path, bytes, written });
        }
        kept
    }

    /// Adds a file that was closed just now.
    pub fn add(&mut self, path: &Path, bytes: u64, now: SystemTime) {
        self.forget(path);
        self.bytes += bytes;
        self.files.push_back(Old { path: path.into(), bytes, written: now });
    }

    /// Takes a file out of the list, because it is written again.
    pub fn forget(&mut self, path: &Path) {
        self.files.retain(|old| {
            let other = old.path != path;
            self.bytes -= if other { 0 } else { old.bytes };
            other
        });
    }

    /// Removes the oldest files until there is room for an open one of `bytes` bytes, if there is an open one.
    pub fn make_room(&mut self, open: Option<u64>, env: &LineEnv) {
        let Keep { bytes, days, files } = self.keep;
        let now = env.clock.wall();
        let oldest = days.map(|days| now - Duration::from_hours(24) * days);
        while let Some(old) = self.files.front() {
            let many = files.is_some_and(|most| self.files.len() + usize::from(open.is_some()) > most as usize);
            let much = bytes.is_some_and(|most| self.bytes + open.unwrap_or(0) > most.0);
            let aged = oldest.is_some_and(|oldest| old.written < oldest);
            if !many && !much && !aged {
                return;
            }
            let Some(old) = self.files.pop_front() else { return };
            self.bytes -= old.bytes;
            self.remove(&old, env);
        }
    }

    fn remove(&mut self, old: &Old, env: &LineEnv) {
        // Another process may write files with such names, too.
        if is_locked(&old.path) {
            return;
        }
        match std::fs::remove_file(&old.path) {
            Ok(()) => env.counters().files.count_removed(),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => {
                let reason = format!("{}: cannot be removed to make room: {e}", old.path.display());
                if let Some(told) = self.limiter.failed(&reason, env.clock.now()) {
                    tracing::warn!(line = &**env.id(), "{told}");
                }
            }
        }
    }
}
