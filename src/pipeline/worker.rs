//! The thread of a line.

use super::gate::Gate;
use super::options::{Delay, Pace};
use super::queue::{Inbox, Item, Outbox};
use super::slot::{Job, Slot};
use crate::error::{Error, Result};
use crate::host::{DropReason, Limiter, ManualClock, State, Stop, catch, thread_allocations};
use crate::stage::{Emitter, LineEnv, Sink, Source, Stage};
use crate::types::Packet;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// The first fault of a run; later faults are its consequences.
#[derive(Default)]
pub struct FirstFault(Mutex<Option<Error>>);

impl FirstFault {
    /// Stores a fault and asks all lines to stop.
    pub fn report(&self, error: Error, stop: &Stop) {
        let mut first = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(error, Error::ReaderGone) {
            stop.request();
        } else {
            stop.fail();
        }
        // A reader of the output that went away must not hide a later real fault.
        if first.as_ref().is_none_or(|known| matches!(known, Error::ReaderGone)) {
            *first = Some(error);
        }
    }

    /// What ended the run, if it was a fault.
    pub fn text(&self) -> Option<String> {
        let first = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        first.as_ref().filter(|fault| !matches!(fault, Error::ReaderGone)).map(ToString::to_string)
    }

    /// Takes the fault out.
    pub fn take(&self) -> Option<Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The state of a line's thread.
pub struct Worker {
    pub(super) env: LineEnv,
    pub(super) live: bool,
    /// Whether a failure costs only the frame, not the run.
    pub(super) forgives: bool,
    pub(super) fault: Arc<FirstFault>,
    pub(super) slot: Arc<Slot>,
    pub(super) delay: Delay,
    pub(super) pace: Option<Pace>,
    pub(super) frames: Option<u64>,
    /// The `pts` at which the pace starts: that of the first frame of any source.
    pub(super) first_pts: Arc<OnceLock<Duration>>,
    pub(super) virtual_clock: Option<Arc<ManualClock>>,
    pub(super) limiter: Limiter,
    /// Whether its stage may emit a packet later than in the call that took it.
    pub(super) holds_back: bool,
    /// The number of sinks that still write.
    pub(super) sinks: Arc<AtomicUsize>,
    /// How many faults of the model, or of our own, in a row end the run; and how many there are now.
    pub(super) max_faults: u64,
    pub(super) faults: u64,
    /// While it fails: how many packets have failed since one succeeded.
    pub(super) failing: Option<u64>,
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

impl Worker {
    /// Runs until the stream ends, and reports the fault if one ends it.
    pub fn run(mut self, job: Job, inbox: Inbox, mut outbox: Outbox, gate: Gate) {
        let is_sink = matches!(job, Job::Sink(_));
        let done = catch(|| match job {
            Job::Source(source) => {
                drop(inbox);
                self.source_loop(source, &mut outbox)
            }
            Job::Stage(stage) => self.stage_loop(stage, inbox, &mut outbox, gate),
            Job::Sink(sink) => self.sink_loop(sink, inbox, gate),
        });
        self.slot.close();
        let id = self.env.id();
        let last = is_sink && self.sinks.fetch_sub(1, Relaxed) == 1;
        match done {
            Ok(Ok(())) => {}
            // A service goes on with its other outputs.
            Ok(Err(Error::ReaderGone)) if self.live && !last && !self.env.stop.is_requested() => {
                let others = "the reader of its output went away; the other outputs go on";
                self.env.health().set(State::Failed, "the reader of its output went away", self.env.clock.now());
                tracing::warn!(line = &**id, "{others}");
            }
            Ok(Err(Error::ReaderGone)) if self.live => {
                tracing::info!(line = &**id, "the reader of its output went away; the run ends");
                self.fault.report(Error::ReaderGone, &self.env.stop);
            }
            Ok(Err(error)) => self.fault.report(error.at(id), &self.env.stop),
            Err(said) => self.fault.report(Error::Internal(format!("{id}: panicked: {said}")), &self.env.stop),
        }
        let spent = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        // Only now do the readers learn that the stream ended: by then the fault is known to all.
        drop(outbox);
        let micros = spent.tv_sec.unsigned_abs() * 1_000_000 + spent.tv_nsec.unsigned_abs() / 1000;
        self.env.counters().cpu_micros.store(micros, Relaxed);
    }

    /// Does some work and records its time and allocations.
    fn measured<T>(&mut self, work: impl FnOnce() -> T) -> T {
        self.delay.wait();
        let (start, before) = (Instant::now(), thread_allocations());
        let done = work();
        self.env.counters().time(start.elapsed());
        self.env.counters().allocations.fetch_add(thread_allocations() - before, Relaxed);
        done
    }

