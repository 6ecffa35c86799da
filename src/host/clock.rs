//! The only place that reads the time.

use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};

/// Time for deadlines, pacing and back-off. Stages use the frame's `pts` instead.
pub trait Clock: Send + Sync {
    /// Time since the clock was created; never goes backwards.
    fn now(&self) -> Duration;
    /// The time of day.
    fn wall(&self) -> SystemTime;
    /// Waits for this long.
    fn sleep(&self, time: Duration);
}

/// Detects steps of the wall clock, for example because somebody set it or network time arrived late.
#[derive(Debug, Default)]
pub struct WallWatch(Mutex<Option<i128>>);

impl WallWatch {
    /// Smaller differences are drift, which time services correct gradually.
    const STEP: Duration = Duration::from_millis(500);

    /// Compares both clocks. Returns the step since the last look in nanoseconds (positive: forward), if there was one.
    pub fn look(&self, now: Duration, wall: SystemTime) -> Option<i128> {
        let signed = |time: Duration| time.as_nanos().cast_signed();
        let wall = wall.duration_since(SystemTime::UNIX_EPOCH).map_or_else(|e| -signed(e.duration()), signed);
        let apart = wall - signed(now);
        let before = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).replace(apart)?;
        let step = apart - before;
        (step.unsigned_abs() > Self::STEP.as_nanos()).then_some(step)
    }
}

/// The system clock. Steps of the wall clock are logged; nothing here measures durations with it.
#[derive(Debug)]
pub struct SystemClock(Instant, WallWatch);

impl Default for SystemClock {
    fn default() -> Self {
        Self(Instant::now(), WallWatch::default())
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }

    fn wall(&self) -> SystemTime {
        let wall = SystemTime::now();
        if let Some(step) = self.1.look(self.now(), wall) {
            tracing::warn!("the wall clock stepped by {:+.3} s; `wall` follows it, `pts` does not", step as f64 / 1e9);
        }
        wall
    }

    fn sleep(&self, time: Duration) {
        std::thread::sleep(time);
    }
}

/// A clock that is advanced by hand or by the frames of a replay. Sleeping advances it too.
#[derive(Debug, Default)]
pub struct ManualClock(Mutex<Duration>);

impl ManualClock {
    /// Advances the clock.
    pub fn advance(&self, time: Duration) {
        *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner) += time;
    }

    /// Advances the clock to `time`, unless it is already later.
    pub fn advance_to(&self, time: Duration) {
        let mut now = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *now = time.max(*now);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Duration {
        *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn wall(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + self.now()
    }

    fn sleep(&self, time: Duration) {
        self.advance(time);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_found_and_drift_is_not() {
        let (watch, start) = (WallWatch::default(), SystemTime::UNIX_EPOCH + Duration::from_hours(1));
        let seconds = Duration::from_secs;
        assert_eq!(watch.look(seconds(1), start), None);
        assert_eq!(watch.look(seconds(11), start + Duration::from_millis(10_400)), None);
        assert_eq!(watch.look(seconds(12), start + Duration::from_millis(3_611_400)), Some(3_600_000_000_000));
        assert_eq!(watch.look(seconds(13), start + Duration::from_millis(2_400)), Some(-3_610_000_000_000));
        assert_eq!(watch.look(seconds(14), start + Duration::from_millis(3_400)), None);
    }
}
