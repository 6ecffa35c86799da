//! Checks of settings and packets that several stages share.

use crate::error::{Error, Result};
use crate::types::{ModelInput, Packet};
use std::sync::Arc;

/// Returns the model input of a packet; the check of the graph ensures that there is one.
pub fn input_of(packet: &Packet) -> Result<&Arc<ModelInput>> {
    packet.input.as_ref().ok_or_else(|| Error::Internal("a packet without a model input".into()))
}

/// Rejects numbers of threads that make no sense.
pub fn check_threads(threads: Option<usize>) -> Result<()> {
    match threads {
        Some(threads) if !(1..=64).contains(&threads) => {
            Err(Error::Config(format!("`threads` is {threads}; it must lie between 1 and 64")))
        }
        _ => Ok(()),
    }
}

/// Rejects scores outside 0–1.
pub fn check_score(name: &str, score: f32) -> Result<()> {
    if (0.0..=1.0).contains(&score) {
        return Ok(());
    }
    Err(Error::Config(format!("`{name}` is {score}; it must lie between 0 and 1")))
}
