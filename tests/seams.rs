//! The interfaces that other subsystems build on: checked pipelines, runs that own their stop, a board that anyone can
//! read, stages that emit, lines replaced while they run, and connections of sinks.
#![allow(clippy::unwrap_used)]

#[path = "support/limit.rs"]
mod limit;
mod support;

use ocelli::internals::error::{Error, Result};
use ocelli::internals::host::{DropReason, ManualClock, State};
use ocelli::internals::pipeline::{Parts, Pipeline, Settings};
use ocelli::internals::stage::live::{Connection, Connector};
use ocelli::internals::stage::{
    Care, Emitter, Env, LineEnv, OnLost, Part, Sink, SinkConfig, Source, SourceConfig, Stage, StageConfig,
};
use ocelli::internals::stages::Nms;
use ocelli::internals::types::{BBox, Detection, Found, Frame, Packet, Products};
use serde::Deserialize;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use support::call::call;
use support::pipe;

/// Numbered frames, each with two boxes, of which `nms` keeps one. Endless without a `count`.
#[derive(Clone, Deserialize)]
struct Numbers {
    #[serde(default)]
    count: Option<u64>,
    #[serde(default)]
    live: bool,
    /// Milliseconds between two frames.
    #[serde(default)]
    pause: u64,
}

impl SourceConfig for Numbers {
    fn is_live(&self) -> bool {
        self.live
    }
    fn gives(&self, _: &Env) -> Products {
        Products::DETECTIONS
    }
    fn open(&self, env: &LineEnv) -> Result<Box<dyn Source>> {
        Ok(Box::new(Counting(self.clone(), Arc::clone(env.id()), 0)))
    }
}

struct Counting(Numbers, Arc<str>, u64);

impl Source for Counting {
    fn next(&mut self) -> Result<Option<Packet>> {
        let seq = self.2;
        if self.0.count.is_some_and(|count| seq >= count) {
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(self.0.pause));
        self.2 += 1;
        let (source, pts) = (Arc::clone(&self.1), Duration::from_millis(seq * 100));
        let mut packet = Packet::new(Arc::new(Frame { source, seq, pts, ..Frame::default() }));
        let boxes = [0.9, 0.8].map(|score| Detection::new(BBox::new(0.0, 0.0, 10.0, 10.0), 0, score));
        packet.detections = Some(Found { items: boxes.to_vec().into(), by: Arc::default() });
        Ok(Some(packet))
    }
}

/// Emits each packet `times` times, and the last one once more at the end.
#[derive(Clone, Deserialize)]
struct Repeat {
    times: u64,
    #[serde(skip)]
    last: Option<Packet>,
}

