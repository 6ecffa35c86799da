//! Decides which packets a line processes.

use super::config::{Every, Line};
use super::options::Options;
use crate::host::{Clock, DropReason};
use crate::types::Packet;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

/// Applies `every:` and `deadline:`.
pub struct Gate {
    every: Option<Every>,
    deadline: Option<Duration>,
    drops: HashMap<String, HashSet<u64>>,
    count: u64,
    next: Duration,
}

impl Gate {
    /// Creates the gate of a line.
    pub fn new(line: &Line, live: bool, options: &Options) -> Self {
        let drops = options.drops.get(&line.id).cloned().unwrap_or_default();
        Self { every: line.every, deadline: line.deadline.filter(|_| live), drops, count: 0, next: Duration::ZERO }
    }

    /// Returns `Ok` if the line processes a packet, otherwise why it does not.
    pub fn admit(&mut self, packet: &Packet, clock: &dyn Clock) -> Result<(), DropReason> {
        if self.deadline.is_some_and(|limit| clock.now().saturating_sub(packet.born) > limit) {
            return Err(DropReason::Deadline);
        }
        if self.drops.get(&*packet.frame.source).is_some_and(|seqs| seqs.contains(&packet.frame.seq)) {
            return Err(DropReason::Replayed);
        }
        match self.every {
            None => Ok(()),
            Some(Every::Packets(step)) => {
                let turn = self.count.is_multiple_of(step);
                self.count += 1;
                if turn { Ok(()) } else { Err(DropReason::Every) }
            }
            Some(Every::Time(step)) => {
                let pts = packet.frame.pts;
                if self.count > 0 && pts < self.next {
                    return Err(DropReason::Every);
                }
                self.count += 1;
                // On a grid of `step`, so that a late frame does not shift all later ones.
                let turns = pts.as_nanos() / step.as_nanos().max(1) + 1;
                self.next = Duration::from_nanos(u64::try_from(turns * step.as_nanos()).unwrap_or(u64::MAX));
                Ok(())
            }
        }
    }
}
