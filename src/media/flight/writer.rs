//! Writes a flight: begins a new file when the current one has grown large, and removes files that are too old or too
//! many.

use super::{Begin, Entry, entry, files, name};
use crate::error::{Error, Result};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// How much is kept. The oldest file is removed first, including those of earlier runs.
#[derive(Clone, Copy, Debug)]
pub struct Keep {
    /// The size of all files together.
    pub bytes: u64,
    /// The age of the oldest file, if limited. For files of earlier runs, the time of day of the last write counts.
    pub time: Option<Duration>,
}

/// The ring has at least this many files, so that removing one loses no more than this fraction of it.
const FILES: u64 = 8;
/// The largest size at which a new file begins.
const LARGEST: u64 = 64 << 20;
/// How often to look for files that are too old.
const LOOK: Duration = Duration::from_mins(1);

/// A flight being written.
pub struct FlightWriter {
    folder: PathBuf,
    begin: Begin,
    keep: Keep,
    number: u64,
    out: Option<BufWriter<File>>,
    bytes: u64,
    began: Duration,
    has_units: bool,
    old: VecDeque<Old>,
    /// When files that are too old were last looked for.
    looked: Duration,
    scratch: Vec<u8>,
    /// Held while the flight is written.
    _lock: File,
}

/// An earlier file.
struct Old {
    number: u64,
    bytes: u64,
    ended: Ended,
}

/// When a file was last written.
#[derive(Clone, Copy)]
enum Ended {
    /// By this run's clock.
    Clock(Duration),
    /// By the time of day: a file of an earlier run.
    Wall(SystemTime),
}

impl FlightWriter {
    /// Begins a run in a folder, which is created if it is missing. Earlier files stay as long as there is room.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Config`] if another program records into the folder.
    pub fn create(folder: &Path, begin: Begin, keep: Keep) -> Result<Self> {
        let io = |e| Error::io(folder, e);
        std::fs::create_dir_all(folder).map_err(io)?;
        let lock_path = folder.join(".lock");
        let lock = File::create(&lock_path).map_err(|e| Error::io(&lock_path, e))?;
        lock.try_lock().map_err(|e| match e {
            std::fs::TryLockError::WouldBlock => Error::Config(format!(
                "{}: another ocelli is recording into this folder; give each run its own folder",
                folder.display()
            )),
            std::fs::TryLockError::Error(e) => Error::io(&lock_path, e),
        })?;
        let mut old = VecDeque::new();
        for (number, path) in files(folder).map_err(io)? {
            let about = std::fs::metadata(&path).map_err(|e| Error::io(&path, e))?;
            let ended = Ended::Wall(about.modified().unwrap_or(SystemTime::UNIX_EPOCH));
            old.push_back(Old { number, bytes: about.len(), ended });
        }
        let number = old.back().map_or(0, |last: &Old| last.number.saturating_add(1));
        let mut writer = Self {
            folder: folder.to_path_buf(),
            begin: Begin { run: number, ..begin },
            keep,
            number,
            out: None,
            bytes: 0,
            began: Duration::ZERO,
            has_units: false,
            old,
            looked: Duration::ZERO,
            scratch: Vec::new(),
            _lock: lock,
        };
        writer.open(Duration::ZERO)?;
        Ok(writer)
    }

    fn path(&self, number: u64) -> PathBuf {
        self.folder.join(name(number))
    }

    /// Begins the file with the current number.
    fn open(&mut self, at: Duration) -> Result<()> {
        self.trim(at)?;
        let path = self.path(self.number);
        let begun = File::create_new(&path).and_then(|file| {
            let mut out = BufWriter::with_capacity(1 << 16, file);
            let begin = Entry::Begin(self.begin.clone());
            let bytes = entry::write(&mut out, &begin, &[], &mut self.scratch)?;
            Ok((out, bytes))
        });
        match begun {
            Ok((out, bytes)) => {
                (self.out, self.bytes, self.began) = (Some(out), bytes, at);
                Ok(())
            }
            Err(e) => Err(self.broken(e, at)),
        }
    }

    /// Ends the current file, if one is open.
    fn close(&mut self, at: Duration) -> Result<()> {
        let Some(mut out) = self.out.take() else { return Ok(()) };
        let flushed = out.flush().and_then(|()| out.get_ref().sync_data());
        // A finished file also survives a power failure.
        if let Err(e) = flushed {
            self.out = Some(out);
            return Err(self.broken(e, at));
        }
        self.old.push_back(Old { number: self.number, bytes: self.bytes, ended: Ended::Clock(at) });
        self.number = self.number.saturating_add(1);
        Ok(())
    }

    /// Removes files that exceed the limits. Leaves room for the file about to be written.
    fn trim(&mut self, at: Duration) -> Result<()> {
        self.looked = at;
        let now = SystemTime::now();
        let mut sum = 2 * self.largest() + self.old.iter().map(|old| old.bytes).sum::<u64>();
        while let Some(oldest) = self.old.front() {
            let age = match oldest.ended {
                Ended::Clock(ended) => at.saturating_sub(ended),
                Ended::Wall(ended) => now.duration_since(ended).unwrap_or_default(),
            };
            if sum <= self.keep.bytes && self.keep.time.is_none_or(|most| age <= most) {
                return Ok(());
            }
            sum -= oldest.bytes;
            self.remove_oldest()?;
        }
        Ok(())
    }

