//! What several stages ask of their settings and packets.

use crate::error::{Error, Result};
use crate::types::{ModelInput, Packet};
use std::sync::Arc;

/// The model input of a packet; the check of the graph sees to it that there is one.
pub fn input_of(packet: &Packet) -> Result<&Arc<ModelInput>> {
    packet.input.as_ref().ok_or_else(|| Error::Internal("a packet without a model input".into()))
}

/// Refuses numbers of threads that make no sense.
pub fn check_threads(threads: usize) -> Result<()> {
    if (1..=64).contains(&threads) {
        return Ok(());
    }
    Err(Error::Config(format!("`threads` is {threads}; it must lie between 1 and 64")))
}

/// Refuses scores that are none.
pub fn check_score(name: &str, score: f32) -> Result<()> {
    if (0.0..=1.0).contains(&score) {
        return Ok(());
    }
    Err(Error::Config(format!("`{name}` is {score}; it must lie between 0 and 1")))
}

/// `threads` where the YAML says nothing.
pub const fn one() -> usize {
    1
}
