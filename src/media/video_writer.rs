//! Video files as a sink writes them: pictures in, bytes to append out.

use super::avi::AviWriter;
use super::jpeg;
use crate::error::{Error, Result};
use crate::types::{Image, Size};
use std::path::Path;
use std::time::Duration;

/// The format of a video file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VideoFormat {
    /// H.264 in fragmented MP4. A file that was cut off plays up to its last fragment, at most two seconds before.
    Mp4,
    /// MJPEG in AVI.
    Avi,
}

impl VideoFormat {
    /// Returns the format that a path's extension stands for.
    ///
    /// # Errors
    /// [`Error::Config`] if there is none, or if this build cannot write it.
    pub fn of(path: &str) -> Result<Self> {
        let extension = Path::new(path).extension().map(|e| e.to_string_lossy().to_lowercase());
        match extension.as_deref() {
            Some("mp4") if cfg!(feature = "h264") => Ok(Self::Mp4),
            Some("mp4") => Err(Error::Config(
                "this build has no `h264`, which .mp4 needs; write to an .avi, or build with `--features h264`".into(),
            )),
            Some("avi") => Ok(Self::Avi),
            _ => Err(Error::Config(format!("`path` is {path:?}; it must end in .mp4 or .avi"))),
        }
    }
}

/// How a video is encoded.
#[derive(Clone, Copy, Debug)]
pub struct VideoSettings {
    /// The format.
    pub format: VideoFormat,
    /// H.264: the quantisation parameter, 10 to 51.
    pub qp: u8,
    /// MJPEG: the JPEG quality, 1 to 100.
    pub quality: u8,
}

/// One video of pictures of one size.
pub struct VideoWriter {
    size: Size,
    quality: u8,
    kind: Kind,
    /// The encoded picture.
    bytes: Vec<u8>,
}

enum Kind {
    Avi(AviWriter),
    #[cfg(feature = "h264")]
    Mp4(Box<Mp4>),
}

#[cfg(feature = "h264")]
struct Mp4 {
    encoder: super::h264_encode::H264Encoder,
    file: super::fmp4::Fmp4,
    /// The time of the last picture, and of the last one that can be decoded on its own, in ticks.
    last: u64,
    key: Option<u64>,
    frame_ticks: u64,
}

#[cfg(feature = "h264")]
const KEY_TICKS: u64 = 2 * super::fmp4::TIMESCALE as u64;

impl VideoWriter {
    /// Prepares a video of pictures of `size`, about `fps` a second.
    ///
    /// # Errors
    /// [`Error::Data`] if the format does not take this size.
    pub fn new(settings: VideoSettings, size: Size, fps: f64) -> Result<Self> {
        let kind = match settings.format {
            VideoFormat::Avi => Kind::Avi(AviWriter::new(size, fps)),
            #[cfg(feature = "h264")]
            VideoFormat::Mp4 => {
                let encoder = super::h264_encode::H264Encoder::new(size, fps, settings.qp)?;
                let file = super::fmp4::Fmp4::new(encoder.coded_size());
                let frame_ticks = (f64::from(super::fmp4::TIMESCALE) / fps) as u64;
                Kind::Mp4(Box::new(Mp4 { encoder, file, last: 0, key: None, frame_ticks }))
            }
            #[cfg(not(feature = "h264"))]
            VideoFormat::Mp4 => return Err(Error::Internal("an .mp4 without `h264`".into())),
        };
        Ok(Self { size, quality: settings.quality, kind, bytes: Vec::new() })
    }

    /// The size of its pictures.
    #[must_use]
    pub const fn size(&self) -> Size {
        self.size
    }

    /// Takes a picture shown at `pts` from the start of the file, and appends what can now be written to `out`: one whole
    /// piece of the file, or nothing.
    ///
    /// # Errors
    /// [`Error::Data`] if the file is full.
    #[cfg_attr(not(feature = "h264"), expect(unused_variables, reason = "an AVI has a single frame rate"))]
    pub fn push(&mut self, image: &Image, pts: Duration, out: &mut Vec<u8>) -> Result<()> {
        self.bytes.clear();
        match &mut self.kind {
            Kind::Avi(file) => {
                jpeg::encode(image, self.quality, &mut self.bytes)?;
                file.push(&self.bytes, out)
            }
            #[cfg(feature = "h264")]
            Kind::Mp4(mp4) => {
                let ticks = (pts.as_nanos() * u128::from(super::fmp4::TIMESCALE) / 1_000_000_000) as u64;
                mp4.last = ticks.max(mp4.last);
                let key = mp4.key.is_none_or(|key| mp4.last - key >= KEY_TICKS);
                if key {
                    mp4.key = Some(mp4.last);
                }
                mp4.encoder.encode(image, key, &mut self.bytes)?;
                mp4.file.push(&self.bytes, mp4.last, out);
                Ok(())
            }
        }
    }

    /// Takes back the last piece: it could not be written.
    pub fn lost(&mut self) {
        match &mut self.kind {
            Kind::Avi(file) => file.lost(),
            #[cfg(feature = "h264")]
            Kind::Mp4(mp4) => mp4.file.lost(),
        }
    }

    /// The number of pictures that are not in a piece yet.
    #[must_use]
    pub const fn held(&self) -> u64 {
        match &self.kind {
            Kind::Avi(_) => 0,
            #[cfg(feature = "h264")]
            Kind::Mp4(mp4) => mp4.file.held(),
        }
    }

    /// About how many bytes the file grows if it ends after one more picture.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        let next = 2 * self.bytes.len();
        next + match &self.kind {
            Kind::Avi(file) => file.index_bytes(),
            #[cfg(feature = "h264")]
            Kind::Mp4(mp4) => mp4.file.held_bytes(),
        }
    }

    /// Whether one more picture of about the size of the last one fits into the file.
    #[must_use]
    pub const fn has_room(&self) -> bool {
        match &self.kind {
            Kind::Avi(file) => file.has_room(2 * self.bytes.len()),
            #[cfg(feature = "h264")]
            Kind::Mp4(_) => true,
        }
    }

    /// Appends what is left to `out`, and returns what must be written over the start of the file, if anything.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> Option<Vec<u8>> {
        match &mut self.kind {
            Kind::Avi(file) => file.finish(out),
            #[cfg(feature = "h264")]
            Kind::Mp4(mp4) => {
                mp4.file.finish(mp4.last + mp4.frame_ticks, out);
                None
            }
        }
    }
}
