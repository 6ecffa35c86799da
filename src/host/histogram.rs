//! A histogram of durations.
//!
//! Our own code, because recording must not wait for a reader: `hdrhistogram` would need a lock or a hand-over between
//! threads. These are plain atomic counters.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Values below this have one bucket each; above it, each doubling has half as many. A value is known to within 1/128
/// of itself.
const STEPS: usize = 256;
/// Buckets for durations of a minute and more; longer ones are counted in the last bucket.
const BUCKETS: usize = STEPS / 2 * 20;

/// Counts of durations in microseconds. One thread records, any thread reads; neither waits.
#[derive(Debug)]
pub struct Histogram {
    buckets: Box<[AtomicU32]>,
    count: AtomicU64,
}

impl Default for Histogram {
    fn default() -> Self {
        let buckets = (0..BUCKETS).map(|_| AtomicU32::new(0)).collect();
        Self { buckets, count: AtomicU64::new(0) }
    }
}

/// The bucket of a value.
fn bucket(micros: u64) -> usize {
    let half = STEPS / 2;
    let doubling = (u64::BITS - (micros / STEPS as u64).leading_zeros()) as usize;
    ((micros >> doubling) as usize + doubling * half).min(BUCKETS - 1)
}

/// The largest value of a bucket.
fn largest(bucket: usize) -> u64 {
    let half = STEPS / 2;
    let doubling = (bucket / half).saturating_sub(1);
    let step = (bucket - doubling * half) as u64;
    ((step + 1) << doubling) - 1
}

impl Histogram {
    /// Counts a duration.
    pub fn record(&self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX).max(1);
        self.buckets[bucket(micros)].fetch_add(1, Relaxed);
        self.count.fetch_add(1, Relaxed);
    }

    /// The number of durations counted.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.count.load(Relaxed)
    }

    /// Whether none was counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The duration in milliseconds that the given fraction (0–1) of them did not exceed; 0 if there are none.
    #[must_use]
    pub fn quantile_ms(&self, part: f64) -> f64 {
        let counts = || self.buckets.iter().map(|count| u64::from(count.load(Relaxed)));
        let wanted = ((counts().sum::<u64>() as f64 * part).ceil() as u64).max(1);
        let mut seen = 0;
        let found = counts().position(|count| {
            seen += count;
            seen >= wanted
        });
        found.map_or(0.0, |at| largest(at) as f64 / 1000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_known_to_within_a_part_in_128() {
        for micros in (1..2000).chain((2000..60_000_000).step_by(7919)) {
            let top = largest(bucket(micros));
            assert!(top >= micros && top - micros <= micros / 128, "{micros} is counted as {top}");
        }
        assert!(bucket(60_000_000) < BUCKETS - 1 && bucket(u64::MAX) == BUCKETS - 1);
    }

    #[test]
    fn quantiles_are_those_of_the_sorted_values() {
        let histogram = Histogram::default();
        assert_eq!(histogram.quantile_ms(0.5), 0.0);
        (1..=100).for_each(|micros| histogram.record(Duration::from_micros(micros)));
        assert_eq!([0.0, 0.5, 0.99, 1.0].map(|part| histogram.quantile_ms(part)), [0.001, 0.05, 0.099, 0.1]);
    }
}
