//! One entry of a flight: what it says, and how it is stored in the file.
//!
//! `length u32 | crc32 u32 | head length u32 | head (JSON) | payload`, little-endian. The length counts the bytes after
//! the CRC, and the CRC covers the same bytes. The head is text, so that people can read a flight with `strings` and
//! new keys do not break old readers. The payload is raw bytes.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::io::{ErrorKind, Read, Write};
use std::time::Duration;

/// The longest entry: a picture in its largest form.
const LONGEST: u32 = 600 << 20;
/// The longest head.
const LONGEST_HEAD: u32 = 4 << 20;
/// The number of bytes before the head.
pub const FRONT: u64 = 12;

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    /// The first entry of each file: what was recorded.
    Begin(Begin),
    /// A frame, as it left its source.
    Frame(FrameEntry),
    /// An H.264 access unit in Annex B form; it is the payload.
    Unit(UnitEntry),
    /// A source entered a state.
    State {
        /// Its id.
        source: String,
        /// The time of the clock.
        at_ns: u64,
        /// `opening`, `live`, `stalled`, `backoff` or `failed`.
        state: String,
        /// Why.
        reason: String,
    },
    /// A line skipped a frame.
    Drop {
        /// The line's id.
        line: String,
        /// The frame's source.
        source: String,
        /// The frame's number.
        seq: u64,
        /// `queue` or `deadline`.
        reason: String,
    },
    /// What is missing because the recorder was too slow or the disk failed.
    Missed {
        /// The source's id; empty for what belongs to no source.
        source: String,
        /// The number of frames of the source.
        #[serde(default)]
        frames: u64,
        /// The number of entries about frames that lines skipped.
        #[serde(default)]
        drops: u64,
    },
    /// The run ended normally.
    End,
}

/// What a flight recorded.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Begin {
    /// Version of this format.
    pub format: u32,
    /// Version of the program.
    pub ocelli: String,
    /// Number of the run: that of its first file.
    pub run: u64,
    /// The time of day when it began, in RFC 3339 form.
    pub began: String,
    /// File name of the pipeline.
    pub file: String,
    /// The pipeline as JSON, without secrets.
    pub pipeline: String,
    /// The sources.
    pub sources: Vec<SourceEntry>,
    /// The models by name, with the SHA-256 of each.
    pub models: Vec<(String, String)>,
    /// The machine's kind of processor: runs on another kind may differ in the last digits.
    pub cpu: String,
}

/// A source of a flight.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SourceEntry {
    /// Its id.
    pub id: String,
    /// Its word in the YAML.
    pub word: String,
    /// Whether it was live.
    pub live: bool,
    /// Whether its frames carry the truth.
    #[serde(default)]
    pub truth: bool,
}

/// A frame.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FrameEntry {
    /// Its source's id.
    pub source: String,
    /// Its number.
    pub seq: u64,
    /// Media time.
    pub pts_ns: u64,
    /// Time of day: nanoseconds since 1970.
    pub wall_ns: i64,
    /// File name of the picture, if it had one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// What the payload holds.
    pub form: FormEntry,
    /// What is really there, if the source knew it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub truth: Option<TruthEntry>,
}

/// How a frame's pixels are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FormEntry {
    /// A JPEG, as the source sent it.
    #[default]
    Jpeg,
    /// A JPEG made for the recording: its pixels differ slightly from those that were seen.
    Remade,
    /// A PNG: exactly the same pixels.
    Png,
    /// No payload: the picture is that of the access unit with this time in nanoseconds.
    Unit(u64),
}

/// The truth that a scene knew.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TruthEntry {
    /// Names of the classes.
    pub labels: Vec<String>,
    /// Class, and x1, y1, x2, y2 in pixels of the frame.
    pub boxes: Vec<(u16, [f32; 4])>,
}

/// An access unit.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct UnitEntry {
    /// Its source's id.
    pub source: String,
    /// The stream time of its picture.
    pub time_ns: u64,
    /// Whether decoding can start here.
    pub key: bool,
    /// Whether something before it is missing.
    pub lost: bool,
}

impl Entry {
    /// Returns the source that it belongs to, if any.
    #[must_use]
    pub fn source(&self) -> Option<&str> {
        match self {
            Self::Frame(frame) => Some(&frame.source),
            Self::Unit(unit) => Some(&unit.source),
            Self::State { source, .. } | Self::Drop { source, .. } | Self::Missed { source, .. } => Some(source),
            Self::Begin(_) | Self::End => None,
        }
    }
}

