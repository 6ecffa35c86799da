//! Where a running line finds the part that replaces it.

use crate::stage::{Sink, Source, Stage};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// A line's work, ready to begin.
pub enum Job {
    /// Produces packets.
    Source(Box<dyn Source>),
    /// Works on packets.
    Stage(Box<dyn Stage>),
    /// Takes packets out.
    Sink(Box<dyn Sink>),
}

impl Job {
    /// Closes a part that never worked.
    fn discard(self) {
        if let Self::Sink(mut sink) = self
            && let Err(error) = sink.finish()
        {
            tracing::warn!("a replacement that was never used: {error}");
        }
    }
}

/// Holds the replacement for a line's part until the line's thread looks, between two packets.
#[derive(Default)]
pub struct Slot {
    full: AtomicBool,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    next: Option<Job>,
    closed: bool,
}

impl Slot {
    /// Puts a replacement in; one that is still waiting is discarded. Returns `false` if the line has ended.
    pub fn put(&self, job: Job) -> bool {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let open = !inner.closed;
        let discarded = if open { inner.next.replace(job) } else { Some(job) };
        self.full.store(open, Ordering::Release);
        drop(inner);
        discarded.into_iter().for_each(Job::discard);
        open
    }

    /// Takes the replacement out, if there is one. Costs a single atomic load if there is none.
    pub fn take(&self) -> Option<Job> {
        if !self.full.load(Ordering::Acquire) {
            return None;
        }
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        self.full.store(false, Ordering::Release);
        inner.next.take()
    }

    /// The line has ended: a replacement that is still waiting is discarded.
    pub fn close(&self) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.closed = true;
        inner.next.take().into_iter().for_each(Job::discard);
    }
}
