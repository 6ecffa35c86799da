//! What is sent to the recorder's thread, and what is missing from it.

use crate::host::Limiter;
use crate::media::flight::{Entry, FormEntry, FrameEntry, TruthEntry, UnitEntry, nanos};
use crate::types::{CodedForm, Detection, Found, Frame, Packet};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// The assumed size of an entry without pixels, in bytes.
const SMALL: usize = 512;

/// The ground truth of a frame.
pub(super) type Truth = Found<Arc<Vec<Detection>>>;

pub(super) enum Item {
    /// A frame whose pixels must be encoded.
    Frame(Arc<Frame>, Option<Truth>),
    /// A frame that arrived encoded; its pixels are not needed.
    Coded(FrameEntry, Vec<u8>),
    Unit(Arc<str>, UnitEntry, Vec<u8>),
    Plain(Entry),
    End,
}

impl Item {
    pub(super) fn of(packet: &Packet) -> Self {
        let frame = &packet.frame;
        let truth = packet.truth.clone();
        match frame.coded.form {
            CodedForm::Unknown => Self::Frame(Arc::clone(frame), truth),
            CodedForm::Jpeg => Self::Coded(describe(frame, truth.as_ref(), FormEntry::Jpeg), frame.coded.bytes.clone()),
            CodedForm::Unit(time) => {
                Self::Coded(describe(frame, truth.as_ref(), FormEntry::Unit(nanos(time))), Vec::new())
            }
        }
    }

    pub(super) fn bytes(&self) -> usize {
        SMALL
            + match self {
                Self::Frame(frame, _) => frame.image.data.len(),
                Self::Coded(_, data) | Self::Unit(_, _, data) => data.len(),
                Self::Plain(_) | Self::End => 0,
            }
    }
}

/// What is missing from the recording and was not reported yet.
#[derive(Default)]
pub(super) struct Gaps {
    /// The number of missing frames, by source.
    pub(super) frames: BTreeMap<Arc<str>, u64>,
    /// The sources whose next access unit follows a missing one.
    pub(super) units: BTreeSet<Arc<str>>,
    /// The number of missing entries about dropped frames.
    drops: u64,
    pub(super) limiter: Limiter,
}

impl Gaps {
    /// Counts an item as missing.
    pub(super) fn add(&mut self, item: &Item) {
        match item {
            Item::Frame(frame, _) => *self.frames.entry(Arc::clone(&frame.source)).or_default() += 1,
            Item::Coded(entry, _) => *self.frames.entry(Arc::from(entry.source.as_str())).or_default() += 1,
            Item::Unit(source, ..) => _ = self.units.insert(Arc::clone(source)),
            Item::Plain(Entry::Drop { .. }) => self.drops += 1,
            Item::Plain(_) | Item::End => {}
        }
    }

    /// Returns the entries that report what is missing.
    pub(super) fn entries(&self) -> Vec<Entry> {
        let frames = self.frames.iter();
        let mut all: Vec<Entry> = frames
            .map(|(source, frames)| Entry::Missed { source: source.to_string(), frames: *frames, drops: 0 })
            .collect();
        if self.drops > 0 {
            all.push(Entry::Missed { source: String::new(), frames: 0, drops: self.drops });
        }
        all
    }

    /// Called once the entries have been passed on.
    pub(super) fn forget_told(&mut self) {
        self.frames.clear();
        self.drops = 0;
    }

    pub(super) fn missed(&self) -> u64 {
        self.frames.values().sum()
    }
}

pub(super) fn describe(frame: &Frame, truth: Option<&Truth>, form: FormEntry) -> FrameEntry {
    let signed = |time: Duration| i64::try_from(time.as_nanos()).unwrap_or(i64::MAX);
    let wall_ns = frame.wall.duration_since(SystemTime::UNIX_EPOCH).map_or_else(|e| -signed(e.duration()), signed);
    let truth = truth.map(|truth| TruthEntry {
        labels: truth.by.labels.to_vec(),
        boxes: truth.iter().map(|d| (d.class, [d.bbox.x1, d.bbox.y1, d.bbox.x2, d.bbox.y2])).collect(),
    });
    let (source, name) = (frame.source.to_string(), frame.name.clone());
    FrameEntry { source, seq: frame.seq, pts_ns: nanos(frame.pts), wall_ns, name, form, truth }
}
