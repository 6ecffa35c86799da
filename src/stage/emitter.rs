//! Collects the packets that a stage emits.

use crate::types::Packet;

/// Collects the packets of one call of a stage, in order. They are passed on once the call has succeeded.
#[derive(Debug, Default)]
pub struct Emitter {
    packets: Vec<Packet>,
}

impl Emitter {
    /// Passes a packet on.
    pub fn emit(&mut self, packet: Packet) {
        self.packets.push(packet);
    }

    /// Removes and returns the emitted packets, but keeps the buffer.
    pub fn drain(&mut self) -> impl Iterator<Item = Packet> + '_ {
        self.packets.drain(..)
    }

    /// Whether nothing was emitted.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    /// Discards the emitted packets, but keeps the buffer.
    pub fn clear(&mut self) {
        self.packets.clear();
    }
}
