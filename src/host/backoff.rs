//! How long to wait before the next try.

use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

/// The first wait.
pub const LEAST: Duration = Duration::from_millis(250);
/// No wait is longer.
pub const MOST: Duration = Duration::from_secs(30);

/// Waits that double from 0.25 s to 30 s, each shortened by up to a quarter at random, so that ten cameras behind one
/// switch do not all come back in the same moment.
#[derive(Debug)]
pub struct Backoff {
    next: Duration,
    dice: u64,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { next: LEAST, dice: std::hash::RandomState::new().build_hasher().finish() | 1 }
    }
}

impl Backoff {
    /// A fresh one; its dice are thrown by the process's random hash keys.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The wait before the next try.
    pub fn wait(&mut self) -> Duration {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        let whole = self.next;
        self.next = (whole * 2).min(MOST);
        whole.mul_f64(1.0 - (self.dice % 1000) as f64 / 4000.0)
    }

    /// Forgets the failures, once it has been live for as long as it would wait next: a camera that gives one picture
    /// and dies again is not asked four times a second.
    pub fn has_been_live(&mut self, time: Duration) {
        if time >= self.next {
            self.next = LEAST;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_to_the_bound_and_are_never_longer() {
        let mut backoff = Backoff::new();
        let waits: Vec<Duration> = (0..10).map(|_| backoff.wait()).collect();
        for (nth, wait) in waits.iter().enumerate() {
            let whole = (LEAST * 2u32.pow(nth as u32)).min(MOST);
            assert!(*wait <= whole && *wait >= whole.mul_f64(0.75), "{nth}: {wait:?}");
        }
        backoff.has_been_live(Duration::from_secs(1));
        assert!(backoff.wait() > Duration::from_secs(20), "a second is too short to forget");
        backoff.has_been_live(Duration::from_secs(40));
        assert!(backoff.wait() <= LEAST);
    }
}