    fn remove_oldest(&mut self) -> Result<()> {
        let Some(oldest) = self.old.front() else { return Ok(()) };
        let path = self.path(oldest.number);
        match std::fs::remove_file(&path) {
            // A file that somebody else has removed is gone, too.
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io(&path, e)),
            _ => {
                self.old.pop_front();
                Ok(())
            }
        }
    }

    fn largest(&self) -> u64 {
        (self.keep.bytes / FILES).min(LARGEST)
    }

    /// Returns whether it is time for a new file, preferably before a picture that does not depend on earlier ones.
    fn is_due(&self, entry: &Entry, at: Duration) -> bool {
        let age = at.saturating_sub(self.began);
        let old = self.keep.time.is_some_and(|most| age * FILES as u32 > most);
        let fitting = !self.has_units || matches!(entry, Entry::Unit(unit) if unit.key);
        (fitting && (old || self.bytes >= self.largest())) || self.bytes >= 2 * self.largest()
    }

    /// Writes an entry; `at` is the time of the clock. After an error, the flight continues in a new file with the next
    /// entry.
    ///
    /// # Errors
    /// [`Error::Io`], for example if the disk is full or the folder is gone.
    pub fn push(&mut self, entry: &Entry, payload: &[u8], at: Duration) -> Result<()> {
        self.has_units |= matches!(entry, Entry::Unit(_));
        if self.is_due(entry, at) {
            self.close(at)?;
        }
        if self.keep.time.is_some() && at.saturating_sub(self.looked) > LOOK {
            self.trim(at)?;
        }
        if self.out.is_none() {
            self.open(at)?;
        }
        let Some(out) = &mut self.out else { return Ok(()) };
        match entry::write(out, entry, payload, &mut self.scratch) {
            Ok(bytes) => {
                self.bytes += bytes;
                Ok(())
            }
            Err(e) => Err(self.broken(e, at)),
        }
    }

    /// Gives up the current file; its content stays. If the disk is full, also removes the oldest file, so that the
    /// next attempt has room.
    fn broken(&mut self, e: std::io::Error, at: Duration) -> Error {
        let path = self.path(self.number);
        if let Some(out) = self.out.take() {
            // Drop the buffer without trying to write it again.
            let _ = out.into_parts();
        }
        match std::fs::metadata(&path) {
            Ok(about) if about.len() > 0 => {
                self.old.push_back(Old { number: self.number, bytes: about.len(), ended: Ended::Clock(at) });
            }
            // Nothing of it was written.
            Ok(_) => _ = std::fs::remove_file(&path),
            Err(_) => {}
        }
        if e.kind() == std::io::ErrorKind::StorageFull && self.old.len() > 1 {
            let _ = self.remove_oldest();
        }
        self.number = self.number.saturating_add(1);
        Error::io(path, e)
    }

    /// Hands buffered data to the operating system, where it outlives this process.
    ///
    /// # Errors
    /// As [`FlightWriter::push`].
    pub fn flush(&mut self, at: Duration) -> Result<()> {
        match self.out.as_mut().map_or(Ok(()), Write::flush) {
            Ok(()) => Ok(()),
            Err(e) => Err(self.broken(e, at)),
        }
    }

    /// Ends the flight normally.
    ///
    /// # Errors
    /// As [`FlightWriter::push`].
    pub fn finish(&mut self, at: Duration) -> Result<()> {
        self.push(&Entry::End, &[], at)?;
        self.close(at)
    }

    /// Returns the run's number.
    #[must_use]
    pub const fn run(&self) -> u64 {
        self.begin.run
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Flight, nanos};
    use super::*;

    fn state(at: u64) -> Entry {
        Entry::State { source: "s".into(), at_ns: at, state: "live".into(), reason: String::new() }
    }

    #[test]
    fn the_ring_is_bounded_over_runs_and_a_second_writer_is_refused() {
        let _limit = crate::limit::within(60);
        let folder = tempfile::tempdir().unwrap();
        let keep = Keep { bytes: 80_000, time: None };
        let mut last = 0;
        for run in 0..3 {
            let mut writer = FlightWriter::create(folder.path(), Begin::default(), keep).unwrap();
            assert!(FlightWriter::create(folder.path(), Begin::default(), keep).is_err());
            for step in 0..300u64 {
                last = run * 1000 + step;
                let at = Duration::from_millis(step * 10);
                writer.push(&state(last), &[7; 500], at).unwrap();
                if step % 50 == 0 {
                    writer.flush(at).unwrap();
                }
            }
            writer.finish(Duration::from_secs(3)).unwrap();
            let sum: u64 = files(folder.path()).unwrap().iter().map(|(_, p)| std::fs::metadata(p).unwrap().len()).sum();
            assert!(sum <= 80_000 && (run == 0 || sum > 50_000), "{sum} bytes");
        }
        let flight = Flight::open(folder.path(), None).unwrap();
        let (mut entries, mut payload, mut found) = (flight.entries(), Vec::new(), Vec::new());
        while let Some(entry) = entries.next_entry(&mut payload).unwrap() {
            if let Entry::State { at_ns, .. } = entry {
                found.push(at_ns);
            }
        }
        let first = last + 1 - found.len() as u64;
        assert!(found.len() > 80 && found == (first..=last).collect::<Vec<_>>(), "{found:?}");
        assert_eq!(nanos(Duration::from_micros(3)), 3000);
    }

    #[test]
    fn old_files_go() {
        let _limit = crate::limit::within(60);
        let folder = tempfile::tempdir().unwrap();
        let keep = Keep { bytes: 1 << 30, time: Some(Duration::from_secs(8)) };
        let mut writer = FlightWriter::create(folder.path(), Begin::default(), keep).unwrap();
        for second in 0..60 {
            writer.push(&state(second), &[], Duration::from_secs(second)).unwrap();
        }
        writer.finish(Duration::from_mins(1)).unwrap();
        let left = files(folder.path()).unwrap().len();
        assert!((4..=6).contains(&left), "{left} files");
    }
}
