//! Live sources that are lost and come back, with `faulty:` and a clock that the tests advance. No test waits in real
//! time.
#![allow(clippy::unwrap_used)]

#[path = "support/limit.rs"]
mod limit;
mod support;

use ocelli::internals::error::Error;
use ocelli::internals::host::{ManualClock, State, Status};
use ocelli::internals::stage::{Env, LineEnv, Source, live};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;
use support::pipe;

/// Opens the first line's source with a clock that jumps ahead whenever something sleeps.
fn open(line: &str) -> (Box<dyn Source>, LineEnv) {
    let pipeline = pipe::parse(&format!("pipeline:\n- {line}\n- jsonl\n"));
    let mut env = pipe::env(&[]);
    env.clock = Arc::new(ManualClock::default());
    let ocelli::internals::pipeline::Settings::Source(config) = &pipeline.lines[0].settings else {
        panic!("no source")
    };
    let env = LineEnv::alone(&env, "door");
    let source = config.open(&env).unwrap();
    (source, env)
}

/// Returns a number from `/proc/self/status`, such as `VmRSS` in KiB or `Threads`.
fn status(word: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|line| line.starts_with(word)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_thousand_losses_are_recovered_and_cost_neither_memory_nor_threads() {
    let _limit = limit::within(300);
    let every_tenth: Vec<String> = (1..=1000).map(|nth| (nth * 10).to_string()).collect();
    // Every tenth frame: 900 unplug the camera, 100 freeze it until the source gives up.
    let (frozen, gone): (Vec<_>, Vec<_>) = every_tenth.iter().enumerate().partition(|(nth, _)| nth % 10 < 1);
    let list = |of: &[(usize, &String)]| of.iter().map(|(_, n)| n.as_str()).collect::<Vec<_>>().join(", ");
    let line = format!(
        "{{ scene: {{ live: true, fps: 30, size: [320, 240] }}, faulty: {{ unplug: [{}], unplug_for: 900ms, freeze: [{}], freeze_for: 8000h }} }}",
        list(&gone),
        list(&frozen)
    );
    let (mut source, env) = open(&line);
    let health = env.health();
    let (mut last, mut frames) = (None, 0u64);
    let mut after_warm_up = (0, 0);
    let mut report: Vec<(u64, u64, u64)> = Vec::new();
    while health.losses() < 1000 || health.get().state != State::Live {
        assert!(last.is_none_or(|(seq, _)| seq < 20_000), "{} of 1000 losses", health.losses());
        let packet = source.next().unwrap().unwrap();
        let now = (packet.frame.seq, packet.frame.pts);
        assert!(last.is_none_or(|last: (u64, Duration)| now.0 > last.0 && now.1 > last.1), "{last:?} then {now:?}");
        last = Some(now);
        frames += 1;
        if health.losses() == 100 && after_warm_up.0 == 0 {
            after_warm_up = (status("VmRSS"), status("Threads"));
        }
        if health.losses() % 250 == 0 && report.last().is_none_or(|(at, ..)| *at != health.losses()) {
            report.push((health.losses(), status("VmRSS"), status("Threads")));
        }
    }
    let (memory, threads) = (status("VmRSS"), status("Threads"));
    report.push((health.losses(), memory, threads));
    for (losses, kib, threads) in &report {
        eprintln!("{losses} losses: {kib} KiB resident, {threads} threads");
    }
    eprintln!(
        "{frames} frames, {} tries, down for {:.0} s of the test's clock",
        health.tries(),
        health.down().as_secs_f64()
    );
    assert!(memory < after_warm_up.0 + 4096, "{} KiB after 100 losses, {memory} KiB after 1000", after_warm_up.0);
    assert!(threads <= after_warm_up.1 + 2, "{} threads after 100 losses, {threads} after 1000", after_warm_up.1);
}

#[test]
fn a_drop_leaves_a_gap_and_corruption_the_size() {
    let _limit = limit::within(300);
    let line = "{ scene: { frames: 20, size: [64, 48] }, faulty: { drop: [3], corrupt: [5], time_jump: [7] } }";
    let (mut broken, _env) = open(line);
    let (mut whole, _env) = open("scene: { frames: 20, size: [64, 48] }");
    let mut all = Vec::new();
    while let Some(packet) = broken.next().unwrap() {
        all.push(packet.frame);
    }
    let mut clean = Vec::new();
    while let Some(packet) = whole.next().unwrap() {
        clean.push((*packet.frame).clone());
    }
    assert_eq!(all.iter().map(|frame| frame.seq).collect::<Vec<_>>(), (0..20).filter(|n| *n != 3).collect::<Vec<_>>());
    for frame in &all {
        let pair = &clean[frame.seq as usize];
        assert_eq!(frame.image.data != pair.image.data, frame.seq == 5, "frame {}", frame.seq);
        let jump = if frame.seq >= 7 { Duration::from_hours(1) } else { Duration::ZERO };
        assert_eq!(frame.pts, pair.pts + jump);
    }
}

#[test]
fn an_unplugged_recording_ends_the_run_with_the_code_of_devices() {
    let _limit = limit::within(300);
    let env = pipe::env(&[]);
    let text = "pipeline:\n- { scene: { frames: 20, size: [64, 48] }, faulty: { unplug: [4] } }\n- jsonl: { path: /dev/null }\n";
    let error = pipe::play(text, &env).result.unwrap_err();
    assert_eq!((error.to_string().as_str(), error.exit_code()), ("scene: frame 4: unplugged by `faulty`", 4));
}

#[test]
fn a_time_that_jumps_does_not_move_ours() {
    let _limit = limit::within(300);
    let line = "{ scene: { live: true, fps: 10, size: [64, 48] }, faulty: { time_jump: [5, 9], jump_by: 2h } }";
    let (mut source, _env) = open(line);
    let times: Vec<Duration> = (0..15).map(|_| source.next().unwrap().unwrap().frame.pts).collect();
    assert!(times.is_sorted() && times[14] < Duration::from_mins(10), "{times:?}");
}

#[test]
fn a_source_that_never_opens_is_tried_until_the_stop_and_a_wrong_setting_ends_the_run() {
    let _limit = limit::within(300);
    use ocelli::internals::stage::{Care, Feed, Link, OnLost, Watch};
    struct Never(fn() -> Error);
    impl Link for Never {
        fn connect(&self, _: &Watch) -> ocelli::internals::error::Result<Box<dyn Feed>> {
            Err((self.0)())
        }
    }
    let keep = |link: Never, on_lost, env: &Env| {
        live::keep(Box::new(link), Care { on_lost, stall_after: None }, &LineEnv::alone(env, "door"))
    };
    let mut env = pipe::env(&[]);
    env.clock = Arc::new(ManualClock::default());
    let mut exits = keep(
        Never(|| Error::Io { what: "camera".into(), source: std::io::ErrorKind::NotFound.into() }),
        OnLost::Exit,
        &env,
    );
    assert_eq!(exits.next().unwrap_err().exit_code(), 4);
    let mut wrong = keep(Never(|| Error::Config("no such format".into())), OnLost::Retry, &env);
    assert_eq!(wrong.next().unwrap_err().exit_code(), 2);
    let mut panics = keep(Never(|| panic!("driver broke")), OnLost::Exit, &env);
    assert!(panics.next().unwrap_err().to_string().contains("driver broke"));

    let line = LineEnv::alone(&env, "door");
    let care = Care { on_lost: OnLost::Retry, stall_after: None };
    let mut absent = live::keep(Box::new(Never(|| Error::Device("no camera".into()))), care, &line);
    let health = line.health();
    let waits = std::thread::spawn(move || absent.next().unwrap().is_none());
    while health.tries() < 20 {
        std::thread::yield_now();
    }
    let Status { state, reason, .. } = health.get();
    assert!(reason.starts_with("no camera") && matches!(state, State::Backoff | State::Opening), "{state:?} {reason}");
    env.stop.request();
    assert!(waits.join().unwrap(), "a stop is a clean end");
}

#[test]
fn damaged_pictures_cost_themselves_and_nothing_but_damage_is_a_stall() {
    let _limit = limit::within(300);
    use ocelli::internals::stage::{Care, Feed, Link, OnLost, Shot, Watch};
    /// One picture, then a damaged one, and once the test has seen that one, only damaged ones.
    struct Garbage(Arc<AtomicBool>);
    struct GarbageFeed(u32, Watch, Arc<AtomicBool>);
    impl Link for Garbage {
        fn connect(&self, watch: &Watch) -> ocelli::internals::error::Result<Box<dyn Feed>> {
            Ok(Box::new(GarbageFeed(0, watch.clone(), Arc::clone(&self.0))))
        }
    }
    impl Feed for GarbageFeed {
        fn read(&mut self, _: &mut Shot) -> ocelli::internals::error::Result<bool> {
            self.0 += 1;
            while self.0 > 2 && !self.2.load(SeqCst) && !self.1.is_over() {
                std::thread::yield_now();
            }
            let _ = self.1.sleep(Duration::from_millis(100));
            if self.0 == 1 { Ok(true) } else { Err(Error::Data("torn".into())) }
        }
    }
    let mut env = pipe::env(&[]);
    env.clock = Arc::new(ManualClock::default());
    let care = Care { on_lost: OnLost::Exit, stall_after: None };
    let seen = Arc::<AtomicBool>::default();
    let line = LineEnv::alone(&env, "door");
    let mut source = live::keep(Box::new(Garbage(Arc::clone(&seen))), care, &line);
    assert_eq!(source.next().unwrap().unwrap().frame.seq, 0);
    assert_eq!(source.next().unwrap_err().to_string(), "torn");
    seen.store(true, SeqCst);
    let stalled = loop {
        match source.next() {
            Err(Error::Data(_)) => {}
            other => break other.unwrap_err().to_string(),
        }
    };
    assert!(stalled.contains("no picture for"), "{stalled}");
    assert!(line.health().damaged() > 10, "each is counted");
}

#[test]
fn live_sources_of_one_run_share_their_time() {
    let _limit = limit::within(120);
    use ocelli::internals::stage::{Care, Feed, Link, Shot, Watch};
    /// A picture at once, and then one every hundred milliseconds of the clock.
    struct Steady;
    struct SteadyFeed(Watch);
    impl Link for Steady {
        fn connect(&self, watch: &Watch) -> ocelli::internals::error::Result<Box<dyn Feed>> {
            Ok(Box::new(SteadyFeed(watch.clone())))
        }
    }
    impl Feed for SteadyFeed {
        fn read(&mut self, _: &mut Shot) -> ocelli::internals::error::Result<bool> {
            Ok(self.0.sleep(Duration::from_millis(100)))
        }
    }
    let mut env = pipe::env(&[]);
    let clock = Arc::new(ManualClock::default());
    env.clock = clock.clone();
    let open = |id| live::keep(Box::new(Steady), Care::default(), &LineEnv::alone(&env, id));
    let (mut early, mut late) = (open("early"), open("late"));
    assert_eq!(early.next().unwrap().unwrap().frame.pts, Duration::ZERO);
    clock.advance(Duration::from_mins(1));
    // The camera comes up a minute later; its first picture is not from the beginning of the run.
    let pts = late.next().unwrap().unwrap().frame.pts;
    assert!(pts >= Duration::from_mins(1), "{pts:?}");
}
