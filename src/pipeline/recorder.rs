//! The flight recorder: writes what a run sees, beside the run, and never makes a live one wait.

use super::config::{Part, Pipeline};
use crate::error::{Error, Result};
use crate::host::{Clock, DropReason, State, Stop, cpu_class, redact_addresses};
use crate::media::flight::{
    self, Begin, Entry, FlightWriter, FormEntry, FrameEntry, Keep, SourceEntry, TruthEntry, UnitEntry, nanos,
};
use crate::media::{jpeg, png};
use crate::stage::{Env, Tap, Unit};
use crate::types::{CodedForm, Detection, Frame, Packet, Products};
use crate::yaml::{Node, Value};
use crossbeam_channel::{Receiver, Sender, unbounded};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

/// How a recording is made.
#[derive(Clone, Debug)]
pub struct RecordSettings {
    /// The folder.
    pub folder: PathBuf,
    /// How much is kept.
    pub keep: Keep,
    /// Quality of JPEGs made of frames that did not come as JPEG or H.264; without it they are kept pixel by pixel.
    pub jpeg: Option<u8>,
}

/// What of a run waits to be written, in bytes; with more of it, live frames are missed.
const MOST_WAITING: usize = 64 << 20;
/// What an entry without pixels counts for.
const SMALL: usize = 512;
/// How long a disk that failed is left alone.
const REST: Duration = Duration::from_secs(30);
/// How often the log tells that the recorder is too slow.
const TELL: Duration = Duration::from_secs(10);

/// Takes what a run sees to a thread that writes it.
pub struct Recorder {
    sender: Sender<(Item, Duration)>,
    waiting: Arc<AtomicUsize>,
    gaps: Mutex<Gaps>,
    counts: Arc<Counts>,
    clock: Arc<dyn Clock>,
    stop: Stop,
    thread: Mutex<Option<JoinHandle<()>>>,
    run: u64,
}

/// What is not in the recording and was not told of yet.
#[derive(Default)]
struct Gaps {
    /// By source: frames.
    frames: BTreeMap<Arc<str>, u64>,
    /// Sources whose next access unit follows a missing one.
    units: BTreeSet<Arc<str>>,
    /// Notes of what lines left out.
    drops: u64,
    told: Option<Duration>,
}

impl Gaps {
    /// Counts what an item was.
    fn add(&mut self, item: &Item) {
        match item {
            Item::Frame(frame, _) => *self.frames.entry(Arc::clone(&frame.source)).or_default() += 1,
            Item::Coded(entry, _) => *self.frames.entry(Arc::from(entry.source.as_str())).or_default() += 1,
            Item::Unit(source, ..) => _ = self.units.insert(Arc::clone(source)),
            Item::Plain(Entry::Drop { .. }) => self.drops += 1,
            Item::Plain(_) | Item::End => {}
        }
    }

    /// The entries that tell of it.
    fn entries(&mut self) -> Vec<Entry> {
        let frames = std::mem::take(&mut self.frames).into_iter();
        let mut all: Vec<Entry> =
            frames.map(|(source, frames)| Entry::Missed { source: source.to_string(), frames, drops: 0 }).collect();
        let drops = std::mem::take(&mut self.drops);
        if drops > 0 {
            all.push(Entry::Missed { source: String::new(), frames: 0, drops });
        }
        all
    }

    fn missed(&self) -> u64 {
        self.frames.values().sum()
    }
}

/// What became of it.
#[derive(Debug, Default)]
struct Counts {
    frames: AtomicU64,
    missed: AtomicU64,
    bytes: AtomicU64,
}

/// What a scene knew of a frame.
type Truth = (Arc<Vec<Detection>>, Option<Arc<[String]>>);

enum Item {
    /// A frame whose pixels are to be coded.
    Frame(Arc<Frame>, Option<Truth>),
    /// A frame that came coded; the pixels need not wait.
    Coded(FrameEntry, Vec<u8>),
    Unit(Arc<str>, UnitEntry, Vec<u8>),
    Plain(Entry),
    End,
}

impl Item {
    fn of(packet: &Packet) -> Self {
        let frame = &packet.frame;
        let truth = packet.truth.as_ref().map(|truth| (Arc::clone(truth), packet.truth_labels.clone()));
        match frame.coded.form {
            CodedForm::Unknown => Self::Frame(Arc::clone(frame), truth),
            CodedForm::Jpeg => Self::Coded(describe(frame, truth.as_ref(), FormEntry::Jpeg), frame.coded.bytes.clone()),
            CodedForm::Unit(time) => {
                Self::Coded(describe(frame, truth.as_ref(), FormEntry::Unit(nanos(time))), Vec::new())
            }
        }
    }

