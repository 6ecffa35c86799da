//! Reads a flight: all entries in order, or the frames of one source with their pixels.

use super::{Begin, Entry, FormEntry, FrameEntry, Next, UnitEntry, entry, files};
use crate::error::{Error, Result};
use crate::media::{jpeg, png};
use crate::types::Image;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufReader, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The limit for access units that wait for the frame that needs them, in bytes. Beyond it, a keyframe drops those
/// before it; beyond twice as much, any unit does.
const MOST_WAITING: usize = 32 << 20;

/// One run of a flight.
#[derive(Clone, Debug)]
pub struct Flight {
    /// What was recorded.
    pub begin: Begin,
    /// Numbers of all runs in the folder.
    pub runs: Vec<u64>,
    files: Vec<PathBuf>,
}

impl Flight {
    /// Returns whether a folder holds a flight.
    #[must_use]
    pub fn is_one(folder: &Path) -> bool {
        folder.is_dir() && files(folder).is_ok_and(|files| !files.is_empty())
    }

    /// Opens a run; the last one if no number is given.
    ///
    /// # Errors
    /// [`Error::Data`] if no run can be read, [`Error::Config`] if there is no such run, [`Error::Io`].
    pub fn open(folder: &Path, run: Option<u64>) -> Result<Self> {
        let all = files(folder).map_err(|e| Error::io(folder, e))?;
        let mut begun: Vec<(Begin, PathBuf)> = Vec::new();
        for (_, path) in all {
            let mut input = match open(&path) {
                Ok(input) => input,
                // The ring has dropped this file since it was listed.
                Err(e) if e.kind() == ErrorKind::NotFound => continue,
                Err(e) => return Err(Error::io(&path, e)),
            };
            // A file that was cut off within its first entry does not begin a run.
            if let Next::Entry(Entry::Begin(begin)) =
                entry::read(&mut input, &mut Vec::new()).map_err(|e| e.at(path.display()))?
            {
                begun.push((begin, path));
            }
        }
        let mut runs: Vec<u64> = begun.iter().map(|(begin, _)| begin.run).collect();
        runs.dedup();
        let Some(last) = runs.last().copied() else {
            return Err(Error::Data(format!("{}: no recording in it; `ocelli record` makes one", folder.display())));
        };
        let wanted = run.unwrap_or(last);
        begun.retain(|(begin, _)| begin.run == wanted);
        let Some((begin, _)) = begun.first().cloned() else {
            let list: Vec<String> = runs.iter().map(u64::to_string).collect();
            return Err(Error::Config(format!(
                "{}: no run {wanted}; the runs are {}",
                folder.display(),
                list.join(", ")
            )));
        };
        if begin.format > super::FORMAT {
            let message = format!(
                "run {wanted} was recorded by ocelli {}, in a format that this version cannot read",
                begin.ocelli
            );
            return Err(Error::Data(message).at(folder.display()));
        }
        Ok(Self { begin, runs, files: begun.into_iter().map(|(_, path)| path).collect() })
    }

    /// Returns all its entries in the order in which they were recorded.
    #[must_use]
    pub fn entries(&self) -> Entries {
        Entries { files: self.files.clone().into_iter(), input: None, torn: false }
    }

    /// Returns the frames of a source.
    #[must_use]
    pub fn frames(&self, source: &str) -> SourceFrames {
        SourceFrames {
            entries: self.entries(),
            source: source.to_owned(),
            payload: Vec::new(),
            units: VecDeque::new(),
            waiting: 0,
            left_out: 0,
            #[cfg(feature = "h264")]
            decoder: crate::media::h264_live::LiveDecoder::default(),
        }
    }
}

fn open(path: &Path) -> std::io::Result<BufReader<File>> {
    Ok(BufReader::with_capacity(1 << 18, File::open(path)?))
}

/// The entries of a run. A file that was cut off is read up to the cut.
pub struct Entries {
    files: std::vec::IntoIter<PathBuf>,
    input: Option<(PathBuf, BufReader<File>)>,
    /// Whether something is missing between the last entry and the one before.
    torn: bool,
}

