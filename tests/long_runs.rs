//! What must hold for as long as a run lasts: bounds of merges, the rate of `every:` for each source, and the end of a
//! run whose model fails for good.
#![allow(clippy::unwrap_used)]

#[path = "support/limit.rs"]
mod limit;
mod support;

use ocelli::internals::error::{Error, Result};
use ocelli::internals::pipeline::{Checked, Parts, Pipeline, Settings};
use ocelli::internals::stage::{Emitter, Env, LineEnv, Part, Source, SourceConfig, Stage, StageConfig};
use ocelli::internals::types::{Frame, Image, Packet, PixelFormat, Products, Size};
use serde::Deserialize;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, SystemTime};
use support::call::call;
use support::pipe;

/// The largest number of frames of counted [`Frames`] that existed at once.
static MOST: AtomicUsize = AtomicUsize::new(0);

/// Numbered frames, a tenth of a second apart.
#[derive(Clone, Deserialize)]
struct Frames {
    count: u64,
    #[serde(default)]
    live: bool,
    /// The day of the first frame, from 1970-01-01.
    #[serde(default)]
    day: u64,
    /// Whether they count for [`MOST`].
    #[serde(default)]
    counted: bool,
    /// From this number on, frames are larger.
    #[serde(default)]
    grows_at: Option<u64>,
}

impl SourceConfig for Frames {
    fn is_live(&self) -> bool {
        self.live
    }
    fn open(&self, env: &LineEnv) -> Result<Box<dyn Source>> {
        Ok(Box::new(Counting { settings: self.clone(), id: Arc::clone(env.id()), seq: 0, alive: Vec::new() }))
    }
}

struct Counting {
    settings: Frames,
    id: Arc<str>,
    seq: u64,
    alive: Vec<Weak<Frame>>,
}

impl Source for Counting {
    fn next(&mut self) -> Result<Option<Packet>> {
        if self.seq == self.settings.count {
            return Ok(None);
        }
        let (source, pts) = (Arc::clone(&self.id), Duration::from_millis(self.seq * 100));
        let image = self.settings.grows_at.map_or_else(Image::default, |at| {
            let size = if self.seq < at { Size::new(64, 48) } else { Size::new(96, 64) };
            Image::new(size, PixelFormat::Rgb8)
        });
        let wall = SystemTime::UNIX_EPOCH + Duration::from_hours(24 * self.settings.day) + pts;
        let frame = Arc::new(Frame { source, seq: self.seq, pts, wall, image, ..Frame::default() });
        self.seq += 1;
        self.alive.retain(|frame| frame.strong_count() > 0);
        self.alive.push(Arc::downgrade(&frame));
        if self.settings.counted {
            MOST.fetch_max(self.alive.len(), SeqCst);
        }
        Ok(Some(Packet::new(frame)))
    }
}

/// Passes packets on, but only each `of`th.
#[derive(Clone, Deserialize)]
struct Pass {
    #[serde(default = "one")]
    of: u64,
}

const fn one() -> u64 {
    1
}

impl StageConfig for Pass {
    fn needs(&self) -> Products {
        Products::empty()
    }
    fn gives(&self) -> Products {
        Products::empty()
    }
    fn build(&self, _: &LineEnv) -> Result<Box<dyn Stage>> {
        Ok(Box::new(self.clone()))
    }
}

impl Stage for Pass {
    fn process(&mut self, packet: Packet, out: &mut Emitter) -> Result<()> {
        if packet.frame.seq.is_multiple_of(self.of) {
            out.emit(packet);
        }
        Ok(())
    }
}

/// The source and the number of each packet.
type Seen = Arc<Mutex<Vec<(String, u64)>>>;

/// Checks a pipeline whose last line, `seen`, stores the source and the number of each packet.
fn checked(lines: &str, env: &Env) -> (Checked, Seen) {
    let parts = Parts::builtin().with(Part::source::<Frames>("frames")).with(Part::stage::<Pass>("pass"));
    let mut pipeline = Pipeline::parse("test.yaml", &format!("pipeline:\n{lines}"), &parts).unwrap();
    let seen = Seen::default();
    let into = Arc::clone(&seen);
    let store = call(move |packet| {
        into.lock().unwrap().push((packet.frame.source.to_string(), packet.frame.seq));
        Ok(())
    });
    pipeline.lines.last_mut().unwrap().settings = Settings::Sink(Box::new(store));
    (pipeline.check(env).unwrap_or_else(|e| panic!("{e}")), seen)
}

