//! The contract of what may be lost and come back: cameras, streams, children.
//!
//! The author of a live source writes a [`Link`], which opens it afresh, and a [`Feed`], which reads pictures until
//! something breaks. Watching, waiting and trying again are done for all of them in one place (`sources::live`).

use super::{Tap, Unit};
use crate::error::Result;
use crate::host::{Clock, Stop};
use crate::types::{Coded, Image};
use serde::Deserialize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Opens a live thing, each time afresh.
pub trait Link: Send + Sync {
    /// Opens it, in the thread that will read from it. May block: a try that takes too long is given up.
    ///
    /// # Errors
    /// [`crate::error::Error::Config`] for what the writer of the YAML must put right (it ends the run if the source
    /// never worked); anything else is tried again.
    fn connect(&self, watch: &Watch) -> Result<Box<dyn Feed>>;
}

/// An open live thing. Made, used and dropped in one thread.
pub trait Feed {
    /// Puts the next picture into `shot`, waiting for it; `false` is the end in order.
    ///
    /// # Errors
    /// [`crate::error::Error::Data`] costs the picture, anything else the connection.
    fn read(&mut self, shot: &mut Shot) -> Result<bool>;

    /// The time between two pictures, if the source says.
    fn interval(&self) -> Option<Duration> {
        None
    }

    /// What was agreed on, for the log: `640x480 YUYV, 30 fps`.
    fn about(&self) -> String {
        String::new()
    }
}

/// One picture as it came.
#[derive(Debug, Default)]
pub struct Shot {
    /// The pixels.
    pub image: Image,
    /// The source's own time of the picture, counted from anywhere; `None` where it has none.
    pub media: Option<Duration>,
    /// How it came, if [`Watch::is_recorded`]; it must belong to `image`.
    pub coded: Coded,
}

/// Tells a feed whether anyone still waits for it.
#[derive(Clone)]
pub struct Watch {
    /// Time.
    pub clock: Arc<dyn Clock>,
    given_up: Arc<AtomicBool>,
    stop: Stop,
    tap: Option<(Arc<dyn Tap>, Arc<str>)>,
}

impl Watch {
    /// A watch for one try.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, stop: Stop) -> Self {
        Self { clock, given_up: Arc::default(), stop, tap: None }
    }

    /// The same, with somebody who records the source of this name.
    #[must_use]
    pub fn recorded(mut self, tap: Option<&Arc<dyn Tap>>, source: &Arc<str>) -> Self {
        self.tap = tap.map(|tap| (Arc::clone(tap), Arc::clone(source)));
        self
    }

    /// Whether somebody records, so that a feed should keep what it decodes.
    #[must_use]
    pub const fn is_recorded(&self) -> bool {
        self.tap.is_some()
    }

    /// Tells whoever records of an access unit of a stream.
    pub fn unit(&self, unit: &Unit<'_>) {
        // Also while everything ends: its picture may be taken yet.
        if let Some((tap, source)) = self.tap.as_ref().filter(|_| !self.given_up.load(Ordering::Acquire)) {
            tap.unit(source, unit);
        }
    }

    /// Tells the feed that nobody waits any more.
    pub fn give_up(&self) {
        self.given_up.store(true, Ordering::Release);
    }

    /// Whether nobody waits any more.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.given_up.load(Ordering::Acquire) || self.stop.is_requested()
    }

    /// Waits on the clock; returns early, with `false`, when nobody waits any more.
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnLost {
    /// It is opened again and again, after 0.25 to 30 seconds, until it is back.
    #[default]
    Retry,
    /// The run ends with exit code 4, for a service manager to start it again.
    Exit,
}

/// How a live source is watched.
#[derive(Clone, Copy, Debug, Default)]
pub struct Care {
    /// What happens when it is lost.
    pub on_lost: OnLost,
    /// Time without a picture that counts as a stall; 2 s or 10 frame intervals if not given.
    pub stall_after: Option<Duration>,
}
