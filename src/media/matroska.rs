//! Matroska and WebM (RFC 9559), read from front to back: from a file, which may be cut anywhere, or from a pipe.
//!
//! This is our own code because the crates that we found seek, so they can read neither a pipe nor a file whose index
//! was never written. Elements that hold others are entered, and everything else that is not needed is skipped.

use crate::error::{Error, Result};
use std::io::Read;

/// An element that is needed: its number and its contents.
type Element<'a> = (u32, &'a [u8]);

mod id {
    pub const SEGMENT: u32 = 0x1853_8067;
    pub const INFO: u32 = 0x1549_A966;
    pub const TIMESTAMP_SCALE: u32 = 0x002A_D7B1;
    pub const TRACKS: u32 = 0x1654_AE6B;
    pub const TRACK: u32 = 0xAE;
    pub const NUMBER: u32 = 0xD7;
    pub const KIND: u32 = 0x83;
    pub const CODEC: u32 = 0x86;
    pub const CONFIG: u32 = 0x63A2;
    pub const ENCODINGS: u32 = 0x6D80;
    pub const VIDEO: u32 = 0xE0;
    pub const WIDTH: u32 = 0xB0;
    pub const HEIGHT: u32 = 0xBA;
    pub const FOURCC: u32 = 0x002E_B524;
    pub const COLOUR: u32 = 0x55B0;
    pub const MATRIX: u32 = 0x55B1;
    pub const RANGE: u32 = 0x55B9;
    pub const PROJECTION: u32 = 0x7670;
    pub const ROLL: u32 = 0x7675;
    pub const CLUSTER: u32 = 0x1F43_B675;
    pub const TIMESTAMP: u32 = 0xE7;
    pub const SIMPLE_BLOCK: u32 = 0xA3;
    pub const BLOCK_GROUP: u32 = 0xA0;
    pub const BLOCK: u32 = 0xA1;
}

/// The largest element other than a block that is read.
const MAX_HEADER: u64 = 16 << 20;

/// A video track.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Track {
    /// Its number, which its blocks name.
    pub number: u64,
    /// The codec, such as `V_MPEG4/ISO/AVC`.
    pub codec: String,
    /// What the codec needs.
    pub config: Vec<u8>,
    /// Its blocks are compressed or encrypted once more.
    pub encoded: bool,
    /// Width and height.
    pub size: (u32, u32),
    /// The layout of raw pictures, such as `I420`.
    pub fourcc: Vec<u8>,
    /// `MatrixCoefficients` of ITU-T H.273; 2 is unspecified.
    pub matrix: u8,
    /// Levels use all of 0–255.
    pub full_range: bool,
    /// The pictures are to be rotated.
    pub rolled: bool,
}

/// Reads the blocks of the first video track.
pub struct MatroskaReader<R> {
    input: R,
    /// The first video track.
    pub track: Track,
    /// Nanoseconds per tick.
    scale: u64,
    cluster: u64,
    most: u64,
    /// The input ended inside an element.
    cut: bool,
    /// The number of bytes that were read.
    at: u64,
    /// Where the segment ends by its own account.
    end: Option<u64>,
}

fn bad(message: impl std::fmt::Display) -> Error {
    Error::Data(format!("Matroska: {message}"))
}

impl<R: Read> MatroskaReader<R> {
    /// Reads up to the first cluster. A block may have at most `most` bytes.
    ///
    /// # Errors
    /// [`Error::Data`] if it is not Matroska or has no video.
    pub fn new(input: R, most: u64) -> Result<Self> {
        let mut reader =
            Self { input, track: Track::default(), scale: 1_000_000, cluster: 0, most, cut: false, at: 0, end: None };
        let mut body = Vec::new();
        let mut found = None;
        while let Some((element, size)) = reader.header()? {
            match element {
                id::SEGMENT => reader.end = size.map(|size| reader.at.saturating_add(size)),
                id::CLUSTER if found.is_some() => break,
                id::INFO | id::TRACKS if size.is_some_and(|size| size <= MAX_HEADER) => {
                    if !reader.body(size.unwrap_or(0), &mut body)? {
                        break;
                    }
                    if element == id::TRACKS {
                        found = inside(&body)
                            .filter(|(element, _)| *element == id::TRACK)
                            .find_map(|(_, body)| track(body));
                    } else if let Some(scale) = inside(&body).find(|(element, _)| *element == id::TIMESTAMP_SCALE) {
                        reader.scale = number(scale.1).max(1);
                    }
                }
                // Blocks before the tracks cannot be understood.
                id::CLUSTER => break,
                _ => {
                    let size = size.ok_or_else(|| bad("an element without a length"))?;
                    if !reader.skip(size)? {
                        break;
                    }
                }
            }
        }
        match found {
            Some(track) => reader.track = track,
            None if reader.cut => return Err(bad("the file was cut off before its first picture")),
            None => return Err(bad("no video track")),
        }
        Ok(reader)
    }

