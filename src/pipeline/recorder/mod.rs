//! The flight recorder: records what a run sees, in its own thread, and never makes a live run wait.

mod begin;
mod counts;
mod item;
mod work;

use super::checked::Checked;
use crate::error::{Error, Result};
use crate::host::{Clock, DropReason, Limiter, State, Stop};
use crate::media::flight::{Entry, FlightWriter, Keep, UnitEntry, nanos};
use crate::stage::{Tap, Unit};
use crate::types::Packet;
use begin::begin;
use counts::Counts;
use crossbeam_channel::{Sender, unbounded};
use item::{Gaps, Item};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use work::Work;

/// How a recording is made.
#[derive(Clone, Debug)]
pub struct RecordSettings {
    /// The folder.
    pub folder: PathBuf,
    /// How much is kept.
    pub keep: Keep,
    /// The JPEG quality for frames that did not arrive as JPEG or H.264; without it they are stored without loss.
    pub jpeg: Option<u8>,
}

/// The maximum number of bytes that wait to be written; beyond it, live frames are missed.
const MOST_WAITING: usize = 64 << 20;

/// Passes what a run sees to a thread that writes it.
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

impl Recorder {
    /// Starts to record a run.
    ///
    /// # Errors
    /// Those of [`FlightWriter::create`], or [`Error::Io`] if the thread cannot be started.
    pub fn start(checked: &Checked, how: &RecordSettings) -> Result<Arc<Self>> {
        let env = checked.env();
        let writer = FlightWriter::create(&how.folder, begin(checked)?, how.keep)?;
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
            limiter: Limiter::default(),
        };
        let thread = std::thread::Builder::new().name("recorder".into()).spawn(move || work.run(&receiver));
        let thread = thread.map_err(|e| Error::io("thread for the recorder", e))?;
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

    /// Returns whether there is room. An item that is larger than the limit is accepted if nothing else waits.
    fn has_room(&self, bytes: usize) -> bool {
        let waiting = self.waiting.load(Relaxed);
        waiting == 0 || waiting + bytes <= MOST_WAITING
    }

    /// Returns whether the recorder's thread has ended.
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
            if let Some(told) =
                gaps.limiter.failed("the recorder is too slow: frames are missing from the recording", now)
            {
                tracing::warn!(missed, "{told}");
            }
        }
        if let Item::Unit(source, unit, _) = &mut item {
            unit.lost |= gaps.units.remove(source);
        }
        // Under the lock, so that the entries stay in order.
        for entry in gaps.entries() {
            self.pass(Item::Plain(entry), now);
        }
        gaps.forget_told();
        self.pass(item, now);
    }

    fn pass(&self, item: Item, now: Duration) {
        let bytes = item.bytes();
        self.waiting.fetch_add(bytes, Relaxed);
        if self.sender.send((item, now)).is_err() {
            self.waiting.fetch_sub(bytes, Relaxed);
        }
    }

    /// Writes what is still waiting and ends the recording. Returns a summary in one sentence.
    pub fn finish(&self) -> String {
        self.send(Item::End);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            return format!("recording run {} failed: a bug in ocelli; what was written before is intact", self.run);
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
        // A recorded source loses nothing when it waits, so it may wait for the recorder.
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
            DropReason::Offline => "offline",
            DropReason::Deadline => "deadline",
            // A replay drops the frame again by the same rule.
            DropReason::Every | DropReason::Replayed => return,
        };
        let (line, source, reason) = (line.to_owned(), source.to_string(), reason.to_owned());
        self.send(Item::Plain(Entry::Drop { line, source, seq, reason }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::flight::Flight;
    use crate::pipeline::{Parts, Pipeline};
    use crate::stage::Env;
    use crate::types::{Frame, Image, PixelFormat, Size};
    use crate::yaml::Document;

    fn recorder(folder: &std::path::Path) -> Arc<Recorder> {
        let text = "pipeline:\n- { id: cam, scene: {} }\n- jsonl\n";
        let document = Document::parse("t.yaml", text.into(), |_| Err(String::new())).unwrap();
        let env = Env::new(std::path::Path::new("."), &[]);
        let how = RecordSettings { folder: folder.into(), keep: Keep { bytes: 1 << 30, time: None }, jpeg: None };
        let pipeline = Pipeline::of(document, &Parts::builtin()).unwrap_or_else(|e| panic!("{e}"));
        Recorder::start(&pipeline.check(&env).unwrap_or_else(|e| panic!("{e}")), &how).unwrap()
    }

    /// What is lost to a slow disk is recorded: frames as missed, and the unit after a lost one is marked, so that a
    /// replay waits for a keyframe. A missed frame alone does not mark a unit.
    #[test]
    fn what_does_not_fit_is_told_and_a_missing_unit_marks_the_next() {
        let _limit = crate::limit::within(60);
        let folder = tempfile::tempdir().unwrap();
        let recorder = recorder(folder.path());
        let source: Arc<str> = Arc::from("cam");
        let unit = |time: u64| {
            recorder.unit(&source, &Unit { data: &[1, 2], time: Duration::from_secs(time), key: false, lost: false });
        };
        let frame = |seq: u64| {
            let image = Image::new(Size::new(8, 8), PixelFormat::Rgb8);
            let frame = Frame { source: Arc::clone(&source), seq, image, ..Frame::default() };
            recorder.frame(&Packet::new(Arc::new(frame)), true);
        };
        // As if this many bytes were waiting for the disk.
        let full = |full: bool| {
            let change = if full { AtomicUsize::fetch_add } else { AtomicUsize::fetch_sub };
            change(&recorder.waiting, MOST_WAITING, Relaxed);
        };
        unit(1);
        frame(0);
        full(true);
        frame(1);
        full(false);
        unit(2);
        full(true);
        unit(3);
        frame(2);
        recorder.dropped("line", &source, 2, DropReason::Queue);
        full(false);
        frame(3);
        unit(4);
        unit(5);
        assert!(recorder.finish().contains("2 frames, 2 missed"));
        let (mut entries, mut payload, mut seen) =
            (Flight::open(folder.path(), None).unwrap().entries(), Vec::new(), Vec::new());
        while let Some(entry) = entries.next_entry(&mut payload).unwrap() {
            seen.push(match entry {
                Entry::Unit(unit) => format!("unit {} {}", unit.time_ns / 1_000_000_000, unit.lost),
                Entry::Frame(frame) => format!("frame {}", frame.seq),
                Entry::Missed { frames, drops, .. } => format!("missed {frames} {drops}"),
                Entry::End => "end".into(),
                _ => continue,
            });
        }
        let expected = [
            "unit 1 false",
            "frame 0",
            "missed 1 0",
            "unit 2 false",
            "missed 1 0",
            "missed 0 1",
            "frame 3",
            "unit 4 true",
            "unit 5 false",
            "end",
        ];
        assert_eq!(seen, expected);
    }
}
