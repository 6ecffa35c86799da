//! Any address and codec that an installed ffmpeg can read.

use super::child::{ChildLink, Output};
use super::{Span, check_fps, interval};
use crate::error::{Error, Result};
use crate::stage::{Care, Env, LineEnv, Link, OnLost, Source, SourceConfig, live};
use crate::types::Size;
use serde::Deserialize;

/// Any live stream that `ffmpeg` can read: RTSP with H.265, RTMP, HLS, SRT, a V4L2 device with a codec of its own.
///
/// `- ffmpeg: { url: "rtsp://user:${PASSWORD}@camera/stream" }`
///
/// The password is visible to anyone who can list processes; `rtsp` and `mjpeg_http` do not expose theirs. For a
/// recording, use `video`.
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ffmpeg {
    /// The address or device to read.
    pub url: String,
    /// Arguments for `ffmpeg` before `-i`: `[-f, v4l2, -input_format, h264]`. For `rtsp://`, TCP is selected
    /// automatically.
    #[serde(default)]
    pub input: Vec<String>,
    /// Maximum frames per second; if not given, all frames.
    #[serde(default)]
    #[schemars(range(min = 0.001, max = 1000.0))]
    pub fps: Option<f64>,
    /// Width and height to which `ffmpeg` scales the pictures.
    #[serde(default)]
    pub size: Option<Size>,
    /// What happens when the stream is lost.
    #[serde(default)]
    pub on_lost: OnLost,
    /// Time without a picture that counts as a loss; if not given, 2 s or 10 frame intervals.
    #[serde(default)]
    pub stall_after: Option<Span>,
}

impl Ffmpeg {
    fn args(&self) -> Vec<String> {
        // Not `-fflags nobuffer`, which is often advised: it loses all but the first picture of some containers.
        let mut args: Vec<String> =
            ["-nostdin", "-v", "warning", "-nostats", "-flags", "low_delay"].map(str::to_owned).into();
        if self.url.starts_with("rtsp://") && !self.input.iter().any(|word| word == "-rtsp_transport") {
            args.extend(["-rtsp_transport".into(), "tcp".into()]);
        }
        args.extend(self.input.iter().cloned());
        args.extend(["-i".into(), self.url.clone(), "-map".into(), "0:v:0".into()]);
        let mut filters = Vec::new();
        if let Some(fps) = self.fps {
            // Drops frames, but never adds any.
            filters.push(format!("select='isnan(prev_selected_t)+gte(t-prev_selected_t,{})'", 0.999 / fps));
        }
        // Y4M does not say how its colours are meant, so they are always BT.601 with 16-235.
        let size = self.size.map_or_else(String::new, |Size { width, height }| format!("{width}:{height}:"));
        filters.push(format!("scale={size}out_color_matrix=bt601:out_range=tv"));
        args.extend(["-vf".into(), filters.join(",")]);
        let end = ["-fps_mode", "passthrough", "-pix_fmt", "yuv420p", "-f", "yuv4mpegpipe", "-"];
        args.extend(end.map(str::to_owned));
        args
    }
}

impl SourceConfig for Ffmpeg {
    fn is_live(&self) -> bool {
        true
    }

    fn frame_size(&self, _env: &Env) -> Option<Size> {
        self.size
    }

    fn check(&self, _env: &Env) -> Result<()> {
        if self.url.trim().is_empty() || self.url.starts_with('-') {
            return Err(Error::Config("`url` is not an address".into()));
        }
        check_fps(self.fps)
    }

    fn link(&self, env: &Env) -> Option<Box<dyn Link>> {
        Some(Box::new(ChildLink {
            programs: vec!["ffmpeg".into()],
            args: self.args(),
            output: Output::Y4m,
            interval: interval(self.fps),
            install: "Debian and Raspberry Pi OS: sudo apt install ffmpeg".into(),
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
