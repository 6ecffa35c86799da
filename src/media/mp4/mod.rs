//! MP4 and QuickTime, plain and fragmented: finds the H.264 track and reads its packets one by one.
//!
//! This is our own code (ISO/IEC 14496-12 and -15, QuickTime File Format): of the crates we tried, none plays a file that
//! was cut, reads edit lists, or stands what cameras leave behind boxes. See docs/decisions/0014-media.md.

mod boxes;
mod tables;

use super::h264::{PacketSource, Stamp};
use crate::error::{Error, Result};
use boxes::{Top, below, child, inside, u32_at};
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use tables::{Bounds, Defaults, Edit, Sample};

/// The packets of an MP4's H.264 track, in decoding order.
pub struct Mp4Packets {
    file: BufReader<File>,
    config: Vec<u8>,
    colour: (u8, bool),
    samples: Vec<Sample>,
    /// Which samples to read, and when they are shown, in ticks.
    shows: Vec<Show>,
    scale: i64,
    next: usize,
    remark: Option<String>,
}

/// A sample to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Show {
    sample: usize,
    /// When it is shown; `None` if it is only needed to decode others.
    at: Option<i64>,
}

/// The largest sample that is accepted.
const MAX_SAMPLE: u32 = 64 << 20;
/// The largest table of contents that is accepted: a day of 60 frames per second has 150 MB.
const MAX_MOOV: u64 = 512 << 20;

/// What the boxes at the top of a file say.
#[derive(Default)]
struct Tops {
    moov: Option<Vec<u8>>,
    /// The table of contents is longer than any that is accepted.
    huge: bool,
    /// The fragments, with the places where they begin.
    moofs: Vec<Top>,
    /// The file ends within a box.
    cut: bool,
}

fn tops(file: &mut BufReader<File>, length: u64) -> std::io::Result<Tops> {
    let (mut tops, mut at) = (Tops::default(), 0);
    while let Some(top) = boxes::top(file, at, length)? {
        tops.cut |= top.end > length;
        match &top.name {
            b"moov" if tops.moov.is_none() => {
                tops.huge |= top.end <= length && top.end - top.body.min(top.end) > MAX_MOOV;
                tops.moov = boxes::contents(file, &top, length, MAX_MOOV)?;
            }
            b"moof" if top.end <= length => tops.moofs.push(top),
            _ => {}
        }
        at = top.end;
    }
    Ok(tops)
}

/// Opens a file; the inner `Err` names what the H.264 track is instead, or what it needs that is not read here.
///
/// # Errors
/// [`Error::Data`] if it is damaged or has no video, [`Error::Io`].
pub fn open(path: &Path) -> Result<Result<Mp4Packets, String>> {
    let io = |e| Error::io(path, e);
    let file = File::open(path).map_err(io)?;
    let length = file.metadata().map_err(io)?.len();
    let mut file = BufReader::new(file);
    let tops = tops(&mut file, length).map_err(io)?;
    let Some(moov) = tops.moov else {
        let why = "the file was cut off before its table of contents, which was to be written at the end";
        let why = match tops {
            Tops { huge: true, .. } => "its table of contents has more than 512 MiB",
            Tops { cut: true, .. } => why,
            _ => "it has no table of contents (`moov`)",
        };
        return Err(Error::Data(format!("MP4: {why}")));
    };
    let track = match Track::find(&moov) {
        Ok(track) => track,
        Err(other) => {
            return other.map_or_else(|| Err(Error::Data("MP4: no video track".into())), |codec| Ok(Err(codec)));
        }
    };
    let many = || Error::Data("MP4: its tables claim more pictures than it has bytes".into());
    let bounds = Bounds { length };
    let mut samples = tables::samples(track.stbl, bounds).ok_or_else(many)?;
    let whole_track = samples.len();
    let mut decoded = samples.last().map_or(0, |last| last.decoded);
    let defaults = Defaults::of(&moov, track.id);
    for top in &tops.moofs {
        let Some(moof) = boxes::contents(&mut file, top, length, MAX_MOOV).map_err(io)? else { continue };
        if !tables::fragment(&moof, top.start, track.id, defaults, bounds, &mut samples, &mut decoded) {
            return Err(many());
        }
    }
    let there = |sample: &Sample| {
        sample.size <= MAX_SAMPLE && sample.offset.checked_add(sample.size.into()).is_some_and(|end| end <= length)
    };
    let shows = if whole_track == samples.len() { edited(&samples, &track.edits) } else { Some(in_order(&samples)) };
    let Some(shows) = shows else { return Ok(Err("H.264 with an edit list that repeats its parts".into())) };
    let count = |shows: &[Show]| shows.iter().filter(|show| show.at.is_some()).count();
    let all = count(&shows);
    // A file that was cut lacks its last samples; anything else is damage, and others would build on what is missing.
    let missing = samples.iter().position(|sample| !there(sample)).unwrap_or(samples.len());
    if samples[missing..].iter().any(there) {
        return Ok(Err("H.264 whose tables point outside the file".into()));
    }
    let shows: Vec<Show> = shows.into_iter().filter(|show| show.sample < missing).collect();
    if count(&shows) == 0 {
        let why = if all > 0 || tops.cut { "the file was cut off before its first picture" } else { "no pictures" };
        return Err(Error::Data(format!("MP4: {why}")));
    }
    let remark = (count(&shows) < all)
        .then(|| format!("the file was cut off: {} of {all} pictures are there", count(&shows)))
        .or((tops.cut && whole_track < samples.len()).then(|| "the file was cut off in its last part".into()));
    let (config, scale) = (track.config.to_vec(), i64::from(track.scale.max(1)));
    let colour = track.colour;
    Ok(Ok(Mp4Packets { file, config, colour, samples, shows, scale, next: 0, remark }))
}

