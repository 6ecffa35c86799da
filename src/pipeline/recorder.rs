//! The flight recorder: writes what a run sees, beside the run, and never makes a live one wait.

use super::config::{Part, Pipeline};
use crate::error::{Error, Result};
use crate::host::{Clock, DropReason, State, cpu_class};
use crate::media::flight::{
    self, Begin, Entry, FlightWriter, FormEntry, FrameEntry, Keep, SourceEntry, TruthEntry, UnitEntry, nanos,
};
use crate::media::{jpeg, png};
use crate::stage::{Env, Tap, Unit};
use crate::types::{CodedForm, Detection, Frame, Packet, Products};
use crate::yaml::{Node, Value};
use crossbeam_channel::{Receiver, Sender, unbounded};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

/// How a recording is made.
#[derive(Clone, Debug)]
pub struct Recording {
    /// The folder.
    pub folder: PathBuf,
    /// How much is kept.
    pub keep: Keep,
    /// Quality of JPEGs made of frames that did not come as JPEG or H.264; without it they are kept pixel by pixel.
    pub jpeg: Option<u8>,
}

/// What of a run waits to be written, in bytes; with more of it, live frames are missed.
const MOST_WAITING: usize = 64 << 20;
/// How long a disk that failed is left alone.
const REST: Duration = Duration::from_secs(30);

/// Takes what a run sees to a thread that writes it.
pub struct Recorder {
    sender: Sender<(Item, Duration)>,
    waiting: Arc<AtomicUsize>,
    /// Live frames that did not fit, by source.
    missed: Mutex<BTreeMap<Arc<str>, u64>>,
    counts: Arc<Counts>,
    clock: Arc<dyn Clock>,
    thread: Mutex<Option<JoinHandle<()>>>,
    run: u64,
}

/// What became of it.
#[derive(Debug, Default)]
struct Counts {
    frames: AtomicU64,
    missed: AtomicU64,
    bytes: AtomicU64,
}

enum Item {
    Frame(Arc<Frame>, Option<(Arc<Vec<Detection>>, Option<Arc<[String]>>)>),
    Unit(UnitEntry, Vec<u8>),
    Plain(Entry),
    End,
}

