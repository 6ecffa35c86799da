//! Passes packets to the program that runs a pipeline. Not available in YAML.

use crate::error::Result;
use crate::stage::{LineEnv, Sink, SinkConfig};
use crate::types::{Packet, Products};
use std::sync::{Arc, Mutex, PoisonError};

/// What is done with each packet.
pub type Take = Box<dyn FnMut(&Packet) -> Result<()> + Send>;

/// Passes each packet to a function, in order, on the thread of its line.
pub struct Collect(Arc<Mutex<Take>>);

impl Collect {
    /// Creates a sink that passes packets to `take`.
    #[must_use]
    pub fn new(take: impl FnMut(&Packet) -> Result<()> + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(Box::new(take))))
    }
}

impl SinkConfig for Collect {
    fn needs(&self) -> Products {
        Products::empty()
    }

    fn open(&self, _env: &LineEnv) -> Result<Box<dyn Sink>> {
        Ok(Box::new(Collecting(Arc::clone(&self.0))))
    }
}

struct Collecting(Arc<Mutex<Take>>);

impl Sink for Collecting {
    fn write(&mut self, packet: &Packet) -> Result<()> {
        let mut take = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        take(packet)
    }
}
