//! Plays what `ocelli record` wrote.

use crate::error::{Error, Result};
use crate::media::flight::{Flight, SourceEntry, SourceFrames, TruthEntry};
use crate::stage::{Env, LineEnv, Source, SourceConfig};
use crate::types::{BBox, Detection, Found, Frame, Image, Maker, Packet, Pool, Products, Size};
use serde::Deserialize;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

/// The frames of a source as `ocelli record` stored them: the same pixels, numbers and times. `ocelli replay` uses it
/// in place of the source that was recorded.
///
/// `- recording: { path: flights, source: door }`
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Recording {
    /// The folder; a relative path starts in the current folder if it exists there, otherwise in the pipeline's folder.
    pub path: String,
    /// Id of the source that was recorded; may be omitted if there was only one.
    #[serde(default)]
    pub source: Option<String>,
    /// Number of the run; if not given, the last one.
    #[serde(default)]
    pub run: Option<u64>,
    /// Stop after this many frames.
    #[serde(default)]
    pub frames: Option<u64>,
    /// What the folder holds; read only once.
    #[serde(skip)]
    known: OnceLock<Known>,
}

#[derive(Clone, Debug)]
struct Known {
    flight: Flight,
    source: SourceEntry,
    size: Option<Size>,
}

impl Recording {
    /// Creates a source that plays one source of a flight.
    #[must_use]
    pub const fn new(path: String, source: String, run: Option<u64>) -> Self {
        Self { path, source: Some(source), run, frames: None, known: OnceLock::new() }
    }

    fn known(&self, env: &Env) -> Result<&Known> {
        if let Some(known) = self.known.get() {
            return Ok(known);
        }
        let path = env.existing_input(&self.path)?;
        let flight = Flight::open(&path, self.run)?;
        let sources = &flight.begin.sources;
        let source = match &self.source {
            Some(id) => sources.iter().find(|source| source.id == *id),
            None => sources.first().filter(|_| sources.len() == 1),
        };
        let Some(source) = source.cloned() else {
            let known = crate::yaml::one_of(sources.iter().map(|source| source.id.as_str()));
            let wanted = self.source.as_ref();
            let wanted = wanted.map_or("`source` is needed".to_owned(), |id| format!("no source `{id}`"));
            return Err(Error::Config(format!("{}: {wanted}; there is {known}", path.display())));
        };
        let mut image = Image::default();
        let first = flight.frames(&source.id).next_frame(&mut image);
        let size = first.ok().flatten().map(|_| image.size);
        Ok(self.known.get_or_init(|| Known { flight, source, size }))
    }
}

impl SourceConfig for Recording {
    fn is_live(&self) -> bool {
        false
    }

    fn forgives(&self, env: &Env) -> bool {
        self.known(env).is_ok_and(|known| known.source.live)
    }

    fn gives(&self, env: &Env) -> Products {
        let truth = self.known(env).is_ok_and(|known| known.source.truth);
        if truth { Products::TRUTH } else { Products::empty() }
    }

    fn frame_size(&self, env: &Env) -> Option<Size> {
        self.known(env).ok()?.size
    }

    fn check(&self, env: &Env) -> Result<()> {
        self.known(env).map(|_| ())
    }

    fn open(&self, env: &LineEnv) -> Result<Box<dyn Source>> {
        let Known { flight, source, .. } = self.known(env)?;
        Ok(Box::new(Playing {
            frames_left: self.frames.unwrap_or(u64::MAX),
            shown: env.input_path(&self.path).display().to_string(),
            reader: flight.frames(&source.id),
            run: flight.begin.run,
            runs: flight.runs.clone(),
            count: 0,
            id: Arc::clone(env.id()),
            frames: Pool::new(),
            by: Arc::default(),
            told: false,
        }))
    }
}

struct Playing {
    frames_left: u64,
    shown: String,
    reader: SourceFrames,
    id: Arc<str>,
    frames: Pool<Frame>,
    by: Arc<Maker>,
    run: u64,
    runs: Vec<u64>,
    count: u64,
    told: bool,
}

impl Playing {
    /// The maker of the truth; frames with the same labels share one maker.
    fn maker(&mut self, truth: &TruthEntry) -> &Arc<Maker> {
        if *self.by.labels != *truth.labels {
            self.by = Maker::new("truth", truth.labels.clone());
        }
        &self.by
    }
}

impl Source for Playing {
    fn next(&mut self) -> Result<Option<Packet>> {
        if self.frames_left == 0 {
            return Ok(None);
        }
        self.frames_left -= 1;
        let (id, reader) = (&self.id, &mut self.reader);
        let mut read = None;
        let frame = self.frames.fill(|frame| {
            read = reader.next_frame(&mut frame.image)?;
            let Some(entry) = &read else { return Ok(()) };
            frame.source = Arc::clone(id);
            frame.seq = entry.seq;
            frame.pts = Duration::from_nanos(entry.pts_ns);
            let since = Duration::from_nanos(entry.wall_ns.unsigned_abs());
            let before = entry.wall_ns < 0;
            let wall = if before {
                SystemTime::UNIX_EPOCH.checked_sub(since)
            } else {
                SystemTime::UNIX_EPOCH.checked_add(since)
            };
            frame.wall = wall.unwrap_or(SystemTime::UNIX_EPOCH);
            frame.name.clone_from(&entry.name);
            frame.coded.clear();
            Ok::<(), Error>(())
        });
        let frame = frame.map_err(|e| e.at(&self.shown))?;
        let Some(entry) = read else {
            let left_out = self.reader.left_out();
            if !std::mem::replace(&mut self.told, true) {
                if left_out > 0 {
                    tracing::warn!(
                        line = &*self.id,
                        "{left_out} frames were dropped because their keyframe is missing"
                    );
                }
                if self.count == 0 {
                    let runs: Vec<String> = self.runs.iter().map(u64::to_string).collect();
                    let message = format!("run {} has no pictures of it; there are runs {}", self.run, runs.join(", "));
                    // Not an error that costs one frame and lets the run continue.
                    return Err(Error::Config(message).at(&self.shown));
                }
            }
            return Ok(None);
        };
        self.count += 1;
        let mut packet = Packet::new(frame);
        if let Some(truth) = &entry.truth {
            let found = truth
                .boxes
                .iter()
                .map(|(class, [x1, y1, x2, y2])| Detection::new(BBox::new(*x1, *y1, *x2, *y2), *class, 1.0));
            packet.truth = Some(Found::new(Arc::new(found.collect()), self.maker(truth)));
        }
        Ok(Some(packet))
    }
}
