//! Reads AVI with MJPEG (RIFF with OpenDML continuations, no index needed) and writes it.

use super::limits::check_size;
use super::picture::{Picture, Pixels, VideoReader};
use super::{jpeg, mjpeg};
use crate::error::{Error, Result};
use crate::types::Size;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::time::Duration;

/// Reads the MJPEG pictures of an AVI file.
pub struct AviReader {
    file: BufReader<File>,
    /// Offset, length and number of each chunk: an empty chunk shows the last picture again.
    frames: Vec<(u64, u32, u32)>,
    size: Size,
    frame_time: Duration,
    next: usize,
    buffer: Vec<u8>,
    cut: bool,
}

/// The largest compressed picture that is accepted.
const MAX_CHUNK: u32 = 64 << 20;

impl AviReader {
    /// Opens a file; the inner `Err` names a codec that is not MJPEG.
    ///
    /// # Errors
    /// [`Error::Data`] if it is not an AVI file with video, [`Error::Io`].
    pub fn open(path: &Path) -> Result<Result<Self, String>> {
        let io = |e| Error::io(path, e);
        let file = File::open(path).map_err(io)?;
        let length = file.metadata().map_err(io)?.len();
        let mut file = BufReader::new(file);
        let walk = Walk::over(&mut file, length).map_err(io)?;
        if walk.video.is_none() {
            return Err(Error::Data("AVI: no video stream".into()));
        }
        if ![*b"MJPG", *b"JPEG", *b"AVRN", *b"DMB1"].iter().any(|known| walk.fourcc.eq_ignore_ascii_case(known)) {
            return Ok(Err(String::from_utf8_lossy(&walk.fourcc).trim_matches(['\0', ' ']).to_owned()));
        }
        check_size(walk.size.width, walk.size.height, "AVI")?;
        Ok(Ok(Self {
            file,
            frames: walk.frames,
            size: walk.size,
            frame_time: walk.frame_time,
            next: 0,
            buffer: Vec::new(),
            cut: walk.cut,
        }))
    }
}

impl VideoReader for AviReader {
    fn next_picture(&mut self) -> Result<Option<Picture<'_>>> {
        let Some(&(offset, length, number)) = self.frames.get(self.next) else { return Ok(None) };
        let cut = |e| Error::io("AVI", e);
        self.file.seek(SeekFrom::Start(offset)).map_err(cut)?;
        self.buffer.resize(length as usize, 0);
        self.file.read_exact(&mut self.buffer).map_err(cut)?;
        let pts = self.frame_time.saturating_mul(number);
        self.next += 1;
        let mut whole = mjpeg::whole(&self.buffer);
        let begins = |picture: &&[u8]| std::ptr::eq(picture.as_ptr(), self.buffer.as_ptr());
        let pixels = match (whole.next().filter(begins), whole.next()) {
            (Some(even), Some(odd)) if is_field(even, self.size) => Pixels::Fields([even, odd]),
            // Of the second field there is nothing, or not all.
            (Some(even), None) if is_field(even, self.size) => Pixels::Fields([even, &self.buffer[even.len()..]]),
            (Some(picture), _) => Pixels::Jpeg(picture),
            // What there is of it is shown.
            (None, _) => Pixels::Jpeg(&self.buffer),
        };
        Ok(Some(Picture { pts, pixels }))
    }

    fn size(&self) -> Size {
        self.size
    }

    fn count(&self) -> Option<u64> {
        Some(self.frames.len() as u64)
    }

    fn remark(&self) -> Option<&str> {
        self.cut.then_some("the file was cut off")
    }
}

/// Returns whether a JPEG has only half the rows of the pictures: each chunk then holds the even rows, then the odd ones.
fn is_field(jpeg: &[u8], size: Size) -> bool {
    let rows = jpeg::size(jpeg).map(|found| found.height);
    rows.is_some_and(|rows| rows == size.height.div_ceil(2) || rows == size.height / 2)
}

