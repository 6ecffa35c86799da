//! Video files.

use crate::error::{Error, Result};
use crate::host::make_parent;
use crate::media::video_writer::{VideoFormat, VideoSettings, VideoWriter};
use crate::stage::{Env, LineEnv, Sink, SinkConfig};
use crate::types::{Image, Packet, Products};
use serde::Deserialize;
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::time::Duration;

/// Writes a video: of the annotated pictures if there are any, otherwise of the frames. The extension of the path sets
/// the format: `.mp4` is H.264, `.avi` is MJPEG.
///
/// `- record: { path: out/door.mp4 }`
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The file to write, ending in `.mp4` or `.avi`.
    pub path: String,
    /// H.264: the quantisation parameter, from 10 (large file, high quality) to 51 (small file, low quality).
    #[serde(default = "default_qp")]
    pub qp: u8,
    /// MJPEG: the JPEG quality, 1–100.
    #[serde(default = "default_quality")]
    pub quality: u8,
}

const fn default_qp() -> u8 {
    26
}

const fn default_quality() -> u8 {
    85
}

impl SinkConfig for Record {
    fn needs(&self) -> Products {
        Products::empty()
    }

    fn writes(&self) -> Option<PathBuf> {
        Some(PathBuf::from(&self.path))
    }

    fn check(&self, _env: &Env) -> Result<()> {
        if !(10..=51).contains(&self.qp) {
            return Err(Error::Config(format!("`qp` is {}; it must lie between 10 and 51", self.qp)));
        }
        if !(1..=100).contains(&self.quality) {
            return Err(Error::Config(format!("`quality` is {}; it must lie between 1 and 100", self.quality)));
        }
        VideoFormat::of(&self.path).map(|_| ())
    }

    fn open(&self, env: &LineEnv) -> Result<Box<dyn Sink>> {
        self.check(env)?;
        let path = env.outputs.path(&self.path);
        make_parent(&path)?;
        // Fail now, not at the first frame, if the file cannot be written.
        let file = File::create(&path).map_err(|e| Error::io(&path, e))?;
        let settings = VideoSettings { format: VideoFormat::of(&self.path)?, qp: self.qp, quality: self.quality };
        Ok(Box::new(Recording { settings, path, first: None, writer: None, file, bytes: Vec::new() }))
    }
}

struct Recording {
    settings: VideoSettings,
    path: PathBuf,
    /// The first picture; it is held until the second one determines its duration.
    first: Option<(Duration, Image)>,
    writer: Option<VideoWriter>,
    file: File,
    bytes: Vec<u8>,
}

impl Recording {
    /// Starts the video with the first picture; `gap` is the time to the second one.
    fn begin(&mut self, gap: Option<Duration>) -> Result<()> {
        let Some((pts, image)) = self.first.take() else { return Ok(()) };
        let fps = gap.filter(|gap| !gap.is_zero()).map_or(10.0, |gap| 1.0 / gap.as_secs_f64()).clamp(0.1, 240.0);
        self.writer = Some(VideoWriter::new(self.settings, image.size, fps)?);
        self.push(&image, pts)
    }

    fn push(&mut self, image: &Image, pts: Duration) -> Result<()> {
        let Some(writer) = &mut self.writer else { return Ok(()) };
        if image.size != writer.size() {
            return Err(Error::Data(format!(
                "frames changed from {} to {}; a video file has one size; `snapshot` can write pictures of any size",
                writer.size(),
                image.size
            )));
        }
        self.bytes.clear();
        writer.push(image, pts, &mut self.bytes)?;
        self.file.write_all(&self.bytes).map_err(|e| Error::io(&self.path, e))
    }
}

impl Sink for Recording {
    fn write(&mut self, packet: &Packet) -> Result<()> {
        let image = packet.canvas.as_deref().unwrap_or(&packet.frame.image);
        let pts = packet.frame.pts;
        if self.writer.is_none() {
            let Some((before, _)) = &self.first else {
                self.first = Some((pts, image.clone()));
                return Ok(());
            };
            let gap = pts.saturating_sub(*before);
            self.begin(Some(gap))?;
        }
        self.push(image, pts)
    }

    fn finish(&mut self) -> Result<()> {
        self.begin(None)?;
        let Some(mut writer) = self.writer.take() else { return Ok(()) };
        self.bytes.clear();
        let head = writer.finish(&mut self.bytes);
        let end = || {
            self.file.write_all(&self.bytes)?;
            let Some(head) = head else { return Ok(()) };
            self.file.seek(SeekFrom::Start(0))?;
            self.file.write_all(&head)
        };
        end().map_err(|e| Error::io(&self.path, e))
    }
}
