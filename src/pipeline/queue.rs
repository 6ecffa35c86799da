//! The bounded queues between lines.

use super::config::WhenFull;
use crate::host::{DropReason, LineMetrics};
use crate::types::Packet;
use crossbeam_channel::{Receiver, Select, Sender, TrySendError, bounded};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Where a line's packets go: one edge a reader.
pub struct Outbox {
    edges: Vec<Edge>,
}

/// The sending end of one edge. Dropping it tells the reader that the stream ended.
pub struct Edge {
    sender: Sender<Packet>,
    when_full: WhenFull,
    /// A second receiving end, with which the sender takes the oldest packet out of a full queue.
    steal: Receiver<Packet>,
    /// Set when the reader is gone: the second receiving end keeps the channel open.
    gone: Arc<AtomicBool>,
    reader: Arc<LineMetrics>,
}

impl Outbox {
    /// An outbox for these edges.
    #[must_use]
    pub const fn new(edges: Vec<Edge>) -> Self {
        Self { edges }
    }

    /// Gives a packet to every reader; returns whether any reader is left.
    pub fn send(&mut self, packet: Packet) -> bool {
        let had_readers = !self.edges.is_empty();
        let mut packet = Some(packet);
        let mut at = 0;
        while at < self.edges.len() {
            let last = at + 1 == self.edges.len();
            let copy = if last { packet.take() } else { packet.clone() };
            if copy.is_none_or(|copy| self.edges[at].send(copy)) {
                at += 1;
            } else {
                drop(self.edges.swap_remove(at));
                if last {
                    break;
                }
            }
        }
        !had_readers || !self.edges.is_empty()
    }
}

impl Edge {
    /// Returns whether the reader still lives.
    fn send(&self, mut packet: Packet) -> bool {
        if self.when_full == WhenFull::Block {
            return self.send_or_wait(packet);
        }
        loop {
            if self.gone.load(Ordering::Acquire) {
                return false;
            }
            match self.sender.try_send(packet) {
                Ok(()) => return true,
                Err(TrySendError::Disconnected(_)) => return false,
                Err(TrySendError::Full(back)) => {
                    if self.steal.try_recv().is_ok() {
                        self.reader.count_drop(DropReason::Queue);
                    }
                    packet = back;
                }
            }
        }
    }

    /// Waits for room, looking now and then whether the reader died meanwhile.
    fn send_or_wait(&self, mut packet: Packet) -> bool {
        const LOOK: std::time::Duration = std::time::Duration::from_millis(50);
        loop {
            if self.gone.load(Ordering::Acquire) {
                return false;
            }
            match self.sender.send_timeout(packet, LOOK) {
                Ok(()) => return true,
                Err(crossbeam_channel::SendTimeoutError::Disconnected(_)) => return false,
                Err(crossbeam_channel::SendTimeoutError::Timeout(back)) => packet = back,
            }
        }
    }
}

/// One edge: its sending end, and the receiving end for the reader's [`Inbox`].
#[must_use]
pub fn edge(
    capacity: usize,
    when_full: WhenFull,
    gone: &Arc<AtomicBool>,
    reader: &Arc<LineMetrics>,
) -> (Edge, Receiver<Packet>) {
    let (sender, receiver) = bounded(capacity);
    let edge = Edge { sender, when_full, steal: receiver.clone(), gone: Arc::clone(gone), reader: Arc::clone(reader) };
    (edge, receiver)
}

/// How several streams become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merge {
    /// As they arrive (live).
    Arrival,
    /// By media time, then by the order after `from:`. Each stream waits for the others.
    Time,
    /// By media time, where some line above has several readers: what runs ahead is kept here meanwhile,
    /// because left in a full queue it could stop that line and with it the stream waited for.
    TimeBuffered,
}

/// Where a line's packets come from.
pub struct Inbox {
    inputs: Vec<Input>,
    merge: Merge,
    gone: Arc<AtomicBool>,
}

struct Input {
    receiver: Receiver<Packet>,
    ahead: VecDeque<Packet>,
    open: bool,
}

impl Inbox {
    /// An inbox over the receiving ends of a line's edges.
    #[must_use]
    pub fn new(receivers: Vec<Receiver<Packet>>, merge: Merge, gone: Arc<AtomicBool>) -> Self {
        let input = |receiver| Input { receiver, ahead: VecDeque::new(), open: true };
        Self { inputs: receivers.into_iter().map(input).collect(), merge, gone }
    }

    /// Whether no packet is waiting right now.
    pub fn is_empty(&self) -> bool {
        self.inputs.iter().all(|input| input.receiver.is_empty() && input.ahead.is_empty())
    }

    /// The next packet; `None` when every stream has ended.
    pub fn next(&mut self) -> Option<Packet> {
        if let [only] = self.inputs.as_slice() {
            return only.receiver.recv().ok();
        }
        match self.merge {
            Merge::Arrival => self.next_arrived(),
            Merge::Time => {
                for input in self.inputs.iter_mut().filter(|input| input.open && input.ahead.is_empty()) {
                    match input.receiver.recv() {
                        Ok(packet) => input.ahead.push_back(packet),
                        Err(_) => input.open = false,
                    }
                }
                self.earliest()
            }
            Merge::TimeBuffered => {
                while self.inputs.iter().any(|input| input.open && input.ahead.is_empty()) {
                    self.receive_any();
                }
                self.earliest()
            }
        }
    }

    fn next_arrived(&mut self) -> Option<Packet> {
        while self.inputs.iter().any(|input| input.open) {
            if let Some(at) = self.receive_any() {
                return self.inputs[at].ahead.pop_front();
            }
        }
        None
    }

    /// Waits for a packet of any open stream and keeps it; `None` if a stream ended instead.
    fn receive_any(&mut self) -> Option<usize> {
        let mut select = Select::new();
        let open: Vec<usize> = (0..self.inputs.len()).filter(|&at| self.inputs[at].open).collect();
        for &at in &open {
            select.recv(&self.inputs[at].receiver);
        }
        let ready = select.select();
        let at = open[ready.index()];
        let received = ready.recv(&self.inputs[at].receiver);
        if let Ok(packet) = received {
            self.inputs[at].ahead.push_back(packet);
            return Some(at);
        }
        self.inputs[at].open = false;
        None
    }

    fn earliest(&mut self) -> Option<Packet> {
        let heads = self.inputs.iter().enumerate().filter_map(|(at, input)| Some((input.ahead.front()?.frame.pts, at)));
        let (_, at) = heads.min()?;
        self.inputs[at].ahead.pop_front()
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        self.gone.store(true, Ordering::Release);
    }
}
