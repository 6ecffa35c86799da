//! Where a line that runs finds what takes its place.

use crate::stage::{Sink, Source, Stage};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// A line's work, ready to begin.
pub enum Job {
    /// Makes packets.
    Source(Box<dyn Source>),
    /// Works on packets.
    Stage(Box<dyn Stage>),
    /// Takes packets out.
    Sink(Box<dyn Sink>),
}

/// Holds what takes the place of a line's part until its thread looks, between two packets.
#[derive(Default)]
pub struct Slot {
    full: AtomicBool,
    next: Mutex<Option<Job>>,
}

impl Slot {
    /// Puts a part in; one that waits there still, and never worked, gives way.
    pub fn put(&self, job: Job) {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        *next = Some(job);
        self.full.store(true, Ordering::Release);
    }

    /// Takes out what waits. Costs one load where nothing does.
    pub fn take(&self) -> Option<Job> {
        if !self.full.load(Ordering::Acquire) {
            return None;
        }
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        self.full.store(false, Ordering::Release);
        next.take()
    }
}