/// Returns a time in nanoseconds, limited to 64 bits (584 years).
#[must_use]
pub fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Writes an entry and returns its length; `scratch` is a buffer that is reused for the next entry.
///
/// # Errors
/// Those of `out`.
pub fn write(
    out: &mut impl Write,
    entry: &Entry,
    payload: &[u8],
    scratch: &mut Vec<u8>,
) -> Result<u64, std::io::Error> {
    scratch.clear();
    scratch.resize(FRONT as usize, 0);
    serde_json::to_writer(&mut *scratch, entry)?;
    let head = scratch.len() - FRONT as usize;
    // Do not write what a reader would reject.
    let fits = |size: usize, most: u32| u32::try_from(size).ok().filter(|size| *size <= most);
    let sizes = fits(4 + head + payload.len(), LONGEST).zip(fits(head, LONGEST_HEAD));
    let (length, head) = sizes.ok_or_else(|| std::io::Error::new(ErrorKind::InvalidData, "an entry of over 600 MB"))?;
    scratch[8..12].copy_from_slice(&head.to_le_bytes());
    let mut crc = crc32fast::Hasher::new();
    crc.update(&scratch[8..]);
    crc.update(payload);
    scratch[..4].copy_from_slice(&length.to_le_bytes());
    scratch[4..8].copy_from_slice(&crc.finalize().to_le_bytes());
    out.write_all(scratch)?;
    out.write_all(payload)?;
    Ok(u64::from(length) + 8)
}

/// What a reader finds.
#[derive(Debug, PartialEq)]
pub enum Next {
    /// An entry.
    Entry(Entry),
    /// The end, between two entries.
    End,
    /// Something that is not a complete entry. Nothing shows where the next one would begin.
    Torn,
}

/// Reads the next entry, and its payload into `payload`.
///
/// # Errors
/// [`Error::Io`] if the file cannot be read; [`Error::Data`] for a complete entry that this version cannot understand.
pub fn read(input: &mut impl Read, payload: &mut Vec<u8>) -> Result<Next> {
    let io = |e| Error::io("recording", e);
    let mut front = [0; FRONT as usize];
    let got = fill(input, &mut front).map_err(io)?;
    if got < front.len() {
        return Ok(if got == 0 { Next::End } else { Next::Torn });
    }
    let number = |at: usize| u32::from_le_bytes([front[at], front[at + 1], front[at + 2], front[at + 3]]);
    let (length, crc, head) = (number(0), number(4), number(8));
    if length > LONGEST || head > LONGEST_HEAD || length < 4 || head > length - 4 {
        return Ok(Next::Torn);
    }
    // Read in pieces: a false length must not cost memory.
    payload.clear();
    let wanted = u64::from(length - 4);
    let got = input.by_ref().take(wanted).read_to_end(payload).map_err(io)?;
    let mut sum = crc32fast::Hasher::new();
    sum.update(&front[8..]);
    sum.update(payload);
    if got as u64 != wanted || sum.finalize() != crc {
        return Ok(Next::Torn);
    }
    let entry = serde_json::from_slice(&payload[..head as usize]);
    let entry = entry.map_err(|e| Error::Data(format!("an entry that this version cannot understand ({e})")))?;
    payload.drain(..head as usize);
    Ok(Next::Entry(entry))
}

/// Fills the buffer as far as the input goes.
fn fill(input: &mut impl Read, buffer: &mut [u8]) -> Result<usize, std::io::Error> {
    let mut got = 0;
    while got < buffer.len() {
        match input.read(&mut buffer[got..]) {
            Ok(0) => break,
            Ok(count) => got += count,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(got)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_back_and_a_cut_one_is_not_there() {
        let _limit = crate::limit::within(60);
        let frame = FrameEntry { source: "cam".into(), seq: 7, form: FormEntry::Unit(12), ..FrameEntry::default() };
        let all = [
            (Entry::Frame(frame), vec![1, 2, 3]),
            (Entry::Missed { source: "cam".into(), frames: 2, drops: 0 }, vec![]),
            (Entry::End, vec![]),
        ];
        let (mut file, mut scratch, mut ends) = (Vec::new(), Vec::new(), vec![0]);
        for (entry, payload) in &all {
            write(&mut file, entry, payload, &mut scratch).unwrap();
            ends.push(file.len());
        }
        for cut in 0..=file.len() {
            let (mut input, mut payload, mut count) = (&file[..cut], Vec::new(), 0);
            let end = loop {
                match read(&mut input, &mut payload).unwrap() {
                    Next::Entry(entry) => assert_eq!((&entry, &payload), (&all[count].0, &all[count].1)),
                    end => break end,
                }
                count += 1;
            };
            assert_eq!(end == Next::End, ends.contains(&cut), "cut at {cut}");
            assert_eq!(count, ends.iter().filter(|end| **end > 0 && **end <= cut).count(), "cut at {cut}");
        }
        // A changed byte anywhere loses its entry, but never causes a panic.
        for at in 0..ends[1] {
            let mut damaged = file.clone();
            damaged[at] ^= 0x20;
            let found = read(&mut &damaged[..], &mut Vec::new());
            assert!(!matches!(found, Ok(Next::Entry(_))), "byte {at}: {found:?}");
        }
    }
}
