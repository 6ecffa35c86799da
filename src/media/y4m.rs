//! YUV4MPEG2: raw planar video with a text header. We also ask `ffmpeg` to write this format.

use super::limits::check_size;
use super::picture::{Picture, Pixels, VideoReader};
use crate::error::{Error, Result};
use crate::ops::color::{Colorimetry, Planes, Subsampling};
use crate::types::Size;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::time::Duration;

/// The longest header line that is accepted.
const MAX_LINE: u64 = 4096;

/// Reads YUV4MPEG2 from any reader.
pub struct Y4mReader<R> {
    input: R,
    header: Header,
    line: Vec<u8>,
    frame: Vec<u8>,
    index: u64,
    count: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Header {
    size: Size,
    /// Frames per second as a fraction.
    rate: (u64, u64),
    sampling: Subsampling,
    how: Colorimetry,
}

impl Y4mReader<BufReader<std::fs::File>> {
    /// Opens a file.
    ///
    /// # Errors
    /// [`Error::Io`] and [`Error::Data`].
    pub fn open(path: &Path) -> Result<Self> {
        let io = |e| Error::io(path, e);
        let file = std::fs::File::open(path).map_err(io)?;
        let length = file.metadata().map_err(io)?.len();
        let mut reader = Self::new(BufReader::with_capacity(1 << 16, file))?;
        // `FRAME` lines rarely carry parameters, so this is a good guess. It is used only for the progress bar.
        let bytes = reader.header.sampling.bytes(reader.header.size) as u64 + 6;
        reader.count = Some(length / bytes);
        Ok(reader)
    }
}

impl<R: BufRead + Send> Y4mReader<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// [`Error::Data`] if there is no header, or its layout is not supported.
    pub fn new(mut input: R) -> Result<Self> {
        let mut line = Vec::new();
        if !read_line(&mut input, &mut line)? {
            return Err(Error::Data("Y4M: empty".into()));
        }
        let header = parse_header(&String::from_utf8_lossy(&line))?;
        Ok(Self { input, header, line, frame: Vec::new(), index: 0, count: None })
    }

    /// Returns whether the input has ended; waits for the writer if necessary.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn peek_end(&mut self) -> Result<bool> {
        Ok(self.input.fill_buf().map_err(|e| Error::io("Y4M", e))?.is_empty())
    }
}

impl<R: BufRead + Send> VideoReader for Y4mReader<R> {
    fn next_picture(&mut self) -> Result<Option<Picture<'_>>> {
        if !read_line(&mut self.input, &mut self.line)? {
            return Ok(None);
        }
        if !self.line.starts_with(b"FRAME") {
            return Err(Error::Data(format!("Y4M: frame {}: expected `FRAME`", self.index)));
        }
        let Header { size, rate, sampling, how } = self.header;
        self.frame.resize(sampling.bytes(size), 0);
        self.input
            .read_exact(&mut self.frame)
            .map_err(|_| Error::Data(format!("Y4M: frame {} is cut off; the file was not finished", self.index)))?;
        let nanos = u128::from(self.index) * u128::from(rate.1) * 1_000_000_000 / u128::from(rate.0);
        let pts = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        self.index += 1;
        let (y, chroma) = self.frame.split_at(size.pixels());
        let (u, v) = chroma.split_at(sampling.chroma(size).pixels());
        Ok(Some(Picture { pts, pixels: Pixels::Yuv(Planes { y, u, v, sampling, size }, how) }))
    }

    fn size(&self) -> Size {
        self.header.size
    }

    fn count(&self) -> Option<u64> {
        self.count
    }
}

/// Reads a line without its line ending; returns `false` at the end of the input.
fn read_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> Result<bool> {
    line.clear();
    input.by_ref().take(MAX_LINE).read_until(b'\n', line).map_err(|e| Error::io("Y4M", e))?;
    match line.pop() {
        None => Ok(false),
        Some(b'\n') => Ok(true),
        Some(_) => Err(Error::Data("Y4M: a header line does not end".into())),
    }
}

fn parse_header(line: &str) -> Result<Header> {
    let mut words = line.split(' ');
    if words.next() != Some("YUV4MPEG2") {
        return Err(Error::Data("Y4M: the first line is not YUV4MPEG2".into()));
    }
    let (mut width, mut height, mut rate, mut sampling, mut full) = (0, 0, (25, 1), Subsampling::Yuv420, false);
    for word in words.filter(|word| !word.is_empty()) {
        let Some((tag, value)) = word.split_at_checked(1) else { continue };
        match tag {
            "W" => width = value.parse().unwrap_or(0),
            "H" => height = value.parse().unwrap_or(0),
            "F" => {
                let parts = value.split_once(':').and_then(|(n, d)| Some((n.parse().ok()?, d.parse().ok()?)));
                rate = parts.filter(|&(n, d)| n > 0 && d > 0).unwrap_or((25, 1));
            }
            "C" => {
                sampling = match value {
                    "420" | "420jpeg" | "420mpeg2" | "420paldv" => Subsampling::Yuv420,
                    "422" => Subsampling::Yuv422,
                    "444" => Subsampling::Yuv444,
                    "mono" => Subsampling::Yuv400,
                    other => {
                        return Err(Error::Data(format!(
                            "Y4M: layout C{other}; only 8-bit 420, 422, 444 and mono can be read"
                        )));
                    }
                }
            }
            "X" => full |= value == "COLORRANGE=FULL",
            _ => {}
        }
    }
    check_size(width, height, "Y4M")?;
    let how = Colorimetry::of_stream(2, full);
    Ok(Header { size: Size::new(width, height), rate, sampling, how })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_and_times_are_read() {
        let bytes = b"YUV4MPEG2 W2 H2 F10:1 C420jpeg\nFRAME\nabcduvFRAME\nefghUV".as_slice();
        let mut reader = Y4mReader::new(bytes).unwrap();
        reader.next_picture().unwrap().unwrap();
        let second = reader.next_picture().unwrap().unwrap();
        assert_eq!(second.pts, Duration::from_millis(100));
        assert!(matches!(second.pixels, Pixels::Yuv(planes, _) if planes.y == b"efgh" && planes.v == b"V"));
        assert!(reader.next_picture().unwrap().is_none());
    }

    #[test]
    fn bad_files_are_errors() {
        let open = |bytes: &'static [u8]| Y4mReader::new(bytes).map(|_| ()).map_err(|e| e.to_string());
        assert!(open(b"YUV4MPEG2 W0 H2\n").unwrap_err().contains("0x2"));
        assert!(open(b"YUV4MPEG2 W2 H2 C420p10\n").unwrap_err().contains("C420p10"));
        let mut cut = Y4mReader::new(b"YUV4MPEG2 W2 H2\nFRAME\nabc".as_slice()).unwrap();
        assert!(cut.next_picture().unwrap_err().to_string().contains("cut off"));
    }
}
