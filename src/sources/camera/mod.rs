//! Cameras of Video4Linux, through nokhwa.
//!
//! nokhwa captures. What to request from the camera is chosen here, because nokhwa fails on settings that other
//! programs left behind, on sizes that do not exist and on rates that are not whole numbers
//! (`docs/decisions/0009-live-sources.md`).

pub mod devices;
mod pixels;

pub use pixels::{Converter, Pixel};

use crate::error::{Error, Result};
use crate::host::catch;
use crate::media::mjpeg;
use crate::stage::{Care, Env, Feed, LineEnv, Link, OnLost, Shot, Source, SourceConfig, Watch, live};
use crate::types::Size;
use crate::yaml::Span;
use devices::Mode;
use nokhwa::Camera as Nokhwa;
use nokhwa::utils::{CameraFormat, CameraIndex, RequestedFormat, RequestedFormatType, Resolution};
use serde::{Deserialize, Deserializer};
use std::path::{Path, PathBuf};
use std::time::Duration;
use v4l::video::Capture;

/// A USB camera, or any other that Linux shows as `/dev/video…`. The camera is watched, and opened again after a loss.
///
/// `- camera: { device: auto, size: [640, 480], fps: 30 }`
///
/// `ocelli devices` lists the cameras, what they offer, and the names that stay the same when they are plugged in
/// again. For a Raspberry Pi's CSI camera, use `picam`.
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Camera {
    /// `auto` (the first camera), a number, or a path such as `/dev/v4l/by-id/…`; looked up again at each try.
    #[serde(default)]
    pub device: Device,
    /// Width and height in pixels; if not given, 640x480 or the nearest size.
    #[serde(default)]
    pub size: Option<Size>,
    /// Frames per second; the nearest rate that the camera offers is used.
    #[serde(default = "default_fps")]
    #[schemars(range(min = 0.1, max = 1000.0))]
    pub fps: f64,
    /// Pixel layouts that may be used, the preferred one first: `yuyv`, `nv12`, `mjpeg`, `rgb`, `bgr`.
    #[serde(default = "all_formats")]
    pub formats: Vec<Pixel>,
    /// The camera's own settings, applied in this order, with the names and values that `ocelli devices --controls`
    /// shows: `{ power_line_frequency: 1, auto_exposure: 1, exposure_time_absolute: 157 }`.
    #[serde(default)]
    pub controls: Controls,
    /// What happens when the camera is lost.
    #[serde(default)]
    pub on_lost: OnLost,
    /// Time without a picture that counts as a loss; if not given, 2 s or 10 frame intervals.
    #[serde(default)]
    pub stall_after: Option<Span>,
}

const fn default_fps() -> f64 {
    30.0
}

fn all_formats() -> Vec<Pixel> {
    Pixel::ALL.to_vec()
}

/// `auto`, a number or a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device(pub String);

impl Default for Device {
    fn default() -> Self {
        Self("auto".into())
    }
}

impl<'de> Deserialize<'de> for Device {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Device;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("`auto`, a number or a path")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Device, E> {
                if text == "auto" || text.starts_with('/') || text.parse::<u32>().is_ok() {
                    return Ok(Device(text.into()));
                }
                Err(E::custom(format!(
                    "{text:?} is not a device; write `auto`, a number, or a path such as /dev/video0"
                )))
            }
            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Device, E> {
                self.visit_str(&number.to_string())
            }
            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Device, E> {
                self.visit_str(&number.to_string())
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl schemars::JsonSchema for Device {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Device".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": ["string", "integer"] })
    }
}

/// Names and values of controls, in the order of the YAML: some take effect only after others.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Controls(pub Vec<(String, i64)>);

impl<'de> Deserialize<'de> for Controls {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Controls;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a map of names and whole numbers")
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Controls, A::Error> {
                let mut all = Vec::new();
                while let Some(entry) = map.next_entry::<String, i64>()? {
                    all.push(entry);
                }
                Ok(Controls(all))
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

impl schemars::JsonSchema for Controls {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Controls".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "object", "additionalProperties": { "type": "integer" } })
    }
}

impl SourceConfig for Camera {
    fn is_live(&self) -> bool {
        true
    }

    fn frame_size(&self, _env: &Env) -> Option<Size> {
        self.size
    }

    fn check(&self, _env: &Env) -> Result<()> {
        if !self.fps.is_finite() || !(0.1..=1000.0).contains(&self.fps) {
            return Err(Error::Config("`fps` must lie between 0.1 and 1000".into()));
        }
        if self.formats.is_empty() {
            return Err(Error::Config("`formats` is empty; leave it out to allow all".into()));
        }
        Ok(())
    }

    fn link(&self, _env: &Env) -> Option<Box<dyn Link>> {
        Some(Box::new(self.clone()))
    }

    fn care(&self) -> Care {
        Care { on_lost: self.on_lost, stall_after: self.stall_after.map(|span| span.0) }
    }

    fn open(&self, env: &LineEnv) -> Result<Box<dyn Source>> {
        live::open(self, env)
    }
}

/// What will be requested from the camera.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Choice {
    pixel: Pixel,
    size: Size,
    rate: f64,
}

