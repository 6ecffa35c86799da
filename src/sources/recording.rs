//! What `ocelli record` wrote, played again.

use crate::error::{Error, Result};
use crate::media::flight::{Flight, SourceEntry, SourceFrames, TruthEntry};
use crate::stage::{Env, Source, SourceConfig};
use crate::types::{BBox, Detection, Frame, Image, Packet, Pool, Products, Size};
use serde::Deserialize;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// The frames of a source as `ocelli record` kept them: the same pixels, numbers and times. `ocelli replay` puts it in
/// the place of the source that was recorded.
///
/// `- recording: { path: flights, source: door }`
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Recording {
    /// The folder; a relative path starts here or in the pipeline's folder.
    pub path: String,
    /// Id of the source that was recorded; may be left out if there was only one.
    #[serde(default)]
    pub source: Option<String>,
    /// Number of the run; the last one if not given.
    #[serde(default)]
    pub run: Option<u64>,
    /// Stop after so many frames.
    #[serde(default)]
    pub frames: Option<u64>,
}

impl Recording {
    fn flight(&self, env: &Env) -> Result<(Flight, String)> {
        let path = env.input_path(&self.path);
        let flight = Flight::open(&path, self.run)?;
        let ids: Vec<&str> = flight.begin.sources.iter().map(|source| source.id.as_str()).collect();
        let id = match &self.source {
            Some(id) if ids.contains(&id.as_str()) => id.clone(),
            None if ids.len() == 1 => ids[0].to_owned(),
            wanted => {
                let wanted =
                    wanted.as_ref().map_or("a `source` must be named".to_owned(), |id| format!("no source `{id}`"));
                let known = crate::yaml::one_of(ids);
                return Err(Error::Config(format!("{}: {wanted}; there is {known}", path.display())));
            }
        };
        Ok((flight, id))
    }
}

impl Recording {
    /// The source that was recorded.
    fn was(&self, env: &Env) -> Option<SourceEntry> {
        let (flight, id) = self.flight(env).ok()?;
        flight.begin.sources.into_iter().find(|source| source.id == id)
    }
}

impl SourceConfig for Recording {
    fn is_live(&self) -> bool {
        false
    }

    fn forgives(&self, env: &Env) -> bool {
        self.was(env).is_some_and(|source| source.live)
    }

    fn gives(&self, env: &Env) -> Products {
        if self.was(env).is_some_and(|source| source.truth) { Products::TRUTH } else { Products::empty() }
    }

    fn frame_size(&self, env: &Env) -> Option<Size> {
        let (flight, id) = self.flight(env).ok()?;
        let mut image = Image::default();
        flight.frames(&id).next_frame(&mut image).ok()?.map(|_| image.size)
    }

    fn check(&self, env: &Env) -> Result<()> {
        self.flight(env).map(|_| ())
    }

    fn open(&self, env: &Env, id: &Arc<str>) -> Result<Box<dyn Source>> {
        let (flight, source) = self.flight(env)?;
        Ok(Box::new(Playing {
            frames_left: self.frames.unwrap_or(u64::MAX),
            shown: env.input_path(&self.path).display().to_string(),
            reader: flight.frames(&source),
            id: Arc::clone(id),
            frames: Pool::new(),
            labels: None,
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
    labels: Option<Arc<[String]>>,
    told: bool,
}

impl Playing {
    fn labels(&mut self, truth: &TruthEntry) -> Arc<[String]> {
        let same = self.labels.as_ref().filter(|labels| ***labels == *truth.labels);
        let labels = same.cloned().unwrap_or_else(|| truth.labels.clone().into());
        Arc::clone(self.labels.insert(labels))
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
            if left_out > 0 && !std::mem::replace(&mut self.told, true) {
                tracing::warn!(line = &*self.id, "{left_out} frames before the first key picture were left out");
            }
            return Ok(None);
        };
        let mut packet = Packet::new(frame);
        if let Some(truth) = &entry.truth {
            packet.truth_labels = Some(self.labels(truth));
            let found = truth
                .boxes
                .iter()
                .map(|(class, [x1, y1, x2, y2])| Detection::new(BBox::new(*x1, *y1, *x2, *y2), *class, 1.0));
            packet.truth = Some(Arc::new(found.collect()));
        }
        Ok(Some(packet))
    }
}
