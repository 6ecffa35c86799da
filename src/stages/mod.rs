//! What is done with packets: one stage a file.

mod annotate;
mod cam;
mod classify;
mod detect;
mod nms;
mod reconstruct;
mod resize;
mod segment;

pub use detect::Detect;
pub use nms::Nms;
pub use resize::Resize;

use crate::error::{Error, Result};
use crate::stage::registry;
use crate::types::{ModelInput, Packet};
use std::sync::Arc;

registry! {
    /// All stages, in the order of the manual.
    STAGES: StageConfig;
    resize => resize::Resize,
    detect => detect::Detect,
    nms => nms::Nms,
    classify => classify::Classify,
    cam => cam::Cam,
    segment => segment::Segment,
    reconstruct => reconstruct::Reconstruct,
    annotate => annotate::Annotate,
}

/// The model input of a packet; the check of the graph sees to it that there is one.
fn input_of(packet: &Packet) -> Result<&Arc<ModelInput>> {
    packet.input.as_ref().ok_or_else(|| Error::Internal("a packet without a model input".into()))
}

/// Refuses numbers of threads that make no sense.
fn check_threads(threads: usize) -> Result<()> {
    if (1..=64).contains(&threads) {
        return Ok(());
    }
    Err(Error::Config(format!("`threads` is {threads}; it must lie between 1 and 64")))
}

/// Refuses scores that are none.
fn check_score(name: &str, score: f32) -> Result<()> {
    if (0.0..=1.0).contains(&score) {
        return Ok(());
    }
    Err(Error::Config(format!("`{name}` is {score}; it must lie between 0 and 1")))
}

/// `threads` where the YAML says nothing.
const fn one() -> usize {
    1
}