impl Camera {
    /// The nearest rate wins, then the layout that comes first in `formats`. So a webcam that sends 1280x720 as YUYV at
    /// only 10 frames per second is asked for MJPEG.
    fn choose(&self, modes: &[Mode], rates: impl Fn(&Mode, Size) -> Vec<f64>) -> Result<Choice, String> {
        let readable: Vec<&Mode> =
            modes.iter().filter(|m| Pixel::of(m.fourcc).is_some_and(|pixel| self.formats.contains(&pixel))).collect();
        let list = |mut words: Vec<String>| {
            words.dedup();
            words.join(", ")
        };
        if readable.is_empty() {
            let codes = list(modes.iter().map(Mode::code).collect());
            return Err(format!("offers {codes}; `formats` allows none of them"));
        }
        let wanted = self.size.unwrap_or(Size::new(640, 480));
        let size = if readable.iter().any(|mode| mode.has(wanted)) {
            wanted
        } else if self.size.is_none() {
            let apart = |size: Size| size.pixels().abs_diff(wanted.pixels());
            readable.iter().map(|mode| mode.size).min_by_key(|size| apart(*size)).unwrap_or(wanted)
        } else {
            let mut sizes: Vec<Size> = readable.iter().map(|mode| mode.size).collect();
            sizes.sort_by_key(|size| (size.pixels(), size.width));
            return Err(format!(
                "does not offer {wanted}; it offers {}",
                list(sizes.iter().map(Size::to_string).collect())
            ));
        };
        let mut best: Option<(f64, usize, Choice)> = None;
        for mode in readable.iter().filter(|mode| mode.has(size)) {
            let Some(pixel) = Pixel::of(mode.fourcc) else { continue };
            let order = self.formats.iter().position(|format| *format == pixel).unwrap_or(usize::MAX);
            // nokhwa can set only whole rates.
            for rate in rates(mode, size).into_iter().filter(|rate| rate.fract() == 0.0 && *rate >= 1.0) {
                let apart = (rate - self.fps).abs();
                if best.is_none_or(|(a, o, _)| (apart, order) < (a, o)) {
                    best = Some((apart, order, Choice { pixel, size, rate }));
                }
            }
        }
        best.map(|(.., choice)| choice).ok_or_else(|| {
            format!("offers {size} at no whole number of frames per second; use `ffmpeg: {{ url: /dev/video… }}`")
        })
    }

    fn set_controls(&self, device: &v4l::Device, path: &Path) -> Result<()> {
        if self.controls.0.is_empty() {
            return Ok(());
        }
        let known = devices::controls(device, path)?;
        for (name, value) in &self.controls.0 {
            let Some((_, control)) = known.iter().find(|(word, _)| word == name) else {
                let words = crate::yaml::one_of(known.iter().map(|(word, _)| word.as_str()));
                return Err(Error::Config(format!("{}: has no control `{name}`; it has {words}", path.display())));
            };
            let kind = match control.typ {
                v4l::control::Type::Boolean => v4l::control::Value::Boolean(*value != 0),
                _ => v4l::control::Value::Integer(*value),
            };
            device.set_control(v4l::Control { id: control.id, value: kind }).map_err(|e| {
                let values = devices::control_values(control);
                Error::Config(format!(
                    "{}: `{name}: {value}` is rejected ({e}); allowed values: {values}",
                    path.display()
                ))
            })?;
        }
        Ok(())
    }

    /// Chooses and sets a format, and leaves the device in a state that nokhwa can handle.
    fn prepare(&self, path: &Path) -> Result<(Choice, usize)> {
        let device = devices::open(path)?;
        let modes = devices::modes(&device);
        if modes.is_empty() {
            return Err(Error::Device(format!("{}: delivers no pictures; is it the right device?", path.display())));
        }
        let rates = |mode: &Mode, size: Size| devices::rates(&device, v4l::FourCC::new(&mode.fourcc), size);
        let choice = self.choose(&modes, rates).map_err(|e| Error::Config(format!("{}: {e}", path.display())))?;
        let refused = |e: std::io::Error| {
            devices::explain(path, &format!("rejects {choice:?}"), &e.to_string(), e.raw_os_error())
        };
        let fourcc = v4l::FourCC::new(&choice.pixel.fourcc());
        let wanted = v4l::Format::new(choice.size.width, choice.size.height, fourcc);
        let set = Capture::set_format(&device, &wanted).map_err(refused)?;
        if (set.width, set.height, set.fourcc) != (choice.size.width, choice.size.height, fourcc) {
            let message = format!(
                "{}: was asked for {} {} and set {}x{} {}",
                path.display(),
                choice.size,
                fourcc,
                set.width,
                set.height,
                set.fourcc
            );
            return Err(Error::Device(message));
        }
        // Some drivers cannot set a rate; nokhwa will find out.
        let _ = Capture::set_params(&device, &v4l::video::capture::Parameters::with_fps(choice.rate as u32));
        self.set_controls(&device, path)?;
        Ok((choice, set.stride as usize))
    }
}

