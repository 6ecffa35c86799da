//! How long to wait before the next try.

use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

/// The first wait.
pub const LEAST: Duration = Duration::from_millis(250);
/// The longest wait.
pub const MOST: Duration = Duration::from_secs(30);

/// Waits that double from 0.25 s to 30 s, each shortened at random by up to a quarter, so that ten cameras behind one
/// switch do not all reconnect at the same moment.
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
    /// Creates a back-off, seeded from the process's random hash keys.
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

    /// Forgets the failures if it was live for at least as long as the next wait: a camera that delivers one picture
    /// and dies again is not retried four times a second.
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
