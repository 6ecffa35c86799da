//! The runner: order, drops, stop, faults, panics, slow sinks. The tests do not sleep to make things likely; they open
//! gates that make them certain.
#![allow(clippy::unwrap_used)]

#[path = "support/limit.rs"]
mod limit;
mod support;

use ocelli::internals::error::{Error, Result};
use ocelli::internals::host::{DropReason, ManualClock};
use ocelli::internals::pipeline::{Checked, Every, Line, Pipeline, QueueSetting, Settings, WhenFull};
use ocelli::internals::stage::{Env, LineEnv, Sink, SinkConfig, Source, SourceConfig};
use ocelli::internals::types::{Frame, Packet, Products};
use ocelli::internals::yaml::{Document, Place};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::call::{Call, call};
use support::pipe;

/// A source of numbered frames, 10 per second of media time.
#[derive(Clone)]
struct Numbers {
    count: u64,
    live: bool,
    made: Arc<AtomicU64>,
    /// Called before each frame is returned.
    before: Arc<dyn Fn(u64) -> Result<()> + Send + Sync>,
}

impl Numbers {
    fn new(count: u64, live: bool) -> Self {
        Self { count, live, made: Arc::default(), before: Arc::new(|_| Ok(())) }
    }
}

impl SourceConfig for Numbers {
    fn is_live(&self) -> bool {
        self.live
    }
    fn open(&self, env: &LineEnv) -> Result<Box<dyn Source>> {
        Ok(Box::new(Counting(self.clone(), Arc::clone(env.id()), 0)))
    }
}

struct Counting(Numbers, Arc<str>, u64);

impl Source for Counting {
    fn next(&mut self) -> Result<Option<Packet>> {
        let seq = self.2;
        if seq >= self.0.count {
            return Ok(None);
        }
        self.2 += 1;
        (self.0.before)(seq)?;
        self.0.made.fetch_add(1, SeqCst);
        let frame =
            Frame { source: Arc::clone(&self.1), seq, pts: Duration::from_millis(seq * 100), ..Frame::default() };
        Ok(Some(Packet::new(Arc::new(frame))))
    }
}

/// Returns a sink that keeps the sequence numbers of its packets.
fn collect() -> (Call, Arc<Mutex<Vec<u64>>>) {
    let seen: Arc<Mutex<Vec<u64>>> = Arc::default();
    let kept = Arc::clone(&seen);
    (
        call(move |packet| {
            kept.lock().unwrap().push(packet.frame.seq);
            Ok(())
        }),
        seen,
    )
}

/// Returns a sink that takes one packet each time the test says so.
fn gated() -> (Call, Sender<()>, Arc<Mutex<Vec<u64>>>) {
    let (open, gate): (Sender<()>, Receiver<()>) = channel();
    let (gate, seen) = (Mutex::new(gate), Arc::<Mutex<Vec<u64>>>::default());
    let kept = Arc::clone(&seen);
    let work = call(move |packet| {
        let _ = gate.lock().unwrap().recv();
        kept.lock().unwrap().push(packet.frame.seq);
        Ok(())
    });
    (work, open, seen)
}

fn line(id: &str, settings: Settings) -> Line {
    Line {
        id: id.into(),
        word: "test",
        settings,
        from: Vec::new(),
        queue: None,
        every: None,
        deadline: None,
        place: Place::default(),
        secrets: Vec::new(),
    }
}

fn source(numbers: &Numbers) -> Line {
    line("source", Settings::Source(Box::new(numbers.clone())))
}

fn stage(id: &str, work: &Call) -> Line {
    line(id, Settings::Stage(Box::new(work.clone())))
}

fn sink(id: &str, work: &Call) -> Line {
    line(id, Settings::Sink(Box::new(work.clone())))
}

fn build(lines: Vec<Line>) -> Checked {
    build_in(lines, &pipe::env(&[]))
}

