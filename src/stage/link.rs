//! The traits of sources that may be lost and come back: cameras, streams, child processes.
//!
//! The author of a live source writes a [`Link`], which opens it, and a [`Feed`], which reads pictures until something
//! breaks. Watching, waiting and retrying are implemented in one place for all of them (`stage::live`).

use super::{Tap, Unit};
use crate::error::Result;
use crate::host::{Clock, Stop};
use crate::types::{Coded, Image};
use serde::Deserialize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Opens a live source, as often as necessary.
pub trait Link: Send + Sync {
    /// Opens it in the thread that will read from it. May block: an attempt that takes too long is abandoned.
    ///
    /// # Errors
    /// [`crate::error::Error::Config`] for what the author of the YAML must fix (it ends the run if the source never
    /// worked). After any other error it is tried again.
    fn connect(&self, watch: &Watch) -> Result<Box<dyn Feed>>;
}

/// An open live source. Created, used and dropped in one thread.
pub trait Feed {
    /// Waits for the next picture and puts it into `shot`. Returns `false` at the regular end.
    ///
    /// # Errors
    /// [`crate::error::Error::Data`] costs only the picture; after any other error the source counts as lost.
    fn read(&mut self, shot: &mut Shot) -> Result<bool>;

    /// Returns the time between two pictures, if the source reports it.
    fn interval(&self) -> Option<Duration> {
        None
    }

    /// Returns the negotiated format, for the log: `640x480 YUYV, 30 fps`.
    fn about(&self) -> String {
        String::new()
    }
}

/// One picture as it arrived.
#[derive(Debug, Default)]
pub struct Shot {
    /// The pixels.
    pub image: Image,
    /// The source's own time of the picture, from an arbitrary origin; `None` if it has none.
    pub media: Option<Duration>,
    /// The encoded form in which it arrived, if [`Watch::is_recorded`]; it must belong to `image`.
    pub coded: Coded,
}

/// Tells a feed whether it is still needed.
#[derive(Clone)]
pub struct Watch {
    /// The clock.
    pub clock: Arc<dyn Clock>,
    given_up: Arc<AtomicBool>,
    stop: Stop,
    tap: Option<(Arc<dyn Tap>, Arc<str>)>,
}

impl Watch {
    /// Creates a watch for one attempt.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, stop: Stop) -> Self {
        Self { clock, given_up: Arc::default(), stop, tap: None }
    }

    /// Adds the listener that records the source of this name.
    #[must_use]
    pub fn recorded(mut self, tap: Option<&Arc<dyn Tap>>, source: &Arc<str>) -> Self {
        self.tap = tap.map(|tap| (Arc::clone(tap), Arc::clone(source)));
        self
    }

    /// Returns whether the source is recorded, so that the feed must keep the encoded data.
    #[must_use]
    pub const fn is_recorded(&self) -> bool {
        self.tap.is_some()
    }

    /// Reports an access unit of a stream to the recorder.
    pub fn unit(&self, unit: &Unit<'_>) {
        // Even while the run is stopping: its picture may still be taken.
        if let Some((tap, source)) = self.tap.as_ref().filter(|_| !self.given_up.load(Ordering::Acquire)) {
            tap.unit(source, unit);
        }
    }

    /// Tells the feed that it is no longer needed.
    pub fn give_up(&self) {
        self.given_up.store(true, Ordering::Release);
    }

    /// Returns whether the feed is no longer needed.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.given_up.load(Ordering::Acquire) || self.stop.is_requested()
    }

    /// Waits on the clock. Returns early, with `false`, if the feed is no longer needed.
    #[must_use]
    pub fn sleep(&self, time: Duration) -> bool {
        let until = self.clock.now() + time;
        while !self.is_over() {
            let left = until.saturating_sub(self.clock.now());
            if left.is_zero() {
                return true;
            }
            self.clock.sleep(left.min(Duration::from_millis(50)));
        }
        false
    }
}

/// What happens when a live source is lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnLost {
    /// It is opened again, with pauses of 0.25 to 30 seconds, until it is back.
    #[default]
    Retry,
    /// The run ends with exit code 4, so that a service manager can restart it.
    Exit,
}

/// How a live source is watched.
#[derive(Clone, Copy, Debug, Default)]
pub struct Care {
    /// What happens when it is lost.
    pub on_lost: OnLost,
    /// How long without a picture counts as a stall; by default 2 s or 10 frame intervals, whichever is longer.
    pub stall_after: Option<Duration>,
}