/// The video track.
struct Track<'a> {
    id: u32,
    scale: u32,
    stbl: &'a [u8],
    config: &'a [u8],
    colour: (u8, bool),
    edits: Vec<Edit>,
}

impl<'a> Track<'a> {
    /// Finds the first video track. An `Err` names what it is instead, if there is one.
    fn find(moov: &'a [u8]) -> Result<Self, Option<String>> {
        let is_video = |trak: &[u8]| {
            let kind = below(trak, &[b"mdia", b"hdlr"]).and_then(|hdlr| hdlr.get(8..12));
            kind == Some(b"vide".as_slice())
        };
        let mut tracks = inside(moov).filter(|(name, body)| name == b"trak" && is_video(body));
        let trak = tracks.next().ok_or(None)?.1;
        let stbl = below(trak, &[b"mdia", b"minf", b"stbl"]).ok_or(None)?;
        // Version, flags and a count stand in front of the descriptions.
        let entries = child(stbl, b"stsd").and_then(|stsd| stsd.get(8..)).unwrap_or_default();
        let mut described = inside(entries);
        let (codec, entry) = described.next().ok_or(None)?;
        if !matches!(&codec, b"avc1" | b"avc3") {
            return Err(Some(String::from_utf8_lossy(&codec).trim().to_owned()));
        }
        // A visual sample entry has 78 bytes in front of its boxes.
        let config = entry.get(78..).and_then(|boxes| child(boxes, b"avcC"));
        let config = config.ok_or_else(|| Some("H.264 without parameter sets".to_owned()))?;
        let same = |name: &[u8; 4], entry: &[u8]| {
            let other = entry.get(78..).and_then(|boxes| child(boxes, b"avcC"));
            matches!(name, b"avc1" | b"avc3") && other == Some(config)
        };
        if !described.all(|(name, entry)| same(&name, entry)) {
            return Err(Some("H.264 whose parameters change".into()));
        }
        let tkhd = child(trak, b"tkhd").unwrap_or_default();
        let wide = |body: &[u8]| body.first() == Some(&1);
        let matrix = if wide(tkhd) { 52 } else { 40 };
        let turned = |at: usize| u32_at(tkhd, matrix + 4 * at).unwrap_or(0).cast_signed();
        if turned(1) != 0 || turned(3) != 0 || turned(0) < 0 || turned(4) < 0 {
            // ffmpeg turns the pictures as the file asks.
            return Err(Some("rotated H.264".into()));
        }
        let scale = |body: &[u8]| u32_at(body, if wide(body) { 20 } else { 12 }).unwrap_or(1);
        let track_scale = child(trak, b"mdia").and_then(|mdia| child(mdia, b"mdhd")).map_or(1, scale);
        let movie_scale = child(moov, b"mvhd").map_or(track_scale, scale);
        Ok(Self {
            id: u32_at(tkhd, if wide(tkhd) { 20 } else { 12 }).unwrap_or(0),
            scale: track_scale,
            stbl,
            config,
            colour: colour(entry.get(78..).unwrap_or_default()),
            edits: tables::edits(trak, movie_scale, track_scale)
                .ok_or_else(|| Some("H.264 with a long edit list".to_owned()))?,
        })
    }
}

/// The matrix and the range that a `colr` box states (§12.1.5); QuickTime's `nclc` has no range.
fn colour(boxes: &[u8]) -> (u8, bool) {
    let colr = child(boxes, b"colr").unwrap_or_default();
    match colr.get(..4) {
        Some(kind @ (b"nclx" | b"nclc")) => {
            let full = kind == b"nclx" && colr.get(10).is_some_and(|flags| flags & 0x80 != 0);
            (colr.get(9).copied().unwrap_or(2), full)
        }
        _ => (2, false),
    }
}

fn in_order(samples: &[Sample]) -> Vec<Show> {
    samples.iter().enumerate().map(|(sample, s)| Show { sample, at: Some(s.shown) }).collect()
}

