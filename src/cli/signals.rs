//! What signals ask for.

use crate::error::{Error, Result};
use crate::host::{Reopen, Stop};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::iterator::Signals;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Signals that arrive within this time are one request: `timeout` and a terminal send them to a process and to its
/// group, so that the same one arrives twice.
const BURST: Duration = Duration::from_millis(500);

/// Starts a thread that listens: SIGINT and SIGTERM ask for an end, and a second one ends the program at once; SIGHUP asks
/// sinks to open their files again; SIGUSR1 calls `show`.
///
/// # Errors
/// [`Error::Io`].
pub fn listen(stop: Stop, reopen: Reopen, show: impl Fn() + Send + 'static) -> Result<()> {
    let terminal = std::io::stderr().is_terminal();
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP, SIGUSR1]).map_err(|e| Error::io("signals", e))?;
    let work = move || {
        let mut first: Option<Instant> = None;
        for signal in signals.forever() {
            match signal {
                SIGUSR1 => show(),
                // If the terminal is gone, nobody can press Ctrl-C any more.
                SIGHUP if !terminal || std::io::stderr().is_terminal() => {
                    tracing::info!("asked to open the outputs again");
                    reopen.request();
                }
                _ if first.is_none_or(|first| first.elapsed() < BURST) => {
                    first.get_or_insert_with(Instant::now);
                    stop.request();
                }
                _ => signal_hook::low_level::exit(128 + signal),
            }
        }
    };
    let thread = std::thread::Builder::new().name("signals".into());
    thread.spawn(work).map(|_| ()).map_err(|e| Error::io("thread for signals", e))
}