/// What one pass over the chunks finds. A truncated file still yields the frames it has.
struct Walk {
    fourcc: [u8; 4],
    size: Size,
    frame_time: Duration,
    frames: Vec<(u64, u32, u32)>,
    chunks: u32,
    streams: i32,
    video: Option<i32>,
    /// The file ends inside a chunk.
    cut: bool,
}

impl Walk {
    fn over(file: &mut (impl Read + Seek), length: u64) -> std::io::Result<Self> {
        let mut walk = Self {
            fourcc: [0; 4],
            size: Size::default(),
            frame_time: Duration::from_millis(40),
            frames: Vec::new(),
            chunks: 0,
            streams: -1,
            video: None,
            cut: false,
        };
        let mut at = 0;
        while at + 8 <= length {
            file.seek(SeekFrom::Start(at))?;
            let mut head = [0; 8];
            file.read_exact(&mut head)?;
            let id = [head[0], head[1], head[2], head[3]];
            let bytes = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
            if matches!(&id, b"RIFF" | b"LIST") {
                // Some programs count the header of a RIFF, too.
                walk.cut |= &id == b"RIFF" && at + u64::from(bytes) > length;
                at += 12;
                continue;
            }
            let body = at + 8;
            let end = body + u64::from(bytes);
            if end > length {
                walk.cut = true;
                break;
            }
            if matches!(&id, b"avih" | b"strh" | b"strf") && bytes <= 4096 {
                let mut chunk = vec![0; bytes as usize];
                file.read_exact(&mut chunk)?;
                walk.header(&id, &chunk);
            } else if walk.is_video(&id) && bytes <= MAX_CHUNK {
                if bytes > 0 {
                    walk.frames.push((body, bytes, walk.chunks));
                }
                walk.chunks += 1;
            }
            at = end + u64::from(bytes & 1);
        }
        Ok(walk)
    }

    fn header(&mut self, id: &[u8; 4], chunk: &[u8]) {
        let number = |at: usize| chunk.get(at..at + 4).map_or(0, |b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]));
        match id {
            b"avih" if number(0) > 0 => self.frame_time = Duration::from_micros(number(0).into()),
            b"strh" => {
                self.streams += 1;
                if chunk.starts_with(b"vids") && self.video.is_none() {
                    self.video = Some(self.streams);
                    let (scale, rate) = (u64::from(number(20)), u64::from(number(24)));
                    if scale > 0 && rate > 0 {
                        let nanos = scale * 1_000_000_000 / rate;
                        // No recording shows one picture for an hour.
                        self.frame_time = Duration::from_nanos(nanos.min(3_600_000_000_000));
                    }
                }
            }
            b"strf" if self.video == Some(self.streams) => {
                self.size = Size::new(number(4), number(8).cast_signed().unsigned_abs());
                self.fourcc = number(16).to_le_bytes();
            }
            _ => {}
        }
    }

    /// Chunks of stream 0 are called `00dc`, of stream 1 `01dc`, and so on.
    fn is_video(&self, id: &[u8; 4]) -> bool {
        let [tens, ones, b'd', b'c' | b'b'] = *id else { return false };
        tens.is_ascii_digit()
            && ones.is_ascii_digit()
            && self.video == Some(i32::from(tens - b'0') * 10 + i32::from(ones - b'0'))
    }
}

/// Makes the bytes of an AVI file of at most 1 GiB with MJPEG pictures, to be appended piece by piece: each piece is one
/// picture, the last one is the index.
pub struct AviWriter {
    size: Size,
    frames_per_second: f64,
    /// Where each picture starts, from the word `movi`, and its length.
    index: Vec<(u32, u32)>,
    at: u32,
}

const HEADER_BYTES: u32 = 224;
const MOVI: u32 = HEADER_BYTES - 4;
/// Old AVI readers stop at 1 GiB.
const MAX_FILE: u32 = 1 << 30;