impl Item {
    fn bytes(&self) -> usize {
        match self {
            Self::Frame(frame, _) => frame.image.data.len() + frame.coded.bytes.len(),
            Self::Unit(_, data) => data.len(),
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
    let mut secrets = pipeline.document.secrets.clone();
    passwords(&pipeline.document.root, &mut secrets);
    let file = Path::new(&pipeline.document.file).file_name().unwrap_or_default();
    Ok(Begin {
        format: flight::FORMAT,
        ocelli: env!("CARGO_PKG_VERSION").into(),
        run: 0,
        began: humantime::format_rfc3339_seconds(env.clock.wall()).to_string(),
        file: file.to_string_lossy().into_owned(),
        pipeline: env.secrets.with(secrets).redact(&pipeline.document.text),
        sources,
        models,
        cpu: cpu_class(),
    })
}

/// Passwords that stand in the YAML as they are.
fn passwords(node: &Node, found: &mut Vec<String>) {
    match &node.value {
        Value::List(list) => list.iter().for_each(|node| passwords(node, found)),
        Value::Map(entries) => {
            for (key, value) in entries {
                found.extend(value.text().filter(|_| key.text() == Some("password")).map(str::to_owned));
                passwords(value, found);
            }
        }
        _ => {}
    }
}

impl Recorder {
    /// Begins a recording of a run.
    ///
    /// # Errors
    /// As [`FlightWriter::create`].
    pub fn start(pipeline: &Pipeline, env: &Env, how: &Recording) -> Result<Arc<Self>> {
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
            unwritten: BTreeMap::new(),
            payload: Vec::new(),
            sizes: 0,
        };
        let thread = std::thread::Builder::new().name("recorder".into()).spawn(move || work.run(&receiver));
        let thread = thread.map_err(|e| Error::io("thread of the recorder", e))?;
        Ok(Arc::new(Self {
            sender,
            waiting,
            missed: Mutex::default(),
            counts,
            clock: Arc::clone(&env.clock),
            thread: Mutex::new(Some(thread)),
            run,
        }))
    }

    fn send(&self, item: Item) {
        self.waiting.fetch_add(item.bytes(), Relaxed);
        // A writer that is gone has said why.
        let _ = self.sender.send((item, self.clock.now()));
    }

    /// Whether there is room; if not, a live frame or unit is counted as missed.
    fn has_room(&self, source: &Arc<str>, bytes: usize) -> bool {
        let mut missed = self.missed.lock().unwrap_or_else(PoisonError::into_inner);
        if self.waiting.load(Relaxed) + bytes > MOST_WAITING {
            *missed.entry(Arc::clone(source)).or_default() += 1;
            return false;
        }
        if let Some(frames) = missed.remove(source) {
            drop(missed);
            self.counts.missed.fetch_add(frames, Relaxed);
            tracing::warn!(line = &**source, "the recorder is too slow: {frames} frames are not in the recording");
            self.send(Item::Plain(Entry::Missed { source: source.to_string(), frames }));
        }
        true
    }

    /// Writes what waits and ends the recording. Returns a sentence about it.
    pub fn finish(&self) -> String {
        self.send(Item::End);
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // A panic there was caught by nobody and has been printed.
            let _ = thread.join();
        }
        let left: u64 = self.missed.lock().unwrap_or_else(PoisonError::into_inner).values().sum();
        let missed = self.counts.missed.load(Relaxed) + left;
        let missed = if missed > 0 { format!(", {missed} missed") } else { String::new() };
        let (frames, bytes) = (self.counts.frames.load(Relaxed), self.counts.bytes.load(Relaxed));
        format!("recorded run {}: {frames} frames{missed}, {:.1} MB", self.run, bytes as f64 / 1e6)
    }
}

