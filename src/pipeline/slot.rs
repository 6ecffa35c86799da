//! Hands a replacement part to a line while it runs.

use crate::stage::{Sink, Source, Stage};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// A line's part, ready to run.
pub enum Job {
    /// Produces packets.
    Source(Box<dyn Source>),
    /// Processes packets.
    Stage(Box<dyn Stage>),
    /// Consumes packets.
    Sink(Box<dyn Sink>),
}

/// Holds the replacement of a line's part until the line's thread takes it, between two packets.
#[derive(Default)]
pub struct Slot {
    full: AtomicBool,
    next: Mutex<Option<Job>>,
}

impl Slot {
    /// Stores a part. A part that is still waiting there is discarded.
    pub fn put(&self, job: Job) {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        *next = Some(job);
        self.full.store(true, Ordering::Release);
    }

    /// Takes the part that is waiting, if any. Costs only one atomic load if there is none.
    pub fn take(&self) -> Option<Job> {
        if !self.full.load(Ordering::Acquire) {
            return None;
        }
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        self.full.store(false, Ordering::Release);
        next.take()
    }
}
