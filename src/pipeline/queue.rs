//! The bounded queues between lines.

use crate::host::{DropReason, EdgeCounters, LineCounters};
use crate::stage::LineEnv;
use crate::types::Packet;
use crossbeam_channel::{Receiver, RecvError, Select, Sender, TrySendError, bounded};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Where a line's packets go: one edge per reader.
pub struct Outbox {
    edges: Vec<Edge>,
}

/// The sending end of one edge. Dropping it tells the reader that the stream ended.
pub struct Edge {
    sender: Sender<Waiting>,
    counters: Arc<EdgeCounters>,
    /// A second receiving end, used by the sender to take the oldest packet out of a full queue.
    steal: Receiver<Waiting>,
    /// Set when the reader is gone; needed because the second receiving end keeps the channel open.
    gone: Arc<AtomicBool>,
    /// The line at the receiving end.
    reader: LineEnv,
    /// Whether the reader, or a line below it, waits for ticks.
    ticks: bool,
}

/// What is in a queue, and when it was put there.
pub type Waiting = (Item, Instant);

/// What is in a queue.
pub enum Item {
    /// A packet.
    Packet(Packet),
    /// No packet with this `pts`, or an earlier one, will come any more. Tells a merge that it need not wait for a line
    /// that skips packets.
    Tick(Duration),
}

impl Outbox {
    /// Creates an outbox for the given edges.
    #[must_use]
    pub const fn new(edges: Vec<Edge>) -> Self {
        Self { edges }
    }

    /// Tells the readers that wait for it that there will be no packet up to `pts`.
    pub fn tick(&self, pts: Duration) {
        for edge in self.edges.iter().filter(|edge| edge.ticks) {
            if edge.counters.drops_oldest {
                // The next one will do.
                let _ = edge.sender.try_send((Item::Tick(pts), Instant::now()));
            } else {
                edge.send_or_wait((Item::Tick(pts), Instant::now()));
            }
        }
    }

    /// Sends a packet to every reader. Returns `false` if all readers are gone.
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
    /// Sends a packet. Returns whether the reader is still there.
    fn send(&self, packet: Packet) -> bool {
        let mut packet = (Item::Packet(packet), Instant::now());
        self.counters.sent.fetch_add(1, Relaxed);
        if !self.counters.drops_oldest {
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
                    if let Ok((Item::Packet(oldest), _)) = self.steal.try_recv() {
                        self.counters.dropped.fetch_add(1, Relaxed);
                        self.reader.count_drop(&oldest, DropReason::Queue);
                    }
                    packet = back;
                }
            }
        }
    }

    /// Waits for room, and checks now and then whether the reader is still there.
    fn send_or_wait(&self, mut packet: Waiting) -> bool {
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

/// Creates an edge: its sending end, and the receiving end for the reader's [`Inbox`].
#[must_use]
pub fn edge(counters: &Arc<EdgeCounters>, gone: &Arc<AtomicBool>, reader: &LineEnv, ticks: bool) -> (Edge, Arrival) {
    let (sender, receiver) = bounded(counters.capacity);
    let (steal, gone, reader) = (receiver.clone(), Arc::clone(gone), reader.clone());
    let edge = Edge { sender, counters: Arc::clone(counters), steal, gone, reader, ticks };
    (edge, Arrival { receiver, counters: Arc::clone(counters) })
}

/// The receiving end of one edge.
pub struct Arrival {
    receiver: Receiver<Waiting>,
    counters: Arc<EdgeCounters>,
}

/// How several streams are merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merge {
    /// In order of arrival (live).
    Arrival,
    /// By media time, then by the order after `from:`. Each stream waits for the others.
    Time,
    /// By media time, if a line above has several readers. The packets of a stream that is ahead are buffered here: in
    /// a full queue they could block that line, and with it the stream that is waited for. Ticks tell how far a stream is
    /// that skips packets, so that only those are buffered that another branch is still processing.
    TimeBuffered,
}

/// Where a line's packets come from.
pub struct Inbox {
    inputs: Vec<Input>,
    merge: Merge,
    gone: Arc<AtomicBool>,
    counters: Arc<LineCounters>,
}

