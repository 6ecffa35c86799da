//! One continuous media time through all losses of a live source.
//!
//! A source's own time says when a picture was taken, but its clock is not ours: it starts anywhere, drifts by up to a
//! hundred microseconds a second, and jumps. Our clock says when a picture arrived, which is late by a varying delay.
//! The smallest delay of the last minute or two is taken for the true one (as NTP does, RFC 5905, section 10), and the
//! offset between both clocks follows it gradually.

use std::time::Duration;

const SECOND: i128 = 1_000_000_000;
/// How long a smallest delay is believed: one to two of these.
const WINDOW: i128 = 60 * SECOND;
/// How fast the offset follows, per time: for drift, and when it is further off than [`FAR`], as after the first picture
/// of a connection, which may have been late.
const SLOW: f64 = 0.002;
const FAST: f64 = 0.25;
const FAR: i128 = SECOND / 20;
/// A source's time that goes back by more than this has jumped, and so has one that is ahead of any picture's arrival by
/// more than this.
const STEP: i128 = SECOND;
/// A picture that is later than this has the wrong time; no connection holds pictures back for so long.
const LATEST: i128 = 5 * SECOND;

/// Gives each picture a `pts` that never goes back, whatever the source's own time does.
#[derive(Debug, Default)]
pub struct Timeline {
    /// What ties the source's own time to the clock; found again after each loss.
    tie: Option<Tie>,
    last: Option<Duration>,
}

/// All times are nanoseconds; a delay is the time of arrival less the source's own time, so it includes the offset.
#[derive(Debug)]
struct Tie {
    /// What is added to the source's own time.
    offset: i128,
    /// The source's time of the last picture.
    own: i128,
    /// The smallest delays of the current window and of the one before, and when the current one began.
    smallest: i128,
    before: i128,
    began: i128,
}

impl Tie {
    const fn new(clock: i128, own: i128) -> Self {
        let delay = clock - own;
        Self { offset: delay, own, smallest: delay, before: delay, began: clock }
    }

    /// Takes a picture. Returns how far the source's time jumped, if it did.
    fn take(&mut self, clock: i128, own: i128) -> Option<i128> {
        let (delay, passed) = (clock - own, own - self.own);
        let least = self.smallest.min(self.before);
        if passed < -STEP || delay < least - STEP || delay > least + LATEST {
            return Some(least - delay);
        }
        self.own = own.max(self.own);
        if clock - self.began >= WINDOW {
            (self.before, self.smallest, self.began) = (self.smallest, delay, clock);
        }
        self.smallest = self.smallest.min(delay);
        let error = self.smallest.min(self.before) - self.offset;
        let rate = if error.abs() > FAR { FAST } else { SLOW };
        let most = (passed.max(0) as f64 * rate) as i128;
        self.offset += error.clamp(-most, most);
        None
    }
}

impl Timeline {
    /// The source was lost: its own time may start again.
    pub const fn lost(&mut self) {
        self.tie = None;
    }