fn build_in(lines: Vec<Line>, env: &Env) -> Checked {
    let document = Document::parse("test.yaml", "pipeline: []".into(), |_| Err(String::new())).unwrap();
    Pipeline { lines, document }.check(env).unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn recorded_packets_all_arrive_in_order_at_every_reader() {
    let _limit = limit::within(120);
    let ((a, seen_a), (b, seen_b)) = (collect(), collect());
    let pass = call(|_| Ok(()));
    let checked = build(vec![source(&Numbers::new(500, false)), stage("pass", &pass), sink("a", &a), sink("b", &b)]);
    checked.run().unwrap().result.unwrap();
    let all: Vec<u64> = (0..500).collect();
    assert_eq!((&*seen_a.lock().unwrap(), &*seen_b.lock().unwrap()), (&all, &all));
}

#[test]
fn a_live_stream_keeps_the_newest_and_counts_what_it_drops() {
    let _limit = limit::within(120);
    let numbers = Numbers::new(100, true);
    let made = Arc::clone(&numbers.made);
    let (slow, open, seen) = gated();
    let checked = build(vec![source(&numbers), sink("slow", &slow)]);
    let run = checked.start().unwrap();
    // The source is never held up: it makes all its frames before the sink has finished one.
    while made.load(SeqCst) < 100 {
        std::thread::yield_now();
    }
    drop(open);
    let outcome = run.wait();
    outcome.result.unwrap();
    let seen = seen.lock().unwrap();
    let metrics = outcome.board.line("slow").unwrap();
    assert_eq!(*seen.last().unwrap(), 99, "the newest frame arrives");
    assert!(seen.len() <= 3 && seen.is_sorted(), "{seen:?}");
    assert_eq!(metrics.dropped(DropReason::Queue) + seen.len() as u64, 100, "every loss is counted");
}

#[test]
fn a_slow_sink_starves_nobody_on_a_live_stream() {
    let _limit = limit::within(120);
    let numbers = Numbers::new(50, true);
    let (slow, open, _) = gated();
    let (count, fast_seen) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let (fast, seen) = (Arc::clone(&count), Arc::clone(&fast_seen));
    let fast = call(move |packet| {
        fast.fetch_add(1, SeqCst);
        seen.store(packet.frame.seq, SeqCst);
        Ok(())
    });
    // Each frame is made only after the fast sink has taken the one before.
    let waits = Arc::clone(&count);
    let numbers = Numbers {
        before: Arc::new(move |seq| {
            while waits.load(SeqCst) < seq {
                std::thread::yield_now();
            }
            Ok(())
        }),
        ..numbers
    };
    let checked = build(vec![source(&numbers), sink("slow", &slow), sink("fast", &fast)]);
    let run = checked.start().unwrap();
    while fast_seen.load(SeqCst) < 49 {
        std::thread::yield_now();
    }
    drop(open);
    let outcome = run.wait();
    outcome.result.unwrap();
    assert_eq!(outcome.board.line("fast").unwrap().dropped(DropReason::Queue), 0);
    assert_eq!(count.load(SeqCst), 50);
}

#[test]
fn a_slow_sink_holds_up_a_recorded_source_within_its_queue() {
    let _limit = limit::within(120);
    let numbers = Numbers::new(100, false);
    let made = Arc::clone(&numbers.made);
    let (slow, open, seen) = gated();
    let mut last = sink("slow", &slow);
    last.queue = Some(QueueSetting { capacity: Some(4), when_full: Some(WhenFull::Block) });
    let checked = build(vec![source(&numbers), last]);
    let run = checked.start().unwrap();
    for step in 0..100 {
        open.send(()).unwrap();
        while seen.lock().unwrap().len() <= step {
            std::thread::yield_now();
        }
        // Those seen, one being processed, four waiting, one held by the source.
        assert!(made.load(SeqCst) <= step as u64 + 1 + 1 + 4 + 1, "step {step}: {}", made.load(SeqCst));
    }
    run.wait().result.unwrap();
}

#[test]
fn a_fault_of_a_recorded_stage_ends_the_run_with_its_place_and_code() {
    let _limit = limit::within(120);
    let faulty = call(|packet| if packet.frame.seq == 7 { Err(Error::Model("wrong shape".into())) } else { Ok(()) });
    let (end, seen) = collect();
    let checked = build(vec![source(&Numbers::new(1_000_000, false)), stage("detect", &faulty), sink("end", &end)]);
    let error = checked.run().unwrap().result.unwrap_err();
    assert_eq!(error.to_string(), "detect: frame 7: wrong shape");
    assert_eq!(error.exit_code(), 3);
    assert_eq!(*seen.lock().unwrap(), [0, 1, 2, 3, 4, 5, 6], "the good frames before it are written");
}

#[test]
fn a_fault_of_a_live_stage_costs_one_frame() {
    let _limit = limit::within(120);
    let faulty = call(|packet| if packet.frame.seq == 7 { Err(Error::Model("wrong shape".into())) } else { Ok(()) });
    let (end, seen) = collect();
    // Room for all frames, so that none is dropped.
    let roomy = |line: Line| Line { queue: Some(QueueSetting { capacity: Some(32), when_full: None }), ..line };
    let lines = vec![source(&Numbers::new(20, true)), roomy(stage("detect", &faulty)), roomy(sink("end", &end))];
    let checked = build(lines);
    let outcome = checked.run().unwrap();
    outcome.result.unwrap();
    assert_eq!(outcome.board.line("detect").unwrap().failed.load(SeqCst), 1);
    let expect: Vec<u64> = (0..20).filter(|seq| *seq != 7).collect();
    assert_eq!(*seen.lock().unwrap(), expect);
}

/// A sink that closes its file in `finish`, and takes only even frames.
#[derive(Clone)]
struct Even(Arc<AtomicU64>, Arc<Mutex<Vec<u64>>>);

impl SinkConfig for Even {
    fn needs(&self) -> Products {
        Products::empty()
    }
    fn open(&self, _: &LineEnv) -> Result<Box<dyn Sink>> {
        Ok(Box::new(self.clone()))
    }
}

impl Sink for Even {
    fn wants(&self, packet: &Packet) -> bool {
        packet.frame.seq.is_multiple_of(2) && packet.frame.seq > 0
    }
    fn write(&mut self, packet: &Packet) -> Result<()> {
        self.1.lock().unwrap().push(packet.frame.seq);
        if packet.frame.seq >= 8 { Err(Error::Data("full".into())) } else { Ok(()) }
    }
    fn finish(&mut self) -> Result<()> {
        self.0.fetch_add(1, SeqCst);
        Ok(())
    }
}

#[test]
fn a_sink_is_finished_after_a_fault_and_unwanted_packets_use_up_no_turn() {
    let _limit = limit::within(120);
    let even = Even(Arc::default(), Arc::default());
    let mut last = line("even", Settings::Sink(Box::new(even.clone())));
    last.every = Some(Every::Packets(3));
    let checked = build(vec![source(&Numbers::new(100, false)), last]);
    let error = checked.run().unwrap().result.unwrap_err();
    assert_eq!(error.to_string(), "even: frame 8: full");
    assert_eq!(even.0.load(SeqCst), 1, "finished once");
    assert_eq!(*even.1.lock().unwrap(), [2, 8], "every third of the wanted 2, 4, 6, 8");
}

#[test]
fn a_panic_ends_the_run_with_the_name_of_the_stage() {
    let _limit = limit::within(120);
    for live in [false, true] {
        let broken = call(|packet| {
            assert!(packet.frame.seq < 3, "boom");
            Ok(())
        });
        let (end, _) = collect();
        let checked = build(vec![source(&Numbers::new(1_000_000, live)), stage("blur", &broken), sink("end", &end)]);
        let error = checked.run().unwrap().result.unwrap_err();
        assert!(error.to_string().starts_with("blur: panicked: boom"), "{error}");
        assert_eq!(error.exit_code(), 70);
    }
}

#[test]
fn stop_ends_an_endless_source_and_what_waits_is_still_written() {
    let _limit = limit::within(120);
    let (end, seen) = collect();
    let numbers = Numbers::new(u64::MAX, false);
    let made = Arc::clone(&numbers.made);
    let checked = build(vec![source(&numbers), sink("end", &end)]);
    let run = checked.start().unwrap();
    while made.load(SeqCst) < 1000 {
        std::thread::yield_now();
    }
    checked.env().stop.request();
    run.wait().result.unwrap();
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len() as u64, made.load(SeqCst), "every frame made was written");
}

