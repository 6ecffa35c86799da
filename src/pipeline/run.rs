//! Runs a checked pipeline: a thread a line, a queue an edge.

use super::config::{Every, Line, Part, Pipeline, WhenFull};
use super::graph::Graph;
use super::queue::{Edge, Inbox, Merge, Outbox, Reader, edge};
use crate::error::{Error, Result, panic_text};
use crate::host::{Clock, DropReason, LineMetrics, ManualClock, Metrics, Stop, thread_allocations};
use crate::stage::{Env, Sink, Source, Stage};
use crate::types::Packet;
use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A pipeline at work.
pub struct Run {
    /// The counters, while it runs and after.
    pub metrics: Metrics,
    threads: Vec<JoinHandle<()>>,
    fault: Arc<Fault>,
    started: Instant,
}

/// How a run ended.
#[derive(Debug)]
pub struct Outcome {
    /// The counters.
    pub metrics: Metrics,
    /// How long it ran.
    pub elapsed: Duration,
    /// The first fault that ended it, if one did.
    pub result: Result<()>,
}

/// What a run does beside what the YAML says.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Frames that a line leaves out because a recorded run did: by line, source and number.
    pub drops: HashMap<String, HashMap<String, HashSet<u64>>>,
    /// Time that a line takes longer for each packet.
    pub delays: HashMap<String, Duration>,
    /// Every line waits at random, up to 3 ms a packet: to show that answers do not hang on timing.
    pub shake: Option<u64>,
    /// How fast sources give frames; as fast as they can if not given.
    pub pace: Option<Pace>,
    /// Sources end after so many frames.
    pub frames: Option<u64>,
    /// A clock that is moved by the frames.
    pub clock: Option<Arc<ManualClock>>,
}

/// How fast frames come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// Each at its own time.
    Real,
    /// So many a second.
    Rate(f64),
}

/// The first fault of a run; later ones are consequences.
#[derive(Default)]
struct Fault(Mutex<Option<Error>>);

impl Fault {
    fn report(&self, error: Error, stop: &Stop) {
        let mut first = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A reader that went away must not hide a real fault that follows.
        if first.as_ref().is_none_or(|known| matches!(known, Error::ReaderGone)) {
            *first = Some(error);
        }
        stop.request();
    }
}

/// What each thread has.
struct Worker {
    id: String,
    live: bool,
    /// Whether what fails costs a frame, not the run.
    forgives: bool,
    metrics: Arc<LineMetrics>,
    stop: Stop,
    clock: Arc<dyn Clock>,
    fault: Arc<Fault>,
    reader: Reader,
    delay: Delay,
    pace: Option<Pace>,
    frames: Option<u64>,
    /// The `pts` that the pace begins with: that of the first frame of all sources.
    first_pts: Arc<OnceLock<Duration>>,
    virtual_clock: Option<Arc<ManualClock>>,
}

/// Makes a line slower on purpose.
struct Delay {
    fixed: Duration,
    shake: Option<u64>,
}

impl Delay {
    fn new(options: &Options, line: &Line, index: usize) -> Self {
        let fixed = options.delays.get(&line.id).copied().unwrap_or_default();
        Self { fixed, shake: options.shake.map(|seed| seed.wrapping_mul(31).wrapping_add(index as u64)) }
    }

    fn wait(&mut self) {
        let mut time = self.fixed;
        if let Some(state) = &mut self.shake {
            // Knuth's MMIX: which number comes does not matter here.
            *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let roll = *state >> 33;
            // Half of the packets do not wait at all, so that lines get out of step.
            time += Duration::from_micros(if roll.is_multiple_of(2) { 0 } else { roll % 3000 });
        }
        if !time.is_zero() {
            std::thread::sleep(time);
        }
    }
}

/// A line's work, ready to begin.
enum Job {
    Source(Box<dyn Source>),
    Stage(Box<dyn Stage>),
    Sink(Box<dyn Sink>),
}

/// Runs a pipeline to its end.
///
/// # Errors
/// What kept it from starting; what ended it is in the outcome.
pub fn run(pipeline: &Pipeline, graph: &Graph, env: &Env) -> Result<Outcome> {
    Ok(Run::start(pipeline, graph, env)?.wait())
}

