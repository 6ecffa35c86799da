//! Where a stage puts what it gives.

use crate::types::Packet;

/// Takes the packets of one call of a stage, in order. They go on once the call has succeeded.
#[derive(Debug, Default)]
pub struct Emitter {
    packets: Vec<Packet>,
}

impl Emitter {
    /// Passes a packet on.
    pub fn emit(&mut self, packet: Packet) {
        self.packets.push(packet);
    }

    /// Takes out what was emitted, keeping the buffer.
    pub fn drain(&mut self) -> impl Iterator<Item = Packet> + '_ {
        self.packets.drain(..)
    }

    /// Forgets what was emitted, keeping the buffer.
    pub fn clear(&mut self) {
        self.packets.clear();
    }
}
