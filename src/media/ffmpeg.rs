//! Every other format: an installed `ffmpeg` as a child that writes raw frames into a pipe.

use super::video::{Picture, VideoReader};
use super::y4m::Y4mReader;
use crate::error::{Error, Result};
use crate::types::Size;
use std::io::{BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread::JoinHandle;

/// Reads a recording through `ffmpeg`. The child ends with the reader.
pub struct FfmpegReader {
    child: Child,
    stderr: Option<JoinHandle<String>>,
    frames: Y4mReader<BufReader<ChildStdout>>,
    path: String,
}

/// Starts `ffmpeg` on a file; `what` says in the error message what needs it.
///
/// # Errors
/// [`Error::Data`] if `ffmpeg` is missing or cannot read the file.
pub fn open(path: &Path, what: &str) -> Result<Box<dyn VideoReader>> {
    let shown = path.display().to_string();
    let mut child = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-i"])
        .arg(path)
        .args(["-map", "0:v:0", "-pix_fmt", "yuv420p", "-f", "yuv4mpegpipe", "-"])
        // Ctrl-C is for us; the child ends when its reader does.
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| {
            Error::Data(format!(
                "{shown}: {what} is read through `ffmpeg`, which cannot be started ({e}); install it (Debian: apt install ffmpeg) or convert the file to H.264 in MP4"
            ))
        })?;
    let (Some(stdout), Some(mut errors)) = (child.stdout.take(), child.stderr.take()) else {
        return Err(Error::Internal("ffmpeg without its pipes".into()));
    };
    // Its messages are read beside, or a talkative ffmpeg would block.
    let stderr = std::thread::spawn(move || {
        let mut text = String::new();
        let _ = errors.by_ref().take(1 << 16).read_to_string(&mut text);
        let _ = std::io::copy(&mut errors, &mut std::io::sink());
        text
    });
    if let Ok(frames) = Y4mReader::new(BufReader::with_capacity(1 << 16, stdout)) {
        return Ok(Box::new(FfmpegReader { child, stderr: Some(stderr), frames, path: shown }));
    }
    let _ = child.kill();
    let _ = child.wait();
    let said = stderr.join().unwrap_or_default();
    Err(Error::Data(format!("{shown}: ffmpeg cannot read it: {}", last_line(&said))))
}

fn last_line(text: &str) -> &str {
    text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it said nothing")
}

impl VideoReader for FfmpegReader {
    fn next_picture(&mut self) -> Result<Option<Picture<'_>>> {
        if self.frames.peek_end().map_err(|e| e.at(&self.path))? {
            let status = self.child.wait().map_err(|e| Error::io("ffmpeg", e))?;
            let said = self.stderr.take().and_then(|thread| thread.join().ok()).unwrap_or_default();
            if !status.success() {
                return Err(Error::Data(format!("{}: ffmpeg stopped ({status}): {}", self.path, last_line(&said))));
            }
            if !said.trim().is_empty() {
                tracing::warn!(file = self.path, "ffmpeg: {}", last_line(&said));
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

impl Drop for FfmpegReader {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
