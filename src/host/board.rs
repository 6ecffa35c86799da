//! What a run is doing, for anything that shows it: a web page, `/metrics`, the table at the end.

use super::counters::{DropReason, EdgeCounters, LineCounters, Role};
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
            for said in [problem(line, None), files(line)].into_iter().flatten() {
                let _ = writeln!(text, "{}: {said}", line.id);
            }
        }
        text
    }

    /// One line about the run: `door 9.9 frames/s; rows 588 written; video 580 written, 8 failed`, and what does not work
    /// at `now`. Counts are those since the last call with the same `before`.
    #[must_use]
    pub fn status(&self, before: &mut Vec<[u64; 3]>, passed: Duration, now: Duration) -> String {
        before.resize(self.lines.len(), [0; 3]);
        let mut parts = Vec::new();
        for (line, before) in self.lines.iter().zip(before) {
            let counts = [line.passed.load(Relaxed), line.failed.load(Relaxed), line.dropped(DropReason::Queue)];
            let [done, failed, dropped] = [0, 1, 2].map(|at| counts[at] - before[at]);
            *before = counts;
            let id = &line.id;
            let mut part = match line.role {
                Role::Source => format!("{id} {:.1} frames/s", done as f64 / passed.as_secs_f64().max(1e-9)),
                Role::Sink => format!("{id} {done} written"),
                Role::Stage if failed > 0 => id.to_string(),
                Role::Stage => continue,
            };
            for (count, word) in [(failed, "failed"), (dropped, "dropped")] {
                if count > 0 && (word == "failed" || line.role == Role::Sink) {
                    let _ = write!(part, ", {count} {word}");
                }
            }
            parts.push(part);
        }
        let bad = |state| matches!(state, State::Failing | State::Stalled | State::Backoff | State::Failed);
        let wrong = self.lines.iter().filter(|line| bad(line.health.get().state));
        parts.extend(wrong.filter_map(|line| Some(format!("{}: {}", line.id, problem(line, Some(now))?))));
        parts.join("; ")
    }

    /// The table for programs.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        let row = |line: &LineEntry| {
            let (health, files) = (line.health.get(), &line.files);
            let skipped = [DropReason::Queue, DropReason::Replayed, DropReason::Offline];
            serde_json::json!({
                "id": &*line.id,
                "in": line.received.load(Relaxed),
                "out": line.passed.load(Relaxed),
                "queue_dropped": skipped.map(|reason| line.dropped(reason)).iter().sum::<u64>(),
                "every_skipped": line.dropped(DropReason::Every),
                "late": line.dropped(DropReason::Deadline),
                "failed": line.failed.load(Relaxed),
                "p50_ms": line.quantile_ms(0.5),
                "p99_ms": line.quantile_ms(0.99),
                "state": health.state.word(),
                "reason": health.reason,
                "files": files.written(),
                "last_file": files.last().display().to_string(),
                "files_removed": files.removed(),
            })
        };
        self.lines.iter().map(row).collect()
    }
}

/// What is or was wrong with a line, and since when if the time is given.
fn problem(line: &LineCounters, at: Option<Duration>) -> Option<String> {
    let (health, now) = (&line.health, line.health.get());
    let since = at.map_or_else(String::new, |at| format!(" for {:.0} s", at.saturating_sub(now.since).as_secs_f64()));
    let mut text = String::new();
    if health.tries() > 0 {
        let (down, damaged) = (health.down().as_secs_f64(), health.damaged());
        let what = if line.role == Role::Source { "pictures" } else { "a connection" };
        let state = now.state.word();
        let _ = write!(text, "{state}{since}, lost {} times, {down:.1} s without {what}", health.losses());
        if damaged > 0 {
            let _ = write!(text, ", {damaged} damaged pictures");
        }
        if health.losses() > 0 && now.reason.is_empty() {
            let _ = write!(text, "; the last time: {}", health.last_loss());
        }
    } else if now.state == State::Failing {
        let _ = write!(text, "failing{since}, {} times in a row", now.failures);
    } else if now.state == State::Failed {
        let _ = write!(text, "failed{since}");
    } else {
        return None;
    }
    let _ = write!(text, "{}{}", if now.reason.is_empty() { "" } else { "; " }, now.reason);
    Some(text)
}

/// What files a line has written.
fn files(line: &LineCounters) -> Option<String> {
    let (files, last) = (&line.files, line.files.last());
    let mut text = match files.written() {
        0 => return None,
        1 => format!("wrote {}", last.display()),
        more => format!("wrote {more} files, the last is {}", last.display()),
    };
    if files.removed() > 0 {
        let _ = write!(text, "; removed {} old ones", files.removed());
    }
    Some(text)
}