impl AviWriter {
    /// Creates the writer of a file with pictures of this size and rate.
    #[must_use]
    pub const fn new(size: Size, frames_per_second: f64) -> Self {
        Self { size, frames_per_second, index: Vec::new(), at: HEADER_BYTES }
    }

    /// Appends a JPEG to `out`, after the header if it is the first one.
    ///
    /// # Errors
    /// [`Error::Data`] when the file is full.
    pub fn push(&mut self, jpeg: &[u8], out: &mut Vec<u8>) -> Result<()> {
        if !self.has_room(jpeg.len()) {
            return Err(Error::Data("an AVI file holds at most 1 GiB; record to an .mp4".into()));
        }
        let length = jpeg.len() as u32;
        if self.index.is_empty() {
            out.extend(header(self.size, self.frames_per_second, 0, 0));
        }
        out.extend_from_slice(b"00dc");
        out.extend(length.to_le_bytes());
        out.extend_from_slice(jpeg);
        if length % 2 == 1 {
            out.push(0);
        }
        self.index.push((self.at - MOVI, length));
        self.at += 8 + length + length % 2;
        Ok(())
    }

    /// Takes back the last picture: it could not be written.
    pub fn lost(&mut self) {
        if let Some((offset, _)) = self.index.pop() {
            self.at = offset + MOVI;
        }
    }

    /// The bytes of the index, if the file ended now.
    #[must_use]
    pub const fn index_bytes(&self) -> usize {
        16 * (self.index.len() + 1)
    }

    /// Whether a picture of so many bytes still fits.
    #[must_use]
    pub const fn has_room(&self, bytes: usize) -> bool {
        self.at as usize + bytes + 16 * (self.index.len() + 2) <= MAX_FILE as usize
    }

    /// Appends the index to `out` and returns the header with its final values, which belongs at the file's start.
    /// Nothing if no picture was written.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> Option<Vec<u8>> {
        if self.index.is_empty() {
            return None;
        }
        out.extend(b"idx1");
        out.extend((self.index.len() as u32 * 16).to_le_bytes());
        for (offset, length) in &self.index {
            out.extend(b"00dc");
            for number in [0x10, *offset, *length] {
                out.extend(number.to_le_bytes());
            }
        }
        let data = self.at - HEADER_BYTES;
        Some(header(self.size, self.frames_per_second, self.index.len() as u32, data))
    }
}

