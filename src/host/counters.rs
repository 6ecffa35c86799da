//! The counters of a line and of an edge: written by the line's own thread, read by anyone, without locks.

use super::{Health, Histogram};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Why a line did not work on a packet that was meant for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropReason {
    /// Its queue was full (live streams).
    Queue,
    /// Its `every:` left it out.
    Every,
    /// It was older than its `deadline:`.
    Deadline,
    /// The recorded run had not worked on it either.
    Replayed,
    /// What the line is connected to was away.
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
    /// Works on packets.
    Stage,
    /// Takes packets out.
    Sink,
}

/// The counters and the health of one line.
#[derive(Debug)]
pub struct LineCounters {
    /// The line's id.
    pub id: Arc<str>,
    /// The word of its part.
    pub word: &'static str,
    /// What kind of line it is.
    pub role: Role,
    /// Whether it works.
    pub health: Health,
    /// Packets taken from the queue; for a source, frames made.
    pub received: AtomicU64,
    /// Packets passed on (or written).
    pub passed: AtomicU64,
    /// Packets whose work failed (live streams go on).
    pub failed: AtomicU64,
    /// Frames the source will make, 0 if unknown.
    pub expected: AtomicU64,
    /// Processor time of the line's own thread, in microseconds; known at its end.
    pub cpu_micros: AtomicU64,
    /// How late a source gave its last frame, in microseconds, where frames are to come at a pace.
    pub late_micros: AtomicU64,
    /// Allocations of the line's own thread while it worked on packets.
    pub allocations: AtomicU64,
    /// How often the line was replaced while it ran.
    pub swaps: AtomicU64,
    dropped: [AtomicU64; DropReason::COUNT],
    latency: Histogram,
    waits: Histogram,
    busy_micros: AtomicU64,
}

impl LineCounters {
    /// Counters at zero.
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
            dropped: Default::default(),
            latency: Histogram::default(),
            waits: Histogram::default(),
            busy_micros: AtomicU64::new(0),
        }
    }

    /// Counts a packet that was not worked on.
    pub fn count_drop(&self, reason: DropReason) {
        self.dropped[reason as usize].fetch_add(1, Relaxed);
    }

    /// Number of packets not worked on for a reason.
    #[must_use]
    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.dropped[reason as usize].load(Relaxed)
    }

    /// Notes how long one packet took.
    pub fn time(&self, spent: Duration) {
        self.busy_micros.fetch_add(u64::try_from(spent.as_micros()).unwrap_or(u64::MAX), Relaxed);
        self.latency.record(spent);
    }

    /// Notes how long one packet waited in the queue.
    pub fn wait(&self, spent: Duration) {
        self.waits.record(spent);
    }

    /// The time in milliseconds that the given part (0–1) of packets took at most.
    #[must_use]
    pub fn quantile_ms(&self, part: f64) -> f64 {
        self.latency.quantile_ms(part)
    }

    /// The time in milliseconds that the given part (0–1) of packets waited in the queue at most.
    #[must_use]
    pub fn wait_quantile_ms(&self, part: f64) -> f64 {
        self.waits.quantile_ms(part)
    }

    /// Packets that were worked on: those that `every:` and the like left out are not.
    #[must_use]
    pub fn worked(&self) -> u64 {
        self.latency.len()
    }

    /// How long the line worked in all.
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
    /// Packets that may wait.
    pub capacity: usize,
    /// Whether the oldest packet makes room when it is full; otherwise the sender waits.
    pub drops_oldest: bool,
    /// Packets put in.
    pub sent: AtomicU64,
    /// Packets taken out by the reader.
    pub taken: AtomicU64,
    /// Packets that made room for newer ones.
    pub dropped: AtomicU64,
}

impl EdgeCounters {
    /// Counters at zero.
    #[must_use]
    pub const fn new(from: usize, to: usize, capacity: usize, drops_oldest: bool) -> Self {
        let (sent, taken, dropped) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
        Self { from, to, capacity, drops_oldest, sent, taken, dropped }
    }

    /// Packets that wait now.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        let gone = self.taken.load(Relaxed) + self.dropped.load(Relaxed);
        self.sent.load(Relaxed).saturating_sub(gone).min(self.capacity as u64)
    }
}