#[test]
fn a_reader_that_went_away_ends_the_run_without_a_fault() {
    let _limit = limit::within(120);
    let end = call(|packet| if packet.frame.seq == 5 { Err(Error::ReaderGone) } else { Ok(()) });
    let checked = build(vec![source(&Numbers::new(u64::MAX, false)), sink("stdout", &end)]);
    checked.run().unwrap().result.unwrap();
}

#[test]
fn every_takes_each_third_or_one_in_a_time() {
    let _limit = limit::within(120);
    for (every, expect) in [
        (Every::Packets(3), vec![0, 3, 6, 9, 12, 15, 18]),
        (Every::Time(Duration::from_millis(500)), vec![0, 5, 10, 15]),
        (Every::Time(Duration::from_millis(30)), (0..20).collect()),
    ] {
        let (end, seen) = collect();
        let mut last = sink("end", &end);
        last.every = Some(every);
        let checked = build(vec![source(&Numbers::new(20, false)), last]);
        let outcome = checked.run().unwrap();
        outcome.result.unwrap();
        assert_eq!(*seen.lock().unwrap(), expect);
        assert_eq!(outcome.board.line("end").unwrap().dropped(DropReason::Every), 20 - expect.len() as u64);
    }
}

#[test]
fn a_deadline_leaves_out_what_is_too_old() {
    let _limit = limit::within(120);
    let clock = Arc::new(ManualClock::default());
    let (end, seen) = collect();
    // Processing frame 4 takes a second of the test's clock, while frame 5 waits.
    let (hand, moves) = (Arc::new(AtomicU64::new(0)), Arc::clone(&clock));
    let taken = Arc::clone(&hand);
    let slow = call(move |packet| {
        if packet.frame.seq == 4 {
            while taken.load(SeqCst) < 6 {
                std::thread::yield_now();
            }
            moves.advance(Duration::from_secs(1));
        }
        Ok(())
    });
    let made = Arc::clone(&hand);
    let waits = Arc::clone(&seen);
    let numbers = Numbers {
        before: Arc::new(move |seq| {
            made.store(seq, SeqCst);
            // Frame by frame until 4; then 5 and 6 are made while 4 is being processed.
            while seq <= 4 && (waits.lock().unwrap().len() as u64) < seq {
                std::thread::yield_now();
            }
            Ok(())
        }),
        ..Numbers::new(7, true)
    };
    let mut work = stage("slow", &slow);
    work.deadline = Some(Duration::from_millis(500));
    work.queue = Some(QueueSetting { capacity: Some(4), when_full: None });
    let mut last = sink("end", &end);
    last.queue = Some(QueueSetting { capacity: Some(8), when_full: None });
    let checked = build_in(vec![source(&numbers), work, last], &{
        let mut env = pipe::env(&[]);
        env.clock = clock;
        env
    });
    let outcome = checked.run().unwrap();
    outcome.result.unwrap();
    let late = outcome.board.line("slow").unwrap().dropped(DropReason::Deadline);
    let seen = seen.lock().unwrap();
    assert_eq!(seen[..5], [0, 1, 2, 3, 4]);
    assert!(late >= 1 && late + seen.len() as u64 == 7, "{late} late, seen {seen:?}");
}

