//! Reads a flight: all entries in order, or the frames of one source with their pixels.

use super::{Begin, Entry, FormEntry, FrameEntry, UnitEntry, entry, files};
use crate::error::{Error, Result};
use crate::media::{jpeg, png};
use crate::types::Image;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Access units that wait for the frame that needs them; more than this, and those before the last key picture go.
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
    /// Whether a folder holds a flight.
    #[must_use]
    pub fn is_one(folder: &Path) -> bool {
        folder.is_dir() && files(folder).is_ok_and(|files| !files.is_empty())
    }

    /// Opens a run, or the last one.
    ///
    /// # Errors
    /// [`Error::Data`] if there is none that can be read, [`Error::Config`] if there is no such run, [`Error::Io`].
    pub fn open(folder: &Path, run: Option<u64>) -> Result<Self> {
        let all = files(folder).map_err(|e| Error::io(folder, e))?;
        let mut begun: Vec<(Begin, PathBuf)> = Vec::new();
        for (_, path) in all {
            let mut input = BufReader::new(File::open(&path).map_err(|e| Error::io(&path, e))?);
            match entry::read(&mut input, &mut Vec::new()).map_err(|e| e.at(path.display()))? {
                Some(Entry::Begin(begin)) if begin.format <= super::FORMAT => begun.push((begin, path)),
                Some(Entry::Begin(begin)) => {
                    let message =
                        format!("recorded by ocelli {}, in a form that this version cannot read", begin.ocelli);
                    return Err(Error::Data(message).at(path.display()));
                }
                // Cut before its first entry was whole.
                _ => {}
            }
        }
        let mut runs: Vec<u64> = begun.iter().map(|(begin, _)| begin.run).collect();
        runs.dedup();
        let Some(last) = runs.last().copied() else {
            return Err(Error::Data(format!("{}: no recording in it", folder.display())));
        };
        let wanted = run.unwrap_or(last);
        begun.retain(|(begin, _)| begin.run == wanted);
        let Some((begin, _)) = begun.first().cloned() else {
            let list: Vec<String> = runs.iter().map(u64::to_string).collect();
            return Err(Error::Config(format!("{}: no run {wanted}; there are {}", folder.display(), list.join(", "))));
        };
        Ok(Self { begin, runs, files: begun.into_iter().map(|(_, path)| path).collect() })
    }

    /// All its entries, in the order in which they came.
    #[must_use]
    pub fn entries(&self) -> Entries {
        Entries { files: self.files.clone().into_iter(), input: None }
    }

    /// The frames of a source.
    #[must_use]
    pub fn frames(&self, source: &str) -> SourceFrames {
        SourceFrames {
            entries: self.entries(),
            source: source.to_owned(),
            payload: Vec::new(),
            units: Vec::new(),
            waiting: 0,
            left_out: 0,
            #[cfg(feature = "h264")]
            decoder: crate::media::h264_live::LiveDecoder::default(),
        }
    }

    /// Number of frames of a source. Reads all of the flight.
    ///
    /// # Errors
    /// As [`Entries::next_entry`].
    pub fn count(&self, source: &str) -> Result<u64> {
        let (mut entries, mut payload, mut count) = (self.entries(), Vec::new(), 0);
        while let Some(entry) = entries.next_entry(&mut payload)? {
            count += u64::from(matches!(entry, Entry::Frame(frame) if frame.source == source));
        }
        Ok(count)
    }
}

/// The entries of a run. A file that was cut is read up to the cut.
pub struct Entries {
    files: std::vec::IntoIter<PathBuf>,
    input: Option<(PathBuf, BufReader<File>)>,
}

impl Entries {
    /// The next entry, with its payload.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Data`] for entries of a later version.
    pub fn next_entry(&mut self, payload: &mut Vec<u8>) -> Result<Option<Entry>> {
        loop {
            if let Some((path, input)) = &mut self.input {
                if let Some(entry) = entry::read(input, payload).map_err(|e| e.at(path.display()))? {
                    return Ok(Some(entry));
                }
                self.input = None;
            }
            let Some(path) = self.files.next() else { return Ok(None) };
            let file = File::open(&path).map_err(|e| Error::io(&path, e))?;
            self.input = Some((path, BufReader::with_capacity(1 << 18, file)));
        }
    }
}

/// The frames of one source, decoded.
pub struct SourceFrames {
    entries: Entries,
    source: String,
    payload: Vec<u8>,
    /// Access units since the last frame.
    units: Vec<(UnitEntry, Vec<u8>)>,
    waiting: usize,
    left_out: u64,
    #[cfg(feature = "h264")]
    decoder: crate::media::h264_live::LiveDecoder,
}

impl SourceFrames {
    /// The next frame, its pixels in `image`.
    ///
    /// # Errors
    /// [`Error::Data`] if a whole entry holds no picture, [`Error::Io`].
    pub fn next_frame(&mut self, image: &mut Image) -> Result<Option<FrameEntry>> {
        while let Some(entry) = self.entries.next_entry(&mut self.payload)? {
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

    /// Frames whose pictures cannot be decoded, because the flight holds no key picture before them.
    #[must_use]
    pub const fn left_out(&self) -> u64 {
        self.left_out
    }

    fn keep(&mut self, unit: UnitEntry) {
        if unit.key && self.waiting > MOST_WAITING {
            self.units.clear();
            self.waiting = 0;
        }
        self.waiting += self.payload.len();
        self.units.push((unit, std::mem::take(&mut self.payload)));
    }

    fn pixels(&mut self, frame: &FrameEntry, image: &mut Image) -> Result<bool> {
        match frame.form {
            FormEntry::Jpeg | FormEntry::Remade => jpeg::decode(&self.payload, image).map(|()| true),
            FormEntry::Png => png::decode(&self.payload, image).map(|()| true),
            FormEntry::Unit(time) => self.unit_pixels(Duration::from_nanos(time), image),
        }
    }

    #[cfg(feature = "h264")]
    fn unit_pixels(&mut self, time: Duration, image: &mut Image) -> Result<bool> {
        for (unit, data) in self.units.drain(..) {
            if unit.lost {
                self.decoder.lost();
            }
            // What was damaged when it came is damaged now, too: no frame was made of it.
            let _ = self.decoder.push(&data, Duration::from_nanos(unit.time_ns), unit.key);
        }
        self.waiting = 0;
        let Some(pixels) = self.decoder.take(time) else { return Ok(false) };
        pixels.to_rgb(image).map(|()| true)
    }

    #[cfg(not(feature = "h264"))]
    fn unit_pixels(&mut self, _: Duration, _: &mut Image) -> Result<bool> {
        Err(Error::Config("the recording is H.264, and this build has no `h264`; build with `--features h264`".into()))
    }
}