impl Entries {
    /// Returns the next entry and reads its payload into `payload`.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Data`] for entries of a later version.
    pub fn next_entry(&mut self, payload: &mut Vec<u8>) -> Result<Option<Entry>> {
        loop {
            if let Some((path, input)) = &mut self.input {
                match entry::read(input, payload).map_err(|e| e.at(path.display()))? {
                    Next::Entry(entry) => return Ok(Some(entry)),
                    Next::End => {}
                    Next::Torn => self.torn = true,
                }
                self.input = None;
            }
            let Some(path) = self.files.next() else { return Ok(None) };
            match open(&path) {
                Ok(input) => self.input = Some((path, input)),
                Err(e) if e.kind() == ErrorKind::NotFound => self.torn = true,
                Err(e) => return Err(Error::io(&path, e)),
            }
        }
    }

    /// Returns whether something was missing before the last entry (a torn file), and clears this mark.
    fn was_torn(&mut self) -> bool {
        std::mem::take(&mut self.torn)
    }
}

/// The frames of one source, decoded.
pub struct SourceFrames {
    entries: Entries,
    source: String,
    payload: Vec<u8>,
    /// Access units that have not been decoded yet.
    units: VecDeque<(UnitEntry, Vec<u8>)>,
    waiting: usize,
    left_out: u64,
    #[cfg(feature = "h264")]
    decoder: crate::media::h264_live::LiveDecoder,
}

impl SourceFrames {
    /// Returns the next frame and reads its pixels into `image`.
    ///
    /// # Errors
    /// [`Error::Data`] if a complete entry holds no picture, [`Error::Io`].
    pub fn next_frame(&mut self, image: &mut Image) -> Result<Option<FrameEntry>> {
        while let Some(entry) = self.entries.next_entry(&mut self.payload)? {
            if self.entries.was_torn() {
                self.forget();
            }
            if entry.source() != Some(&self.source) {
                continue;
            }
            match entry {
                Entry::Frame(frame) => {
                    if self.pixels(&frame, image).map_err(|e| e.at(format_args!("frame {}", frame.seq)))? {
                        return Ok(Some(frame));
                    }
                    self.left_out += 1;
                }
                Entry::Unit(unit) => self.keep(unit),
                _ => {}
            }
        }
        Ok(None)
    }

    /// Returns the number of frames that cannot be decoded because the flight lacks the keyframe they depend on.
    #[must_use]
    pub const fn left_out(&self) -> u64 {
        self.left_out
    }

    fn keep(&mut self, unit: UnitEntry) {
        let most = if unit.key { MOST_WAITING } else { 2 * MOST_WAITING };
        if self.waiting > most {
            self.forget();
        }
        self.waiting += self.payload.len();
        self.units.push_back((unit, std::mem::take(&mut self.payload)));
    }

    /// Drops what is waiting after something went missing: nothing can be decoded before the next keyframe.
    fn forget(&mut self) {
        self.units.clear();
        self.waiting = 0;
        #[cfg(feature = "h264")]
        self.decoder.lost();
    }

    fn pixels(&mut self, frame: &FrameEntry, image: &mut Image) -> Result<bool> {
        match frame.form {
            FormEntry::Jpeg | FormEntry::Remade => jpeg::decode(&self.payload, image).map(|_| true),
            FormEntry::Png => png::decode(&self.payload, image).map(|_| true),
            FormEntry::Unit(time) => self.unit_pixels(Duration::from_nanos(time), image),
        }
    }

    /// Decodes until the picture is there. Later units wait: a damaged one, or the first one of another connection,
    /// must not discard the picture.
    #[cfg(feature = "h264")]
    fn unit_pixels(&mut self, time: Duration, image: &mut Image) -> Result<bool> {
        while !self.decoder.has(time) {
            let Some((unit, data)) = self.units.pop_front() else { return Ok(false) };
            self.waiting -= data.len();
            if unit.lost {
                self.decoder.lost();
            }
            // A unit that was damaged when it arrived is still damaged: no frame was made from it.
            let _ = self.decoder.push(&data, Duration::from_nanos(unit.time_ns), unit.key);
        }
        match self.decoder.take(time) {
            Some(pixels) => pixels.to_rgb(image).map(|_| true),
            None => Ok(false),
        }
    }

    #[cfg(not(feature = "h264"))]
    #[expect(clippy::unused_self, reason = "the same call with H.264")]
    fn unit_pixels(&mut self, _: Duration, _: &mut Image) -> Result<bool> {
        Err(Error::Config("the recording is H.264, and this build has no `h264`; build with `--features h264`".into()))
    }
}