    fn source_loop(&mut self, mut source: Box<dyn Source>, outbox: &mut Outbox) -> Result<()> {
        let began = Instant::now();
        let mut count = 0u64;
        while !self.env.stop.is_requested() && self.frames.is_none_or(|most| count < most) {
            self.delay.wait();
            let (start, before) = (Instant::now(), thread_allocations());
            let packet = match source.next() {
                Ok(Some(packet)) => packet,
                Ok(None) => break,
                Err(error @ Error::Data(_)) if self.forgives => {
                    self.failed(&error, None, 1);
                    continue;
                }
                // A failure while the run is stopping is not a fault: a child process may have got the same signal.
                Err(_) if self.env.stop.is_requested() => break,
                Err(error) => return Err(error),
            };
            let counters = self.env.counters();
            counters.time(start.elapsed());
            counters.allocations.fetch_add(thread_allocations() - before, Relaxed);
            counters.received.fetch_add(1, Relaxed);
            counters.passed.fetch_add(1, Relaxed);
            self.worked();
            self.keep_pace(&packet, began, count);
            count += 1;
            if let Some(tap) = &self.env.tap {
                tap.frame(&packet, self.live);
            }
            let packet = Packet { born: self.env.clock.now(), ..packet };
            if !outbox.send(packet) {
                break;
            }
        }
        Ok(())
    }

    /// Advances the clock of a replay, and waits until a frame is due.
    fn keep_pace(&self, packet: &Packet, began: Instant, count: u64) {
        let pts = packet.frame.pts;
        if let Some(clock) = &self.virtual_clock {
            clock.advance_to(pts);
        }
        let due = match self.pace {
            None => return,
            Some(Pace::Real) => pts.saturating_sub(*self.first_pts.get_or_init(|| pts)),
            Some(Pace::Rate(rate)) => Duration::from_secs_f64(count as f64 / rate),
        };
        while began.elapsed() < due && !self.env.stop.is_requested() {
            std::thread::sleep(due.saturating_sub(began.elapsed()).min(Duration::from_millis(100)));
        }
        self.env.counters().late_micros.store(micros(began.elapsed().saturating_sub(due)), Relaxed);
    }

    fn stage_loop(
        &mut self,
        mut stage: Box<dyn Stage>,
        mut inbox: Inbox,
        outbox: &mut Outbox,
        mut gate: Gate,
    ) -> Result<()> {
        let (mut out, mut seq) = (Emitter::default(), 0);
        while let Some(item) = inbox.next() {
            let packet = match item {
                Item::Packet(packet) => packet,
                Item::Tick(pts) => {
                    self.tick(pts, outbox);
                    continue;
                }
            };
            let pts = packet.frame.pts;
            if let Some(Job::Stage(next)) = self.slot.take() {
                if !self.last_words(&mut *stage, seq, &mut out, outbox)? {
                    return Ok(());
                }
                stage = next;
                self.env.counters().swaps.fetch_add(1, Relaxed);
            }
            self.env.counters().received.fetch_add(1, Relaxed);
            if let Err(reason) = gate.admit(&packet, &*self.env.clock) {
                self.env.count_drop(&packet, reason);
                self.tick(pts, outbox);
                continue;
            }
            seq = packet.frame.seq;
            let done = self.measured(|| stage.process(packet, &mut out));
            if self.settle(done, seq)?.is_none() {
                out.clear();
            }
            if out.is_empty() {
                self.tick(pts, outbox);
            }
            if !self.send(&mut out, outbox) {
                return Ok(());
            }
        }
        self.last_words(&mut *stage, seq, &mut out, outbox).map(|_| ())
    }

    /// Tells the readers that nothing up to `pts` will come, unless the stage may hold such a packet back.
    fn tick(&self, pts: Duration, outbox: &Outbox) {
        if !self.holds_back {
            outbox.tick(pts);
        }
    }

    /// Lets a stage emit what it still holds. Returns `false` if no reader is left.
    fn last_words(&mut self, stage: &mut dyn Stage, seq: u64, out: &mut Emitter, outbox: &mut Outbox) -> Result<bool> {
        let done = stage.finish(out);
        if done.is_err() {
            out.clear();
        }
        self.note(done, seq)?;
        Ok(self.send(out, outbox))
    }

    /// Sends what was emitted. Returns `false` if no reader is left.
    fn send(&self, out: &mut Emitter, outbox: &mut Outbox) -> bool {
        for packet in out.drain() {
            self.env.counters().passed.fetch_add(1, Relaxed);
            if !outbox.send(packet) {
                return false;
            }
        }
        true
    }

    /// Writes until the stream ends, then finishes the sink, even after a fault, so that files are closed properly.
    fn sink_loop(&mut self, mut sink: Box<dyn Sink>, inbox: Inbox, gate: Gate) -> Result<()> {
        let written = self.write_all(&mut sink, inbox, gate);
        if written.as_ref().is_err_and(|e| !matches!(e, Error::ReaderGone)) {
            // Before the sink finishes: its file is not complete.
            self.env.stop.fail();
        }
        let finished = self.finish_sink(&mut *sink);
        written.and(finished)
    }

