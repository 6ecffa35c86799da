//! What a run is doing, for anything that shows it: a web page, `/metrics`, the table at the end.

use super::counters::{DropReason, EdgeCounters, LineCounters};
use super::health::State;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// All lines and edges of a run with their counters and states. Cloning copies two pointers; reading never delays a
/// frame. Empty until a run has begun.
#[derive(Clone, Debug, Default)]
pub struct Board {
    /// One entry per line, in the order of the YAML.
    #[doc(hidden)]
    pub lines: Arc<[LineEntry]>,
    /// One entry per edge, ordered by the line that reads.
    #[doc(hidden)]
    pub edges: Arc<[EdgeEntry]>,
}

/// The entry of a line, shared with the line itself.
pub type LineEntry = Arc<LineCounters>;
/// The entry of an edge, shared with both ends.
pub type EdgeEntry = Arc<EdgeCounters>;

impl Board {
    /// The counters of a line.
    #[must_use]
    #[doc(hidden)]
    pub fn line(&self, id: &str) -> Option<&LineEntry> {
        self.lines.iter().find(|line| &*line.id == id)
    }

    /// A human-readable table of the run after `elapsed`.
    #[must_use]
    pub fn table(&self, elapsed: Duration) -> String {
        let mut text = String::new();
        let width = self.lines.iter().map(|line| line.id.len()).max().unwrap_or(4).max(4);
        let _ = writeln!(
            text,
            "{:width$}  {:>8} {:>8} {:>7} {:>7} {:>7} {:>7} {:>9} {:>9} {:>6}",
            "line", "in", "out", "queue-", "every-", "late-", "failed", "p50 ms", "p99 ms", "busy"
        );
        for line in &*self.lines {
            let busy = line.busy().as_secs_f64() * 100.0 / elapsed.as_secs_f64().max(1e-9);
            let queue = [DropReason::Queue, DropReason::Replayed, DropReason::Offline];
            let _ = writeln!(
                text,
                "{:width$}  {:>8} {:>8} {:>7} {:>7} {:>7} {:>7} {:>9.2} {:>9.2} {:>5.0}%",
                line.id,
                line.received.load(Relaxed),
                line.passed.load(Relaxed),
                queue.map(|reason| line.dropped(reason)).iter().sum::<u64>(),
                line.dropped(DropReason::Every),
                line.dropped(DropReason::Deadline),
                line.failed.load(Relaxed),
                line.quantile_ms(0.5),
                line.quantile_ms(0.99),
                busy.min(100.0)
            );
        }
        for line in &*self.lines {
            let (id, health, now) = (&line.id, &line.health, line.health.get());
            if health.tries() > 0 {
                let (down, damaged) = (health.down().as_secs_f64(), health.damaged());
                let what = if line.role == super::Role::Source { "pictures" } else { "a connection" };
                let state = now.state.word();
                let _ = write!(text, "{id}: {state}, lost {} times, {down:.1} s without {what}", health.losses());
                if damaged > 0 {
                    let _ = write!(text, ", {damaged} damaged pictures");
                }
                if health.losses() > 0 && now.reason.is_empty() {
                    let _ = write!(text, "; the last time: {}", health.last_loss());
                }
            } else if now.state == State::Failing {
                let _ = write!(text, "{id}: failing, {} packets in a row", now.failures);
            } else {
                continue;
            }
            let _ = writeln!(text, "{}{}", if now.reason.is_empty() { "" } else { "; " }, now.reason);
        }
        text
    }
}