/// Returns RIFF, `hdrl` with one video stream, and the start of `movi`: always [`HEADER_BYTES`] long.
fn header(size: Size, frames_per_second: f64, frames: u32, data: u32) -> Vec<u8> {
    let (scale, rate) = (1000_u32, (frames_per_second * 1000.0).round().max(1.0) as u32);
    let micros = (1_000_000.0 / frames_per_second) as u32;
    let mut h = Vec::with_capacity(HEADER_BYTES as usize);
    let put = |h: &mut Vec<u8>, numbers: &[u32]| numbers.iter().for_each(|n| h.extend(n.to_le_bytes()));
    h.extend(b"RIFF");
    put(&mut h, &[HEADER_BYTES - 8 + data + 8 + frames * 16]);
    h.extend(b"AVI LIST");
    put(&mut h, &[192]);
    h.extend(b"hdrlavih");
    put(&mut h, &[56, micros, 0, 0, 0x10, frames, 0, 1, 0, size.width, size.height, 0, 0, 0, 0]);
    h.extend(b"LIST");
    put(&mut h, &[116]);
    h.extend(b"strlstrh");
    put(&mut h, &[56]);
    h.extend(b"vidsMJPG");
    put(&mut h, &[0, 0, 0, scale, rate, 0, frames, 0, u32::MAX, 0]);
    put(&mut h, &[0, size.width | (size.height << 16)]);
    h.extend(b"strf");
    put(&mut h, &[40, 40, size.width, size.height, 1 | (24 << 16)]);
    h.extend(b"MJPG");
    put(&mut h, &[size.width * size.height * 3, 0, 0, 0, 0]);
    h.extend(b"LIST");
    put(&mut h, &[4 + data]);
    h.extend(b"movi");
    h
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, size: Size, rate: f64, pictures: &[&[u8]]) {
        let (mut writer, mut bytes) = (AviWriter::new(size, rate), Vec::new());
        for picture in pictures {
            writer.push(picture, &mut bytes).unwrap();
        }
        let header = writer.finish(&mut bytes).unwrap();
        bytes[..header.len()].copy_from_slice(&header);
        std::fs::write(path, bytes).unwrap();
    }

    #[test]
    fn an_empty_chunk_takes_its_time() {
        let folder = tempfile::tempdir().unwrap();
        let (path, size) = (folder.path().join("t.avi"), Size::new(16, 8));
        write(&path, size, 10.0, &[&[1], &[], &[2]]);
        let mut reader = AviReader::open(&path).unwrap().unwrap();
        reader.next_picture().unwrap();
        assert_eq!(reader.next_picture().unwrap().unwrap().pts, Duration::from_millis(200));
    }

    #[test]
    fn of_a_torn_second_field_the_first_is_shown_in_full_height() {
        use crate::types::{Image, PixelFormat};
        let folder = tempfile::tempdir().unwrap();
        let (path, size) = (folder.path().join("t.avi"), Size::new(16, 16));
        let mut field = Vec::new();
        jpeg::encode(&Image::new(Size::new(16, 8), PixelFormat::Rgb8), 90, &mut field).unwrap();
        let torn = [&field[..], &field[..field.len() / 4]].concat();
        write(&path, size, 10.0, &[&torn, &field]);
        let mut reader = AviReader::open(&path).unwrap().unwrap();
        for _ in 0..2 {
            let mut image = Image::default();
            let damage = reader.next_picture().unwrap().unwrap().pixels.to_rgb(&mut image).unwrap();
            assert_eq!((image.size, damage.is_some()), (size, true));
        }
    }

    #[test]
    fn a_picture_that_did_not_fit_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.avi");
        let (mut writer, mut bytes) = (AviWriter::new(Size::new(16, 8), 10.0), Vec::new());
        for (picture, fits) in [(1, false), (2, true), (3, false), (4, true)] {
            let before = bytes.len();
            writer.push(&[picture; 5], &mut bytes).unwrap();
            if !fits {
                bytes.truncate(before);
                writer.lost();
            }
        }
        let header = writer.finish(&mut bytes).unwrap();
        bytes[..header.len()].copy_from_slice(&header);
        std::fs::write(&path, bytes).unwrap();
        let mut reader = AviReader::open(&path).unwrap().unwrap();
        for expected in [2, 4] {
            let picture = reader.next_picture().unwrap().unwrap();
            assert!(matches!(picture.pixels, Pixels::Jpeg(found) if found == [expected; 5]));
        }
        assert!(reader.next_picture().unwrap().is_none());
    }

    #[test]
    fn what_is_written_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let (path, size) = (folder.path().join("t.avi"), Size::new(16, 8));
        write(&path, size, 12.5, &[&[1, 2, 3], &[4, 5]]);
        assert_eq!(header(size, 12.5, 0, 0).len(), HEADER_BYTES as usize);
        let mut reader = AviReader::open(&path).unwrap().unwrap();
        assert_eq!((reader.size(), reader.count()), (size, Some(2)));
        assert_eq!(reader.remark(), None);
        reader.next_picture().unwrap();
        let second = reader.next_picture().unwrap().unwrap();
        assert_eq!(second.pts, Duration::from_millis(80));
        assert!(matches!(second.pixels, Pixels::Jpeg([4, 5])));
        // Cut between two chunks.
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..HEADER_BYTES as usize + 12]).unwrap();
        let reader = AviReader::open(&path).unwrap().unwrap();
        assert_eq!((reader.count(), reader.remark()), (Some(1), Some("the file was cut off")));
    }
}