#[test]
fn a_source_that_fails_live_is_asked_again_and_recorded_ends_the_run() {
    let _limit = limit::within(120);
    for live in [true, false] {
        let (end, seen) = collect();
        let failed = Arc::new(AtomicU64::new(0));
        let numbers = Numbers {
            before: Arc::new(move |seq| {
                if seq == 2 && failed.fetch_add(1, SeqCst) == 0 {
                    Err(Error::Data("torn frame".into()))
                } else {
                    Ok(())
                }
            }),
            ..Numbers::new(3, live)
        };
        let mut last = sink("end", &end);
        last.queue = Some(QueueSetting { capacity: Some(8), when_full: None });
        let checked = build(vec![source(&numbers), last]);
        let outcome = checked.run().unwrap();
        assert_eq!(outcome.result.is_ok(), live);
        assert_eq!(*seen.lock().unwrap(), [0, 1]);
        if let Err(error) = outcome.result {
            assert_eq!(error.to_string(), "source: torn frame");
        }
    }
}

#[test]
fn threads_carry_the_names_of_their_lines() {
    let _limit = limit::within(120);
    let names: Arc<Mutex<Vec<String>>> = Arc::default();
    let kept = Arc::clone(&names);
    let end = call(move |_| {
        kept.lock().unwrap().push(std::thread::current().name().unwrap_or_default().to_owned());
        Ok(())
    });
    let checked = build(vec![source(&Numbers::new(1, false)), sink("garden-log", &end)]);
    checked.run().unwrap().result.unwrap();
    assert_eq!(*names.lock().unwrap(), ["garden-log"]);
}
