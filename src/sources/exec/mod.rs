//! Cameras behind a program: whatever writes pictures to its standard output.

mod child;
mod ffmpeg;
mod picam;

pub use ffmpeg::Ffmpeg;
pub use picam::Picam;

use super::span::Span;
use crate::error::{Error, Result};
use crate::stage::{Care, Env, LineEnv, Link, OnLost, Source, SourceConfig, live};
use crate::types::Size;
use child::{ChildLink, Output};
use serde::Deserialize;
use std::time::Duration;

/// A program that writes pictures to its standard output. It is started again when it ends, hangs or writes garbage;
/// what it says on standard error goes into the log; at the end it is killed with all it started.
///
/// `- exec: { command: [gst-launch-1.0, -q, v4l2src, "!", jpegenc, "!", fdsink], format: mjpeg }`
///
/// `picam` and `ffmpeg` are ready-made ones.
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Exec {
    /// The program and what it is told; no shell reads it.
    pub command: Vec<String>,
    /// What it writes.
    pub format: Format,
    /// Width and height of raw frames.
    #[serde(default)]
    pub size: Option<Size>,
    /// Frames a second, if known; only for noticing that none come.
    #[serde(default)]
    pub fps: Option<f64>,
    /// What happens when it ends.
    #[serde(default)]
    pub on_lost: OnLost,
    /// Time without a picture that counts as a loss; if not given, 2 s or 10 frame intervals.
    #[serde(default)]
    pub stall_after: Option<Span>,
}

/// What a child writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// JPEG pictures one after the other, with anything between them.
    Mjpeg,
    /// YUV4MPEG2, which says its size.
    Y4m,
    /// Planes Y, U, V of `size`, nothing between the frames.
    Yuv420,
    /// Red, green, blue of `size`, nothing between the frames.
    Rgb,
}

/// The time between two pictures at a rate.
fn interval(fps: Option<f64>) -> Option<Duration> {
    fps.map(|fps| Duration::from_secs_f64(1.0 / fps))
}

fn check_fps(fps: Option<f64>) -> Result<()> {
    if fps.is_some_and(|fps| !fps.is_finite() || !(0.001..=1000.0).contains(&fps)) {
        return Err(Error::Config("`fps` must lie between 0.001 and 1000".into()));
    }
    Ok(())
}

impl Exec {
    fn output(&self) -> Result<Output> {
        match (self.format, self.size) {
            (Format::Mjpeg, _) => Ok(Output::Mjpeg),
            (Format::Y4m, _) => Ok(Output::Y4m),
            (Format::Yuv420, Some(size)) => Ok(Output::Yuv420(size)),
            (Format::Rgb, Some(size)) => Ok(Output::Rgb(size)),
            (_, None) => Err(Error::Config("raw frames do not tell their size; add `size: [width, height]`".into())),
        }
    }
}

impl SourceConfig for Exec {
    fn is_live(&self) -> bool {
        true
    }

    fn frame_size(&self, _env: &Env) -> Option<Size> {
        self.size
    }

    fn check(&self, _env: &Env) -> Result<()> {
        if self.command.first().is_none_or(String::is_empty) {
            return Err(Error::Config("`command` is empty; write `command: [program, argument, …]`".into()));
        }
        check_fps(self.fps)?;
        self.output().map(|_| ())
    }

    fn link(&self, env: &Env) -> Option<Box<dyn Link>> {
        let (program, args) = self.command.split_first()?;
        Some(Box::new(ChildLink {
            programs: vec![program.clone()],
            args: args.to_vec(),
            output: self.output().ok()?,
            interval: interval(self.fps),
            install: "install it or write its whole path".into(),
            secrets: env.secrets.clone(),
        }))
    }

    fn care(&self) -> Care {
        Care { on_lost: self.on_lost, stall_after: self.stall_after.map(|span| span.0) }
    }

    fn open(&self, env: &LineEnv) -> Result<Box<dyn Source>> {
        live::open(self, env)
    }
}
