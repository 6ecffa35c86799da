//! Sends packets through a channel to the program that runs a pipeline. Not available in YAML.

use crate::error::{Error, Result};
use crate::stage::{LineEnv, Sink, SinkConfig};
use crate::types::{Packet, Products};
use crossbeam_channel::{SendTimeoutError, Sender};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Sends each packet to a channel and waits while it is full. If the receiver was dropped, the run ends without an
/// error. The first run takes the sender, so that the channel closes when that run ends.
pub struct Deliver(Mutex<Option<Sender<Packet>>>);

/// How long a run that was asked to stop waits for a receiver that does not take a packet.
const PATIENCE: Duration = Duration::from_secs(5);

impl Deliver {
    /// Creates a sink that sends packets to `sender`.
    #[must_use]
    pub const fn new(sender: Sender<Packet>) -> Self {
        Self(Mutex::new(Some(sender)))
    }
}

impl SinkConfig for Deliver {
    fn needs(&self) -> Products {
        Products::empty()
    }

    fn open(&self, env: &LineEnv) -> Result<Box<dyn Sink>> {
        let sender = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let sender = sender.ok_or_else(|| {
            Error::Config("its packets went to an earlier run; call `packets` again for each run".into())
        })?;
        Ok(Box::new(Delivering { sender, env: env.clone() }))
    }
}

struct Delivering {
    sender: Sender<Packet>,
    env: LineEnv,
}

impl Sink for Delivering {
    fn write(&mut self, packet: &Packet) -> Result<()> {
        const LOOK: Duration = Duration::from_millis(50);
        let (mut packet, began) = (packet.clone(), Instant::now());
        loop {
            match self.sender.send_timeout(packet, LOOK) {
                Ok(()) => return Ok(()),
                Err(SendTimeoutError::Disconnected(_)) => {
                    // The program that runs the pipeline is done with it, whatever its other sinks do.
                    self.env.stop.request();
                    return Err(Error::ReaderGone);
                }
                Err(SendTimeoutError::Timeout(back)) => {
                    // Whoever drops the run may hold the receiver and no longer read from it.
                    let stop = &self.env.stop;
                    if stop.is_abandoned() || (stop.is_requested() && began.elapsed() > PATIENCE) {
                        return Err(Error::ReaderGone);
                    }
                    packet = back;
                }
            }
        }
    }
}
