//! The request to stop, shared by all threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Set once, by a signal, a fault or the program; sources check it between frames.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    own: Arc<AtomicBool>,
    abandoned: Arc<AtomicBool>,
    above: Option<Arc<Self>>,
}

impl Stop {
    /// Creates a separate stop that also follows this one: a run that ends must not end its neighbours.
    #[must_use]
    pub fn child(&self) -> Self {
        Self { own: Arc::default(), abandoned: Arc::default(), above: Some(Arc::new(self.clone())) }
    }

    /// Asks everything to stop.
    pub fn request(&self) {
        self.own.store(true, Ordering::SeqCst);
    }

    /// Whether a stop was requested.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.own.load(Ordering::SeqCst) || self.above.as_ref().is_some_and(|above| above.is_requested())
    }

    /// Asks everything to stop without waiting for anyone: whoever would read what is left is gone.
    pub fn abandon(&self) {
        self.abandoned.store(true, Ordering::SeqCst);
        self.request();
    }

    /// Whether nobody waits for what is left.
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::SeqCst)
    }

    /// The flag itself, for signal handlers.
    #[must_use]
    pub fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.own)
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
