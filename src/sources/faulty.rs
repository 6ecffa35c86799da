//! `faulty:` beside any source: makes things go wrong as they do with cameras, on demand.

use crate::error::{Error, Result};
use crate::host::{Clock, Stop};
use crate::stage::{Care, Env, Feed, LineEnv, Link, Shot, Source, SourceConfig, Watch, live};
use crate::types::{Frame, Image, Packet, Pool, Products, Size};
use crate::yaml::Span;
use serde::{Deserialize, Deserializer};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What goes wrong with a source, and when: `- { camera: {}, faulty: { unplug: [100], corrupt: 0.01 } }`.
///
/// Each fault happens at given frames (`[100, 250]`, counted from 0 across all losses) or by chance (`0.01` of the
/// frames, the same ones for the same `seed`). For a recording, the faults are part of the stream: `unplug` ends the
/// run.
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Faults {
    /// Seed of all chances; another seed selects other frames.
    #[serde(default)]
    pub seed: u64,
    /// The frame never arrives.
    #[serde(default)]
    pub drop: When,
    /// A band of the picture is damaged.
    #[serde(default)]
    pub corrupt: When,
    /// The frame arrives late, by `slow_by`.
    #[serde(default)]
    pub slow: When,
    /// How late a slow frame is.
    #[serde(default = "half_second")]
    pub slow_by: Span,
    /// Nothing arrives for `freeze_for`, as if the driver hung.
    #[serde(default)]
    pub freeze: When,
    /// How long the source is frozen.
    #[serde(default = "minute")]
    pub freeze_for: Span,
    /// The source disappears, and cannot be opened for `unplug_for`.
    #[serde(default)]
    pub unplug: When,
    /// How long the source is gone.
    #[serde(default = "second")]
    pub unplug_for: Span,
    /// The source's own time jumps ahead by `jump_by` and stays ahead.
    #[serde(default)]
    pub time_jump: When,
    /// How far it jumps.
    #[serde(default = "hour")]
    pub jump_by: Span,
}

const fn half_second() -> Span {
    Span(Duration::from_millis(500))
}
const fn second() -> Span {
    Span(Duration::from_secs(1))
}
const fn minute() -> Span {
    Span(Duration::from_mins(1))
}
const fn hour() -> Span {
    Span(Duration::from_hours(1))
}

/// The frames at which a fault happens.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum When {
    /// Never.
    #[default]
    Never,
    /// At these frames.
    At(Vec<u64>),
    /// At this fraction of all frames, 0–1.
    Chance(f64),
}

impl<'de> Deserialize<'de> for When {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = When;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("frame numbers such as `[100, 250]`, or a fraction of all frames such as `0.01`")
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut list: A) -> Result<When, A::Error> {
                let mut frames = Vec::new();
                while let Some(frame) = list.next_element()? {
                    frames.push(frame);
                }
                Ok(When::At(frames))
            }
            fn visit_f64<E: serde::de::Error>(self, part: f64) -> Result<When, E> {
                if (0.0..=1.0).contains(&part) {
                    return Ok(When::Chance(part));
                }
                Err(E::custom(format!("{part} is not a fraction of all frames; it must lie between 0 and 1")))
            }
            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<When, E> {
                self.visit_f64(number as f64)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl schemars::JsonSchema for When {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "When".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "anyOf": [
            { "type": "array", "items": { "type": "integer", "minimum": 0 } },
            { "type": "number", "minimum": 0, "maximum": 1 },
        ] })
    }
}

