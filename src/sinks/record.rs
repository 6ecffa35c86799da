//! Video files.

use super::files::{Keep, Rotate, Rules, Series};
use crate::error::{Error, Result};
use crate::host::Begin;
use crate::media::video_writer::{VideoFormat, VideoSettings, VideoWriter};
use crate::stage::{Disk, Env, LineEnv, Sink, SinkConfig};
use crate::types::{Image, Packet, Products};
use serde::Deserialize;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// Writes a video: of the annotated pictures if there are any, otherwise of the frames. The extension of the path sets
/// the format: `.mp4` is H.264, `.avi` is MJPEG.
///
/// `- record: { path: out/door.mp4 }`
///
/// A live run begins a new file each time it starts, and when the size of the frames changes; without a field in `path`,
/// `-{start}` is put in front of its extension. A recorded run writes to `door.mp4.part`, which replaces the file at the
/// end unless the run failed. For a camera that is watched for years:
///
/// `- record: { path: "video/{date}/{time}.mp4", rotate: { time: 1h }, keep: { bytes: 20GB } }`
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The file to write, ending in `.mp4` or `.avi`. `{date}`, `{time}` and `{start}` (`2026-11-26`, `14-03-59` and
    /// `20261126T140359Z`, of the file's first picture, in UTC) and `{seq}` (the number of the file) are filled in. With
    /// `{date}`, a new file begins every day.
    #[schemars(regex(pattern = r"\.([mM][pP]4|[aA][vV][iI])$"))]
    pub path: String,
    /// H.264: the quantisation parameter, from 10 (large file, high quality) to 51 (small file, low quality).
    #[serde(default = "default_qp")]
    #[schemars(range(min = 10, max = 51))]
    pub qp: u8,
    /// MJPEG: the JPEG quality, 1–100.
    #[serde(default = "default_quality")]
    #[schemars(range(min = 1, max = 100))]
    pub quality: u8,
    /// When the next file begins.
    #[serde(default)]
    pub rotate: Option<Rotate>,
    /// How much is kept; older files are removed.
    #[serde(default)]
    pub keep: Option<Keep>,
}

const fn default_qp() -> u8 {
    26
}

const fn default_quality() -> u8 {
    85
}

impl Record {
    fn rules(&self, path: &str, always_new: bool) -> Result<Rules> {
        Rules::new(path, self.rotate, self.keep, always_new)
    }
}

impl SinkConfig for Record {
    fn needs(&self) -> Products {
        Products::empty()
    }

    fn writes(&self) -> Option<PathBuf> {
        Some(PathBuf::from(&self.path))
    }

    fn disk(&self, live: bool) -> Disk {
        match self.rules(&self.path, live) {
            _ if self.path.starts_with("/dev/") => Disk::None,
            Ok(rules) if rules.many => rules.disk(),
            _ => Disk::Unbounded("add `rotate: { time: 1h }` and `keep: { bytes: 20GB }`"),
        }
    }

    fn check(&self, _env: &Env) -> Result<()> {
        if !(10..=51).contains(&self.qp) {
            return Err(Error::Config(format!("`qp` is {}; it must lie between 10 and 51", self.qp)));
        }
        if !(1..=100).contains(&self.quality) {
            return Err(Error::Config(format!("`quality` is {}; it must lie between 1 and 100", self.quality)));
        }
        VideoFormat::of(&self.path)?;
        // A live run always has several files; what a recorded one may not have is found here.
        self.rules(&self.path, self.keep.is_some()).map(|_| ())
    }

    fn open(&self, env: &LineEnv) -> Result<Box<dyn Sink>> {
        self.check(env)?;
        let path = env.outputs.path(&self.path);
        let rules = self.rules(&path.to_string_lossy(), env.live() || self.keep.is_some())?;
        let begin = if env.live() { Begin::New } else { Begin::Replace };
        let mut files = Series::new(rules, begin, env)?;
        if !files.many() {
            // Fail now, not at the first frame, if the file cannot be written.
            files.open(env.clock.wall())?;
        }
        let settings = VideoSettings { format: VideoFormat::of(&self.path)?, qp: self.qp, quality: self.quality };
        Ok(Box::new(Recording { settings, files, first: None, video: None, bytes: Vec::new() }))
    }
}