impl Link for Camera {
    fn connect(&self, watch: &Watch) -> Result<Box<dyn Feed>> {
        let path = devices::resolve(&self.device.0)?;
        let number = path.to_str().and_then(|p| p.strip_prefix("/dev/video")?.parse().ok());
        let number = number.ok_or_else(|| Error::Config(format!("{}: is not a /dev/video…", path.display())))?;
        let (choice, stride) = self.prepare(&path)?;
        let resolution = Resolution::new(choice.size.width, choice.size.height);
        let format = CameraFormat::new(resolution, choice.pixel.nokhwa(), choice.rate as u32);
        let formats = [choice.pixel.nokhwa()];
        let exact = RequestedFormat::with_formats(RequestedFormatType::Exact(format), &formats);
        let failed = |e: nokhwa::NokhwaError| devices::explain(&path, "cannot be opened", &e.to_string(), None);
        let mut camera = Nokhwa::new(CameraIndex::Index(number), exact).map_err(failed)?;
        camera.open_stream().map_err(failed)?;
        let converter = Converter::new(choice.pixel, choice.size, stride);
        Ok(Box::new(Streaming { camera: Some(camera), path, choice, converter, recorded: watch.is_recorded() }))
    }
}

struct Streaming {
    camera: Option<Nokhwa>,
    path: PathBuf,
    choice: Choice,
    converter: Converter,
    recorded: bool,
}

impl Feed for Streaming {
    fn read(&mut self, shot: &mut Shot) -> Result<bool> {
        let Some(camera) = &mut self.camera else { return Ok(false) };
        let failed = |e: nokhwa::NokhwaError| devices::explain(&self.path, "gives no picture", &e.to_string(), None);
        let buffer = camera.frame_raw().map_err(failed)?;
        shot.media = None;
        self.converter.to_rgb(&buffer, &mut shot.image)?;
        if self.recorded && self.choice.pixel == Pixel::Mjpeg {
            shot.coded.set_jpeg(mjpeg::cut(&buffer)?);
        }
        Ok(true)
    }

    fn interval(&self) -> Option<Duration> {
        Some(Duration::from_secs_f64(1.0 / self.choice.rate))
    }

    fn about(&self) -> String {
        let Choice { pixel, size, rate } = self.choice;
        let code = pixel.fourcc();
        format!("{}: {size} {}, {rate} fps", self.path.display(), String::from_utf8_lossy(&code))
    }
}

impl Drop for Streaming {
    fn drop(&mut self) {
        // The stream's own drop panics if the driver does not let it stop.
        let camera = self.camera.take();
        let _ = catch(|| drop(camera));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn camera(settings: &str) -> Camera {
        serde_json::from_str(settings).unwrap()
    }

    fn mode(fourcc: &[u8; 4], width: u32, height: u32, rates: &[f64]) -> Mode {
        Mode { fourcc: *fourcc, size: Size::new(width, height), range: None, rates: rates.to_vec() }
    }

    #[test]
    fn the_rate_decides_then_the_order_of_formats() {
        let modes = [
            mode(b"YUYV", 640, 480, &[30.0, 15.0]),
            mode(b"YUYV", 1280, 720, &[10.0]),
            mode(b"MJPG", 640, 480, &[30.0]),
            mode(b"MJPG", 1280, 720, &[30.0]),
            mode(b"H264", 1280, 720, &[60.0]),
        ];
        let choose = |settings: &str| camera(settings).choose(&modes, |mode, _| mode.rates.clone());
        let choice = |pixel, width, height, rate| Ok(Choice { pixel, size: Size::new(width, height), rate });
        assert_eq!(choose("{}"), choice(Pixel::Yuyv, 640, 480, 30.0));
        assert_eq!(choose("{\"size\": [1280, 720]}"), choice(Pixel::Mjpeg, 1280, 720, 30.0));
        assert_eq!(choose("{\"size\": [1280, 720], \"fps\": 5}"), choice(Pixel::Yuyv, 1280, 720, 10.0));
        assert_eq!(choose("{\"formats\": [\"mjpeg\"]}"), choice(Pixel::Mjpeg, 640, 480, 30.0));
        assert!(choose("{\"size\": [641, 480]}").unwrap_err().contains("640x480, 1280x720"));
        assert!(choose("{\"formats\": [\"nv12\"]}").unwrap_err().contains("YUYV, MJPG, H264"));
        let film = [mode(b"YUYV", 640, 480, &[30000.0 / 1001.0])];
        assert!(camera("{}").choose(&film, |m, _| m.rates.clone()).unwrap_err().contains("ffmpeg"));
    }

    #[test]
    fn devices_are_words_numbers_or_paths() {
        assert_eq!(camera("{\"device\": 2}").device.0, "2");
        assert_eq!(camera("{\"device\": \"/dev/v4l/by-id/x\"}").device.0, "/dev/v4l/by-id/x");
        assert!(serde_json::from_str::<Camera>("{\"device\": \"webcam\"}").is_err());
    }
}
