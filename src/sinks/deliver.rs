//! Sends packets through a channel to the program that runs a pipeline. Not available in YAML.

use crate::error::{Error, Result};
use crate::stage::{LineEnv, Sink, SinkConfig};
use crate::types::{Packet, Products};
use crossbeam_channel::{SendTimeoutError, Sender};
use std::time::Duration;

/// Sends each packet to a channel and waits while it is full. If the receiver was dropped, the run ends without an
/// error.
pub struct Deliver(Sender<Packet>);

impl Deliver {
    /// Creates a sink that sends packets to `sender`.
    #[must_use]
    pub const fn new(sender: Sender<Packet>) -> Self {
        Self(sender)
    }
}

impl SinkConfig for Deliver {
    fn needs(&self) -> Products {
        Products::empty()
    }

    fn open(&self, env: &LineEnv) -> Result<Box<dyn Sink>> {
        Ok(Box::new(Delivering { sender: self.0.clone(), env: env.clone() }))
    }
}

struct Delivering {
    sender: Sender<Packet>,
    env: LineEnv,
}

impl Sink for Delivering {
    fn write(&mut self, packet: &Packet) -> Result<()> {
        const LOOK: Duration = Duration::from_millis(50);
        let mut packet = packet.clone();
        loop {
            match self.sender.send_timeout(packet, LOOK) {
                Ok(()) => return Ok(()),
                Err(SendTimeoutError::Disconnected(_)) => return Err(Error::ReaderGone),
                // Whoever drops the run holds the receiver and no longer reads from it: waiting would last forever.
                Err(SendTimeoutError::Timeout(_)) if self.env.stop.is_requested() => return Err(Error::ReaderGone),
                Err(SendTimeoutError::Timeout(back)) => packet = back,
            }
        }
    }
}
