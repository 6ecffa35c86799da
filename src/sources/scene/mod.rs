//! A rendered street or table that knows its contents.

mod noise;
mod render;
mod shapes;
mod world;

pub use render::Renderer;
pub use shapes::CLASSES;
pub use world::Setting;

use super::start::Start;
use crate::error::{Error, Result};
use crate::host::{Clock, Stop};
use crate::stage::{Env, LineEnv, Source, SourceConfig};
use crate::types::{Detection, Found, Frame, Maker, Packet, Pool, Products, Size};
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;

/// A rendered street or table: textured moving objects that hide each other, changing light, sensor noise. It knows
/// what it shows, and produces the same bytes on every machine.
///
/// `- scene: { setting: street, seed: 7, frames: 300 }`
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scene {
    /// What is shown.
    #[serde(default)]
    pub setting: Setting,
    /// Another seed gives another world.
    #[serde(default = "default_seed")]
    pub seed: u32,
    /// Width and height in pixels.
    #[serde(default = "default_size")]
    pub size: Size,
    /// Frames per second.
    #[serde(default = "default_fps")]
    #[schemars(range(min = 0.01, max = 1000.0))]
    pub fps: f64,
    /// Number of frames; endless if not given.
    #[serde(default)]
    pub frames: Option<u64>,
    /// Number of objects, at most 60.
    #[serde(default = "default_objects")]
    pub objects: u32,
    /// Sensor noise, in levels of 255.
    #[serde(default = "default_noise")]
    #[schemars(range(min = 0.0, max = 64.0))]
    pub noise: f32,
    /// Behave like a camera: frames come at their own pace, and are lost if nobody takes them.
    #[serde(default)]
    pub live: bool,
    /// When the scene began; 1970 if not given.
    #[serde(default)]
    pub start: Start,
}

const fn default_seed() -> u32 {
    1
}

const fn default_size() -> Size {
    Size::new(640, 360)
}

const fn default_fps() -> f64 {
    10.0
}

const fn default_objects() -> u32 {
    7
}

const fn default_noise() -> f32 {
    4.0
}

impl SourceConfig for Scene {
    fn is_live(&self) -> bool {
        self.live
    }

    fn gives(&self, _env: &Env) -> Products {
        Products::TRUTH
    }

    fn frame_size(&self, _env: &Env) -> Option<Size> {
        Some(self.size)
    }

    fn check(&self, _env: &Env) -> Result<()> {
        let pace = self.fps.is_finite() && (0.01..=1000.0).contains(&self.fps);
        if !pace || self.objects > 60 || !(0.0..=64.0).contains(&self.noise) {
            return Err(Error::Config(
                "`fps` must lie between 0.01 and 1000, `objects` must be at most 60, `noise` must lie between 0 and 64"
                    .into(),
            ));
        }
        if self.size.pixels() > 4096 * 4096 || self.size.width < 16 || self.size.height < 16 {
            return Err(Error::Config(format!("a scene of {}; each side must lie between 16 and 4096", self.size)));
        }
        Ok(())
    }

    fn open(&self, env: &LineEnv) -> Result<Box<dyn Source>> {
        self.check(env)?;
        Ok(Box::new(Rendering {
            renderer: Renderer::new(self.setting, self.seed, self.objects, self.noise, self.size),
            settings: self.clone(),
            by: Maker::new("scene", CLASSES.map(str::to_owned)),
            id: Arc::clone(env.id()),
            seq: 0,
            frames: Pool::new(),
            truths: Pool::new(),
            truth: Vec::new(),
            clock: Arc::clone(&env.clock),
            stop: env.stop.clone(),
            began: None,
        }))
    }
}

struct Rendering {
    settings: Scene,
    renderer: Renderer,
    by: Arc<Maker>,
    id: Arc<str>,
    seq: u64,
    frames: Pool<Frame>,
    truths: Pool<Vec<Detection>>,
    truth: Vec<Detection>,
    clock: Arc<dyn Clock>,
    stop: Stop,
    began: Option<Duration>,
}

impl Rendering {
    /// A live scene waits until its next frame is due, and checks `stop` while it waits.
    fn wait_until(&mut self, pts: Duration) {
        let due = *self.began.get_or_insert_with(|| self.clock.now()) + pts;
        while !self.stop.is_requested() {
            let left = due.saturating_sub(self.clock.now());
            if left.is_zero() {
                break;
            }
            self.clock.sleep(left.min(Duration::from_millis(100)));
        }
    }
}

impl Source for Rendering {
    fn next(&mut self) -> Result<Option<Packet>> {
        if self.settings.frames.is_some_and(|limit| self.seq >= limit) {
            return Ok(None);
        }
        let pts = Duration::from_secs_f64(self.seq as f64 / self.settings.fps);
        if self.settings.live {
            self.wait_until(pts);
        }
        let (renderer, truth) = (&mut self.renderer, &mut self.truth);
        let frame = self.frames.fill(|frame| {
            frame.source = Arc::clone(&self.id);
            frame.seq = self.seq;
            frame.pts = pts;
            frame.wall = if self.settings.live { self.clock.wall() } else { self.settings.start.0 + pts };
            renderer.render(pts.as_secs_f32(), self.seq as u32, &mut frame.image, truth);
            Ok::<(), Error>(())
        })?;
        let truth = self.truths.fill(|slot| {
            slot.clear();
            slot.extend_from_slice(&self.truth);
            Ok::<(), Error>(())
        })?;
        self.seq += 1;
        let mut packet = Packet::new(frame);
        packet.truth = Some(Found::new(truth, &self.by));
        Ok(Some(packet))
    }

    fn count(&self) -> Option<u64> {
        self.settings.frames
    }
}