struct Input {
    arrival: Arrival,
    ahead: VecDeque<Packet>,
    /// No packet up to this `pts` will come any more.
    progress: Option<Duration>,
    open: bool,
}

impl Inbox {
    /// Creates an inbox from the receiving ends of a line's edges.
    #[must_use]
    pub fn new(arrivals: Vec<Arrival>, merge: Merge, gone: Arc<AtomicBool>, counters: Arc<LineCounters>) -> Self {
        let input = |arrival| Input { arrival, ahead: VecDeque::new(), progress: None, open: true };
        Self { inputs: arrivals.into_iter().map(input).collect(), merge, gone, counters }
    }

    /// Counts a packet that was taken out of its queue, and records how long it waited there.
    fn taken(&self, at: usize, (item, since): Waiting) -> Item {
        if matches!(item, Item::Packet(_)) {
            self.counters.wait(since.elapsed());
            self.inputs[at].arrival.counters.taken.fetch_add(1, Relaxed);
        }
        item
    }

    /// Returns whether no packet is waiting right now.
    pub fn is_empty(&self) -> bool {
        self.inputs.iter().all(|input| input.arrival.receiver.is_empty() && input.ahead.is_empty())
    }

    /// Returns the next packet, or a tick if there is only one stream; `None` when all streams have ended.
    pub fn next(&mut self) -> Option<Item> {
        if let [only] = self.inputs.as_slice() {
            return only.arrival.receiver.recv().ok().map(|waiting| self.taken(0, waiting));
        }
        let packet = match self.merge {
            Merge::Arrival => self.next_arrived(),
            Merge::Time => {
                for at in 0..self.inputs.len() {
                    while self.inputs[at].open && self.inputs[at].ahead.is_empty() {
                        let received = self.inputs[at].arrival.receiver.recv();
                        self.received(at, received);
                    }
                }
                self.earliest()
            }
            Merge::TimeBuffered => {
                while !self.is_ready() {
                    self.receive_any();
                }
                self.earliest()
            }
        };
        packet.map(Item::Packet)
    }

    /// Whether the earliest packet that was stored is the next one, whatever else may come.
    fn is_ready(&self) -> bool {
        let earliest = self.inputs.iter().filter_map(|input| Some(input.ahead.front()?.frame.pts)).min();
        // At an equal time, a stream may go on with a packet of another source.
        let is_past = |input: &Input| earliest.is_some_and(|pts| input.progress.is_some_and(|progress| progress > pts));
        self.inputs.iter().all(|input| !input.open || !input.ahead.is_empty() || is_past(input))
    }

    fn next_arrived(&mut self) -> Option<Packet> {
        while self.inputs.iter().any(|input| input.open) {
            if let Some(packet) = self.receive_any().and_then(|at| self.inputs[at].ahead.pop_front()) {
                return Some(packet);
            }
        }
        None
    }

    /// Waits for a packet or a tick of any open stream and stores it; `None` if a stream ended instead.
    fn receive_any(&mut self) -> Option<usize> {
        let mut select = Select::new();
        let open: Vec<usize> = (0..self.inputs.len()).filter(|&at| self.inputs[at].open).collect();
        for &at in &open {
            select.recv(&self.inputs[at].arrival.receiver);
        }
        let ready = select.select();
        let at = open[ready.index()];
        let received = ready.recv(&self.inputs[at].arrival.receiver);
        self.received(at, received).then_some(at)
    }

    /// Stores a packet or a tick of a stream; `false` if the stream ended instead.
    fn received(&mut self, at: usize, received: Result<Waiting, RecvError>) -> bool {
        let item = received.map(|waiting| self.taken(at, waiting));
        let input = &mut self.inputs[at];
        input.open = item.is_ok();
        match item {
            Ok(Item::Packet(packet)) => input.ahead.push_back(packet),
            Ok(Item::Tick(pts)) => input.progress = input.progress.max(Some(pts)),
            Err(_) => {}
        }
        input.open
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