    /// Returns the media time of a picture that arrived at `elapsed` on the clock; `media` is the source's own time, if
    /// it has one. The second value is how far that time jumped, if it did.
    pub fn pts(&mut self, elapsed: Duration, media: Option<Duration>) -> (Duration, Option<i128>) {
        let (mut pts, mut jumped) = (elapsed, None);
        if let Some(media) = media {
            let (clock, own) = (elapsed.as_nanos().cast_signed(), media.as_nanos().cast_signed());
            let tie = self.tie.get_or_insert_with(|| Tie::new(clock, own));
            jumped = tie.take(clock, own);
            if jumped.is_some() {
                *tie = Tie::new(clock, own);
            }
            pts = Duration::from_nanos(u64::try_from(own + tie.offset).unwrap_or(0));
        }
        if let Some(last) = self.last {
            pts = pts.max(last + Duration::from_micros(1));
        }
        self.last = Some(pts);
        (pts, jumped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::{Clock, ManualClock};

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn the_sources_own_time_counts_and_goes_on_after_a_loss() {
        let mut line = Timeline::default();
        assert_eq!(line.pts(ms(0), Some(ms(70_000))), (ms(0), None));
        // It arrived late, but the source says when it was taken.
        assert_eq!(line.pts(ms(90), Some(ms(70_040))), (ms(40), None));
        line.lost();
        assert_eq!(line.pts(ms(2000), Some(ms(5))), (ms(2000), None));
        assert_eq!(line.pts(ms(2040), Some(ms(45))), (ms(2040), None));
    }

    #[test]
    fn a_jump_is_told_and_time_never_goes_back() {
        let mut line = Timeline::default();
        line.pts(ms(0), Some(ms(0)));
        let (pts, jumped) = line.pts(ms(40), Some(ms(3_600_000)));
        assert!(pts == ms(40) && jumped.is_some_and(|by| by > 0), "{pts:?} {jumped:?}");
        let (pts, jumped) = line.pts(ms(80), Some(ms(0)));
        assert!(pts == ms(80) && jumped.is_some_and(|by| by < 0), "{pts:?} {jumped:?}");
        assert_eq!(line.pts(ms(80), None).0, ms(80) + Duration::from_micros(1));
    }

    /// Knuth's MMIX generator, from 0 to 1.
    fn roll(state: &mut u64) -> f64 {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*state >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A week of a camera whose clock is `ppm` off. Its pictures are up to `usual` late, and one in `rare` by up to half a
    /// second more, which holds up those behind it, because they arrive in order. One in a hundred is lost, and the
    /// connection every few hours. Returns the largest error of a `pts` once a connection has lasted for three seconds
    /// and thirty pictures (before, nobody can know how late they were), and how many packets pass `every: 10s`.
    fn week(ppm: f64, fps: f64, usual: f64, rare: f64, seed: u64) -> (Duration, u64) {
        const WEEK: f64 = 7.0 * 86_400.0;
        let (clock, mut line, mut state) = (ManualClock::default(), Timeline::default(), seed);
        let (mut taken, mut start, mut count, mut worst, mut last) = (0.0, 0.0, 0, 0.0_f64, None);
        let (mut passed, mut slot) = (0, u64::MAX);
        while taken < WEEK {
            taken += 1.0 / fps;
            if roll(&mut state) < 0.01 {
                continue;
            }
            if roll(&mut state) < 1.0 / (4.0 * 3600.0 * fps) {
                // Down for a while; then its own time starts again.
                taken += 1.0 + 60.0 * roll(&mut state);
                (start, count) = (taken, 0);
                line.lost();
            }
            let more = if roll(&mut state) * rare < 1.0 { (0.5 - usual) * roll(&mut state) } else { 0.0 };
            clock.advance_to(Duration::from_secs_f64(taken + usual * roll(&mut state) + more));
            let own = Duration::from_secs_f64(100.0 + (taken - start) * (1.0 + ppm / 1e6));
            let (pts, jumped) = line.pts(clock.now(), Some(own));
            assert!(jumped.is_none() && last.is_none_or(|last| pts > last), "{taken} {jumped:?} {pts:?} {last:?}");
            (last, count) = (Some(pts), count + 1);
            if taken - start > 3.0 && count > 30 {
                worst = worst.max((pts.as_secs_f64() - taken).abs());
            }
            let now = pts.as_secs() / 10;
            passed += u64::from(slot != now);
            slot = now;
        }
        (Duration::from_secs_f64(worst), passed)
    }

    #[test]
    fn a_week_of_drift_jitter_and_losses_keeps_its_time() {
        let cases = [
            (100.0, 25.0, 0.02, 50.0, 1),
            (-100.0, 25.0, 0.02, 50.0, 2),
            (100.0, 5.0, 0.1, 20.0, 3),
            (-100.0, 5.0, 0.1, 20.0, 4),
            // Every picture is up to half a second late.
            (100.0, 1.0, 0.5, 1e9, 5),
            (-100.0, 1.0, 0.5, 1e9, 6),
        ];
        for (ppm, fps, usual, rare, seed) in cases {
            let (worst, passed) = week(ppm, fps, usual, rare, seed);
            eprintln!("{ppm:+} ppm at {fps} frames/s: at most {worst:?} off, {passed} packets pass `every: 10s`");
            assert!(worst < ms(100), "{worst:?} off");
            // 60,480 slots of ten seconds; about 42 losses of up to a minute.
            assert!((60_000..=60_481).contains(&passed), "{passed}");
        }
    }
}
