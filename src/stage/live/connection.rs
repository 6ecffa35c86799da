//! Keeps what a sink is connected to: a broker, a hook, a database.

use super::supervisor::Supervisor;
use crate::error::{Error, Result};
use crate::host::DropReason;
use crate::stage::{Care, LineEnv};
use crate::types::Packet;
use std::time::Duration;

/// Opens a connection, each time afresh.
///
/// It is opened in the sink's own thread, so a try must end by itself, within a few seconds. On a live stream the
/// newest packet waits meanwhile and older ones make room, as in front of any slow line.
pub trait Reach: Send {
    /// The open connection.
    type Open;

    /// Opens it; the text is what was agreed on, for the log.
    ///
    /// # Errors
    /// [`Error::Config`] for what the writer of the YAML must put right (it ends the run if the connection never worked);
    /// anything else is tried again.
    fn reach(&mut self) -> Result<(Self::Open, String)>;
}

/// A connection that is opened when it is first needed and opened afresh after a loss, with the states, waits and words
/// of a live source. Packets that come while it is away are counted, not kept.
pub struct Connection<R: Reach> {
    reach: R,
    open: Option<(R::Open, Duration)>,
    until: Duration,
    supervisor: Supervisor,
    env: LineEnv,
}

impl<R: Reach> Connection<R> {
    /// A connection of a line, not open yet.
    #[must_use]
    pub fn new(reach: R, care: Care, env: &LineEnv) -> Self {
        let supervisor = Supervisor::new(care, env);
        Self { reach, open: None, until: Duration::ZERO, supervisor, env: env.clone() }
    }

    /// Does something with the connection for a packet; `None` if it is away, and the packet is counted as dropped.
    ///
    /// # Errors
    /// [`Error::Data`] is the packet's own fault and is passed on; what must end the run, too. Anything else that `work`
    /// says is a loss.
    pub fn with<T>(&mut self, packet: &Packet, work: impl FnOnce(&mut R::Open) -> Result<T>) -> Result<Option<T>> {
        if self.open.is_none() {
            self.connect()?;
        }
        let Some((open, since)) = &mut self.open else {
            self.env.count_drop(packet, DropReason::Offline);
            return Ok(None);
        };
        match work(open) {
            Ok(done) => Ok(Some(done)),
            Err(error @ Error::Data(_)) => Err(error),
            Err(error) => {
                let live_for = self.env.clock.now().saturating_sub(*since);
                self.open = None;
                self.down(&error, Some(live_for))?;
                self.env.count_drop(packet, DropReason::Offline);
                Ok(None)
            }
        }
    }

    fn connect(&mut self) -> Result<()> {
        if self.env.clock.now() < self.until {
            return Ok(());
        }
        self.supervisor.opening();
        match self.reach.reach() {
            Ok((open, about)) => {
                let now = self.env.clock.now();
                self.open = Some((open, now));
                self.supervisor.live(now, &about);
                Ok(())
            }
            Err(error) => self.down(&error, None),
        }
    }

    fn down(&mut self, error: &Error, live_for: Option<Duration>) -> Result<()> {
        let wait = self.supervisor.lost(error, live_for)?;
        self.until = self.env.clock.now() + wait;
        Ok(())
    }
}
