//! Cameras behind a program: any program that writes pictures to its standard output.

mod child;
mod ffmpeg;
mod picam;

pub use ffmpeg::Ffmpeg;
pub use picam::Picam;

use crate::error::{Error, Result};
use crate::stage::{Care, Env, LineEnv, Link, OnLost, Source, SourceConfig, live};
use crate::types::Size;
use crate::yaml::Span;
use child::{ChildLink, Output};
use serde::Deserialize;
use std::time::Duration;

/// A program that writes pictures to its standard output. It is started again when it ends, hangs or writes garbage.
/// What it writes to standard error goes into the log. At the end, it is killed with all processes that it started.
///
/// `- exec: { command: [gst-launch-1.0, -q, v4l2src, "!", jpegenc, "!", fdsink], format: mjpeg }`
///
/// `picam` and `ffmpeg` are ready-made variants.
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Exec {
    /// The program and its arguments; they do not pass through a shell.
    pub command: Vec<String>,
    /// The format of its output.
    pub format: Format,
    /// Width and height of raw frames.
    #[serde(default)]
    pub size: Option<Size>,
    /// Frames per second, if known; used only to notice that no more frames arrive.
    #[serde(default)]
    #[schemars(range(min = 0.001, max = 1000.0))]
    pub fps: Option<f64>,
    /// What happens when the program ends.
    #[serde(default)]
    pub on_lost: OnLost,
    /// Time without a picture that counts as a loss; if not given, 2 s or 10 frame intervals.
    #[serde(default)]
    pub stall_after: Option<Span>,
}

/// What a child process writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// JPEG pictures one after another, with anything between them.
    Mjpeg,
    /// YUV4MPEG2, which contains its size.
    Y4m,
    /// Planes Y, U and V of `size`, with nothing between the frames.
    Yuv420,
    /// Red, green and blue of `size`, with nothing between the frames.
    Rgb,
}

/// The time between two pictures at this rate.
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
            (_, None) => Err(Error::Config("raw frames do not contain their size; add `size: [width, height]`".into())),
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
            install: "install it, or give its full path".into(),
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