    /// Finishes a sink; the packets that it still held are then written, or have failed.
    fn finish_sink(&mut self, sink: &mut dyn Sink) -> Result<()> {
        let held = sink.pending();
        let finished = sink.finish();
        self.count_written(held, finished.is_ok());
        finished
    }

    fn write_all(&mut self, sink: &mut Box<dyn Sink>, mut inbox: Inbox, mut gate: Gate) -> Result<()> {
        let mut seq = 0;
        loop {
            if inbox.is_empty() {
                let held = sink.pending();
                let done = sink.flush();
                let count = held.saturating_sub(sink.pending());
                self.settle_written(done, count, seq)?;
            }
            let packet = match inbox.next() {
                Some(Item::Packet(packet)) => packet,
                Some(Item::Tick(_)) => continue,
                None => return Ok(()),
            };
            if let Some(Job::Sink(next)) = self.slot.take() {
                let mut old = std::mem::replace(sink, next);
                let finished = self.finish_sink(&mut *old);
                self.env.counters().swaps.fetch_add(1, Relaxed);
                self.note(finished, seq)?;
            }
            seq = packet.frame.seq;
            self.env.counters().received.fetch_add(1, Relaxed);
            if !sink.wants(&packet) {
                self.env.counters().passed.fetch_add(1, Relaxed);
                continue;
            }
            if let Err(reason) = gate.admit(&packet, &*self.env.clock) {
                self.env.count_drop(&packet, reason);
                continue;
            }
            let away = self.env.counters().dropped(DropReason::Offline);
            let held = sink.pending();
            let done = self.measured(|| sink.write(&packet));
            if done.is_ok() && self.env.counters().dropped(DropReason::Offline) > away {
                // Its connection is down, and the sink counted the packet as dropped.
                continue;
            }
            let count = (held + 1).saturating_sub(sink.pending());
            self.settle_written(done, count, seq)?;
        }
    }

    /// Handles the result of a sink's call that dealt with `count` packets; the others wait in the sink.
    fn settle_written(&mut self, done: Result<()>, count: u64, seq: u64) -> Result<()> {
        match done {
            Ok(()) if count == 0 => Ok(()),
            Ok(()) => {
                self.worked();
                self.count_written(count, true);
                Ok(())
            }
            Err(error) => self.settle_failed(error, seq, count),
        }
    }

    fn count_written(&self, count: u64, written: bool) {
        let counters = self.env.counters();
        let counter = if written { &counters.passed } else { &counters.failed };
        counter.fetch_add(count, Relaxed);
    }

    /// Like [`Worker::settle`], for work that is not about one packet: its success does not mean that packets succeed.
    fn note(&mut self, done: Result<()>, seq: u64) -> Result<()> {
        if done.is_err() { self.settle(done, seq).map(|_| ()) } else { Ok(()) }
    }

    /// Handles the result of a packet. Live: a failed packet is logged, counted and dropped. Recorded: a failed packet
    /// ends the run.
    fn settle<T>(&mut self, done: Result<T>, seq: u64) -> Result<Option<T>> {
        match done {
            Ok(value) => {
                self.worked();
                Ok(Some(value))
            }
            Err(error) => self.settle_failed(error, seq, 1).map(|()| None),
        }
    }

    /// Handles a failure that cost `count` packets.
    fn settle_failed(&mut self, error: Error, seq: u64, count: u64) -> Result<()> {
        match error {
            Error::ReaderGone => Err(Error::ReaderGone),
            // What a supervisor gave up for good is not about one packet.
            error if self.forgives && self.env.health().get().state != State::Failed => {
                // These do not pass by themselves, so a service manager should know.
                let lasting = matches!(error, Error::Model(_) | Error::Internal(_));
                self.faults = if lasting { self.faults + 1 } else { 0 };
                if self.faults >= self.max_faults {
                    return Err(error.at(format_args!("{} packets in a row failed; frame {seq}", self.faults)));
                }
                self.failed(&error, Some(seq), count);
                Ok(())
            }
            error => {
                self.env.counters().failed.fetch_add(count.saturating_sub(1), Relaxed);
                Err(error.at(format_args!("frame {seq}")))
            }
        }
    }

    fn failed(&mut self, error: &Error, seq: Option<u64>, count: u64) {
        self.failing = Some(self.failing.unwrap_or(0) + count);
        self.env.counters().failed.fetch_add(count, Relaxed);
        let (now, reason) = (self.env.clock.now(), self.env.secrets.redact(&error.to_string()));
        self.env.health().fail(&reason, now);
        if let Some(told) = self.limiter.failed(&reason, now) {
            tracing::warn!(line = &**self.env.id(), seq, "{told}");
        }
    }

    fn worked(&mut self) {
        let Some(lost) = self.failing.take() else { return };
        self.faults = 0;
        let now = self.env.clock.now();
        self.env.health().work(now);
        if let Some(told) = self.limiter.works(now) {
            tracing::info!(line = &**self.env.id(), "{told}; {lost} packets were lost");
        }
    }
}