    fn bytes(&self) -> usize {
        SMALL
            + match self {
                Self::Frame(frame, _) => frame.image.data.len(),
                Self::Coded(_, data) | Self::Unit(_, _, data) => data.len(),
                Self::Plain(_) | Self::End => 0,
            }
    }
}

/// Describes a run for those who will replay it.
fn begin(pipeline: &Pipeline, env: &Env) -> Result<Begin> {
    let mut sources = Vec::new();
    let mut models = Vec::new();
    for line in &pipeline.lines {
        match &line.part {
            Part::Source(source) => sources.push(SourceEntry {
                id: line.id.clone(),
                word: line.word.to_owned(),
                live: source.is_live(),
                truth: source.gives(env).contains(Products::TRUTH),
            }),
            Part::Stage(stage) => {
                if let Some((name, _)) = stage.takes_input(env)? {
                    let hash = env.models.card(&name)?.fields.model.sha256;
                    models.push((name, hash));
                }
            }
            Part::Sink(_) => {}
        }
    }
    models.sort();
    models.dedup();
    let file = Path::new(&pipeline.document.file).file_name().unwrap_or_default();
    Ok(Begin {
        format: flight::FORMAT,
        ocelli: env!("CARGO_PKG_VERSION").into(),
        run: 0,
        began: humantime::format_rfc3339_seconds(env.clock.wall()).to_string(),
        file: file.to_string_lossy().into_owned(),
        pipeline: without_secrets(&pipeline.document.root, false).to_string(),
        sources,
        models,
        cpu: cpu_class(),
    })
}

/// The YAML as JSON, without what came out of `${…}`, passwords, and what addresses hold beside host and path. Made of
/// the values, not of the text, where one value can be written in many ways.
fn without_secrets(node: &Node, hide: bool) -> serde_json::Value {
    match &node.value {
        _ if node.secret || hide => "${…}".into(),
        Value::Null => serde_json::Value::Null,
        Value::Bool(value) => (*value).into(),
        Value::Int(value) => (*value).into(),
        Value::Float(value) => (*value).into(),
        Value::Text(text) => {
            let plain = redact_addresses(text);
            let end = if plain.contains("://") { plain.find('?') } else { None };
            end.map_or(plain.clone(), |end| format!("{}?…", &plain[..end])).into()
        }
        Value::List(list) => list.iter().map(|item| without_secrets(item, false)).collect(),
        Value::Map(entries) => {
            let entry = |(key, value): &(Node, Node)| {
                let key = key.text().unwrap_or_default().to_owned();
                let hide = key == "password";
                (key, without_secrets(value, hide))
            };
            entries.iter().map(entry).collect::<serde_json::Map<_, _>>().into()
        }
    }
}

impl Recorder {
    /// Begins a recording of a run.
    ///
    /// # Errors
    /// As [`FlightWriter::create`].
    pub fn start(pipeline: &Pipeline, env: &Env, how: &RecordSettings) -> Result<Arc<Self>> {
        let writer = FlightWriter::create(&how.folder, begin(pipeline, env)?, how.keep)?;
        let run = writer.run();
        let (sender, receiver) = unbounded();
        let waiting = Arc::<AtomicUsize>::default();
        let counts = Arc::<Counts>::default();
        let work = Work {
            writer,
            jpeg: how.jpeg,
            waiting: Arc::clone(&waiting),
            counts: Arc::clone(&counts),
            broken: None,
            gaps: Gaps::default(),
            streams: BTreeSet::new(),
            payload: Vec::new(),
        };
        let thread = std::thread::Builder::new().name("recorder".into()).spawn(move || work.run(&receiver));
        let thread = thread.map_err(|e| Error::io("thread of the recorder", e))?;
        Ok(Arc::new(Self {
            sender,
            waiting,
            gaps: Mutex::default(),
            counts,
            clock: Arc::clone(&env.clock),
            stop: env.stop.clone(),
            thread: Mutex::new(Some(thread)),
            run,
        }))
    }

    fn gaps(&self) -> MutexGuard<'_, Gaps> {
        self.gaps.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there is room. Something larger than all the room gets it alone.
    fn has_room(&self, bytes: usize) -> bool {
        let waiting = self.waiting.load(Relaxed);
        waiting == 0 || waiting + bytes <= MOST_WAITING
    }

