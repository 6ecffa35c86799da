//! Every other format: an installed `ffmpeg` runs as a child process that writes raw frames to a pipe.

use super::picture::{Picture, VideoReader};
use super::y4m::Y4mReader;
use crate::error::{Error, Result};
use crate::host::{Child, Stderr};
use crate::types::Size;
use std::io::BufReader;
use std::path::Path;
use std::process::{ChildStdout, Command, Stdio};

/// Reads a recording through `ffmpeg`. The child ends with the reader.
pub struct FfmpegReader {
    // Dropped before the child, so that a child that is still writing finds its pipe closed.
    frames: Y4mReader<BufReader<ChildStdout>>,
    child: Child,
    path: String,
}

/// Starts `ffmpeg` on a file; the error message names `what` as the reason why it is needed.
///
/// # Errors
/// [`Error::Data`] if `ffmpeg` is missing or cannot read the file.
pub fn open(path: &Path, what: &str) -> Result<Box<dyn VideoReader>> {
    let shown = path.display().to_string();
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-v", "error", "-i"]).arg(path);
    command.args(["-map", "0:v:0", "-pix_fmt", "yuv420p", "-f", "yuv4mpegpipe", "-"]);
    let (mut child, stdout) = Child::spawn(&mut command, Stderr::Keep).map_err(|e| {
        Error::Data(format!(
            "{shown}: {what} is read through `ffmpeg`, which cannot be started ({e}); install it (Debian: apt install ffmpeg) or convert the file to H.264 in MP4"
        ))
    })?;
    if let Ok(frames) = Y4mReader::new(BufReader::with_capacity(1 << 16, stdout)) {
        return Ok(Box::new(FfmpegReader { frames, child, path: shown }));
    }
    child.wait_a_moment(|| false);
    Err(Error::Data(format!("{shown}: ffmpeg cannot read it: {}", last_words(&child))))
}

/// Returns whether `ffmpeg` can be started.
#[must_use]
pub fn is_installed() -> bool {
    let mut command = Command::new("ffmpeg");
    command.arg("-version").stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok()
}

fn last_words(child: &Child) -> String {
    let said = child.last_words();
    if said.is_empty() { "it printed nothing".into() } else { said }
}

impl VideoReader for FfmpegReader {
    fn next_picture(&mut self) -> Result<Option<Picture<'_>>> {
        if self.frames.peek_end().map_err(|e| e.at(&self.path))? {
            let status = self.child.wait().map_err(|e| Error::io("ffmpeg", e))?;
            if !status.success() {
                return Err(Error::Data(format!(
                    "{}: ffmpeg stopped ({status}): {}",
                    self.path,
                    last_words(&self.child)
                )));
            }
            let said = self.child.last_words();
            if !said.is_empty() {
                tracing::warn!(file = self.path, "ffmpeg: {said}");
            }
            return Ok(None);
        }
        self.frames.next_picture()
    }

    fn size(&self) -> Size {
        self.frames.size()
    }

    fn count(&self) -> Option<u64> {
        None
    }
}
