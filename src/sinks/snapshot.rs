//! Single pictures.

use super::files::{Field, Keep, Kept, Pattern, Values, check_keep};
use crate::error::{Error, Result};
use crate::host::{make_parent, replace};
use crate::media::{jpeg, png};
use crate::ops::draw::class_color;
use crate::stage::{Disk, Env, LineEnv, Sink, SinkConfig};
use crate::types::{Packet, Products};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Writes pictures: the annotated one if there is one, otherwise the frame, or what `of` selects. With `every: 10s` on
/// the line, it writes one picture every ten seconds. A path without `{seq}`, `{time}`, `{pts_ms}` or `{name}` always
/// holds the newest picture.
///
/// `- snapshot: { path: "out/{source}-{seq}.jpg" }`
///
/// For a camera that is watched for years:
///
/// `- snapshot: { path: "found/{date}/{time}-{seq}.jpg", found: true, keep: { days: 30, bytes: 5GB } }`
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    /// The file to write, ending in `.jpg` or `.png`. `{source}`, `{seq}`, `{pts_ms}`, `{name}` (the name of the picture
    /// that was read, without its extension), `{date}` and `{time}` (`2026-11-26` and `14-03-59`, in UTC) and `{start}`
    /// (`20261126T140359Z`, of the run's first picture) are filled in. If a picture of an earlier live run has the same
    /// name, `-2` is put in front of the extension.
    #[schemars(regex(pattern = r"\.([jJ][pP][eE]?[gG]|[pP][nN][gG])$"))]
    pub path: String,
    /// Write only frames in which something was found.
    #[serde(default)]
    pub found: bool,
    /// JPEG quality, 1–100.
    #[serde(default = "default_quality")]
    #[schemars(range(min = 1, max = 100))]
    pub quality: u8,
    /// What to write.
    #[serde(default)]
    pub of: Of,
    /// How much is kept; older pictures are removed.
    #[serde(default)]
    pub keep: Option<Keep>,
}

/// What a snapshot shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Of {
    /// The annotated picture if there is one, otherwise the frame.
    #[default]
    Canvas,
    /// The frame as it came from the source.
    Frame,
    /// The class map of `segment` as a PNG with a palette: its values are the class numbers, its colours those of
    /// `annotate`.
    Mask,
}

const fn default_quality() -> u8 {
    90
}

impl SinkConfig for Snapshot {
    fn needs(&self) -> Products {
        let found = if self.found { Products::DETECTIONS } else { Products::empty() };
        if self.of == Of::Mask { found | Products::MASK } else { found }
    }

    fn check(&self, _env: &Env) -> Result<()> {
        let extension =
            Path::new(&self.path).extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default();
        if !matches!(extension.as_str(), "jpg" | "jpeg" | "png") {
            return Err(Error::Config(format!("`path` is {:?}; it must end in .jpg or .png", self.path)));
        }
        if self.of == Of::Mask && extension != "png" {
            return Err(Error::Config(format!(
                "`path` is {:?}; a JPEG would not keep the class numbers; write a .png",
                self.path
            )));
        }
        if !(1..=100).contains(&self.quality) {
            return Err(Error::Config(format!("`quality` is {}; it must lie between 1 and 100", self.quality)));
        }
        check_keep(self.keep.as_ref())?;
        if self.keep.is_some() && pattern(&self.path)?.has(Field::Name) {
            let message =
                "`keep` cannot tell pictures called `{name}` from other files; use `{seq}` or `{time}` in `path`";
            return Err(Error::Config(message.into()));
        }
        if self.keep.is_some() && !is_several(&pattern(&self.path)?) {
            let message = "`keep` has no effect on a single picture; add a field such as `{seq}` to `path`";
            return Err(Error::Config(message.into()));
        }
        pattern(&self.path).map(|_| ())
    }

    fn writes(&self) -> Option<PathBuf> {
        // Lines of several sources may have one pattern, and yet names of their own.
        let shared = pattern(&self.path).is_ok_and(|pattern| pattern.has(Field::Source) || pattern.has(Field::Name));
        (!shared).then(|| PathBuf::from(&self.path))
    }

