//! Counters and latencies of each line, kept by the runner.

use super::Health;
use hdrhistogram::Histogram;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
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
}

/// The counters of one line.
#[derive(Debug)]
pub struct LineMetrics {
    /// The line's id.
    pub id: String,
    /// Packets taken from the queue; for a source, frames made.
    pub received: AtomicU64,
    /// Packets worked on and passed on (or written).
    pub passed: AtomicU64,
    /// Packets whose work failed (live streams go on).
    pub failed: AtomicU64,
    /// Whether a source lives, where it can be lost.
    pub health: OnceLock<Arc<Health>>,
    /// Frames the source will make, 0 if unknown.
    pub expected: AtomicU64,
    /// Processor time of the line's own thread, in microseconds; known at its end.
    pub cpu_micros: AtomicU64,
    /// How late a source gave its last frame, in microseconds, where frames are to come at a pace.
    pub late_micros: AtomicU64,
    /// Allocations of the line's own thread while it worked on packets.
    pub allocations: AtomicU64,
    dropped: [AtomicU64; 4],
    latency: Mutex<Histogram<u32>>,
    waits: Mutex<Histogram<u32>>,
    busy_micros: AtomicU64,
}

impl LineMetrics {
    fn new(id: &str) -> Self {
        // Three significant digits from a microsecond to a minute: about 100 KiB, allocated once.
        let histogram = || {
            let histogram = Histogram::new_with_bounds(1, 60_000_000, 3).or_else(|_| Histogram::new(3));
            Mutex::new(histogram.unwrap_or_else(|_| unreachable!("three digits are allowed")))
        };
        Self {
            id: id.to_owned(),
            received: AtomicU64::new(0),
            passed: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            health: OnceLock::new(),
            expected: AtomicU64::new(0),
            cpu_micros: AtomicU64::new(0),
            late_micros: AtomicU64::new(0),
            allocations: AtomicU64::new(0),
            dropped: Default::default(),
            latency: histogram(),
            waits: histogram(),
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
        let micros = u64::try_from(spent.as_micros()).unwrap_or(u64::MAX);
        self.busy_micros.fetch_add(micros, Relaxed);
        self.latency.lock().unwrap_or_else(PoisonError::into_inner).saturating_record(micros.max(1));
    }

    /// Notes how long one packet waited in the queue.
    pub fn wait(&self, spent: Duration) {
        let micros = u64::try_from(spent.as_micros()).unwrap_or(u64::MAX);
        self.waits.lock().unwrap_or_else(PoisonError::into_inner).saturating_record(micros.max(1));
    }

    /// The time in milliseconds that the given part (0–1) of packets took at most.
    #[must_use]
    pub fn quantile_ms(&self, part: f64) -> f64 {
        let latency = self.latency.lock().unwrap_or_else(PoisonError::into_inner);
        latency.value_at_quantile(part) as f64 / 1000.0
    }

    /// The time in milliseconds that the given part (0–1) of packets waited in the queue at most.
    #[must_use]
    pub fn wait_quantile_ms(&self, part: f64) -> f64 {
        let waits = self.waits.lock().unwrap_or_else(PoisonError::into_inner);
        waits.value_at_quantile(part) as f64 / 1000.0
    }

    /// Packets that were worked on: those that `every:` and the like left out are not.
    #[must_use]
    pub fn worked(&self) -> u64 {
        self.latency.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// How long the line worked in all.
    #[must_use]
    pub fn busy(&self) -> Duration {
        Duration::from_micros(self.busy_micros.load(Relaxed))
    }
}

/// The counters of all lines, in the order of the YAML.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    /// One entry a line.
    pub lines: Vec<Arc<LineMetrics>>,
}

impl Metrics {
    /// Counters for lines of these ids.
    pub fn new<'a>(ids: impl IntoIterator<Item = &'a str>) -> Self {
        Self { lines: ids.into_iter().map(|id| Arc::new(LineMetrics::new(id))).collect() }
    }

    /// The counters of a line.
    #[must_use]
    pub fn line(&self, id: &str) -> Option<&Arc<LineMetrics>> {
        self.lines.iter().find(|line| line.id == id)
    }

    /// A table for people, written after `elapsed`.
    #[must_use]
    pub fn table(&self, elapsed: Duration) -> String {
        let mut text = String::new();
        let width = self.lines.iter().map(|line| line.id.len()).max().unwrap_or(4).max(4);
        let _ = writeln!(
            text,
            "{:width$}  {:>8} {:>8} {:>7} {:>7} {:>7} {:>7} {:>9} {:>9} {:>6}",
            "line", "in", "out", "queue-", "every-", "late-", "failed", "p50 ms", "p99 ms", "busy"
        );
        for line in &self.lines {
            let busy = line.busy_micros.load(Relaxed) as f64 / 1e4 / elapsed.as_secs_f64().max(1e-9);
            let _ = writeln!(
                text,
                "{:width$}  {:>8} {:>8} {:>7} {:>7} {:>7} {:>7} {:>9.2} {:>9.2} {:>5.0}%",
                line.id,
                line.received.load(Relaxed),
                line.passed.load(Relaxed),
                line.dropped(DropReason::Queue) + line.dropped(DropReason::Replayed),
                line.dropped(DropReason::Every),
                line.dropped(DropReason::Deadline),
                line.failed.load(Relaxed),
                line.quantile_ms(0.5),
                line.quantile_ms(0.99),
                busy.min(100.0)
            );
        }
        for (id, health) in self.lines.iter().filter_map(|line| Some((&line.id, line.health.get()?))) {
            let (state, reason) = health.get();
            let (down, damaged) = (health.down().as_secs_f64(), health.damaged());
            let _ =
                write!(text, "{id}: {}, lost {} times, {down:.1} s without pictures", state.word(), health.losses());
            let _ = write!(text, "{}", if damaged > 0 { format!(", {damaged} damaged ones") } else { String::new() });
            let _ = writeln!(text, "{}{reason}", if reason.is_empty() { "" } else { "; " });
        }
        text
    }
}
