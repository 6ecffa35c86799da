//! The counters of a line and of an edge: written by the line's own thread, read by anyone, without locks.

use super::{Health, Histogram};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Why a line did not process a packet that was meant for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropReason {
    /// The line's queue was full (live streams).
    Queue,
    /// The line's `every:` skipped it.
    Every,
    /// It was older than the line's `deadline:`.
    Deadline,
    /// The recorded run had not processed it either.
    Replayed,
    /// The line's connection was down.
    Offline,
}

impl DropReason {
    const COUNT: usize = 5;
}

/// What kind of line it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Makes packets.
    Source,
    /// Processes packets.
    Stage,
    /// Takes packets out of the pipeline.
    Sink,
}

/// The files that a sink has written during the run.
#[derive(Debug, Default)]
pub struct Files {
    written: AtomicU64,
    removed: AtomicU64,
    last: Mutex<PathBuf>,
}

impl Files {
    /// Counts a file that was begun; one that replaces the last one is the same file.
    pub fn count(&self, path: &Path) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if *last == path {
            return;
        }
        last.clear();
        last.push(path);
        self.written.fetch_add(1, Relaxed);
    }

    /// Counts an old file that was removed to make room.
    pub fn count_removed(&self) {
        self.removed.fetch_add(1, Relaxed);
    }

    /// The number of files that were begun.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written.load(Relaxed)
    }

    /// The number of old files that were removed.
    #[must_use]
    pub fn removed(&self) -> u64 {
        self.removed.load(Relaxed)
    }

    /// The file that was begun last; empty if there was none.
    #[must_use]
    pub fn last(&self) -> PathBuf {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The counters and the health of one line.
#[derive(Debug)]
pub struct LineCounters {
    /// The line's id.
    pub id: Arc<str>,
    /// The YAML word of its part.
    pub word: &'static str,
    /// What kind of line it is.
    pub role: Role,
    /// Whether it works.
    pub health: Health,
    /// Packets taken from the queue; for a source, frames produced.
    pub received: AtomicU64,
    /// Packets passed on (or written).
    pub passed: AtomicU64,
    /// Packets that failed (live streams continue).
    pub failed: AtomicU64,
    /// Frames the source will produce; 0 if unknown.
    pub expected: AtomicU64,
    /// CPU time of the line's own thread, in microseconds; known once the thread has ended.
    pub cpu_micros: AtomicU64,
    /// How late a source produced its last frame, in microseconds, if its frames are paced.
    pub late_micros: AtomicU64,
    /// Allocations of the line's own thread while it processed packets.
    pub allocations: AtomicU64,
    /// How often the line was replaced during the run.
    pub swaps: AtomicU64,
    /// The files it has written.
    pub files: Files,
    dropped: [AtomicU64; DropReason::COUNT],
    latency: Histogram,
    waits: Histogram,
    busy_micros: AtomicU64,
}

impl LineCounters {
    /// Creates counters at zero.
    #[must_use]
    pub fn new(id: &str, word: &'static str, role: Role) -> Self {
        Self {
            id: Arc::from(id),
            word,
            role,
            health: Health::default(),
            received: AtomicU64::new(0),
            passed: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            expected: AtomicU64::new(0),
            cpu_micros: AtomicU64::new(0),
            late_micros: AtomicU64::new(0),
            allocations: AtomicU64::new(0),
            swaps: AtomicU64::new(0),
            files: Files::default(),
            dropped: Default::default(),
            latency: Histogram::default(),
            waits: Histogram::default(),
            busy_micros: AtomicU64::new(0),
        }
    }

    /// Counts a packet that was not processed.
    pub fn count_drop(&self, reason: DropReason) {
        self.dropped[reason as usize].fetch_add(1, Relaxed);
    }

    /// The number of packets not processed for this reason.
    #[must_use]
    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.dropped[reason as usize].load(Relaxed)
    }

    /// Records how long one packet took.
    pub fn time(&self, spent: Duration) {
        self.busy_micros.fetch_add(u64::try_from(spent.as_micros()).unwrap_or(u64::MAX), Relaxed);
        self.latency.record(spent);
    }

    /// Records how long one packet waited in the queue.
    pub fn wait(&self, spent: Duration) {
        self.waits.record(spent);
    }

    /// The processing time in milliseconds that the given fraction (0–1) of packets did not exceed.
    #[must_use]
    pub fn quantile_ms(&self, part: f64) -> f64 {
        self.latency.quantile_ms(part)
    }

    /// The waiting time in the queue, in milliseconds, that the given fraction (0–1) of packets did not exceed.
    #[must_use]
    pub fn wait_quantile_ms(&self, part: f64) -> f64 {
        self.waits.quantile_ms(part)
    }

    /// The number of packets processed, without those that `every:` and the like skipped.
    #[must_use]
    pub fn worked(&self) -> u64 {
        self.latency.len()
    }

    /// The total time the line spent on packets.
    #[must_use]
    pub fn busy(&self) -> Duration {
        Duration::from_micros(self.busy_micros.load(Relaxed))
    }
}

/// The counters of one edge: the queue between two lines.
#[derive(Debug)]
pub struct EdgeCounters {
    /// Index of the line that sends.
    pub from: usize,
    /// Index of the line that reads.
    pub to: usize,
    /// The number of packets that may wait.
    pub capacity: usize,
    /// Whether a full queue drops its oldest packet; otherwise the sender waits.
    pub drops_oldest: bool,
    /// Packets put in.
    pub sent: AtomicU64,
    /// Packets taken out by the reader.
    pub taken: AtomicU64,
    /// Packets dropped to make room for newer ones.
    pub dropped: AtomicU64,
}

impl EdgeCounters {
    /// Creates counters at zero.
    #[must_use]
    pub const fn new(from: usize, to: usize, capacity: usize, drops_oldest: bool) -> Self {
        let (sent, taken, dropped) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
        Self { from, to, capacity, drops_oldest, sent, taken, dropped }
    }

    /// The number of packets waiting now.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        let gone = self.taken.load(Relaxed) + self.dropped.load(Relaxed);
        self.sent.load(Relaxed).saturating_sub(gone).min(self.capacity as u64)
    }
}