    /// Whether nobody writes any more: the thread is gone.
    fn is_over(&self) -> bool {
        self.thread.lock().unwrap_or_else(PoisonError::into_inner).as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Hands an item over, or counts it as missing.
    fn send(&self, mut item: Item) {
        let bytes = item.bytes();
        let mut gaps = self.gaps();
        if !self.has_room(bytes) && !matches!(item, Item::End) {
            gaps.add(&item);
            return;
        }
        let missed = gaps.missed();
        let now = self.clock.now();
        if missed > 0 {
            self.counts.missed.fetch_add(missed, Relaxed);
            if gaps.told.is_none_or(|told| now.saturating_sub(told) > TELL) {
                gaps.told = Some(now);
                tracing::warn!("the recorder is too slow: {missed} frames are not in the recording");
            }
        }
        if let Item::Unit(source, unit, _) = &mut item {
            unit.lost |= gaps.units.remove(source);
        }
        // Under the lock, so that what is told of stays in order.
        for entry in gaps.entries() {
            self.pass(Item::Plain(entry), now);
        }
        self.pass(item, now);
    }

    fn pass(&self, item: Item, now: Duration) {
        let bytes = item.bytes();
        self.waiting.fetch_add(bytes, Relaxed);
        if self.sender.send((item, now)).is_err() {
            self.waiting.fetch_sub(bytes, Relaxed);
        }
    }

    /// Writes what waits and ends the recording. Returns a sentence about it.
    pub fn finish(&self) -> String {
        self.send(Item::End);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            return format!("recording run {} failed: a fault of ocelli; what was written before is whole", self.run);
        }
        let missed = self.counts.missed.load(Relaxed);
        let missed = if missed > 0 { format!(", {missed} missed") } else { String::new() };
        let (frames, bytes) = (self.counts.frames.load(Relaxed), self.counts.bytes.load(Relaxed));
        format!("recorded run {}: {frames} frames{missed}, {:.1} MB", self.run, bytes as f64 / 1e6)
    }
}

impl Tap for Recorder {
    fn frame(&self, packet: &Packet, live: bool) {
        let item = Item::of(packet);
        // A recording waits for nobody, so it may wait for us.
        while !live && !self.has_room(item.bytes()) && !self.stop.is_requested() && !self.is_over() {
            std::thread::sleep(Duration::from_millis(1));
        }
        self.send(item);
    }

    fn unit(&self, source: &Arc<str>, unit: &Unit<'_>) {
        let (time_ns, key, lost) = (nanos(unit.time), unit.key, unit.lost);
        let entry = UnitEntry { source: source.to_string(), time_ns, key, lost };
        self.send(Item::Unit(Arc::clone(source), entry, unit.data.to_vec()));
    }

    fn state(&self, source: &Arc<str>, state: State, reason: &str) {
        let (state, reason) = (state.word().to_owned(), reason.to_owned());
        let at_ns = nanos(self.clock.now());
        self.send(Item::Plain(Entry::State { source: source.to_string(), at_ns, state, reason }));
    }

    fn dropped(&self, line: &str, source: &Arc<str>, seq: u64, reason: DropReason) {
        let reason = match reason {
            DropReason::Queue => "queue",
            DropReason::Deadline => "deadline",
            // Found again by the same rule when it is replayed.
            DropReason::Every | DropReason::Replayed => return,
        };
        let (line, source, reason) = (line.to_owned(), source.to_string(), reason.to_owned());
        self.send(Item::Plain(Entry::Drop { line, source, seq, reason }));
    }
}

/// The thread's side.
struct Work {
    writer: FlightWriter,
    jpeg: Option<u8>,
    waiting: Arc<AtomicUsize>,
    counts: Arc<Counts>,
    /// Since when the disk fails.
    broken: Option<Duration>,
    /// What came while it did.
    gaps: Gaps,
    /// Sources of H.264: what a disk that fails takes from them, the pictures after it need.
    streams: BTreeSet<Arc<str>>,
    payload: Vec<u8>,
}

