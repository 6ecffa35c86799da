//! The request to stop, shared by all threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Set once, by a signal, a fault or the program; sources check it between frames.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    own: Arc<Own>,
    above: Option<Arc<Self>>,
}

/// What was asked of one stop.
#[derive(Debug, Default)]
struct Own {
    requested: AtomicBool,
    abandoned: AtomicBool,
    failed: AtomicBool,
}

impl Stop {
    /// Creates a separate stop that also follows this one: a run that ends must not end its neighbours.
    #[must_use]
    pub fn child(&self) -> Self {
        Self { own: Arc::default(), above: Some(Arc::new(self.clone())) }
    }

    /// Asks everything to stop.
    pub fn request(&self) {
        self.own.requested.store(true, Ordering::SeqCst);
    }

    /// Whether a stop was requested.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.own.requested.load(Ordering::SeqCst) || self.above.as_ref().is_some_and(|above| above.is_requested())
    }

    /// Asks everything to stop without waiting for anyone: whoever would read what is left is gone.
    pub fn abandon(&self) {
        self.own.abandoned.store(true, Ordering::SeqCst);
        self.request();
    }

    /// Asks everything to stop because of a fault: what recorded runs have written is not complete.
    pub fn fail(&self) {
        self.own.failed.store(true, Ordering::SeqCst);
        self.request();
    }

    /// Whether a fault ended the run.
    #[must_use]
    pub fn is_failed(&self) -> bool {
        self.own.failed.load(Ordering::SeqCst)
    }

    /// Whether nobody waits for what is left.
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        self.own.abandoned.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_hears_the_one_above_but_not_the_other_way_round() {
        let program = Stop::default();
        let (left, right) = (program.child(), program.child());
        left.request();
        assert!(left.is_requested() && !right.is_requested() && !program.is_requested());
        program.request();
        assert!(right.is_requested());
    }
}
