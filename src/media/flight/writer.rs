//! Writes a flight: files that grow, are begun anew, and vanish when they are too old or too many.

use super::{Begin, EXTENSION, Entry, entry, files};
use crate::error::{Error, Result};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How much is kept. The oldest file goes first, also those of earlier runs.
#[derive(Clone, Copy, Debug)]
pub struct Keep {
    /// All files together.
    pub bytes: u64,
    /// Age of the oldest, if bounded.
    pub time: Option<Duration>,
}

/// The ring is made of at least so many files: a removed one costs no more than this part of it.
const FILES: u64 = 8;
/// No file grows larger.
const LARGEST: u64 = 64 << 20;

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
    /// Earlier files: number, bytes, and the clock at their end if they are of this run.
    old: VecDeque<(u64, u64, Option<Duration>)>,
    scratch: Vec<u8>,
    /// Held while the flight is written.
    _lock: File,
}

impl FlightWriter {
    /// Begins a run in a folder, which is made if it is missing; what is in it stays as long as there is room.
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
                "{}: another ocelli records into this folder; give each run its own",
                folder.display()
            )),
            std::fs::TryLockError::Error(e) => Error::io(&lock_path, e),
        })?;
        let mut old = VecDeque::new();
        for (number, path) in files(folder).map_err(io)? {
            let bytes = std::fs::metadata(&path).map_err(|e| Error::io(&path, e))?.len();
            old.push_back((number, bytes, None));
        }
        let number = old.back().map_or(0, |(number, ..)| number + 1);
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
            scratch: Vec::new(),
            _lock: lock,
        };
        writer.open(Duration::ZERO)?;
        Ok(writer)
    }

    fn path(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{number:08}.{EXTENSION}"))
    }

    /// Begins the file of the current number.
    fn open(&mut self, at: Duration) -> Result<()> {
        let path = self.path(self.number);
        let file = File::create_new(&path).map_err(|e| Error::io(&path, e))?;
        let mut out = BufWriter::with_capacity(1 << 16, file);
        let begin = Entry::Begin(self.begin.clone());
        self.bytes = entry::write(&mut out, &begin, &[], &mut self.scratch).map_err(|e| Error::io(&path, e))?;
        (self.out, self.began) = (Some(out), at);
        self.trim(at);
        Ok(())
    }

    /// Ends the current file, if one is open.
    fn close(&mut self, at: Duration) -> Result<()> {
        let Some(mut out) = self.out.take() else { return Ok(()) };
        self.old.push_back((self.number, self.bytes, Some(at)));
        let path = self.path(self.number);
        self.number += 1;
        out.flush().map_err(|e| Error::io(&path, e))?;
        // What was written a while ago outlives a loss of power, too.
        out.get_ref().sync_data().map_err(|e| Error::io(&path, e))
    }

    /// Removes what is too much.
    fn trim(&mut self, at: Duration) {
        let mut sum = self.bytes.max(self.largest()) + self.old.iter().map(|(_, bytes, _)| bytes).sum::<u64>();
        while let Some((number, bytes, ended)) = self.old.front().copied() {
            let age = at.saturating_sub(ended.unwrap_or_default());
            if sum <= self.keep.bytes && self.keep.time.is_none_or(|most| age <= most) {
                return;
            }
            // One that somebody else removed is gone, too.
            let _ = std::fs::remove_file(self.path(number));
            self.old.pop_front();
            sum -= bytes;
        }
    }

    fn largest(&self) -> u64 {
        (self.keep.bytes / FILES).min(LARGEST)
    }

    /// Whether it is time for a new file; better in front of a picture that needs none before it.
    fn is_due(&self, entry: &Entry, at: Duration) -> bool {
        let age = at.saturating_sub(self.began);
        let old = self.keep.time.is_some_and(|most| age * FILES as u32 > most);
        let fitting = !self.has_units || matches!(entry, Entry::Unit(unit) if unit.key);
        (fitting && (old || self.bytes >= self.largest())) || self.bytes >= 2 * self.largest().max(1 << 16)
    }

    /// Writes an entry at a time of the clock. After an error the flight goes on in a new file with the next entry.
    ///
    /// # Errors
    /// [`Error::Io`]: a full disk, a folder that is gone.
    pub fn push(&mut self, entry: &Entry, payload: &[u8], at: Duration) -> Result<()> {
        self.has_units |= matches!(entry, Entry::Unit(_));
        if self.is_due(entry, at) {
            self.close(at)?;
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

    /// Gives up the current file: what stands in it stays.
    fn broken(&mut self, e: std::io::Error, at: Duration) -> Error {
        if let Some(out) = self.out.take() {
            // Without trying once more to write what could not be written.
            let _ = out.into_parts();
            self.old.push_back((self.number, self.bytes, Some(at)));
        }
        let path = self.path(self.number);
        self.number += 1;
        Error::io(path, e)
    }

    /// Hands what waits in the buffer to the system, where it outlives this process.
    ///
    /// # Errors
    /// As [`FlightWriter::push`].
    pub fn flush(&mut self, at: Duration) -> Result<()> {
        match self.out.as_mut().map_or(Ok(()), Write::flush) {
            Ok(()) => Ok(()),
            Err(e) => Err(self.broken(e, at)),
        }
    }

    /// Ends the flight in order.
    ///
    /// # Errors
    /// As [`FlightWriter::push`].
    pub fn finish(&mut self, at: Duration) -> Result<()> {
        self.push(&Entry::End, &[], at)?;
        self.close(at)
    }

    /// The run's number.
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
            assert!(sum < 90_000 && (run == 0 || sum > 50_000), "{sum} bytes");
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
        let folder = tempfile::tempdir().unwrap();
        let keep = Keep { bytes: 1 << 30, time: Some(Duration::from_secs(8)) };
        let mut writer = FlightWriter::create(folder.path(), Begin::default(), keep).unwrap();
        for second in 0..60 {
            writer.push(&state(second), &[], Duration::from_secs(second)).unwrap();
        }
        writer.finish(Duration::from_secs(60)).unwrap();
        let left = files(folder.path()).unwrap().len();
        assert!((4..=6).contains(&left), "{left} files");
    }
}