impl StageConfig for Repeat {
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

impl Stage for Repeat {
    fn process(&mut self, packet: Packet, out: &mut Emitter) -> Result<()> {
        (0..self.times).for_each(|_| out.emit(packet.clone()));
        // Packets emitted by a call that fails are not passed on.
        if packet.frame.seq == 3 {
            return Err(Error::Data("the third is odd".into()));
        }
        self.last = Some(packet);
        Ok(())
    }
    fn finish(&mut self, out: &mut Emitter) -> Result<()> {
        self.last.take().into_iter().for_each(|packet| out.emit(packet));
        Ok(())
    }
}

/// Keeps the sequence number of each frame, and how many boxes it has.
#[derive(Clone, Default, Deserialize)]
struct Keep {
    #[serde(skip)]
    seen: Arc<Mutex<Vec<(u64, usize)>>>,
}

impl SinkConfig for Keep {
    fn needs(&self) -> Products {
        Products::empty()
    }
    fn open(&self, _: &LineEnv) -> Result<Box<dyn Sink>> {
        Ok(Box::new(self.clone()))
    }
}

impl Sink for Keep {
    fn write(&mut self, packet: &Packet) -> Result<()> {
        let boxes = packet.detections.as_ref().map_or(0, |found| found.len());
        self.seen.lock().unwrap().push((packet.frame.seq, boxes));
        Ok(())
    }
}

/// Parses a pipeline that may use the parts above, and adds a sink that keeps what it receives.
fn pipeline(lines: &str) -> (Pipeline, Keep) {
    let parts = Parts::builtin()
        .with(Part::source::<Numbers>("numbers"))
        .with(Part::stage::<Repeat>("repeat"))
        .with(Part::sink::<Keep>("keep"));
    let mut pipeline = Pipeline::parse(
        "test.yaml",
        &format!("pipeline:\n{lines}- {{ keep: {{}}, queue: {{ capacity: 32 }} }}\n"),
        &parts,
    )
    .unwrap();
    let keep = Keep::default();
    pipeline.lines.last_mut().unwrap().settings = Settings::Sink(Box::new(keep.clone()));
    (pipeline, keep)
}

fn checked(lines: &str) -> (ocelli::Checked, Keep) {
    let (pipeline, keep) = pipeline(lines);
    (pipeline.check(&pipe::env(&[])).unwrap_or_else(|e| panic!("{e}")), keep)
}

#[test]
fn a_model_that_cannot_be_loaded_touches_no_file() {
    let _limit = limit::within(120);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.jsonl");
    std::fs::write(&path, "precious\n").unwrap();
    let home = folder.path().join("broken");
    std::fs::create_dir(&home).unwrap();
    for file in ["card.yaml", "labels.txt"] {
        std::fs::copy(Path::new("models/scene").join(file), home.join(file)).unwrap();
    }
    std::fs::write(home.join("model.onnx"), "no graph at all").unwrap();
    let text = format!(
        "pipeline:\n- scene: {{ frames: 3 }}\n- jsonl: {{ path: '{}' }}\n- {{ resize: {{ for: broken }}, from: scene }}\n- detect: {{ model: broken }}\n- {{ id: b, jsonl: {{ path: '{}' }} }}\n",
        path.display(),
        folder.path().join("other.jsonl").display()
    );
    let error = pipe::check(&text, &pipe::env(&[folder.path().into()])).run().unwrap_err();
    assert_eq!(error.exit_code(), 3, "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious\n", "the first line's file was opened too early");
    assert!(!folder.path().join("other.jsonl").exists());
}

#[test]
fn a_run_that_is_dropped_stops_and_joins_and_its_neighbour_goes_on() {
    let _limit = limit::within(120);
    let env = pipe::env(&[]);
    let start = || {
        let (pipeline, keep) = pipeline("- numbers: { pause: 1 }\n");
        (pipeline.check(&env).unwrap_or_else(|e| panic!("{e}")).start().unwrap(), keep)
    };
    let ((left, seen_left), (right, seen_right)) = (start(), start());
    let more_than = |keep: &Keep, count: usize| {
        while keep.seen.lock().unwrap().len() <= count {
            std::thread::yield_now();
        }
    };
    more_than(&seen_left, 0);
    drop(left);
    let at_the_end = seen_left.seen.lock().unwrap().len();
    assert_eq!(Arc::strong_count(&seen_left.seen), 1, "the sink of a dropped run is gone with its thread");
    let before = seen_right.seen.lock().unwrap().len();
    more_than(&seen_right, before + 20);
    assert_eq!(seen_left.seen.lock().unwrap().len(), at_the_end);
    assert!(!right.is_finished() && !env.stop.is_requested());
    // The program's own stop ends the other run.
    env.stop.request();
    right.wait().result.unwrap();
}

#[test]
fn packets_come_through_a_channel_and_a_run_that_nobody_reads_can_be_dropped() {
    let _limit = limit::within(120);
    let numbers = |text: &str| {
        let parts = Parts::builtin().with(Part::source::<Numbers>("numbers"));
        Pipeline::parse("test.yaml", &format!("pipeline:\n- numbers: {text}\n"), &parts).unwrap()
    };
    let mut whole = numbers("{ count: 100 }");
    let packets = whole.packets(2);
    let run = whole.check(&pipe::env(&[])).unwrap().start().unwrap();
    assert_eq!(packets.map(|packet| packet.frame.seq).collect::<Vec<_>>(), (0..100).collect::<Vec<_>>());
    run.wait().result.unwrap();
    // The channel closes with the run, not with the checked pipeline, and belongs to one run.
    let mut kept = numbers("{ count: 5 }");
    let packets = kept.packets(2);
    let checked = kept.check(&pipe::env(&[])).unwrap();
    let run = checked.start().unwrap();
    assert_eq!(packets.count(), 5);
    run.wait().result.unwrap();
    assert!(checked.run().unwrap_err().to_string().contains("earlier run"));
    // A slow reader still gets what is queued after a stop.
    let mut slow = numbers("{}");
    let mut packets = slow.packets(1);
    let run = slow.check(&pipe::env(&[])).unwrap().start().unwrap();
    packets.next().unwrap();
    run.stop().request();
    let mut last = 0;
    for packet in packets {
        assert_eq!(packet.frame.seq, last + 1);
        last = packet.frame.seq;
        std::thread::sleep(Duration::from_millis(120));
    }
    let outcome = run.wait();
    assert_eq!(outcome.board.line("numbers").unwrap().passed.load(SeqCst), last + 1, "no packet is lost");
    // The receiver outlives the run and stops reading.
    let mut endless = numbers("{}");
    let mut packets = endless.packets(2);
    let run = endless.check(&pipe::env(&[])).unwrap().start().unwrap();
    assert_eq!(packets.next().unwrap().frame.seq, 0);
    drop(run);
    assert!(packets.count() <= 3, "what waited in the channel, and then the end");
}

#[test]
fn a_stage_gives_none_one_or_several_and_what_is_open_at_the_end() {
    let _limit = limit::within(120);
    for (times, expect) in [(0, vec![4]), (1, vec![0, 1, 2, 4, 4]), (2, vec![0, 0, 1, 1, 2, 2, 4, 4, 4])] {
        // Live, so that the failing packet costs only itself; slow enough that none is dropped.
        let (checked, keep) = checked(&format!(
            "- numbers: {{ count: 5, live: true, pause: 5 }}\n- {{ repeat: {{ times: {times} }}, queue: {{ capacity: 8 }} }}\n"
        ));
        let outcome = checked.run().unwrap();
        outcome.result.unwrap();
        let seen: Vec<u64> = keep.seen.lock().unwrap().iter().map(|(seq, _)| *seq).collect();
        assert_eq!(seen, expect, "{times} times");
        let line = outcome.board.line("repeat").unwrap();
        assert_eq!((line.received.load(SeqCst), line.passed.load(SeqCst)), (5, expect.len() as u64));
        assert_eq!(line.failed.load(SeqCst), 1);
    }
}

#[test]
fn a_line_is_replaced_a_thousand_times_under_load_and_no_packet_is_lost_or_overtaken() {
    let _limit = limit::within(120);
    let (checked, keep) = checked("- numbers: {}\n- nms\n");
    let run = checked.start().unwrap();
    let line = Arc::clone(run.board.line("nms").unwrap());
    // An IoU of 1 keeps both boxes of a frame; 0.5 keeps one of them.
    let nms = |iou| Settings::Stage(Box::new(Nms { iou, ..Nms::default() }));
    while line.passed.load(SeqCst) == 0 {
        std::thread::yield_now();
    }
    for nth in 0..1000u64 {
        run.replace("nms", &nms(if nth % 2 == 0 { 1.0 } else { 0.5 })).unwrap();
        let before = line.passed.load(SeqCst);
        while line.swaps.load(SeqCst) <= nth || line.passed.load(SeqCst) < before + 2 {
            std::thread::yield_now();
        }
    }
    run.stop().request();
    let outcome = run.wait();
    outcome.result.unwrap();
    let seen = keep.seen.lock().unwrap();
    assert_eq!(line.swaps.load(SeqCst), 1000);
    let made = outcome.board.line("numbers").unwrap().passed.load(SeqCst);
    assert!(seen.iter().map(|(seq, _)| *seq).eq(0..made), "a packet was lost or overtaken");
    let changes = seen.windows(2).filter(|pair| pair[0].1 != pair[1].1).count();
    // The first frames come from the original line: one box.
    assert_eq!(changes, 1000, "each new line processed packets");
}

#[test]
fn a_line_is_not_replaced_by_one_that_its_neighbours_could_not_live_with() {
    let _limit = limit::within(120);
    let (checked, _keep) = checked("- numbers: { pause: 1 }\n- nms\n");
    let run = checked.start().unwrap();
    let numbers = Settings::Source(Box::new(Numbers { count: None, live: false, pause: 1 }));
    let repeat = Settings::Stage(Box::new(Repeat { times: 1, last: None }));
    let wild = Settings::Stage(Box::new(Nms { iou: 7.0, ..Nms::default() }));
    for (line, settings, says) in [
        ("nms", &repeat, "needs or gives"),
        ("nms", &wild, "`iou` is 7"),
        ("numbers", &numbers, "is a source"),
        ("mns", &repeat, "no line is called `mns`"),
    ] {
        let error = run.replace(line, settings).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
    assert_eq!(run.board.line("nms").unwrap().swaps.load(SeqCst), 0);
}

/// Reads the board of its own run, as a web page would.
#[derive(Clone, Default)]
struct Watching(Arc<Mutex<Vec<String>>>);

impl SinkConfig for Watching {
    fn needs(&self) -> Products {
        Products::empty()
    }
    fn open(&self, env: &LineEnv) -> Result<Box<dyn Sink>> {
        Ok(Box::new(Looking(self.clone(), env.clone())))
    }
}

struct Looking(Watching, LineEnv);

impl Sink for Looking {
    fn write(&mut self, _: &Packet) -> Result<()> {
        let board = &self.1.board;
        let lines = board.lines.iter().map(|line| format!("{} {}", line.id, line.received.load(SeqCst) > 0));
        let edges = board.edges.iter().map(|edge| {
            let (from, to) = (&board.lines[edge.from].id, &board.lines[edge.to].id);
            assert!(edge.waiting() <= edge.capacity as u64);
            format!("{from} → {to} {}", edge.sent.load(SeqCst) >= edge.taken.load(SeqCst))
        });
        *self.0.0.lock().unwrap() = lines.chain(edges).collect();
        Ok(())
    }
}

#[test]
fn any_part_reads_the_board_of_its_run() {
    let _limit = limit::within(120);
    let (mut pipeline, _keep) = pipeline("- numbers: { count: 20 }\n- nms\n");
    let watching = Watching::default();
    pipeline.lines.last_mut().unwrap().settings = Settings::Sink(Box::new(watching.clone()));
    let outcome = pipeline.check(&pipe::env(&[])).unwrap().run().unwrap();
    outcome.result.unwrap();
    let seen = watching.0.lock().unwrap();
    assert_eq!(*seen, ["numbers true", "nms true", "keep true", "numbers → nms true", "nms → keep true"]);
    assert!(outcome.board.edges.iter().all(|edge| edge.waiting() == 0 && edge.sent.load(SeqCst) == 20));
}

#[test]
fn a_line_that_fails_again_and_again_is_an_unhealthy_line_and_not_a_log_full_of_lines() {
    let _limit = limit::within(120);
    let works = Arc::<AtomicU64>::default();
    let told = Arc::clone(&works);
    let moody = call(move |_| if told.load(SeqCst) == 0 { Err(Error::Device("no paper".into())) } else { Ok(()) });
    let (mut pipeline, _keep) = pipeline("- numbers: { live: true, pause: 1 }\n");
    pipeline.lines.last_mut().unwrap().settings = Settings::Sink(Box::new(moody));
    let run = pipeline.check(&pipe::env(&[])).unwrap().start().unwrap();
    let health = &run.board.line("keep").unwrap().health;
    while health.get().failures < 20 {
        std::thread::yield_now();
    }
    let standing = health.get();
    assert_eq!((standing.state, standing.reason.as_str()), (State::Failing, "no paper"));
    assert!(run.board.table(Duration::from_secs(1)).contains("keep: failing, "));
    works.store(1, SeqCst);
    while health.get().state != State::Working {
        std::thread::yield_now();
    }
    assert_eq!(health.get().failures, 0);
}

/// A broker that a test switches on and off.
struct Broker(Arc<AtomicU64>, Arc<AtomicU64>);

impl Connector for Broker {
    type Open = Arc<AtomicU64>;
    fn connect(&mut self) -> Result<(Self::Open, String)> {
        self.1.fetch_add(1, SeqCst);
        if self.0.load(SeqCst) == 0 {
            Err(Error::Device("refused".into()))
        } else {
            Ok((Arc::clone(&self.0), "broker".into()))
        }
    }
}

#[test]
fn a_connection_of_a_sink_is_lost_and_comes_back_like_a_live_source() {
    let _limit = limit::within(120);
    let clock = Arc::new(ManualClock::default());
    let env = LineEnv::alone(
        &{
            let mut env = pipe::env(&[]);
            env.clock = clock.clone();
            env
        },
        "mqtt",
    );
    let (on, tries) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
    let mut connection = Connection::new(Broker(Arc::clone(&on), Arc::clone(&tries)), Care::default(), &env);
    let packet = Packet::new(Arc::default());
    let send = |connection: &mut Connection<Broker>| {
        connection.with(&packet, |up| if up.load(SeqCst) == 1 { Ok(()) } else { Err(Error::Device("reset".into())) })
    };
    let offline = || env.counters().dropped(DropReason::Offline);
    // A hundred packets per second for ten seconds: the number of tries depends on the waits, not on the packets.
    for _ in 0..1000 {
        assert!(send(&mut connection).unwrap().is_none());
        clock.advance(Duration::from_millis(10));
    }
    let (tried, standing) = (tries.load(SeqCst), env.health().get());
    assert!((4..=8).contains(&tried), "{tried} tries in 10 s");
    assert_eq!((offline(), standing.state), (1000, State::Backoff));
    assert!(standing.reason.starts_with("refused; trying again in"), "{}", standing.reason);
    on.store(1, SeqCst);
    clock.advance(Duration::from_secs(31));
    assert!(send(&mut connection).unwrap().is_some());
    assert_eq!((env.health().get().state, env.health().losses()), (State::Live, 0));
    on.store(0, SeqCst);
    clock.advance(Duration::from_mins(1));
    assert!(send(&mut connection).unwrap().is_none(), "the connection is lost with this packet");
    assert_eq!((env.health().losses(), offline()), (1, 1001));
    on.store(1, SeqCst);
    clock.advance(Duration::from_secs(31));
    assert!(send(&mut connection).unwrap().is_some());
    assert!((30..32).contains(&env.health().down().as_secs()), "{:?}", env.health().down());
}

/// A sink that needs a connection.
#[derive(Clone)]
struct Publish(fn() -> Error, Care);

/// Never gets through, for this reason.
struct Refusing(fn() -> Error);

impl Connector for Refusing {
    type Open = ();
    fn connect(&mut self) -> Result<((), String)> {
        Err((self.0)())
    }
}

impl SinkConfig for Publish {
    fn needs(&self) -> Products {
        Products::empty()
    }
    fn open(&self, env: &LineEnv) -> Result<Box<dyn Sink>> {
        Ok(Box::new(Publishing(Connection::new(Refusing(self.0), self.1, env))))
    }
}

struct Publishing(Connection<Refusing>);

impl Sink for Publishing {
    fn write(&mut self, packet: &Packet) -> Result<()> {
        self.0.with(packet, |()| Ok(())).map(|_| ())
    }
}

#[test]
fn a_connection_ends_a_live_run_where_it_must_and_counts_what_it_drops_once() {
    let _limit = limit::within(120);
    let run = |publish: Publish| {
        let (mut pipeline, _keep) = pipeline("- numbers: { live: true, pause: 1, count: 200 }\n");
        pipeline.lines.last_mut().unwrap().settings = Settings::Sink(Box::new(publish));
        pipeline.check(&pipe::env(&[])).unwrap().run().unwrap()
    };
    let exit = Care { on_lost: OnLost::Exit, stall_after: None };
    for (publish, code) in [
        (Publish(|| Error::Config("no such host".into()), Care::default()), 2),
        (Publish(|| Error::Device("refused".into()), exit), 4),
    ] {
        let outcome = run(publish);
        assert_eq!(outcome.result.unwrap_err().exit_code(), code);
        let health = &outcome.board.line("keep").unwrap().health;
        assert_eq!((health.get().state, health.tries()), (State::Failed, 1));
    }
    let outcome = run(Publish(|| Error::Device("refused".into()), Care::default()));
    outcome.result.unwrap();
    let line = outcome.board.line("keep").unwrap();
    let (received, offline) = (line.received.load(SeqCst), line.dropped(DropReason::Offline));
    assert!(received > 0 && offline == received, "{offline} of {received}");
    assert_eq!(line.passed.load(SeqCst), 0, "what was not sent did not pass");
}

#[test]
fn a_stage_that_failed_to_the_end_is_still_failing_there() {
    let _limit = limit::within(120);
    let (mut pipeline, _keep) =
        pipeline("- numbers: { live: true, count: 5, pause: 5 }\n- { repeat: { times: 1 }, id: broken }\n");
    pipeline.lines[1].settings = Settings::Stage(Box::new(call(|_| Err(Error::Data("always".into())))));
    let outcome = pipeline.check(&pipe::env(&[])).unwrap().run().unwrap();
    outcome.result.unwrap();
    let standing = outcome.board.line("broken").unwrap().health.get();
    assert_eq!((standing.state, standing.reason.as_str()), (State::Failing, "always"));
}

#[test]
fn a_replacement_that_comes_too_late_is_refused_and_closed() {
    let _limit = limit::within(120);
    /// Counts how often it was finished.
    #[derive(Clone)]
    struct Closing(Arc<AtomicU64>);
    impl SinkConfig for Closing {
        fn needs(&self) -> Products {
            Products::empty()
        }
        fn open(&self, _: &LineEnv) -> Result<Box<dyn Sink>> {
            Ok(Box::new(self.clone()))
        }
    }
    impl Sink for Closing {
        fn write(&mut self, _: &Packet) -> Result<()> {
            Ok(())
        }
        fn finish(&mut self) -> Result<()> {
            self.0.fetch_add(1, SeqCst);
            Ok(())
        }
    }
    let closed = Arc::<AtomicU64>::default();
    let closing = || Settings::Sink(Box::new(Closing(Arc::clone(&closed))));
    let (mut pipeline, _keep) = pipeline("- numbers: { count: 3 }\n");
    pipeline.lines.last_mut().unwrap().settings = closing();
    let run = pipeline.check(&pipe::env(&[])).unwrap().start().unwrap();
    while !run.is_finished() {
        std::thread::yield_now();
    }
    let error = run.replace("keep", &closing()).unwrap_err().to_string();
    assert!(error.contains("has ended"), "{error}");
    assert_eq!(closed.load(SeqCst), 2, "the one that worked and the one that came too late");
}

#[test]
fn a_stop_is_seen_in_time() {
    let _limit = limit::within(120);
    let (checked, _keep) = checked("- numbers: { pause: 1 }\n");
    let run = checked.start().unwrap();
    let asked = Instant::now();
    run.stop().request();
    run.wait().result.unwrap();
    assert!(asked.elapsed() < Duration::from_secs(10));
}
