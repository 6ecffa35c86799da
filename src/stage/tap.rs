//! The trait of what listens to a run, such as the flight recorder.

use crate::host::{DropReason, State};
use crate::types::Packet;
use std::sync::Arc;
use std::time::Duration;

/// Receives what a run sees. Must never block a live run, and returns no errors: a recorder that fails must not end the
/// run.
pub trait Tap: Send + Sync {
    /// A frame left its source.
    fn frame(&self, packet: &Packet, live: bool);

    /// An access unit of a source's H.264 stream arrived. Called in decoding order, even if its picture is never used.
    fn unit(&self, source: &Arc<str>, unit: &Unit<'_>);

    /// A live source entered a state.
    fn state(&self, source: &Arc<str>, state: State, reason: &str);

    /// A line did not process a frame.
    fn dropped(&self, line: &str, source: &Arc<str>, seq: u64, reason: DropReason);
}

/// An access unit of an H.264 stream in Annex B form.
#[derive(Clone, Copy, Debug)]
pub struct Unit<'a> {
    /// The bytes, with start codes.
    pub data: &'a [u8],
    /// The stream's own time of its picture.
    pub time: Duration,
    /// Whether decoding can begin here.
    pub key: bool,
    /// Whether data before it is missing, or it is the first of a connection.
    pub lost: bool,
}
