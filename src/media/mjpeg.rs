//! Consecutive JPEG pictures: from a pipe, from the parts of a multipart stream, or from a camera's buffer.
//!
//! Lengths and boundaries are not trusted, because servers get both wrong. The picture's own structure
//! (ITU-T T.81, Annex B) shows where it ends, and anything between two pictures is skipped. So a picture is
//! complete as soon as its last byte arrives, not when the next part begins.

use crate::error::{Error, Result};
use memchr::{memchr, memmem};
use std::io::Read;

/// The largest picture that is accepted, in bytes.
const MAX_PICTURE: usize = 32 << 20;
/// More bytes than this between two pictures cannot be headers.
const MAX_BETWEEN: usize = 64 << 10;
/// How many starts of pictures that are none are looked at in a buffer.
const MAX_TRIES: usize = 8;
/// The number of bytes requested at a time.
const CHUNK: usize = 64 << 10;

/// How a JPEG continues after the bytes read so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It ends before this byte.
    At(usize),
    /// It continues; nothing before this byte needs to be looked at again.
    Later(usize, Place),
    /// It was torn: another picture begins at this byte.
    Torn(usize),
    /// It is not a JPEG.
    Not,
}

/// Where a walk stopped because it needs more bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Place {
    /// Before a marker.
    #[default]
    Marker,
    /// Inside the coded pixels.
    Scan,
}

/// Walks over the markers of the JPEG that begins at `bytes[0]`, starting at `at`.
#[must_use]
pub fn find_end(bytes: &[u8], mut at: usize, mut place: Place) -> End {
    loop {
        if place == Place::Scan {
            // Pixels continue up to a marker that is not a stuffed byte, a fill byte or a restart.
            let Some(next) = memchr(0xFF, bytes.get(at..).unwrap_or_default()) else {
                return End::Later(bytes.len(), place);
            };
            at += next;
            match bytes.get(at + 1) {
                None => return End::Later(at, place),
                Some(0x00 | 0xD0..=0xD7) => at += 2,
                Some(0xFF) => at += 1,
                Some(_) => place = Place::Marker,
            }
            continue;
        }
        let (Some(&mark), Some(&code)) = (bytes.get(at), bytes.get(at + 1)) else { return End::Later(at, place) };
        match (mark, code) {
            // Pixels never hold a start marker, and between headers it makes no sense; some cameras send it twice.
            (0xFF, 0xD8) if at > 2 => return End::Torn(at),
            (0xFF, 0xD8 | 0x01) => at += 2,
            (0xFF, 0xD9) => return End::At(at + 2),
            (0xFF, 0xFF) => at += 1,
            (0xFF, 0xC0..=0xFE) => {
                let (Some(&high), Some(&low)) = (bytes.get(at + 2), bytes.get(at + 3)) else {
                    return End::Later(at, place);
                };
                let length = usize::from(high) << 8 | usize::from(low);
                if length < 2 {
                    return End::Not;
                }
                if bytes.len() < at + 2 + length {
                    return End::Later(at, place);
                }
                at += 2 + length;
                if code == 0xDA {
                    place = Place::Scan;
                }
            }
            _ => return End::Not,
        }
    }
}

/// Returns the JPEG at the beginning of a buffer, without what a driver left after it.
///
/// # Errors
/// [`Error::Data`] if there is none or it is incomplete.
pub fn cut(bytes: &[u8]) -> Result<&[u8]> {
    if !bytes.starts_with(&[0xFF, 0xD8, 0xFF]) {
        return Err(Error::Data(format!("JPEG: {} bytes that do not begin like one", bytes.len())));
    }
    match find_end(bytes, 2, Place::Marker) {
        End::At(end) => Ok(&bytes[..end]),
        _ => Err(Error::Data(format!("JPEG: {} bytes without an end marker", bytes.len()))),
    }
}