impl Tap for Recorder {
    fn frame(&self, packet: &Packet, live: bool) {
        let frame = &packet.frame;
        let bytes = frame.image.data.len();
        if live {
            if !self.has_room(&frame.source, bytes) {
                return;
            }
        } else {
            // A recording waits for nobody, so it may wait for us.
            while self.waiting.load(Relaxed) + bytes > MOST_WAITING {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        let truth = packet.truth.as_ref().map(|truth| (Arc::clone(truth), packet.truth_labels.clone()));
        self.send(Item::Frame(Arc::clone(frame), truth));
    }

    fn unit(&self, source: &Arc<str>, unit: &Unit<'_>) {
        // What a missed unit costs is found out when it is replayed: its decoder waits for the next key picture.
        let lost = unit.lost || self.missed.lock().unwrap_or_else(PoisonError::into_inner).contains_key(source);
        if self.has_room(source, unit.data.len()) {
            let entry = UnitEntry { source: source.to_string(), time_ns: nanos(unit.time), key: unit.key, lost };
            self.send(Item::Unit(entry, unit.data.to_vec()));
        }
    }

    fn state(&self, source: &Arc<str>, state: State, reason: &str) {
        let (state, reason) = (state.word().to_owned(), reason.to_owned());
        self.send(Item::Plain(Entry::State {
            source: source.to_string(),
            at_ns: nanos(self.clock.now()),
            state,
            reason,
        }));
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
    /// Frames that came while it did, by source.
    unwritten: BTreeMap<Arc<str>, u64>,
    payload: Vec<u8>,
    /// Bytes written.
    sizes: u64,
}

impl Work {
    fn run(mut self, receiver: &Receiver<(Item, Duration)>) {
        while let Ok((item, at)) = receiver.recv() {
            let bytes = item.bytes();
            let ended = matches!(item, Item::End);
            let done = if self.broken.is_some_and(|since| at.saturating_sub(since) < REST) {
                self.leave_out(&item);
                Ok(())
            } else if ended {
                self.writer.finish(at)
            } else {
                let done = self.write(&item, at);
                if done.is_err() {
                    self.leave_out(&item);
                }
                // Nothing waits: what is in the buffer should outlive us.
                done.and_then(|()| if receiver.is_empty() { self.writer.flush(at) } else { Ok(()) })
            };
            self.waiting.fetch_sub(bytes, Relaxed);
            match done {
                Err(error) => {
                    tracing::warn!(
                        "the recording stops, the run goes on: {error}; trying again in {} s",
                        REST.as_secs()
                    );
                    self.broken = Some(at);
                }
                Ok(()) if self.broken.is_some_and(|since| at.saturating_sub(since) >= REST) => {
                    tracing::info!("the recording goes on");
                    self.broken = None;
                }
                Ok(()) => {}
            }
            self.counts.bytes.store(self.sizes, Relaxed);
            if ended {
                return;
            }
        }
    }

    fn leave_out(&mut self, item: &Item) {
        if let Item::Frame(frame, _) = item {
            *self.unwritten.entry(Arc::clone(&frame.source)).or_default() += 1;
            self.counts.missed.fetch_add(1, Relaxed);
        }
    }

    fn write(&mut self, item: &Item, at: Duration) -> Result<()> {
        while let Some((source, frames)) = self.unwritten.pop_first() {
            let entry = Entry::Missed { source: source.to_string(), frames };
            if let Err(error) = self.writer.push(&entry, &[], at) {
                self.unwritten.insert(source, frames);
                return Err(error);
            }
        }
        match item {
            Item::Frame(frame, truth) => {
                let form = self.encode(frame)?;
                let payload = if form == FormEntry::Jpeg { &frame.coded.bytes } else { &self.payload };
                let entry = Entry::Frame(describe(frame, truth.as_ref(), form));
                self.writer.push(&entry, payload, at)?;
                self.counts.frames.fetch_add(1, Relaxed);
                self.sizes += payload.len() as u64;
            }
            Item::Unit(unit, data) => {
                self.writer.push(&Entry::Unit(unit.clone()), data, at)?;
                self.sizes += data.len() as u64;
            }
            Item::Plain(entry) => self.writer.push(entry, &[], at)?,
            Item::End => {}
        }
        Ok(())
    }

    /// Puts the pixels into `payload`, unless they came coded.
    fn encode(&mut self, frame: &Frame) -> Result<FormEntry> {
        self.payload.clear();
        match (frame.coded.form, self.jpeg) {
            (CodedForm::Jpeg, _) => Ok(FormEntry::Jpeg),
            (CodedForm::Unit(time), _) => Ok(FormEntry::Unit(nanos(time))),
            (CodedForm::Unknown, Some(quality)) => {
                jpeg::encode(&frame.image, quality, &mut self.payload).map(|()| FormEntry::Remade)
            }
            (CodedForm::Unknown, None) => png::encode_fast(&frame.image, &mut self.payload).map(|()| FormEntry::Png),
        }
    }
}

fn describe(
    frame: &Frame,
    truth: Option<&(Arc<Vec<Detection>>, Option<Arc<[String]>>)>,
    form: FormEntry,
) -> FrameEntry {
    let wall = frame.wall.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| nanos(time).cast_signed());
    let truth = truth.map(|(truth, labels)| TruthEntry {
        labels: labels.as_deref().unwrap_or_default().to_vec(),
        boxes: truth.iter().map(|d| (d.class, [d.bbox.x1, d.bbox.y1, d.bbox.x2, d.bbox.y2])).collect(),
    });
    FrameEntry {
        source: frame.source.to_string(),
        seq: frame.seq,
        pts_ns: nanos(frame.pts),
        wall_ns: wall,
        name: frame.name.clone(),
        form,
        truth,
    }
}
