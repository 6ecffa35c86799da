//! The contract of whoever listens to a run: a flight recorder.

use crate::host::{DropReason, State};
use crate::types::Packet;
use std::sync::Arc;
use std::time::Duration;

/// Hears what a run sees. Never blocks a live run, and has no error to give: a recorder that fails must not end what it
/// records.
pub trait Tap: Send + Sync {
    /// A frame left its source.
    fn frame(&self, packet: &Packet, live: bool);

    /// An access unit of a source's H.264 stream came; in decoding order, also if nobody will see its picture.
    fn unit(&self, source: &Arc<str>, unit: &Unit<'_>);

    /// A live source entered a state.
    fn state(&self, source: &Arc<str>, state: State, reason: &str);

    /// A line did not work on a frame.
    fn dropped(&self, line: &str, source: &Arc<str>, seq: u64, reason: DropReason);
}

/// An access unit of an H.264 stream in Annex B form.
#[derive(Clone, Copy, Debug)]
pub struct Unit<'a> {
    /// The bytes, with start codes.
    pub data: &'a [u8],
    /// The stream's time of its picture.
    pub time: Duration,
    /// Whether decoding can begin here.
    pub key: bool,
    /// Whether something before it is missing, or it is the first of a connection.
    pub lost: bool,
}