impl Run {
    /// Builds every line, then starts the threads: sinks first, sources last.
    ///
    /// # Errors
    /// What kept it from starting.
    pub fn start(pipeline: &Pipeline, graph: &Graph, env: &Env) -> Result<Self> {
        Self::start_with(pipeline, graph, env, &Options::default())
    }

    /// The same, with options.
    ///
    /// # Errors
    /// As [`Run::start`].
    pub fn start_with(pipeline: &Pipeline, graph: &Graph, env: &Env, options: &Options) -> Result<Self> {
        let metrics = Metrics::new(pipeline.lines.iter().map(|line| line.id.as_str()));
        let env = &Env { secrets: env.secrets.with(pipeline.document.secrets.clone()), ..env.clone() };
        let jobs = build(pipeline, env, &metrics)?;
        let fault = Arc::new(Fault::default());
        let count = pipeline.lines.len();
        let gone: Vec<Arc<AtomicBool>> = (0..count).map(|_| Arc::default()).collect();
        let mut outgoing: Vec<Vec<Edge>> = (0..count).map(|_| Vec::new()).collect();
        let mut incoming = Vec::with_capacity(count);
        for (index, node) in graph.nodes.iter().enumerate() {
            let mut receivers = Vec::new();
            for &input in &node.inputs {
                let reader = Reader { metrics: Arc::clone(&metrics.lines[index]), tap: env.tap.clone() };
                let (sender, receiver) = edge(node.capacity, node.when_full, &gone[index], &reader);
                outgoing[input].push(sender);
                receivers.push(receiver);
            }
            let (rule, gone) = (merge_rule(graph, index), Arc::clone(&gone[index]));
            incoming.push(Inbox::new(receivers, rule, gone, Arc::clone(&metrics.lines[index])));
        }
        let mut threads = Vec::new();
        let first_pts = Arc::<OnceLock<Duration>>::default();
        let started = Instant::now();
        let parts = pipeline.lines.iter().zip(jobs).zip(incoming.into_iter().zip(outgoing));
        for (index, ((line, job), (inbox, edges))) in parts.enumerate().collect::<Vec<_>>().into_iter().rev() {
            let worker = Worker {
                id: line.id.clone(),
                live: graph.nodes[index].live,
                forgives: graph.nodes[index].forgives,
                metrics: Arc::clone(&metrics.lines[index]),
                stop: env.stop.clone(),
                clock: Arc::clone(&env.clock),
                fault: Arc::clone(&fault),
                reader: Reader { metrics: Arc::clone(&metrics.lines[index]), tap: env.tap.clone() },
                delay: Delay::new(options, line, index),
                pace: options.pace,
                frames: options.frames,
                first_pts: Arc::clone(&first_pts),
                virtual_clock: options.clock.clone(),
            };
            let gate = Gate::new(line, worker.live, options);
            let thread = std::thread::Builder::new().name(line.id.clone());
            let spawned = thread.spawn(move || worker.run(job, inbox, Outbox::new(edges), gate));
            match spawned {
                Ok(handle) => threads.push(handle),
                Err(e) => fault.report(Error::io(format!("thread for `{}`", line.id), e), &env.stop),
            }
        }
        Ok(Self { metrics, threads, fault, started })
    }