/// A number that looks random and depends only on its input (splitmix64).
const fn scatter(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

impl Faults {
    /// Returns whether fault number `kind` happens at a frame.
    fn happens(&self, when: &When, kind: u64, frame: u64) -> bool {
        match when {
            When::Never => false,
            When::At(frames) => frames.contains(&frame),
            When::Chance(part) => {
                let roll = scatter(scatter(self.seed ^ (kind << 56)) ^ frame);
                ((roll >> 11) as f64) < part * (1u64 << 53) as f64
            }
        }
    }

    /// Returns the last frame that has a fault by number, if it is not among the first `count` frames.
    #[must_use]
    pub fn after(&self, count: u64) -> Option<u64> {
        let all = [&self.drop, &self.corrupt, &self.slow, &self.freeze, &self.unplug, &self.time_jump];
        let at = |when: &When| if let When::At(frames) = when { frames.iter().max().copied() } else { None };
        all.into_iter().filter_map(at).max().filter(|frame| *frame >= count)
    }

    fn damage(&self, frame: u64, image: &mut Image) {
        let stride = image.stride();
        let rows = image.size.height as usize;
        let (first, count) = (scatter(self.seed ^ frame) as usize % rows.max(1), (rows / 4).max(1));
        let end = ((first + count) * stride).min(image.data.len());
        for (at, byte) in image.data[first * stride..end].iter_mut().enumerate() {
            *byte ^= scatter(frame ^ (at as u64 / 8)) as u8;
        }
    }
}

/// A source with faults, created by `faulty:` on its line.
pub struct Faulty {
    /// The source as the YAML describes it.
    pub inner: Arc<dyn SourceConfig>,
    /// What goes wrong.
    pub faults: Faults,
    /// A recording that behaves like a live source: while it is unplugged or frozen, its frames are lost; then it comes
    /// back.
    pub as_live: bool,
}

impl SourceConfig for Faulty {
    fn is_live(&self) -> bool {
        self.inner.is_live()
    }

    fn forgives(&self, env: &Env) -> bool {
        self.inner.forgives(env)
    }

    fn gives(&self, env: &Env) -> Products {
        if self.is_live() { Products::empty() } else { self.inner.gives(env) }
    }

    fn frame_size(&self, env: &Env) -> Option<Size> {
        self.inner.frame_size(env)
    }

    fn reads(&self, env: &Env) -> Vec<PathBuf> {
        self.inner.reads(env)
    }

    fn pictures(&self, env: &Env) -> Result<Option<Vec<(String, PathBuf)>>> {
        self.inner.pictures(env)
    }

    fn check(&self, env: &Env) -> Result<()> {
        self.inner.check(env)
    }

    fn care(&self) -> Care {
        self.inner.care()
    }

    fn link(&self, env: &Env) -> Option<Box<dyn Link>> {
        let plain = || Box::new(SourceLink { config: Arc::clone(&self.inner), env: env.clone() }) as Box<dyn Link>;
        let inner = self.inner.link(env).unwrap_or_else(plain);
        Some(Box::new(FaultyLink { inner, faults: Arc::new(self.faults.clone()), state: Arc::default() }))
    }

    fn open(&self, env: &LineEnv) -> Result<Box<dyn Source>> {
        if let Some(link) = self.link(env).filter(|_| self.is_live()) {
            return Ok(live::keep(link, self.care(), env));
        }
        Ok(Box::new(FaultyRecording {
            inner: self.inner.open(env)?,
            faults: self.faults.clone(),
            clock: Arc::clone(&env.clock),
            stop: env.stop.clone(),
            count: 0,
            jumped: Duration::ZERO,
            frames: Pool::new(),
            as_live: self.as_live,
            gone_until: None,
            told: false,
        }))
    }
}

/// Makes a source that cannot be lost behave as if it could: opened again, it starts from the beginning.
struct SourceLink {
    config: Arc<dyn SourceConfig>,
    env: Env,
}

impl Link for SourceLink {
    fn connect(&self, _: &Watch) -> Result<Box<dyn Feed>> {
        Ok(Box::new(SourceFeed(self.config.open(&LineEnv::alone(&self.env, "faulty"))?)))
    }
}

struct SourceFeed(Box<dyn Source>);

impl Feed for SourceFeed {
    fn read(&mut self, shot: &mut Shot) -> Result<bool> {
        let Some(packet) = self.0.next()? else { return Ok(false) };
        shot.image.copy_from(&packet.frame.image);
        shot.media = Some(packet.frame.pts);
        Ok(true)
    }
}

/// State that survives a loss.
#[derive(Default)]
struct Luck {
    count: u64,
    jumped: Duration,
    gone_until: Duration,
}

struct FaultyLink {
    inner: Box<dyn Link>,
    faults: Arc<Faults>,
    state: Arc<Mutex<Luck>>,
}

impl Link for FaultyLink {
    fn connect(&self, watch: &Watch) -> Result<Box<dyn Feed>> {
        if watch.clock.now() < self.state.lock().unwrap_or_else(PoisonError::into_inner).gone_until {
            return Err(Error::Device("unplugged by `faulty`".into()));
        }
        let (faults, state) = (Arc::clone(&self.faults), Arc::clone(&self.state));
        Ok(Box::new(FaultyFeed { inner: self.inner.connect(watch)?, faults, state, watch: watch.clone() }))
    }
}

struct FaultyFeed {
    inner: Box<dyn Feed>,
    faults: Arc<Faults>,
    state: Arc<Mutex<Luck>>,
    watch: Watch,
}

impl Feed for FaultyFeed {
    fn read(&mut self, shot: &mut Shot) -> Result<bool> {
        let faults = &*self.faults;
        loop {
            if !self.inner.read(shot)? {
                return Ok(false);
            }
            let now = self.watch.clock.now();
            let mut luck = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let frame = luck.count;
            luck.count += 1;
            if faults.happens(&faults.time_jump, 1, frame) {
                luck.jumped += faults.jump_by.0;
            }
            if faults.happens(&faults.unplug, 2, frame) {
                luck.gone_until = now + faults.unplug_for.0;
                return Err(Error::Device("unplugged by `faulty`".into()));
            }
            if !luck.jumped.is_zero() {
                shot.media = Some(shot.media.unwrap_or(now) + luck.jumped);
            }
            drop(luck);
            if faults.happens(&faults.freeze, 3, frame) && !self.watch.sleep(faults.freeze_for.0) {
                return Err(Error::Device("frozen by `faulty`".into()));
            }
            if faults.happens(&faults.slow, 4, frame) {
                let _ = self.watch.sleep(faults.slow_by.0);
            }
            if faults.happens(&faults.drop, 5, frame) {
                continue;
            }
            if faults.happens(&faults.corrupt, 6, frame) {
                faults.damage(frame, &mut shot.image);
                shot.coded.clear();
            }
            return Ok(true);
        }
    }

    fn interval(&self) -> Option<Duration> {
        self.inner.interval()
    }

    fn about(&self) -> String {
        self.inner.about()
    }
}

struct FaultyRecording {
    inner: Box<dyn Source>,
    faults: Faults,
    clock: Arc<dyn Clock>,
    stop: Stop,
    count: u64,
    jumped: Duration,
    frames: Pool<Frame>,
    as_live: bool,
    /// Media time before which frames are lost.
    gone_until: Option<Duration>,
    /// Whether faults that never happened were reported.
    told: bool,
}

impl Source for FaultyRecording {
    fn next(&mut self) -> Result<Option<Packet>> {
        loop {
            let Some(mut packet) = self.inner.next()? else {
                if let Some(late) = self.faults.after(self.count).filter(|_| !std::mem::replace(&mut self.told, true)) {
                    tracing::warn!("`faulty`: frame {late} never came; there were {} frames", self.count);
                }
                return Ok(None);
            };
            let (faults, frame) = (&self.faults, self.count);
            self.count += 1;
            let happens = |when, kind| faults.happens(when, kind, frame);
            if happens(&faults.time_jump, 1) {
                self.jumped += faults.jump_by.0;
            }
            if self.as_live {
                let pts = packet.frame.pts;
                let was_gone = self.gone_until.is_some_and(|until| pts < until);
                let outages = [
                    (happens(&faults.unplug, 2), faults.unplug_for),
                    (happens(&faults.freeze, 3), faults.freeze_for),
                    (happens(&faults.slow, 4), faults.slow_by),
                ];
                for (_, time) in outages.iter().filter(|(happens, _)| *happens && !was_gone) {
                    self.gone_until = self.gone_until.max(Some(pts + time.0));
                }
                // An unplugged camera loses this frame, too; a slow or frozen one delivers it late.
                if was_gone || outages[0].0 {
                    continue;
                }
            } else if happens(&faults.unplug, 2) {
                return Err(Error::Device(format!("frame {frame}: unplugged by `faulty`")));
            }
            let waits = [(happens(&faults.freeze, 3), faults.freeze_for), (happens(&faults.slow, 4), faults.slow_by)];
            for (_, time) in waits.iter().filter(|(happens, _)| *happens && !self.as_live) {
                let _ = Watch::new(Arc::clone(&self.clock), self.stop.clone()).sleep(time.0);
            }
            if happens(&faults.drop, 5) {
                continue;
            }
            let corrupt = happens(&faults.corrupt, 6);
            if corrupt || !self.jumped.is_zero() {
                let (old, jumped) = (&packet.frame, self.jumped);
                packet.frame = self.frames.fill(|new| {
                    new.image.copy_from(&old.image);
                    new.source = Arc::clone(&old.source);
                    new.name.clone_from(&old.name);
                    new.coded.clear();
                    (new.seq, new.pts, new.wall) = (old.seq, old.pts + jumped, old.wall + jumped);
                    if corrupt {
                        faults.damage(frame, &mut new.image);
                    }
                    Ok::<(), Error>(())
                })?;
            }
            return Ok(Some(packet));
        }
    }

    fn count(&self) -> Option<u64> {
        self.inner.count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chance_is_near_its_part_and_the_same_for_a_seed() {
        let faults: Faults = serde_json::from_str("{\"seed\": 7}").unwrap();
        let at =
            |kind| (0..10_000).filter(|frame| faults.happens(&When::Chance(0.1), kind, *frame)).collect::<Vec<_>>();
        let first = at(1);
        assert!((900..1100).contains(&first.len()), "{}", first.len());
        assert_eq!(first, at(1));
        assert_ne!(first, at(2), "faults do not come together");
    }
}
