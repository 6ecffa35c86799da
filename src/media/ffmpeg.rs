//! Every other format: an installed `ffmpeg` runs as a child process that writes raw frames to a pipe, as Matroska, which
//! keeps their times and says how their colours are meant. Pictures are turned as the file asks.

use super::limits::{MAX_PICTURE_BYTES, check_size};
use super::matroska::MatroskaReader;
use super::picture::{Picture, Pixels, VideoReader};
use crate::error::{Error, Result};
use crate::host::{Child, Stderr};
use crate::ops::color::{Colorimetry, Planes, Subsampling};
use crate::types::Size;
use std::ffi::OsString;
use std::io::BufReader;
use std::path::Path;
use std::process::{ChildStdout, Command, Stdio};
use std::time::Duration;

/// Reads a recording through `ffmpeg`. The child ends with the reader.
pub struct FfmpegReader {
    // Dropped before the child, so that a child that is still writing finds its pipe closed.
    frames: MatroskaReader<BufReader<ChildStdout>>,
    child: Child,
    path: String,
    size: Size,
    form: Form,
    how: Colorimetry,
    buffer: Vec<u8>,
    start: Option<i64>,
    remark: Option<String>,
}

/// The layout of a raw picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Planes(Subsampling),
    Rgb,
}

/// The layouts that `ffmpeg` may choose from, so that as little as possible is lost.
const FORMATS: &str = "format=yuv420p|yuv422p|gray|rgb24";

/// Starts `ffmpeg` on a file; the error message names `what` as the reason why it is needed.
///
/// # Errors
/// [`Error::Data`] if `ffmpeg` is missing or cannot read the file.
pub fn open(path: &Path, what: &str) -> Result<Box<dyn VideoReader>> {
    let shown = path.display().to_string();
    let mut command = Command::new("ffmpeg");
    // With `file:`, a name such as `10:30:05.webm` is not taken for an address.
    let mut input = OsString::from("file:");
    input.push(path);
    command.args(["-nostdin", "-v", "error", "-i"]).arg(input);
    command.args(["-map", "0:v:0", "-fps_mode", "passthrough", "-vf", FORMATS]);
    // Its checksums would cost as much as a fifth of decoding.
    command.args(["-c:v", "rawvideo", "-allow_raw_vfw", "1", "-write_crc32", "0", "-f", "matroska", "-"]);
    let (mut child, stdout) = Child::spawn(&mut command, Stderr::Keep).map_err(|e| {
        Error::Data(format!(
            "{shown}: {what} is read through `ffmpeg`, which cannot be started ({e}); install it (Debian: apt install ffmpeg) or convert the file to H.264 in MP4"
        ))
    })?;
    let input = BufReader::with_capacity(1 << 16, stdout);
    let Ok(frames) = MatroskaReader::new(input, MAX_PICTURE_BYTES as u64) else {
        child.wait_a_moment(|| false);
        return Err(Error::Data(format!("{shown}: ffmpeg cannot read it: {}", last_words(&child))));
    };
    let track = &frames.track;
    let form = match track.fourcc.as_slice() {
        b"I420" => Form::Planes(Subsampling::Yuv420),
        b"Y42B" => Form::Planes(Subsampling::Yuv422),
        b"Y800" => Form::Planes(Subsampling::Yuv400),
        _ if track.codec == "V_MS/VFW/FOURCC" => Form::Rgb,
        other => {
            let other = String::from_utf8_lossy(other).into_owned();
            return Err(Error::Data(format!(
                "{shown}: ffmpeg sends pictures in a layout `{other}`, which is not known"
            )));
        }
    };
    let size = Size::new(track.size.0, track.size.1);
    check_size(size.width, size.height, &shown)?;
    // Grey pictures have all levels, whatever is said of them (swscale takes them so, too).
    let full = track.full_range || form == Form::Planes(Subsampling::Yuv400);
    let how = Colorimetry::of_stream(track.matrix, full);
    let (buffer, start, remark) = (Vec::new(), None, None);
    Ok(Box::new(FfmpegReader { frames, child, path: shown, size, form, how, buffer, start, remark }))
}

/// Returns whether `ffmpeg` can be started.
#[must_use]
pub fn is_installed() -> bool {
    let mut command = Command::new("ffmpeg");
    command.arg("-version").stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok()
}

/// What `ffmpeg` said, in words that help.
fn last_words(child: &Child) -> String {
    let said = child.last_words();
    if said.is_empty() {
        return "it printed nothing".into();
    }
    if said.contains("add a trailing '?' to the map") {
        return "there is no video in it".into();
    }
    // The name and the address of a part of ffmpeg are of no use.
    let plain = said.split_once(" @ 0x").and_then(|(_, rest)| rest.split_once("] "));
    plain.map_or_else(|| said.clone(), |(_, rest)| rest.to_owned())
}

impl FfmpegReader {
    fn end(&mut self) -> Result<()> {
        let status = self.child.wait().map_err(|e| Error::io("ffmpeg", e))?;
        let said = self.child.last_words();
        if !status.success() {
            return Err(Error::Data(format!("{}: ffmpeg stopped ({status}): {}", self.path, last_words(&self.child))));
        }
        self.remark = (!said.is_empty()).then(|| format!("ffmpeg: {}", last_words(&self.child)));
        Ok(())
    }
}

impl VideoReader for FfmpegReader {
    fn next_picture(&mut self) -> Result<Option<Picture<'_>>> {
        let Some(time) = self.frames.next_block(&mut self.buffer).map_err(|e| e.at(&self.path))? else {
            self.end()?;
            return Ok(None);
        };
        let size = self.size;
        let pixels = size.pixels();
        let expected = match self.form {
            Form::Planes(Subsampling::Yuv400) => pixels,
            Form::Planes(sampling) => sampling.bytes(size),
            Form::Rgb => 3 * pixels,
        };
        if self.buffer.len() != expected {
            let found = self.buffer.len();
            return Err(Error::Data(format!("{}: ffmpeg sent {found} bytes for a picture of {expected}", self.path)));
        }
        let start = *self.start.get_or_insert(time);
        let pts = Duration::from_nanos(u64::try_from(time.saturating_sub(start)).unwrap_or(0));
        let pixels = match self.form {
            Form::Rgb => Pixels::Rgb(&self.buffer, size),
            Form::Planes(sampling) => {
                let (y, chroma) = self.buffer.split_at(pixels);
                let (u, v) = chroma.split_at(chroma.len() / 2);
                Pixels::Yuv(Planes { y, u, v, sampling, size }, self.how)
            }
        };
        Ok(Some(Picture { pts, pixels }))
    }

    fn remark(&self) -> Option<&str> {
        self.remark.as_deref()
    }

    fn size(&self) -> Size {
        self.size
    }

    fn count(&self) -> Option<u64> {
        None
    }
}
