//! Decides which packets a line processes.

use super::config::{Every, Line};
use super::options::Options;
use crate::host::{Clock, DropReason};
use crate::types::Packet;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

/// Applies `every:`, which counts each source on its own, and `deadline:`.
pub struct Gate {
    every: Option<Every>,
    deadline: Option<Duration>,
    drops: HashMap<String, HashSet<u64>>,
    /// What `every:` has seen of each source; there are few.
    seen: Vec<Seen>,
}

struct Seen {
    source: Arc<str>,
    count: u64,
    next: Duration,
}

impl Gate {
    /// Creates the gate of a line.
    pub fn new(line: &Line, live: bool, options: &Options) -> Self {
        let drops = options.drops.get(&line.id).cloned().unwrap_or_default();
        Self { every: line.every, deadline: line.deadline.filter(|_| live), drops, seen: Vec::new() }
    }

    /// Returns `Ok` if the line processes a packet, otherwise why it does not.
    pub fn admit(&mut self, packet: &Packet, clock: &dyn Clock) -> Result<(), DropReason> {
        if self.deadline.is_some_and(|limit| clock.now().saturating_sub(packet.born) > limit) {
            return Err(DropReason::Deadline);
        }
        if self.drops.get(&*packet.frame.source).is_some_and(|seqs| seqs.contains(&packet.frame.seq)) {
            return Err(DropReason::Replayed);
        }
        let Some(every) = self.every else { return Ok(()) };
        let seen = self.seen(&packet.frame.source);
        seen.count += 1;
        let pts = packet.frame.pts;
        let turn = match every {
            Every::Packets(step) => (seen.count - 1).is_multiple_of(step),
            Every::Time(_) => seen.count == 1 || pts >= seen.next,
        };
        if !turn {
            return Err(DropReason::Every);
        }
        if let Every::Time(step) = every {
            // On a grid of `step`, so that a late frame does not shift all later ones.
            let turns = pts.as_nanos() / step.as_nanos().max(1) + 1;
            seen.next = Duration::from_nanos(u64::try_from(turns * step.as_nanos()).unwrap_or(u64::MAX));
        }
        Ok(())
    }

    /// What `every:` has seen of a source.
    fn seen(&mut self, source: &Arc<str>) -> &mut Seen {
        let known = self.seen.iter().position(|seen| *seen.source == **source);
        let at = known.unwrap_or_else(|| {
            self.seen.push(Seen { source: Arc::clone(source), count: 0, next: Duration::ZERO });
            self.seen.len() - 1
        });
        &mut self.seen[at]
    }
}