struct Recording {
    settings: VideoSettings,
    files: Series,
    /// The first picture of a video; it is held until the second one determines its duration.
    first: Option<First>,
    video: Option<Video>,
    bytes: Vec<u8>,
}

struct First {
    pts: Duration,
    wall: SystemTime,
    image: Image,
}

/// The video of the current file.
struct Video {
    writer: VideoWriter,
    /// When its first picture was taken.
    start: Duration,
    wall: SystemTime,
}

impl Recording {
    /// Starts the video with the first picture; `gap` is the time to the second one.
    fn begin(&mut self, gap: Option<Duration>) -> Result<()> {
        let Some(First { pts, wall, image }) = self.first.take() else { return Ok(()) };
        let fps = gap.filter(|gap| !gap.is_zero()).map_or(10.0, |gap| 1.0 / gap.as_secs_f64()).clamp(0.1, 240.0);
        let writer = VideoWriter::new(self.settings, image.size, fps)?;
        self.video = Some(Video { writer, start: pts, wall });
        self.push(&image, pts)
    }

    fn push(&mut self, image: &Image, pts: Duration) -> Result<()> {
        let Some(Video { writer, start, wall }) = &mut self.video else { return Ok(()) };
        self.bytes.clear();
        writer.push(image, pts.saturating_sub(*start), &mut self.bytes)?;
        if self.bytes.is_empty() {
            return Ok(());
        }
        let written = self.files.append(*wall, &self.bytes);
        if written.is_err() {
            // The disk may be full; the next piece may fit again.
            writer.lost();
        }
        written
    }

    /// Ends the video and its file.
    fn end(&mut self) -> Result<()> {
        let begun = self.begin(None);
        let Some(Video { mut writer, wall, .. }) = self.video.take() else {
            return begun.and(self.files.close(None, false));
        };
        self.bytes.clear();
        let head = writer.finish(&mut self.bytes);
        let written = if self.bytes.is_empty() { Ok(()) } else { self.files.append(wall, &self.bytes) };
        let head = head.filter(|_| written.is_ok());
        begun.and(written).and(self.files.close(head.as_deref(), false))
    }

    /// Whether the picture belongs into a new file.
    fn is_over(&mut self, image: &Image, wall: SystemTime) -> Result<bool> {
        let before = self.first.as_ref().map(|first| first.image.size);
        let Some(before) = before.or_else(|| self.video.as_ref().map(|video| video.writer.size())) else {
            return Ok(false);
        };
        let held = self.video.as_ref().map_or(0, |video| video.writer.held_bytes());
        let full = self.video.as_ref().is_some_and(|video| !video.writer.has_room());
        let over = before != image.size || full;
        if over && !self.files.many() {
            return Err(Error::Data(if full {
                "an AVI file holds at most 1 GiB; write an .mp4, or add `rotate: { bytes: 1GB }`".into()
            } else {
                let now = image.size;
                format!(
                    "frames changed from {before} to {now}; a video file has one size; add `{{seq}}` to `path` for \
                     several files, or write pictures with `snapshot`"
                )
            }));
        }
        Ok(over || self.files.is_disturbed() || self.files.is_due(wall, held, None))
    }
}

impl Sink for Recording {
    fn write(&mut self, packet: &Packet) -> Result<()> {
        let image = packet.canvas.as_deref().unwrap_or(&packet.frame.image);
        let (pts, wall) = (packet.frame.pts, packet.frame.wall);
        let ended = if self.is_over(image, wall)? { self.end() } else { Ok(()) };
        if self.video.is_none() {
            let Some(first) = &self.first else {
                self.first = Some(First { pts, wall, image: image.clone() });
                return ended;
            };
            let gap = pts.saturating_sub(first.pts);
            ended.and(self.begin(Some(gap)))?;
        }
        self.push(image, pts)
    }

    fn pending(&self) -> u64 {
        u64::from(self.first.is_some()) + self.video.as_ref().map_or(0, |video| video.writer.held())
    }

    fn finish(&mut self) -> Result<()> {
        self.end()
    }
}
