//! Keeps the connection of a sink to a broker, a hook or a database.

use super::supervisor::Supervisor;
use crate::error::{Error, Result};
use crate::host::DropReason;
use crate::stage::{Care, LineEnv};
use crate::types::Packet;
use std::time::Duration;

/// Opens a connection, as often as necessary.
///
/// It is opened in the sink's own thread, so an attempt must end by itself within a few seconds. On a live stream, only
/// the newest packets wait during that time and older ones are dropped, as in front of any slow line.
pub trait Connector: Send {
    /// The open connection.
    type Open;

    /// Opens it. Returns it with a description for the log.
    ///
    /// # Errors
    /// [`Error::Config`] for what the author of the YAML must fix (it ends the run if the connection never worked).
    /// After any other error it is tried again.
    fn connect(&mut self) -> Result<(Self::Open, String)>;
}

/// A connection that is opened when it is first needed and opened again after a loss, with the same states, waits and
/// log messages as a live source. Packets that arrive while it is down are counted and dropped.
pub struct Connection<R: Connector> {
    connector: R,
    open: Option<(R::Open, Duration)>,
    until: Duration,
    supervisor: Supervisor,
    env: LineEnv,
}

impl<R: Connector> Connection<R> {
    /// Creates the connection of a line; it is not open yet.
    #[must_use]
    pub fn new(connector: R, care: Care, env: &LineEnv) -> Self {
        let supervisor = Supervisor::new(care, env);
        Self { connector, open: None, until: Duration::ZERO, supervisor, env: env.clone() }
    }

    /// Uses the connection for a packet. Returns `None` if it is down; the packet is then counted as dropped.
    ///
    /// # Errors
    /// [`Error::Data`], which is about the packet itself, and errors that must end the run. Any other error from `work`
    /// counts as a loss of the connection.
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
        match self.connector.connect() {
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