    fn disk(&self, _live: bool) -> Disk {
        let many = pattern(&self.path).is_ok_and(|pattern| is_several(&pattern));
        match self.keep.and_then(|keep| keep.bytes) {
            _ if !many => Disk::OneFile,
            Some(bytes) => Disk::Most(bytes.0),
            None => Disk::Unbounded("add `keep: { bytes: 5GB }`"),
        }
    }

    fn open(&self, env: &LineEnv) -> Result<Box<dyn Sink>> {
        self.check(env)?;
        let names = pattern(&env.outputs.path(&self.path).to_string_lossy())?;
        let (settings, env) = (self.clone(), env.clone());
        let kept = self.keep.map(|keep| Kept::scan(keep, &names, &env));
        let spare = env.live() && is_many(&names);
        Ok(Box::new(Taking {
            settings,
            env,
            pattern: names,
            kept,
            spare,
            start: None,
            bytes: Vec::new(),
            colors: std::array::from_fn(|class| class.checked_sub(1).map_or([0; 3], |at| class_color(at as u16))),
        }))
    }
}

fn pattern(path: &str) -> Result<Pattern> {
    let known = [Field::Source, Field::Seq, Field::PtsMs, Field::Name, Field::Date, Field::Time, Field::Start];
    Pattern::parse(path, &known)
}

/// Whether there are several pictures: one of each moment, or the newest one of each day or run.
fn is_several(pattern: &Pattern) -> bool {
    is_many(pattern) || pattern.has(Field::Date) || pattern.has(Field::Start)
}

/// Whether each picture has a name of its own.
fn is_many(pattern: &Pattern) -> bool {
    [Field::Seq, Field::PtsMs, Field::Name, Field::Time].into_iter().any(|field| pattern.has(field))
}

struct Taking {
    settings: Snapshot,
    env: LineEnv,
    pattern: Pattern,
    kept: Option<Kept>,
    /// Whether pictures that exist already are left alone.
    spare: bool,
    /// When the first picture was taken.
    start: Option<SystemTime>,
    bytes: Vec<u8>,
    /// The palette of class maps: nothing is black.
    colors: [[u8; 3]; 256],
}

impl Taking {
    /// Where a picture goes.
    fn path(&self, values: &Values<'_>) -> Result<PathBuf> {
        const MOST: u32 = 10_000;
        let mut path = self.pattern.fill(values, 1)?;
        let mut number = 1;
        while self.spare && number < MOST && path.exists() {
            number += 1;
            path = self.pattern.fill(values, number)?;
        }
        Ok(path)
    }
}

impl Sink for Taking {
    fn wants(&self, packet: &Packet) -> bool {
        !self.settings.found || packet.detections.as_ref().is_some_and(|found| !found.is_empty())
    }

    fn write(&mut self, packet: &Packet) -> Result<()> {
        let frame = &packet.frame;
        let image = match self.settings.of {
            Of::Canvas => packet.canvas.as_deref().unwrap_or(&frame.image),
            _ => &frame.image,
        };
        self.bytes.clear();
        if let (Of::Mask, Some(mask)) = (self.settings.of, &packet.mask) {
            png::encode_classes(mask.size, &mask.classes, &self.colors, &mut self.bytes)?;
        } else if self.settings.path.to_lowercase().ends_with(".png") {
            png::encode(image, &mut self.bytes)?;
        } else {
            jpeg::encode(image, self.settings.quality, &mut self.bytes)?;
        }
        let start = *self.start.get_or_insert(frame.wall);
        let path = self.path(&Values {
            wall: frame.wall,
            start,
            seq: frame.seq,
            pts: frame.pts,
            source: &frame.source,
            name: &frame.name,
        })?;
        if let Some(kept) = &mut self.kept {
            kept.forget(&path);
            kept.make_room(Some(self.bytes.len() as u64), &self.env);
        }
        make_parent(&path)?;
        replace(&path, &self.bytes)?;
        if let Some(kept) = &mut self.kept {
            kept.add(&path, self.bytes.len() as u64, self.env.clock.wall());
        }
        self.env.counters().files.count(&path);
        Ok(())
    }
}