impl Work {
    fn run(mut self, receiver: &Receiver<(Item, Duration)>) {
        while let Ok((mut item, at)) = receiver.recv() {
            let bytes = item.bytes();
            let ended = matches!(item, Item::End);
            let rests = self.broken.is_some_and(|since| at.saturating_sub(since) < REST) && !ended;
            let done = if rests {
                self.leave_out(&item);
                Ok(())
            } else {
                let done = self.write(&mut item, at);
                // Nothing waits: what is in the buffer should outlive us.
                done.and_then(|()| if receiver.is_empty() { self.writer.flush(at) } else { Ok(()) })
            };
            self.waiting.fetch_sub(bytes, Relaxed);
            match done {
                Err(error) => {
                    self.leave_out(&item);
                    // Also what stood in the buffer is gone.
                    self.gaps.units.extend(self.streams.iter().cloned());
                    if self.broken.is_none() || ended {
                        let again = if ended { String::new() } else { format!("; trying every {} s", REST.as_secs()) };
                        tracing::warn!("the recording stops, the run goes on: {error}{again}");
                    }
                    self.broken = Some(at);
                }
                Ok(()) if !rests && self.broken.take().is_some() => tracing::info!("the recording goes on"),
                Ok(()) => {}
            }
            if ended {
                return;
            }
        }
    }

    fn leave_out(&mut self, item: &Item) {
        self.gaps.add(item);
        self.counts.missed.fetch_add(u64::from(matches!(item, Item::Frame(..) | Item::Coded(..))), Relaxed);
    }

    fn write(&mut self, item: &mut Item, at: Duration) -> Result<()> {
        for entry in self.gaps.entries() {
            self.push(&entry, &[], at)?;
        }
        match item {
            Item::Frame(frame, truth) => {
                let form = self.encode(frame)?;
                let payload = std::mem::take(&mut self.payload);
                let done = self.push(&Entry::Frame(describe(frame, truth.as_ref(), form)), &payload, at);
                self.payload = payload;
                done?;
                self.counts.frames.fetch_add(1, Relaxed);
                Ok(())
            }
            Item::Coded(entry, data) => {
                self.push(&Entry::Frame(entry.clone()), data, at)?;
                self.counts.frames.fetch_add(1, Relaxed);
                Ok(())
            }
            Item::Unit(source, unit, data) => {
                unit.lost |= self.gaps.units.remove(source);
                self.streams.insert(Arc::clone(source));
                self.push(&Entry::Unit(unit.clone()), data, at)
            }
            Item::Plain(entry) => self.push(entry, &[], at),
            Item::End => self.writer.finish(at),
        }
    }

    fn push(&mut self, entry: &Entry, payload: &[u8], at: Duration) -> Result<()> {
        self.writer.push(entry, payload, at)?;
        self.counts.bytes.fetch_add(payload.len() as u64, Relaxed);
        Ok(())
    }

    /// Puts the pixels into `payload`.
    fn encode(&mut self, frame: &Frame) -> Result<FormEntry> {
        self.payload.clear();
        match self.jpeg {
            Some(quality) => jpeg::encode(&frame.image, quality, &mut self.payload).map(|()| FormEntry::Remade),
            None => png::encode_fast(&frame.image, &mut self.payload).map(|()| FormEntry::Png),
        }
    }
}

fn describe(frame: &Frame, truth: Option<&Truth>, form: FormEntry) -> FrameEntry {
    let signed = |time: Duration| i64::try_from(time.as_nanos()).unwrap_or(i64::MAX);
    let wall_ns = frame.wall.duration_since(SystemTime::UNIX_EPOCH).map_or_else(|e| -signed(e.duration()), signed);
    let truth = truth.map(|(truth, labels)| TruthEntry {
        labels: labels.as_deref().unwrap_or_default().to_vec(),
        boxes: truth.iter().map(|d| (d.class, [d.bbox.x1, d.bbox.y1, d.bbox.x2, d.bbox.y2])).collect(),
    });
    let (source, name) = (frame.source.to_string(), frame.name.clone());
    FrameEntry { source, seq: frame.seq, pts_ns: nanos(frame.pts), wall_ns, name, form, truth }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::Document;

    #[test]
    fn secrets_are_hidden_however_they_are_written() {
        let text = "pipeline:\n- rtsp: { url: 'rtsp://me:one@cam/x?pwd=two', user: me, password: \"th\\\"ree\" }\n- exec: { command: [curl, '${X}'] }\n";
        let document = Document::parse("t.yaml", text.into(), |_| Ok("four".into())).unwrap();
        let shown = without_secrets(&document.root, false).to_string();
        assert_eq!(
            shown,
            r#"{"pipeline":[{"rtsp":{"password":"${…}","url":"rtsp://…@cam/x?…","user":"me"}},{"exec":{"command":["curl","${…}"]}}]}"#
        );
    }
}
