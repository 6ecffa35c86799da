//! The request to open outputs again, as `logrotate` makes it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Counts the requests to open outputs again; each sink compares the count with the one it knows.
#[derive(Clone, Debug, Default)]
pub struct Reopen(Arc<AtomicU64>);

impl Reopen {
    /// Asks all sinks to close their files and to open them again.
    pub fn request(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    /// The number of requests so far.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.load(Relaxed)
    }
}