/// Returns what to read for an edit list: for each part the pictures in it, and from the key picture on those that are
/// needed to decode them. ffmpeg does the same.
/// `None` if the list repeats its parts so often that the file would ask for more memory than it has itself.
fn edited(samples: &[Sample], edits: &[Edit]) -> Option<Vec<Show>> {
    let mut shows = Vec::new();
    for edit in edits {
        let is_in = |sample: &Sample| (edit.from..edit.to).contains(&sample.shown);
        let Some(first) = samples.iter().position(is_in) else { continue };
        let last = samples.iter().rposition(is_in).unwrap_or(first);
        if shows.len() > 2 * samples.len() {
            return None;
        }
        // Pictures that are shown before their key picture come after it.
        let key = samples[..=first].iter().rposition(|sample| sample.key).unwrap_or(0);
        shows.extend((key..=last).map(|sample| {
            let at = samples[sample].shown;
            let at = is_in(&samples[sample]).then(|| edit.at.saturating_add(at.saturating_sub(edit.from)));
            Show { sample, at }
        }));
    }
    Some(if shows.is_empty() { in_order(samples) } else { shows })
}

impl PacketSource for Mp4Packets {
    fn next_packet(&mut self, data: &mut Vec<u8>) -> Result<Option<Stamp>> {
        let Some(&Show { sample, at }) = self.shows.get(self.next) else { return Ok(None) };
        self.next += 1;
        let sample = self.samples[sample];
        data.resize(sample.size as usize, 0);
        self.file.seek(SeekFrom::Start(sample.offset)).map_err(|e| Error::io("MP4", e))?;
        self.file.read_exact(data).map_err(|e| Error::io("MP4", e))?;
        let ticks = i128::from(at.unwrap_or(0));
        let nanos = i64::try_from(ticks * 1_000_000_000 / i128::from(self.scale)).unwrap_or(i64::MAX);
        Ok(Some(Stamp { nanos, hidden: at.is_none() }))
    }

    fn config(&self) -> &[u8] {
        &self.config
    }

    fn colour(&self) -> (u8, bool) {
        self.colour
    }

    fn count(&self) -> Option<u64> {
        Some(self.shows.iter().filter(|show| show.at.is_some()).count() as u64)
    }

    fn remark(&self) -> Option<&str> {
        self.remark.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boxed(name: &[u8], body: &[u8]) -> Vec<u8> {
        [&(body.len() as u32 + 8).to_be_bytes(), name, body].concat()
    }

    #[test]
    fn tables_that_claim_more_than_the_file_holds_are_refused() {
        let sizes = boxed(b"stsz", &[0, 0, 0, 0, 0, 0, 0, 1, 0x7F, 0xFF, 0xFF, 0xFF]);
        let runs =
            boxed(b"stsc", &[&[0; 4][..], &[0, 0, 0, 1], &[0, 0, 0, 1], &[0x7F, 0, 0, 0], &[0, 0, 0, 1]].concat());
        let chunks = boxed(b"stco", &[0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0]);
        let stbl = [sizes, runs, chunks].concat();
        assert_eq!(tables::samples(&stbl, Bounds { length: 1000 }), None);
        let run = boxed(b"trun", &[0, 0, 0, 0, 0x7F, 0xFF, 0xFF, 0xFF]);
        let head = boxed(b"tfhd", &[0, 0, 0, 0, 0, 0, 0, 1]);
        let moof = boxed(b"traf", &[head, run].concat());
        let (mut all, mut decoded) = (Vec::new(), 0);
        assert!(!tables::fragment(&moof, 0, 1, Defaults::default(), Bounds { length: 1000 }, &mut all, &mut decoded));
        assert!(all.len() <= 126);
    }

    #[test]
    fn an_edit_shows_its_part_and_decodes_from_the_key_picture_before_it() {
        let sample = |n: i64| Sample { offset: 0, size: 9, decoded: n, shown: n, key: n % 4 == 0 };
        let samples: Vec<Sample> = (0..12).map(sample).collect();
        let shown = |edits: &[Edit]| -> Vec<(usize, Option<i64>)> {
            edited(&samples, edits).unwrap().into_iter().map(|show| (show.sample, show.at)).collect()
        };
        let part = Edit { at: 0, from: 6, to: 8 };
        assert_eq!(shown(&[part]), [(4, None), (5, None), (6, Some(0)), (7, Some(1))]);
        let again = Edit { at: 2, from: 4, to: 5 };
        assert_eq!(shown(&[part, again])[4..], [(4, Some(2))]);
        // Only moved, and nothing that fits.
        assert_eq!(shown(&[Edit { at: 5, from: 0, to: i64::MAX }])[0], (0, Some(5)));
        assert_eq!(shown(&[Edit { at: 0, from: 99, to: 100 }]).len(), 12);
        assert_eq!(edited(&samples, &[Edit { at: 0, from: 0, to: 12 }; 9]), None);
    }
}
