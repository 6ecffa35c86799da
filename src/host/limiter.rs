//! Repeated messages: logged once, then counted.

use std::time::Duration;

/// Decides which repeated messages go into the log: the first, then "n more in 60 s", then "works again".
///
/// Within a window, each reason is logged once, and only a few different reasons are logged at all.
#[derive(Debug)]
pub struct Limiter {
    window: Duration,
    most: usize,
    /// When the window began.
    began: Duration,
    /// What was logged in this window.
    told: Vec<String>,
    /// How many messages were held back in this window.
    held: u64,
    /// When the first message since it last worked came, and how many have come since.
    failing: Option<(Duration, u64)>,
    /// When "works again" was last logged.
    recovered: Option<Duration>,
}

impl Default for Limiter {
    /// Four different reasons per minute.
    fn default() -> Self {
        Self::new(4, Duration::from_mins(1))
    }
}

impl Limiter {
    /// Creates a limiter that lets through at most `most` messages per `window`.
    #[must_use]
    pub const fn new(most: usize, window: Duration) -> Self {
        Self { window, most, began: Duration::ZERO, told: Vec::new(), held: 0, failing: None, recovered: None }
    }

    /// Takes a failure at the clock's time `now`; returns what to log, if anything.
    pub fn failed(&mut self, reason: &str, now: Duration) -> Option<String> {
        let (since, count) = self.failing.unwrap_or((now, 0));
        self.failing = Some((since, count + 1));
        if self.told.is_empty() || now.saturating_sub(self.began) >= self.window {
            let held = std::mem::take(&mut self.held);
            let seconds = now.saturating_sub(self.began).as_secs_f64();
            self.began = now;
            self.told.clear();
            self.told.push(reason.to_owned());
            return Some(if held > 0 {
                format!("{reason} ({held} more in {seconds:.0} s)")
            } else {
                reason.to_owned()
            });
        }
        if self.told.len() >= self.most || self.told.iter().any(|told| told == reason) {
            self.held += 1;
            return None;
        }
        self.told.push(reason.to_owned());
        Some(reason.to_owned())
    }

    /// Takes a success; returns what to log if it had failed before. Costs one comparison if it had not.
    pub fn works(&mut self, now: Duration) -> Option<String> {
        let (since, count) = self.failing.take()?;
        // Something that fails and works in turn would be logged without end.
        let lately = self.recovered.is_some_and(|told| now.saturating_sub(told) < self.window);
        if count < 2 || lately {
            return None;
        }
        self.recovered = Some(now);
        let seconds = now.saturating_sub(since).as_secs_f64();
        Some(format!("works again; it had failed {count} times in {seconds:.1} s"))
    }

    /// Starts over: the next message is logged, whatever it is.
    pub fn forget(&mut self) {
        *self = Self::new(self.most, self.window);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_told_then_a_count_then_that_it_works() {
        let (mut limiter, seconds) = (Limiter::default(), Duration::from_secs);
        assert_eq!(limiter.works(seconds(1)), None);
        assert_eq!(limiter.failed("no room", seconds(1)).as_deref(), Some("no room"));
        assert_eq!((2..61).filter_map(|at| limiter.failed("no room", seconds(at))).count(), 0);
        assert_eq!(limiter.failed("no room", seconds(61)).as_deref(), Some("no room (59 more in 60 s)"));
        assert_eq!(limiter.failed("torn", seconds(62)).as_deref(), Some("torn"));
        assert_eq!(limiter.works(seconds(65)).as_deref(), Some("works again; it had failed 62 times in 64.0 s"));
        assert_eq!(limiter.works(seconds(66)), None);
    }

    #[test]
    fn neither_changing_reasons_nor_luck_between_them_flood_the_log() {
        let (mut limiter, mut told) = (Limiter::default(), 0);
        for at in 0..600u64 {
            told += usize::from(limiter.failed(&format!("frame {at}"), Duration::from_millis(at * 100)).is_some());
        }
        assert_eq!(told, 4, "a minute of frames, each with a reason of its own");
        let (mut limiter, mut told) = (Limiter::default(), 0);
        for at in 0..600u64 {
            told += usize::from(limiter.failed("odd", Duration::from_millis(at * 100)).is_some());
            told += usize::from(limiter.works(Duration::from_millis(at * 100 + 50)).is_some());
        }
        assert_eq!(told, 1, "every second frame fails");
    }
}
