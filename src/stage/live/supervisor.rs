//! States, waits and log messages of what can be lost: `opening → live → stalled → backoff → live | failed`.

use crate::error::{Error, Result};
use crate::host::{Backoff, Limiter, State};
use crate::stage::{Care, LineEnv, OnLost};
use std::time::Duration;

/// Reports the state of a source or a connection to the line's health, the log and the recording, and decides how long
/// to wait before the next attempt.
pub struct Supervisor {
    care: Care,
    env: LineEnv,
    backoff: Backoff,
    limiter: Limiter,
    /// Whether it was ever live.
    was_live: bool,
    lost_at: Option<Duration>,
    /// Why the last attempt failed; empty if it did not.
    reason: String,
}

impl Supervisor {
    /// Starts to watch a line.
    #[must_use]
    pub fn new(care: Care, env: &LineEnv) -> Self {
        Self {
            care,
            env: env.clone(),
            backoff: Backoff::new(),
            limiter: Limiter::default(),
            was_live: false,
            lost_at: None,
            reason: String::new(),
        }
    }

    /// An attempt begins.
    pub fn opening(&mut self) {
        self.env.health().count_try();
        if self.reason.is_empty() {
            self.enter(State::Opening, "");
        } else {
            self.note(State::Opening, &self.reason);
        }
    }

    /// It works: the first data arrived at `at`. `about` is a description for the log.
    pub fn live(&mut self, at: Duration, about: &str) {
        let down = self.lost_at.take().map(|lost| at.saturating_sub(lost));
        self.env.health().add_down(down.unwrap_or_default());
        let back = down.map_or(String::new(), |down| format!("back after {:.1} s ", down.as_secs_f64()));
        self.was_live = true;
        self.reason.clear();
        self.limiter.forget();
        self.enter(State::Live, format!("{back}{about}").trim_end());
    }

    /// Nothing has arrived for too long.
    pub fn stalled(&self, reason: &str) {
        self.enter(State::Stalled, reason);
    }

    /// It is lost; `live_for` is how long it was live, if it was. Returns the wait before the next attempt.
    ///
    /// # Errors
    /// Errors that must end the run: a fault in the YAML if it never worked, or any loss if the YAML says `exit`.
    pub fn lost(&mut self, error: &Error, live_for: Option<Duration>) -> Result<Duration> {
        let now = self.env.clock.now();
        let reason = self.env.secrets.redact(&error.to_string());
        if let Some(time) = live_for {
            self.env.health().count_loss(&reason);
            self.lost_at = Some(now);
            self.backoff.has_been_live(time);
        }
        if matches!(error, Error::Internal(_)) || (matches!(error, Error::Config(_)) && !self.was_live) {
            self.enter(State::Failed, &reason);
            let internal = matches!(error, Error::Internal(_));
            return Err(if internal { Error::Internal(reason) } else { Error::Config(reason) });
        }
        if self.care.on_lost == OnLost::Exit {
            self.enter(State::Failed, &reason);
            return Err(Error::Device(reason));
        }
        let wait = self.backoff.wait();
        let told = self.limiter.failed(&reason, now);
        self.reason.clone_from(&reason);
        let next = format!("trying again in {:.2} s", wait.as_secs_f64());
        match told {
            Some(told) => self.enter(State::Backoff, &format!("{told}; {next}")),
            None => self.note(State::Backoff, &format!("{reason}; {next}")),
        }
        Ok(wait)
    }

    fn note(&self, state: State, reason: &str) {
        self.env.health().set(state, reason, self.env.clock.now());
    }

    fn enter(&self, state: State, reason: &str) {
        self.note(state, reason);
        if let Some(tap) = &self.env.tap {
            tap.state(self.env.id(), state, reason);
        }
        let (line, word) = (&**self.env.id(), state.word());
        match state {
            State::Stalled | State::Backoff | State::Failed => tracing::warn!(line, state = word, "{reason}"),
            _ => tracing::info!(line, state = word, "{reason}"),
        }
    }
}
