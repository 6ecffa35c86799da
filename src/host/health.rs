//! Whether a live source lives, since when, and why not.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Where a live source stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// Being opened; no picture yet.
    #[default]
    Opening,
    /// Pictures come.
    Live,
    /// Open, but no picture came for too long; about to be given up.
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
            Self::Opening => "opening",
            Self::Live => "live",
            Self::Stalled => "stalled",
            Self::Backoff => "backoff",
            Self::Failed => "failed",
        }
    }
}

/// The health of one live source, written by it and read by anyone.
#[derive(Debug, Default)]
pub struct Health {
    now: Mutex<(State, String)>,
    losses: AtomicU64,
    tries: AtomicU64,
    down_ms: AtomicU64,
    damaged: AtomicU64,
}

impl Health {
    /// Notes a state and its reason.
    pub fn set(&self, state: State, reason: &str) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        now.0 = state;
        now.1.clear();
        now.1.push_str(reason);
    }

    /// The state and its reason.
    #[must_use]
    pub fn get(&self) -> (State, String) {
        self.now.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Counts a try to open it.
    pub fn count_try(&self) {
        self.tries.fetch_add(1, Relaxed);
    }

    /// Counts a loss of what had been live.
    pub fn count_loss(&self) {
        self.losses.fetch_add(1, Relaxed);
    }

    /// Adds time without pictures after a loss.
    pub fn add_down(&self, time: Duration) {
        self.down_ms.fetch_add(u64::try_from(time.as_millis()).unwrap_or(u64::MAX), Relaxed);
    }

    /// Counts pictures that came damaged.
    pub fn count_damaged(&self, count: u64) {
        self.damaged.fetch_add(count, Relaxed);
    }

    /// How many pictures came damaged.
    #[must_use]
    pub fn damaged(&self) -> u64 {
        self.damaged.load(Relaxed)
    }

    /// How often it was lost after it had been live.
    #[must_use]
    pub fn losses(&self) -> u64 {
        self.losses.load(Relaxed)
    }

    /// How often it was opened or tried to be.
    #[must_use]
    pub fn tries(&self) -> u64 {
        self.tries.load(Relaxed)
    }

    /// How long it gave nothing between a loss and the next picture.
    #[must_use]
    pub fn down(&self) -> Duration {
        Duration::from_millis(self.down_ms.load(Relaxed))
    }
}