    /// Reads the next block of the track into `data`; returns its time in nanoseconds, or `None` at the end.
    ///
    /// # Errors
    /// [`Error::Data`] if it is damaged, [`Error::Io`].
    pub fn next_block(&mut self, data: &mut Vec<u8>) -> Result<Option<i64>> {
        while let Some((element, size)) = self.header()? {
            match (element, size) {
                // What is inside follows.
                (id::SEGMENT | id::CLUSTER | id::BLOCK_GROUP, _) => {}
                (id::TIMESTAMP, Some(size)) if size <= 8 => {
                    if !self.body(size, data)? {
                        return Ok(None);
                    }
                    self.cluster = number(data);
                }
                (id::SIMPLE_BLOCK | id::BLOCK, Some(size)) => {
                    if size > self.most {
                        return Err(bad(format!("a block of {size} bytes; at most {} are accepted", self.most)));
                    }
                    // The number of the track, the time since the cluster, flags.
                    let mut head = [0; 11];
                    if !self.exact(&mut head[..1], false)? {
                        return Ok(None);
                    }
                    let used = head[0].leading_zeros() as usize + 4;
                    if used > head.len() || size < used as u64 {
                        return Err(bad("a block without a track or a time"));
                    }
                    if !self.exact(&mut head[1..used], false)? || !self.body(size - used as u64, data)? {
                        return Ok(None);
                    }
                    if vint(&head[..used - 3], true).map(|(track, _)| track) != Some(self.track.number) {
                        continue;
                    }
                    let offset = i64::from(i16::from_be_bytes([head[used - 3], head[used - 2]]));
                    if head[used - 1] & 0x06 != 0 {
                        return Err(bad("several pictures in a block"));
                    }
                    let ticks = i128::from(self.cluster) + i128::from(offset);
                    return Ok(Some(i64::try_from(ticks * i128::from(self.scale)).unwrap_or(i64::MAX)));
                }
                (_, Some(size)) => {
                    if !self.skip(size)? {
                        return Ok(None);
                    }
                }
                (element, None) => return Err(bad(format!("element {element:X} has no length"))),
            }
        }
        Ok(None)
    }

    /// Whether the input ended inside an element.
    #[must_use]
    pub const fn is_cut(&self) -> bool {
        self.cut
    }

    /// Reads an element's number and length; `None` at the end. Damage looks like a number that cannot be.
    fn header(&mut self) -> Result<Option<(u32, Option<u64>)>> {
        let mut bytes = [0; 12];
        if !self.exact(&mut bytes[..1], true)? {
            self.cut |= self.end.is_some_and(|end| self.at < end);
            return Ok(None);
        }
        let length = bytes[0].leading_zeros() as usize + 1;
        if length > 4 {
            return Err(bad("damaged: something that is no element"));
        }
        if !self.exact(&mut bytes[1..=length], false)? {
            return Ok(None);
        }
        let element = bytes[..length].iter().fold(0, |all, byte| all << 8 | u32::from(*byte));
        let more = bytes[length].leading_zeros() as usize;
        if more > 7 {
            return Err(bad("damaged: an element with an impossible length"));
        }
        if !self.exact(&mut bytes[length + 1..=length + more], false)? {
            return Ok(None);
        }
        Ok(Some((
            element,
            vint(&bytes[length..=length + more], true).map(|(size, _)| size).filter(|size| *size != u64::MAX),
        )))
    }

    fn exact(&mut self, into: &mut [u8], may_end: bool) -> Result<bool> {
        match self.input.read_exact(into) {
            Ok(()) => {
                self.at = self.at.saturating_add(into.len() as u64);
                Ok(true)
            }
            Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => {
                self.cut |= !may_end;
                Ok(false)
            }
            Err(e) => Err(Error::io("Matroska", e)),
        }
    }

    fn body(&mut self, size: u64, data: &mut Vec<u8>) -> Result<bool> {
        data.clear();
        let have = self.input.by_ref().take(size).read_to_end(data).map_err(|e| Error::io("Matroska", e))?;
        self.at = self.at.saturating_add(have as u64);
        self.cut |= (have as u64) < size;
        Ok(have as u64 == size)
    }

    fn skip(&mut self, size: u64) -> Result<bool> {
        let have = std::io::copy(&mut self.input.by_ref().take(size), &mut std::io::sink());
        let have = have.map_err(|e| Error::io("Matroska", e))?;
        self.at = self.at.saturating_add(have);
        self.cut |= have < size;
        Ok(have == size)
    }
}

/// Reads a number of variable length and the number of its bytes; `u64::MAX` if all of its bits are set.
fn vint(data: &[u8], value: bool) -> Option<(u64, usize)> {
    let first = *data.first()?;
    let length = first.leading_zeros() as usize + 1;
    if length > 8 {
        return None;
    }
    let bytes = data.get(..length)?;
    let all = bytes.iter().fold(0_u64, |all, byte| all << 8 | u64::from(*byte));
    if !value {
        return Some((all, length));
    }
    let mask = (1_u64 << (7 * length)) - 1;
    let found = all & mask;
    Some((if found == mask { u64::MAX } else { found }, length))
}

