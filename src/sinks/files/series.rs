//! One growing file after the other.

use super::keep::Kept;
use super::pattern::{Field, Values};
use super::settings::Rules;
use crate::error::{Error, Result};
use crate::host::{Begin, OutFile};
use crate::stage::LineEnv;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// The files of a sink: opens them, appends whole pieces, and begins the next one when it is due.
pub struct Series {
    rules: Rules,
    begin: Begin,
    env: LineEnv,
    kept: Option<Kept>,
    open: Option<Open>,
    /// How many files were begun.
    count: u64,
    /// The names of this run's files, before they got a number, with the last number of each. A live run needs only the
    /// last name: it never begins a file that exists.
    names: HashMap<PathBuf, u32>,
    /// When somebody last looked whether the file is still where it was.
    looked: Duration,
    reopened: u64,
}

struct Open {
    file: OutFile,
    slot: Option<u64>,
}

/// How often a look is taken whether the file is still where it was.
const LOOK: Duration = Duration::from_secs(1);

impl Series {
    /// Prepares the files; none is opened yet, but it is found out whether their folder can be written to if its name
    /// is known.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn new(rules: Rules, begin: Begin, env: &LineEnv) -> Result<Self> {
        let kept = rules.keep.map(|keep| Kept::scan(keep, &rules.pattern, env));
        let (reopened, looked) = (env.reopen.count(), env.clock.now());
        let names = HashMap::new();
        let series = Self { rules, begin, env: env.clone(), kept, open: None, count: 0, names, looked, reopened };
        series.probe()?;
        Ok(series)
    }

    /// Finds out whether the folder can be written to.
    fn probe(&self) -> Result<()> {
        let path = self.rules.pattern.fill(&Values::file(self.env.clock.wall(), 0), 1)?;
        // A pipe or a device needs no folder, and a folder in its place is refused when it is opened. A file that exists
        // can be added to whoever owns its folder.
        if path.exists() && (!path.is_file() || (self.begin == Begin::Append && !self.rules.many)) {
            return Ok(());
        }
        crate::host::make_parent(&path)?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let access = rustix::fs::access(folder, rustix::fs::Access::WRITE_OK);
        access.map_err(|e| Error::io(folder, e.into()))
    }

    /// Whether there may be several files.
    #[must_use]
    pub const fn many(&self) -> bool {
        self.rules.many
    }

    /// Whether a file is open.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Whether the next file is due before `more` bytes of a frame at `wall` are written. If none is open yet, `held` is
    /// the time of the first frame that waits to be written.
    #[must_use]
    pub fn is_due(&self, wall: SystemTime, more: usize, held: Option<SystemTime>) -> bool {
        let before = self.open.as_ref().map_or_else(|| held.and_then(|held| self.slot(held)), |open| open.slot);
        let len = self.open.as_ref().map_or(0, |open| open.file.len());
        let full = self.rules.rotate.bytes.is_some_and(|most| len + more as u64 > most.0);
        let late = before.zip(self.slot(wall)).is_some_and(|(before, now)| {
            // Frames of several cameras may arrive out of order at the full hour; a clock that was set back leaps.
            // The times of recordings say nothing about each other, so there, only later ones count.
            now > before || (self.env.live() && now + 1 < before)
        });
        (full && (len > 0 || held.is_some())) || late
    }

    /// The number of the time slot of `rotate.time`, or of the day if the path has `{date}`.
    fn slot(&self, wall: SystemTime) -> Option<u64> {
        let day = self.rules.pattern.has(Field::Date).then_some(Duration::from_hours(24));
        let period = self.rules.rotate.time.map(|time| time.0).or(day)?;
        let since = wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_nanos() / period.as_nanos().max(1)).ok()
    }

    /// Whether a live sink must close its file and open another: somebody asked for it, or the file was moved.
    pub fn is_disturbed(&mut self) -> bool {
        // A pipe has no name that could change, and its reader would take the end of one writer for the end.
        let regular = |open: &&Open| self.env.live() && open.file.is_regular();
        let Some(open) = self.open.as_ref().filter(regular) else { return false };
        let asked = self.env.reopen.count();
        if std::mem::replace(&mut self.reopened, asked) != asked {
            self.same_name_again();
            return true;
        }
        let now = self.env.clock.now();
        if now.saturating_sub(self.looked) < LOOK {
            return false;
        }
        self.looked = now;
        let moved = open.file.is_moved();
        if moved {
            let path = open.file.path().display();
            tracing::warn!(line = &**self.env.id(), "{path} was renamed or deleted; a new file is begun");
            self.same_name_again();
        }
        moved
    }

    /// Lets the next file have the name of the last one: that may be free now, or is to be continued.
    fn same_name_again(&mut self) {
        self.names.values_mut().for_each(|number| *number = number.saturating_sub(1));
    }

    /// Opens a file for a frame at `wall` if none is open.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn open(&mut self, wall: SystemTime) -> Result<&mut OutFile> {
        if self.open.is_none() {
            let (file, base, number) = self.next(wall)?;
            if let Some(kept) = &mut self.kept {
                kept.forget(file.path());
                kept.make_room(Some(file.len()), &self.env);
            }
            self.env.counters().files.count(file.path());
            self.count += 1;
            if self.begin != Begin::Replace {
                self.names.clear();
            }
            self.names.insert(base, number);
            (self.looked, self.reopened) = (self.env.clock.now(), self.env.reopen.count());
            self.open = Some(Open { file, slot: self.slot(wall) });
        }
        match &mut self.open {
            Some(open) => Ok(&mut open.file),
            None => Err(Error::Internal("no file is open".into())),
        }
    }

    /// Opens the next file; also returns its name before it got a number, and the number.
    fn next(&self, wall: SystemTime) -> Result<(OutFile, PathBuf, u32)> {
        const MOST: u32 = 10_000;
        let values = Values::file(wall, self.count);
        let name = |number| self.rules.pattern.fill(&values, number);
        let base = name(1)?;
        if !self.rules.many {
            return Ok((OutFile::open(&base, self.begin)?, base, 1));
        }
        // A file of this run is never begun a second time.
        let first = self.names.get(&base).map_or(1, |last| last + 1);
        for number in first..MOST {
            let path = name(number)?;
            let file = match self.begin {
                Begin::Append if path.exists() && name(number + 1)?.exists() => continue,
                Begin::New if path.exists() => continue,
                begin => OutFile::open(&path, begin)?,
            };
            let full = self.rules.rotate.bytes.is_some_and(|most| file.len() >= most.0);
            if self.begin != Begin::Append || !full {
                return Ok((file, base, number));
            }
        }
        let message = format!("{MOST} files have this name and a number; put `{{start}}` into `path`");
        Err(Error::io(base, std::io::Error::other(message)))
    }

    /// Appends a piece whose first frame is at `wall`; opens a file first if none is open.
    ///
    /// # Errors
    /// [`Error::Io`]; nothing of the piece is in the file then.
    pub fn append(&mut self, wall: SystemTime, piece: &[u8]) -> Result<()> {
        let len = self.open(wall)?.len();
        if let Some(kept) = &mut self.kept {
            kept.make_room(Some(len + piece.len() as u64), &self.env);
        }
        self.open(wall)?.append(piece)
    }

    /// Completes the file, if one is open, after writing `head` over its start.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn close(&mut self, head: Option<&[u8]>, keep_empty: bool) -> Result<()> {
        let Some(Open { mut file, .. }) = self.open.take() else { return Ok(()) };
        let headed = head.map_or(Ok(()), |head| file.overwrite_start(head));
        let (path, len, moved) = (file.path().to_path_buf(), file.len(), file.is_moved());
        // What a failed run has written stays in `.part`: the old file is better than half a new one.
        let failed = self.begin == Begin::Replace && self.env.stop.is_failed();
        let finished = if failed { Ok(()) } else { file.finish(keep_empty) };
        if let Some(kept) = self.kept.as_mut().filter(|_| !moved && (len > 0 || keep_empty)) {
            kept.add(&path, len, self.env.clock.wall());
            kept.make_room(None, &self.env);
        }
        headed.and(finished)
    }
}