#[test]
fn a_merge_keeps_no_more_aside_than_check_says() {
    let _limit = limit::within(120);
    // One branch skips packets by `every:`, one by its stage, and a line lies below each.
    for thin in ["every: 500, pass: {}", "pass: { of: 500 }"] {
        MOST.store(0, SeqCst);
        let lines = format!(
            "- frames: {{ count: 3000, counted: true }}\n- {{ id: a, pass: {{}} }}\n- {{ id: thin, from: frames, {thin} }}\n\
             - {{ id: below, from: thin, pass: {{}} }}\n- {{ id: seen, from: [a, below], jsonl: {{}} }}\n"
        );
        let (checked, seen) = checked(&lines, &pipe::env(&[]));
        let bound = checked.graph().frames_bound();
        assert!(checked.text().contains("ahead of another, at most 11"), "{}", checked.text());
        checked.run().unwrap().result.unwrap();
        let most = MOST.load(SeqCst);
        eprintln!("{thin}: {most} frames existed at once; the bound is {bound}");
        assert!(most <= bound, "{most} frames, the bound is {bound}");
        let seen = seen.lock().unwrap();
        let expected: Vec<u64> = (0..3000).flat_map(|seq| vec![seq; if seq % 500 == 0 { 2 } else { 1 }]).collect();
        assert_eq!(seen.iter().map(|(_, seq)| *seq).collect::<Vec<_>>(), expected);
    }
}

#[test]
fn check_does_not_promise_a_bound_that_does_not_hold() {
    let _limit = limit::within(120);
    let two = "- { id: x, frames: { count: 3 } }\n- { id: y, frames: { count: 3 } }\n\
               - { id: a, from: x, pass: {} }\n- { id: b, from: x, pass: {} }\n- { id: seen, from: [a, b, y], jsonl: {} }\n";
    let nested = "- { id: x, frames: { count: 3 } }\n- { id: a, from: x, pass: {} }\n- { id: b, from: x, pass: {} }\n\
                  - { id: m, from: [a, b], pass: {} }\n- { id: seen, from: [m, x], jsonl: {} }\n";
    for lines in [two, nested] {
        let (checked, _) = checked(lines, &pipe::env(&[]));
        assert!(
            checked
                .text()
                .contains("`seen`: buffers packets when one of its streams is ahead of another, without a bound")
        );
    }
}

#[test]
fn every_counts_each_source_on_its_own() {
    let _limit = limit::within(120);
    for every in ["2", "1s"] {
        let lines = format!(
            "- {{ id: left, frames: {{ count: 100 }} }}\n- {{ id: right, frames: {{ count: 100 }} }}\n\
             - {{ id: seen, from: [left, right], every: {every}, jsonl: {{}} }}\n"
        );
        let (checked, seen) = checked(&lines, &pipe::env(&[]));
        checked.run().unwrap().result.unwrap();
        let seen = seen.lock().unwrap();
        let of = |id: &str| seen.iter().filter(|(source, _)| source == id).count();
        let expected = if every == "2" { 50 } else { 10 };
        assert_eq!((of("left"), of("right")), (expected, expected), "every: {every}");
    }
}

#[test]
fn a_model_that_fails_for_good_ends_a_live_run() {
    let _limit = limit::within(120);
    for (error, ends) in [(Error::Model as fn(String) -> Error, true), (Error::Data, false)] {
        let lines = "- frames: { count: 300, live: true }\n\
                     - { id: broken, pass: {}, queue: { when_full: block } }\n- { id: seen, jsonl: {} }\n";
        let parts = Parts::builtin().with(Part::source::<Frames>("frames")).with(Part::stage::<Pass>("pass"));
        let mut pipeline = Pipeline::parse("test.yaml", &format!("pipeline:\n{lines}"), &parts).unwrap();
        // It fails on the first fifty, works once, and then fails for good.
        let work = move |packet: &Packet| if packet.frame.seq == 50 { Ok(()) } else { Err(error("not today".into())) };
        pipeline.lines[1].settings = Settings::Stage(Box::new(call(work)));
        let outcome = pipeline.check(&pipe::env(&[])).unwrap().run().unwrap();
        let failed = outcome.board.line("broken").unwrap().failed.load(SeqCst);
        match outcome.result {
            Err(error) if ends => {
                let told = error.to_string();
                assert!(told.contains("broken: 100 packets in a row failed") && told.contains("not today"), "{told}");
                assert_eq!((error.exit_code(), failed), (3, 149));
            }
            Ok(()) if !ends => assert_eq!(failed, 299),
            other => panic!("{other:?}, {failed} failed"),
        }
    }
}