    /// Whether every line has ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.threads.iter().all(JoinHandle::is_finished)
    }

    /// Waits for the end.
    #[must_use]
    pub fn wait(self) -> Outcome {
        for thread in self.threads {
            // A panic was caught and reported inside; nothing is left to learn here.
            let _ = thread.join();
        }
        let fault = self.fault.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let result = match fault {
            None | Some(Error::ReaderGone) => Ok(()),
            Some(error) => Err(error),
        };
        Outcome { metrics: self.metrics, elapsed: self.started.elapsed(), result }
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn merge_rule(graph: &Graph, index: usize) -> Merge {
    let node = &graph.nodes[index];
    if node.live || node.when_full == WhenFull::DropOldest {
        Merge::Arrival
    } else if graph.merges_with_buffer(index) {
        Merge::TimeBuffered
    } else {
        Merge::Time
    }
}

/// Opens sinks and builds stages before sources, so that nothing is lost while a model loads.
fn build(pipeline: &Pipeline, env: &Env, metrics: &Metrics) -> Result<Vec<Job>> {
    let mut jobs = Vec::with_capacity(pipeline.lines.len());
    for line in &pipeline.lines {
        let at = |e: Error| e.at(&line.id);
        jobs.push(match &line.part {
            Part::Source(_) => None,
            Part::Stage(stage) => Some(Job::Stage(stage.build(env).map_err(at)?)),
            Part::Sink(sink) => Some(Job::Sink(sink.open(env).map_err(at)?)),
        });
    }
    let open = |(index, job): (usize, Option<Job>)| match (&pipeline.lines[index].part, job) {
        (Part::Source(config), None) => {
            let id = &pipeline.lines[index].id;
            let source = config.open(env, &Arc::from(id.as_str())).map_err(|e| e.at(id))?;
            if let Some(health) = source.health() {
                // Set once: each run has counters of its own.
                let _ = metrics.lines[index].health.set(health);
            }
            metrics.lines[index].expected.store(source.count().unwrap_or(0), Relaxed);
            Ok(Job::Source(source))
        }
        (_, Some(job)) => Ok(job),
        (_, None) => Err(Error::Internal(format!("line {index} was not built"))),
    };
    jobs.into_iter().enumerate().map(open).collect()
}

impl Worker {
    fn run(mut self, job: Job, inbox: Inbox, outbox: Outbox, gate: Gate) {
        self.work(job, inbox, outbox, gate);
        let spent = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        let micros = spent.tv_sec.unsigned_abs() * 1_000_000 + spent.tv_nsec.unsigned_abs() / 1000;
        self.metrics.cpu_micros.store(micros, Relaxed);
    }

    fn work(&mut self, job: Job, inbox: Inbox, outbox: Outbox, gate: Gate) {
        let work = AssertUnwindSafe(|| match job {
            Job::Source(source) => {
                drop(inbox);
                self.source_loop(source, outbox)
            }
            Job::Stage(stage) => self.stage_loop(stage, inbox, outbox, gate),
            Job::Sink(sink) => self.sink_loop(sink, inbox, gate),
        });
        match catch_unwind(work) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => self.fault.report(error.at(&self.id), &self.stop),
            Err(panic) => {
                let said = panic_text(&*panic);
                self.fault.report(Error::Internal(format!("{}: panicked: {said}", self.id)), &self.stop);
            }
        }
    }

    /// Does a piece of work, and notes what it cost.
    fn measured<T>(&mut self, work: impl FnOnce() -> T) -> T {
        self.delay.wait();
        let (start, before) = (Instant::now(), thread_allocations());
        let done = work();
        self.metrics.time(start.elapsed());
        self.metrics.allocations.fetch_add(thread_allocations() - before, Relaxed);
        done
    }

    fn source_loop(&mut self, mut source: Box<dyn Source>, mut outbox: Outbox) -> Result<()> {
        let began = Instant::now();
        let mut count = 0u64;
        while !self.stop.is_requested() && self.frames.is_none_or(|most| count < most) {
            self.delay.wait();
            let (start, before) = (Instant::now(), thread_allocations());
            let packet = match source.next() {
                Ok(Some(packet)) => packet,
                Ok(None) => break,
                Err(error @ Error::Data(_)) if self.forgives => {
                    self.metrics.failed.fetch_add(1, Relaxed);
                    tracing::warn!(line = self.id, "{error}");
                    continue;
                }
                // What breaks while everything ends (a child that got the same signal) is no fault.
                Err(_) if self.stop.is_requested() => break,
                Err(error) => return Err(error),
            };
            self.metrics.time(start.elapsed());
            self.metrics.allocations.fetch_add(thread_allocations() - before, Relaxed);
            self.metrics.received.fetch_add(1, Relaxed);
            self.metrics.passed.fetch_add(1, Relaxed);
            let pts = packet.frame.pts;
            if let Some(clock) = &self.virtual_clock {
                clock.advance_to(pts);
            }
            let due = match self.pace {
                None => Duration::ZERO,
                Some(Pace::Real) => pts.saturating_sub(*self.first_pts.get_or_init(|| pts)),
                Some(Pace::Rate(rate)) => Duration::from_secs_f64(count as f64 / rate),
            };
            while began.elapsed() < due && !self.stop.is_requested() {
                std::thread::sleep(due.saturating_sub(began.elapsed()).min(Duration::from_millis(100)));
            }
            if self.pace.is_some() {
                self.metrics.late_micros.store(micros(began.elapsed().saturating_sub(due)), Relaxed);
            }
            count += 1;
            if let Some(tap) = &self.reader.tap {
                tap.frame(&packet, self.live);
            }
            let packet = Packet { born: self.clock.now(), ..packet };
            if !outbox.send(packet) {
                break;
            }
        }
        Ok(())
    }

    fn stage_loop(
        &mut self,
        mut stage: Box<dyn Stage>,
        mut inbox: Inbox,
        mut outbox: Outbox,
        mut gate: Gate,
    ) -> Result<()> {
        while let Some(packet) = inbox.next() {
            self.metrics.received.fetch_add(1, Relaxed);
            if let Err(reason) = gate.admit(&packet, &*self.clock) {
                self.reader.dropped(&packet, reason);
                continue;
            }
            let seq = packet.frame.seq;
            let done = self.measured(|| stage.process(packet));
            if let Some(Some(packet)) = self.settle(done, seq)? {
                self.metrics.passed.fetch_add(1, Relaxed);
                if !outbox.send(packet) {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Writes until the stream ends, then finishes: also after a fault, so that files are closed in order.
    fn sink_loop(&mut self, mut sink: Box<dyn Sink>, inbox: Inbox, gate: Gate) -> Result<()> {
        let written = self.write_all(&mut *sink, inbox, gate);
        let finished = sink.finish();
        written.and(finished)
    }

    fn write_all(&mut self, sink: &mut dyn Sink, mut inbox: Inbox, mut gate: Gate) -> Result<()> {
        let mut seq = 0;
        loop {
            if inbox.is_empty() {
                self.settle(sink.flush(), seq)?;
            }
            let Some(packet) = inbox.next() else { return Ok(()) };
            seq = packet.frame.seq;
            self.metrics.received.fetch_add(1, Relaxed);
            if !sink.wants(&packet) {
                self.metrics.passed.fetch_add(1, Relaxed);
                continue;
            }
            if let Err(reason) = gate.admit(&packet, &*self.clock) {
                self.reader.dropped(&packet, reason);
                continue;
            }
            let done = self.measured(|| sink.write(&packet));
            if self.settle(done, packet.frame.seq)?.is_some() {
                self.metrics.passed.fetch_add(1, Relaxed);
            }
        }
    }

    /// Live: a failed packet is logged, counted and left out. Recorded: it ends the run.
    fn settle<T>(&self, done: Result<T>, seq: u64) -> Result<Option<T>> {
        match done {
            Ok(value) => Ok(Some(value)),
            Err(Error::ReaderGone) => Err(Error::ReaderGone),
            Err(error) if self.forgives => {
                self.metrics.failed.fetch_add(1, Relaxed);
                tracing::warn!(line = self.id, seq, "{error}");
                Ok(None)
            }
            Err(error) => Err(error.at(format_args!("frame {seq}"))),
        }
    }
}

/// `every:` and `deadline:`.
struct Gate {
    every: Option<Every>,
    deadline: Option<Duration>,
    drops: HashMap<String, HashSet<u64>>,
    count: u64,
    next: Duration,
}

impl Gate {
    fn new(line: &Line, live: bool, options: &Options) -> Self {
        let drops = options.drops.get(&line.id).cloned().unwrap_or_default();
        Self { every: line.every, deadline: line.deadline.filter(|_| live), drops, count: 0, next: Duration::ZERO }
    }

    fn admit(&mut self, packet: &Packet, clock: &dyn Clock) -> Result<(), DropReason> {
        if self.deadline.is_some_and(|limit| clock.now().saturating_sub(packet.born) > limit) {
            return Err(DropReason::Deadline);
        }
        if self.drops.get(&*packet.frame.source).is_some_and(|seqs| seqs.contains(&packet.frame.seq)) {
            return Err(DropReason::Replayed);
        }
        match self.every {
            None => Ok(()),
            Some(Every::Packets(step)) => {
                let turn = self.count.is_multiple_of(step);
                self.count += 1;
                if turn { Ok(()) } else { Err(DropReason::Every) }
            }
            Some(Every::Time(step)) => {
                let pts = packet.frame.pts;
                if self.count > 0 && pts < self.next {
                    return Err(DropReason::Every);
                }
                self.count += 1;
                // On the grid of `step`, so that a late frame does not shift all that follow.
                let turns = pts.as_nanos() / step.as_nanos().max(1) + 1;
                self.next = Duration::from_nanos(u64::try_from(turns * step.as_nanos()).unwrap_or(u64::MAX));
                Ok(())
            }
        }
    }
}
