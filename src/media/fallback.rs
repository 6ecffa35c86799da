//! When a reader of ours cannot go on, `ffmpeg` does, if it is installed.

use super::ffmpeg;
use super::picture::{Picture, VideoReader};
use crate::error::{Error, Result};
use crate::types::Size;
use std::path::{Path, PathBuf};

/// A reader of ours, until it fails.
pub struct Native {
    reader: Box<dyn VideoReader>,
    path: PathBuf,
    shown: u64,
    is_ours: bool,
}

impl Native {
    /// Wraps a reader of the file at `path`.
    #[must_use]
    pub fn new(reader: Box<dyn VideoReader>, path: &Path) -> Self {
        Self { reader, path: path.to_path_buf(), shown: 0, is_ours: true }
    }
}

/// Opens a file with `ffmpeg` behind the first `shown` pictures, because of `error`.
///
/// # Errors
/// `error`, if `ffmpeg` cannot read the file either.
pub fn instead(path: &Path, error: Error, shown: u64) -> Result<Box<dyn VideoReader>> {
    let error = error.at(path.display());
    let Ok(mut reader) = ffmpeg::open(path, "this file") else {
        let hint = "`ffmpeg` may read it; install it (Debian: apt install ffmpeg)";
        return Err(if ffmpeg::is_installed() { error } else { Error::Data(format!("{error}; {hint}")) });
    };
    for _ in 0..shown {
        if !matches!(reader.next_picture(), Ok(Some(_))) {
            return Err(error);
        }
    }
    tracing::warn!("{error}; `ffmpeg` reads it from picture {shown} on");
    Ok(reader)
}

impl VideoReader for Native {
    fn prepare(&mut self) -> Result<()> {
        match self.reader.prepare() {
            Err(error @ Error::Data(_)) if self.is_ours => {
                self.is_ours = false;
                self.reader = instead(&self.path, error, self.shown)?;
                Ok(())
            }
            done => done,
        }
    }

    fn next_picture(&mut self) -> Result<Option<Picture<'_>>> {
        self.prepare()?;
        self.shown += 1;
        self.reader.next_picture()
    }

    fn remark(&self) -> Option<&str> {
        self.reader.remark()
    }

    fn size(&self) -> Size {
        self.reader.size()
    }

    fn count(&self) -> Option<u64> {
        self.reader.count()
    }
}