/// A camera whose picture changes its size, for example because it was turned: nothing is lost, live.
#[cfg(feature = "h264")]
#[test]
fn a_live_video_goes_on_in_a_new_file_when_its_frames_change_size() {
    let _limit = limit::within(120);
    let folder = tempfile::tempdir().unwrap();
    let parts = Parts::builtin().with(Part::source::<Frames>("frames"));
    let lines = |live: bool, name: String| {
        let path = folder.path().join(name).display().to_string();
        format!(
            "pipeline:\n- frames: {{ count: 40, grows_at: 25, live: {live} }}\n\
             - {{ record: {{ path: '{path}' }}, queue: {{ capacity: 64 }} }}\n"
        )
    };
    let run =
        |text: &str| Pipeline::parse("test.yaml", text, &parts).unwrap().check(&pipe::env(&[])).unwrap().run().unwrap();
    for extension in ["mp4", "avi"] {
        let outcome = run(&lines(true, format!("live.{extension}")));
        outcome.result.unwrap();
        let record = outcome.board.line("record").unwrap();
        assert_eq!((record.passed.load(SeqCst), record.failed.load(SeqCst), record.files.written()), (40, 0, 2));
    }
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let mut reader = ocelli::internals::media::video::open(&entry.unwrap().path()).unwrap();
        let (size, mut count) = (reader.size(), 0);
        while reader.next_picture().unwrap().is_some() {
            count += 1;
        }
        found.push((size.width, count));
    }
    found.sort_unstable();
    assert_eq!(found, [(64, 25), (64, 25), (96, 15), (96, 15)]);
    // A recorded run has one file, and says what to do.
    let error = run(&lines(false, "recorded.mp4".into())).result.unwrap_err().to_string();
    assert!(error.contains("frames changed from 64x48 to 96x64") && error.contains("{seq}"), "{error}");
}

/// Runs a recorded pipeline in which `break` is a stage that fails on frame 30, if there is one.
fn record(text: &str) -> Result<()> {
    let parts = Parts::builtin().with(Part::source::<Frames>("frames")).with(Part::stage::<Pass>("pass"));
    let mut pipeline = Pipeline::parse("test.yaml", text, &parts).unwrap();
    let work = |packet: &Packet| if packet.frame.seq == 30 { Err(Error::Data("torn".into())) } else { Ok(()) };
    for line in pipeline.lines.iter_mut().filter(|line| line.id == "break") {
        line.settings = Settings::Stage(Box::new(call(work)));
    }
    pipeline.check(&pipe::env(&[])).unwrap_or_else(|e| panic!("{e}")).run().unwrap().result
}

#[test]
fn a_recorded_run_that_fails_leaves_the_old_file_alone() {
    let _limit = limit::within(120);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.jsonl");
    for round in 0..20 {
        std::fs::write(&path, "old\n").unwrap();
        let lines = |stage: &str| {
            format!("pipeline:\n- frames: {{ count: 60 }}\n{stage}- jsonl: {{ path: '{}' }}\n", path.display())
        };
        let error = record(&lines("- { id: break, pass: {} }\n")).unwrap_err();
        assert!(error.to_string().contains("torn"), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "old\n", "round {round}");
        let part = std::fs::read_to_string(folder.path().join("rows.jsonl.part")).unwrap();
        assert!(part.lines().count() <= 30 && (part.is_empty() || part.ends_with('\n')), "{part}");
        record(&lines("")).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 60);
        assert!(!folder.path().join("rows.jsonl.part").exists());
    }
}

#[test]
fn a_recorded_run_never_overwrites_its_own_files() {
    let _limit = limit::within(120);
    let rows = |folder: &std::path::Path, sources: &str, path: &str| {
        let path = folder.join(path).display().to_string();
        record(&format!("pipeline:\n{sources}- {{ from: [left, right], jsonl: {{ path: '{path}' }} }}\n")).unwrap();
        let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        let read = |path: &PathBuf| (path.file_name().unwrap().to_owned(), std::fs::read_to_string(path).unwrap());
        files.iter().map(read).collect::<Vec<_>>()
    };
    // Two clips of different days, which take turns.
    for (sources, path) in [
        ("- { id: left, frames: { count: 300 } }\n- { id: right, frames: { count: 300, day: 9 } }\n", "{date}.jsonl"),
        ("- { id: left, frames: { count: 300, day: 1 } }\n- { id: right, frames: { count: 300 } }\n", "{date}.jsonl"),
    ] {
        let [first, second] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let found = rows(first.path(), sources, path);
        let total: usize = found.iter().map(|(_, text)| text.lines().count()).sum();
        assert_eq!(total, 600, "{:?}", found.iter().map(|(name, text)| (name, text.len())).collect::<Vec<_>>());
        assert_eq!(found, rows(second.path(), sources, path), "the same files in every run");
    }
}