/// Returns the whole pictures in a buffer, such as the two fields of a chunk of AVI. Torn ones are left out. Gives up
/// after a few starts that are none, because each may lead through all of the buffer.
pub fn whole(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let (mut at, mut tries) = (0, 0);
    std::iter::from_fn(move || {
        loop {
            at += memmem::find(bytes.get(at..)?, &[0xFF, 0xD8, 0xFF])?;
            let picture = &bytes[at..];
            match find_end(picture, 2, Place::Marker) {
                End::At(length) => {
                    at += length;
                    return Some(&picture[..length]);
                }
                End::Torn(length) => at += length,
                End::Not if tries < MAX_TRIES => (at, tries) = (at + 2, tries + 1),
                End::Not | End::Later(..) => return None,
            }
        }
    })
}

/// Finds the JPEG pictures in a stream of bytes.
pub struct MjpegReader<R> {
    input: R,
    buffer: Vec<u8>,
    /// The unread bytes in the buffer are those from `start` to `end`.
    start: usize,
    end: usize,
}

impl<R: Read> MjpegReader<R> {
    /// Creates a reader that has not read anything yet.
    pub fn new(input: R) -> Self {
        Self { input, buffer: Vec::new(), start: 0, end: 0 }
    }

    /// Reads more bytes; returns `false` at the end of the stream.
    fn more(&mut self) -> Result<bool> {
        if self.start > 0 && (self.start == self.end || self.start >= CHUNK) {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.buffer.len() < self.end + CHUNK {
            self.buffer.resize(self.end + CHUNK, 0);
        }
        loop {
            match self.input.read(&mut self.buffer[self.end..]) {
                Ok(count) => {
                    self.end += count;
                    return Ok(count > 0);
                }
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => return Err(Error::Io { what: "reading the stream".into(), source: e }),
            }
        }
    }

    /// Returns the next complete picture; `None` if the stream ends between two pictures.
    ///
    /// # Errors
    /// [`Error::Data`] for a broken picture (the next call looks for the next one); [`Error::Io`] if the stream fails,
    /// ends within a picture, or holds no pictures.
    pub fn next_picture(&mut self) -> Result<Option<&[u8]>> {
        let mut skipped = 0;
        loop {
            let found = memmem::find(&self.buffer[self.start..self.end], &[0xFF, 0xD8, 0xFF]);
            if let Some(at) = found {
                self.start += at;
                break;
            }
            // The last two bytes may be the beginning of a start marker.
            let keep = (self.end - self.start).min(2);
            skipped += self.end - self.start - keep;
            self.start = self.end - keep;
            if skipped > MAX_BETWEEN {
                return Err(broken(std::io::ErrorKind::InvalidData, format!("no JPEG in {skipped} bytes")));
            }
            if !self.more()? {
                return Ok(None);
            }
        }
        let (mut at, mut place) = (2, Place::Marker);
        loop {
            match find_end(&self.buffer[self.start..self.end], at, place) {
                End::At(length) => {
                    let from = self.start;
                    self.start += length;
                    return Ok(Some(&self.buffer[from..from + length]));
                }
                End::Torn(length) => {
                    self.start += length;
                    return Err(Error::Data("JPEG: a torn picture: the next one begins inside it".into()));
                }
                End::Not => {
                    self.start += 2;
                    return Err(Error::Data("JPEG: a broken picture".into()));
                }
                End::Later(..) if self.end - self.start > MAX_PICTURE => {
                    self.start += 2;
                    return Err(Error::Data(format!("JPEG: a picture of more than {MAX_PICTURE} bytes")));
                }
                End::Later(next, next_place) => (at, place) = (next, next_place),
            }
            if !self.more()? {
                let have = self.end - self.start;
                let message = format!("the stream ended within a picture, after {have} bytes of it");
                return Err(broken(std::io::ErrorKind::UnexpectedEof, message));
            }
        }
    }
}

fn broken(kind: std::io::ErrorKind, message: String) -> Error {
    Error::Io { what: "reading the stream".into(), source: std::io::Error::new(kind, message) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns its bytes a few at a time.
    struct Drip(Vec<u8>, usize, usize);

    impl Read for Drip {
        fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
            let count = self.1.min(out.len()).min(self.0.len() - self.2);
            out[..count].copy_from_slice(&self.0[self.2..self.2 + count]);
            self.2 += count;
            Ok(count)
        }
    }

    #[test]
    fn a_buffer_full_of_false_starts_is_given_up() {
        let _limit = crate::limit::within(20);
        // Each segment holds the start of another chain of segments, and all chains end in nothing.
        let step = [0xFF, 0xE0, 0x00, 0x08, 0xFF, 0xD8, 0xFF, 0xE0, 0x00, 0x02];
        let bytes = [&[0xFF, 0xD8][..], &step.repeat(400_000), &[0, 0]].concat();
        assert_eq!(whole(&bytes).count(), 0);
    }

    #[test]
    fn a_start_that_is_sent_twice_is_one() {
        let twice = [&[0xFF, 0xD8][..], &jpeg(3)].concat();
        assert_eq!(cut(&twice).unwrap().len(), twice.len());
    }

    /// Returns a picture with a thumbnail in its header, whose end must not be mistaken for the picture's end.
    fn jpeg(level: u8) -> Vec<u8> {
        let image = crate::types::Image {
            size: crate::types::Size::new(16, 8),
            data: [level, 0, 255 - level].repeat(128),
            ..Default::default()
        };
        let mut plain = Vec::new();
        crate::media::jpeg::encode(&image, 80, &mut plain).unwrap();
        let thumbnail = [&[0xFF, 0xE1, 0, 8, 0xFF, 0xD8, 0xFF, 0xD9][..], &[1, 2]].concat();
        [&plain[..2], &thumbnail, &plain[2..]].concat()
    }

    fn read(stream: &[u8], chunk: usize) -> Vec<Result<Vec<u8>, String>> {
        let mut reader = MjpegReader::new(Drip(stream.to_vec(), chunk, 0));
        let mut all = Vec::new();
        loop {
            match reader.next_picture() {
                Ok(None) => return all,
                Ok(Some(picture)) => all.push(Ok(picture.to_vec())),
                Err(e) => {
                    all.push(Err(e.to_string()));
                    if matches!(e, Error::Io { .. }) {
                        return all;
                    }
                }
            }
        }
    }

    #[test]
    fn pictures_are_found_whatever_the_lengths_say() {
        let _limit = crate::limit::within(60);
        let (a, b) = (jpeg(10), jpeg(200));
        let part = |length: &str, jpeg: &[u8]| {
            [format!("--x\r\nContent-Type: image/jpeg\r\n{length}\r\n").as_bytes(), jpeg, b"\r\n"].concat()
        };
        let honest = part(&format!("Content-Length: {}\r\n", a.len()), &a);
        let lies =
            [honest, part("Content-Length: 7\r\n", &b), part("Content-Length: 99999\r\n", &a), part("", &b)].concat();
        for chunk in [1, 2, 3, 7, 64, 4096, 100_000] {
            let found = read(&lies, chunk);
            assert_eq!(found, [Ok(a.clone()), Ok(b.clone()), Ok(a.clone()), Ok(b.clone())], "chunks of {chunk}");
        }
    }

    #[test]
    fn a_cut_picture_is_told_and_the_next_found_after_a_broken_one() {
        let _limit = crate::limit::within(60);
        let a = jpeg(77);
        let cut_off = read(&[&a[..], &a[..a.len() - 3]].concat(), 50);
        assert!(cut_off[0].is_ok() && cut_off[1].as_ref().unwrap_err().contains("within a picture"), "{cut_off:?}");
        let broken = read(&[&[0xFF, 0xD8, 0xFF, 0xE0, 0, 1][..], &a].concat(), 50);
        assert!(broken[0].is_err() && broken[1].as_ref() == Ok(&a));
        let none = read(&vec![b'x'; MAX_BETWEEN * 2], 5000);
        assert!(none[0].as_ref().unwrap_err().contains("no JPEG"), "{none:?}");
        let mut padded = a.clone();
        padded.resize(a.len() + 1000, 0);
        assert_eq!(cut(&padded).unwrap(), a);
        assert!(cut(&a[..a.len() - 1]).is_err() && cut(b"\0\0\0").is_err());
    }
}
