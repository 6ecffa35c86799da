//! A stage or sink that is one closure.

use ocelli::internals::error::Result;
use ocelli::internals::stage::{Emitter, LineEnv, Sink, SinkConfig, Stage, StageConfig};
use ocelli::internals::types::{Packet, Products};
use std::sync::Arc;

type Work = Arc<dyn Fn(&Packet) -> Result<()> + Send + Sync>;

/// A stage or sink that calls a closure.
#[derive(Clone)]
pub struct Call(Work);

impl StageConfig for Call {
    fn needs(&self) -> Products {
        Products::empty()
    }
    fn gives(&self) -> Products {
        Products::empty()
    }
    fn build(&self, _: &LineEnv) -> Result<Box<dyn Stage>> {
        Ok(Box::new(self.clone()))
    }
}

impl Stage for Call {
    fn process(&mut self, packet: Packet, out: &mut Emitter) -> Result<()> {
        (self.0)(&packet)?;
        out.emit(packet);
        Ok(())
    }
}

impl SinkConfig for Call {
    fn needs(&self) -> Products {
        Products::empty()
    }
    fn open(&self, _: &LineEnv) -> Result<Box<dyn Sink>> {
        Ok(Box::new(self.clone()))
    }
}

impl Sink for Call {
    fn write(&mut self, packet: &Packet) -> Result<()> {
        (self.0)(packet)
    }
}

/// Calls `work` for each packet.
pub fn call(work: impl Fn(&Packet) -> Result<()> + Send + Sync + 'static) -> Call {
    Call(Arc::new(work))
}
