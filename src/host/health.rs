//! Whether a line works, since when, and why not.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The state of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// It works. Lines that cannot be lost start in this state.
    #[default]
    Working,
    /// Packet after packet fails while a live stream continues.
    Failing,
    /// A source or a connection is being opened; nothing has arrived yet.
    Opening,
    /// A source delivers pictures, or a connection accepts them.
    Live,
    /// Open, but nothing has arrived for too long; about to be given up.
    Stalled,
    /// Waiting before the next try.
    Backoff,
    /// Ended for good.
    Failed,
}

impl State {
    /// The word for logs.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Working => "working",
            Self::Failing => "failing",
            Self::Opening => "opening",
            Self::Live => "live",
            Self::Stalled => "stalled",
            Self::Backoff => "backoff",
            Self::Failed => "failed",
        }
    }
}

/// The health of a line at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Its state.
    pub state: State,
    /// The reason; empty if there is none to give.
    pub reason: String,
    /// The clock's time when it entered this state.
    pub since: Duration,
    /// Packets that failed since it last worked.
    pub failures: u64,
}

/// The health of one line, written by it and read by anyone.
#[derive(Debug, Default)]
pub struct Health {
    now: Mutex<Status>,
    /// A copy of [`Status::failures`], so that a packet that succeeds needs no lock.
    failures: AtomicU64,
    losses: AtomicU64,
    /// Why it was lost the last time.
    loss: Mutex<String>,
    tries: AtomicU64,
    down_ms: AtomicU64,
    damaged: AtomicU64,
}

impl Health {
    fn change(&self, state: State, reason: &str, at: Duration) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        if now.state != state {
            now.since = at;
        }
        now.state = state;
        now.reason.clear();
        now.reason.push_str(reason);
        now.failures = self.failures.load(Relaxed);
    }

    /// Records a state and its reason, at a time of the clock.
    pub fn set(&self, state: State, reason: &str, at: Duration) {
        self.failures.store(0, Relaxed);
        self.change(state, reason, at);
    }

    /// Records that a packet failed. Lines that can be lost record their own states, so they are left alone.
    pub fn fail(&self, reason: &str, at: Duration) {
        if self.tries() > 0 {
            return;
        }
        self.failures.fetch_add(1, Relaxed);
        self.change(State::Failing, reason, at);
    }

    /// Records that a packet succeeded. Takes no lock unless one had failed before.
    pub fn work(&self, at: Duration) {
        if self.failures.load(Relaxed) > 0 {
            self.set(State::Working, "", at);
        }
    }

    /// The current health.
    #[must_use]
    pub fn get(&self) -> Status {
        self.now.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Counts an attempt to open it.
    pub fn count_try(&self) {
        self.tries.fetch_add(1, Relaxed);
    }

    /// Counts a loss after it had been live.
    pub fn count_loss(&self, reason: &str) {
        reason.clone_into(&mut self.loss.lock().unwrap_or_else(PoisonError::into_inner));
        self.losses.fetch_add(1, Relaxed);
    }

    /// Why it was lost the last time; empty if it never was.
    #[must_use]
    pub fn last_loss(&self) -> String {
        self.loss.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Adds time without pictures after a loss.
    pub fn add_down(&self, time: Duration) {
        self.down_ms.fetch_add(u64::try_from(time.as_millis()).unwrap_or(u64::MAX), Relaxed);
    }

    /// Counts pictures that arrived damaged.
    pub fn count_damaged(&self, count: u64) {
        self.damaged.fetch_add(count, Relaxed);
    }

    /// The number of pictures that arrived damaged.
    #[must_use]
    pub fn damaged(&self) -> u64 {
        self.damaged.load(Relaxed)
    }

    /// How often it was lost after it had been live.
    #[must_use]
    pub fn losses(&self) -> u64 {
        self.losses.load(Relaxed)
    }

    /// The number of attempts to open it; 0 for a line that cannot be lost.
    #[must_use]
    pub fn tries(&self) -> u64 {
        self.tries.load(Relaxed)
    }

    /// The total time between losses and the pictures that followed them.
    #[must_use]
    pub fn down(&self) -> Duration {
        Duration::from_millis(self.down_ms.load(Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_in_a_row_are_counted_since_the_first() {
        let (health, seconds) = (Health::default(), Duration::from_secs);
        health.work(seconds(1));
        assert_eq!(health.get(), Status::default());
        health.fail("full", seconds(2));
        health.fail("full still", seconds(3));
        let expected = Status { state: State::Failing, reason: "full still".into(), since: seconds(2), failures: 2 };
        assert_eq!(health.get(), expected);
        health.work(seconds(4));
        assert_eq!(health.get(), Status { since: seconds(4), ..Status::default() });
    }
}
