//! Recorded video from a file.

use super::start::Start;
use super::truth::Truth;
use crate::error::{Error, Result};
use crate::media::picture::VideoReader;
use crate::media::video;
use crate::stage::{Env, LineEnv, Source, SourceConfig};
use crate::types::{Frame, Packet, Pool, Products, Size};
use serde::Deserialize;
use std::path::PathBuf;
use std::sync::Arc;

/// Frames of a video file: MP4 and MKV with H.264, AVI with MJPEG, Y4M; any other format if `ffmpeg` is
/// installed.
///
/// `- video: { path: door.mp4 }`
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Video {
    /// The file; a relative path starts in the current folder if it exists there, otherwise in the pipeline's folder.
    pub path: String,
    /// Stop after this many frames.
    #[serde(default)]
    pub frames: Option<u64>,
    /// A file with rows of what is really there, as `jsonl: { truth: true }` writes them.
    #[serde(default)]
    pub truth: Option<String>,
    /// When the recording began, such as `2026-11-23T08:30:00Z`; 1970 if not given.
    #[serde(default)]
    pub start: Start,
}

impl SourceConfig for Video {
    fn is_live(&self) -> bool {
        false
    }

    fn gives(&self, _env: &Env) -> Products {
        if self.truth.is_some() { Products::TRUTH } else { Products::empty() }
    }

    fn frame_size(&self, env: &Env) -> Option<Size> {
        video::open(&env.input_path(&self.path)).ok().map(|reader| reader.size())
    }

    fn reads(&self, env: &Env) -> Vec<PathBuf> {
        std::iter::once(&self.path).chain(&self.truth).map(|path| env.input_path(path)).collect()
    }

    fn check(&self, env: &Env) -> Result<()> {
        for path in [Some(&self.path), self.truth.as_ref()].into_iter().flatten() {
            let path = env.existing_input(path)?;
            std::fs::File::open(&path).map_err(|e| Error::io(&path, e))?;
        }
        Ok(())
    }

    fn open(&self, env: &LineEnv) -> Result<Box<dyn Source>> {
        let path = env.input_path(&self.path);
        let reader = video::open(&path)?;
        let shown = path.display().to_string();
        let truth = self.truth.as_ref().map(|path| Truth::read(&env.input_path(path))).transpose()?;
        let (settings, id) = (self.clone(), Arc::clone(env.id()));
        Ok(Box::new(Playing { settings, shown, reader, truth, id, seq: 0, damaged: 0, frames: Pool::new() }))
    }
}

/// After so many damaged frames the others are only counted.
const TOLD: u64 = 5;

struct Playing {
    settings: Video,
    shown: String,
    reader: Box<dyn VideoReader>,
    truth: Option<Truth>,
    id: Arc<str>,
    seq: u64,
    /// How many frames were damaged.
    damaged: u64,
    frames: Pool<Frame>,
}

impl Source for Playing {
    fn next(&mut self) -> Result<Option<Packet>> {
        if self.settings.frames.is_some_and(|limit| self.seq >= limit) {
            return Ok(None);
        }
        let at = |e: Error, shown: &str, seq: u64| e.at(format_args!("{shown}: frame {seq}"));
        let picture = self.reader.next_picture().map_err(|e| at(e, &self.shown, self.seq))?;
        let Some(picture) = picture else {
            if self.seq == 0 {
                return Err(Error::Data(format!("{}: contains no pictures", self.shown)));
            }
            if let Some(remark) = self.reader.remark() {
                tracing::warn!("{}: {remark}", self.shown);
            }
            if self.damaged > TOLD {
                tracing::warn!("{}: {} frames are damaged", self.shown, self.damaged);
            }
            return Ok(None);
        };
        let frame = self.frames.fill(|frame| {
            frame.source = Arc::clone(&self.id);
            frame.seq = self.seq;
            frame.pts = picture.pts;
            frame.wall = self.settings.start.0 + picture.pts;
            if let Some(damage) = picture.pixels.to_rgb(&mut frame.image)? {
                self.damaged += 1;
                if self.damaged <= TOLD {
                    let (shown, seq) = (&self.shown, self.seq);
                    tracing::warn!("{shown}: frame {seq} is damaged, and what is missing was filled up: {damage}");
                }
            }
            Ok(())
        });
        let frame = frame.map_err(|e| at(e, &self.shown, self.seq))?;
        self.seq += 1;
        let mut packet = Packet::new(frame);
        if let Some(truth) = &self.truth {
            truth.add(&mut packet);
        }
        Ok(Some(packet))
    }

    fn count(&self) -> Option<u64> {
        match (self.reader.count(), self.settings.frames) {
            (Some(all), Some(limit)) => Some(all.min(limit)),
            (all, limit) => all.or(limit),
        }
    }
}
