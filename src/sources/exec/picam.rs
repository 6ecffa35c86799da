//! The CSI cameras of a Raspberry Pi, through the program that comes with its system.

use super::child::{ChildLink, Output};
use super::{Span, check_fps, interval};
use crate::error::{Error, Result};
use crate::stage::{Care, Env, LineEnv, Link, OnLost, Source, SourceConfig, live};
use crate::types::Size;
use serde::Deserialize;

/// A Raspberry Pi's CSI camera (v1, v2, v3, HQ, global shutter), through `rpicam-vid` or, on older systems,
/// `libcamera-vid`.
///
/// `- picam: { size: [640, 480], fps: 15 }`
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Picam {
    /// The number of the camera, as `rpicam-hello --list-cameras` shows it.
    #[serde(default)]
    pub camera: u32,
    /// Width and height in pixels.
    #[serde(default = "default_size")]
    pub size: Size,
    /// Frames per second.
    #[serde(default = "default_fps")]
    #[schemars(range(min = 0.001, max = 1000.0))]
    pub fps: f64,
    /// Raw frames instead of JPEG: no loss of quality and no decoding, but ten times the bytes through the pipe.
    #[serde(default)]
    pub raw: bool,
    /// More arguments for `rpicam-vid`: `[--hflip, --vflip, --shutter, "10000"]`.
    #[serde(default)]
    pub options: Vec<String>,
    /// What happens when the camera is lost.
    #[serde(default)]
    pub on_lost: OnLost,
    /// Time without a picture that counts as a loss; if not given, 2 s or 10 frame intervals.
    #[serde(default)]
    pub stall_after: Option<Span>,
}

const fn default_size() -> Size {
    Size::new(640, 480)
}

const fn default_fps() -> f64 {
    15.0
}

impl Picam {
    fn args(&self) -> Vec<String> {
        let mut args: Vec<String> = ["-t", "0", "-n", "--flush", "--camera"].map(str::to_owned).into();
        let Size { width, height } = self.size;
        args.extend([self.camera.to_string(), "--width".into(), width.to_string()]);
        args.extend(["--height".into(), height.to_string(), "--framerate".into(), self.fps.to_string()]);
        let codec: &[&str] = if self.raw { &["--codec", "yuv420"] } else { &["--codec", "mjpeg", "-q", "90"] };
        args.extend(codec.iter().map(|word| (*word).to_owned()));
        args.extend(self.options.iter().cloned());
        args.extend(["-o".into(), "-".into()]);
        args
    }
}

impl SourceConfig for Picam {
    fn is_live(&self) -> bool {
        true
    }

    fn frame_size(&self, _env: &Env) -> Option<Size> {
        Some(self.size)
    }

    fn check(&self, _env: &Env) -> Result<()> {
        check_fps(Some(self.fps))?;
        if self.raw && !(self.size.width.is_multiple_of(64) && self.size.height.is_multiple_of(2)) {
            return Err(Error::Config(format!(
                "`raw` frames of {}: rows are padded unless the width is a multiple of 64; use such a size, or remove `raw`",
                self.size
            )));
        }
        Ok(())
    }

    fn link(&self, env: &Env) -> Option<Box<dyn Link>> {
        Some(Box::new(ChildLink {
            programs: vec!["rpicam-vid".into(), "libcamera-vid".into()],
            args: self.args(),
            output: if self.raw { Output::Yuv420(self.size) } else { Output::Mjpeg },
            interval: interval(Some(self.fps)),
            install: "on a Raspberry Pi: sudo apt install rpicam-apps".into(),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_what_rpicam_vid_takes() {
        let picam: Picam = serde_json::from_str("{\"size\": [1280, 720], \"options\": [\"--hflip\"]}").unwrap();
        let told =
            "-t 0 -n --flush --camera 0 --width 1280 --height 720 --framerate 15 --codec mjpeg -q 90 --hflip -o -";
        assert_eq!(picam.args().join(" "), told);
    }
}