/// The elements in a body; what is damaged ends them.
fn inside(mut data: &[u8]) -> impl Iterator<Item = Element<'_>> {
    std::iter::from_fn(move || {
        let (element, used) = vint(data, false)?;
        let (size, more) = vint(data.get(used..)?, true)?;
        let start = used + more;
        let end = start.saturating_add(usize::try_from(size).unwrap_or(usize::MAX)).min(data.len());
        let body = data.get(start..end)?;
        data = &data[end..];
        Some((u32::try_from(element).ok()?, body))
    })
}

fn number(body: &[u8]) -> u64 {
    body.iter().take(8).fold(0, |all, byte| all << 8 | u64::from(*byte))
}

/// Reads a track, if it is video.
fn track(body: &[u8]) -> Option<Track> {
    let mut track = Track { matrix: 2, ..Track::default() };
    let mut kind = 0;
    for (element, body) in inside(body) {
        match element {
            id::NUMBER => track.number = number(body),
            id::KIND => kind = number(body),
            id::CODEC => String::from_utf8_lossy(body).trim_end_matches('\0').clone_into(&mut track.codec),
            id::CONFIG => track.config = body.to_vec(),
            id::ENCODINGS => track.encoded = true,
            id::VIDEO => video(body, &mut track),
            _ => {}
        }
    }
    (kind == 1).then_some(track)
}

fn video(body: &[u8], track: &mut Track) {
    for (element, body) in inside(body) {
        match element {
            id::WIDTH => track.size.0 = u32::try_from(number(body)).unwrap_or(u32::MAX),
            id::HEIGHT => track.size.1 = u32::try_from(number(body)).unwrap_or(u32::MAX),
            id::FOURCC => track.fourcc = body.to_vec(),
            id::PROJECTION => {
                // A float that is not zero.
                let mut roll = inside(body).filter(|(element, _)| *element == id::ROLL);
                track.rolled = roll.any(|(_, body)| body.iter().any(|byte| byte & 0x7F != 0));
            }
            id::COLOUR => {
                for (element, body) in inside(body) {
                    match element {
                        id::MATRIX => track.matrix = u8::try_from(number(body)).unwrap_or(2),
                        id::RANGE => track.full_range = number(body) == 2,
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element(id: &[u8], body: &[u8]) -> Vec<u8> {
        [id, &[0x40 | (body.len() >> 8) as u8, body.len() as u8], body].concat()
    }

    #[test]
    fn blocks_are_read_up_to_a_cut_anywhere() {
        let _limit = crate::limit::within(60);
        let video = element(&[0xE0], &[element(&[0xB0], &[16]), element(&[0xBA], &[8])].concat());
        let track = [element(&[0xD7], &[1]), element(&[0x83], &[1]), element(&[0x86], b"V_TEST"), video].concat();
        let tracks = element(&[0x16, 0x54, 0xAE, 0x6B], &element(&[0xAE], &track));
        let block = |time: u8, data: &[u8]| element(&[0xA3], &[&[0x81, 0, time, 0x80], data].concat());
        // A segment and a cluster of unknown length, and a block in a group.
        let group = element(&[0xA0], &element(&[0xA1], &[&[0x81, 0, 40, 0], b"two".as_slice()].concat()));
        let cluster =
            [&[0x1F, 0x43, 0xB6, 0x75, 0xFF][..], &element(&[0xE7], &[10]), &block(0, b"one"), &group].concat();
        let head = element(&[0x1A, 0x45, 0xDF, 0xA3], b"");
        let unknown = vec![0x18, 0x53, 0x80, 0x67, 0x01, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF];
        let segment = [element(&[0xEC], &[0; 9]), tracks, cluster].concat();
        let file = [head.clone(), unknown, segment.clone()].concat();
        type Blocks = Vec<(i64, Vec<u8>)>;
        let read = |bytes: &[u8]| -> Result<(Blocks, bool)> {
            let mut reader = MatroskaReader::new(bytes, 100)?;
            assert_eq!(reader.track.size, (16, 8));
            let (mut all, mut data) = (Vec::new(), Vec::new());
            while let Some(time) = reader.next_block(&mut data)? {
                all.push((time / 1_000_000, data.clone()));
            }
            Ok((all, reader.is_cut()))
        };
        let whole = read(&file).unwrap();
        assert_eq!(whole, (vec![(10, b"one".to_vec()), (50, b"two".to_vec())], false));
        for cut in 0..file.len() {
            if let Ok((blocks, _)) = read(&file[..cut]) {
                assert!(whole.0.starts_with(&blocks), "{cut}");
            }
        }
        assert!(read(&file[..file.len() - 1]).unwrap().1);
        // A segment that tells its length was cut even if nothing in it was.
        let told = [head, element(&[0x18, 0x53, 0x80, 0x67], &segment)].concat();
        assert_eq!(read(&told).unwrap(), whole);
        let (blocks, cut) = read(&told[..told.len() - group.len()]).unwrap();
        assert!(cut && blocks == whole.0[..1]);
    }
}
