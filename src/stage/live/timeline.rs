//! One continuous media time through all losses of a live source.

use std::time::Duration;

/// If a source's own time differs from the clock by more than this, it has jumped.
const JUMP: Duration = Duration::from_secs(5);

/// Gives each picture a `pts` that never goes back, whatever the source's own time does.
#[derive(Debug, Default)]
pub struct Timeline {
    /// The clock's time of the very first picture.
    origin: Option<Duration>,
    /// What to add to the source's own time, in nanoseconds; determined again after each loss.
    offset: Option<i128>,
    last: Option<Duration>,
}

impl Timeline {
    /// The source was lost: its own time may start again.
    pub const fn lost(&mut self) {
        self.offset = None;
    }

    /// Returns the media time of a picture that arrived at `at` on the clock; `media` is the source's own time, if it
    /// has one. The second value is how far that time jumped, if it did.
    pub fn pts(&mut self, at: Duration, media: Option<Duration>) -> (Duration, Option<i128>) {
        let elapsed = at.saturating_sub(*self.origin.get_or_insert(at));
        let (mut pts, mut jumped) = (elapsed, None);
        if let Some(media) = media {
            let (clock, own) = (elapsed.as_nanos().cast_signed(), media.as_nanos().cast_signed());
            let offset = *self.offset.get_or_insert(clock - own);
            let off = own + offset - clock;
            if off.unsigned_abs() > JUMP.as_nanos() {
                jumped = Some(off);
                self.offset = Some(clock - own);
            } else {
                pts = Duration::from_nanos(u64::try_from(own + offset).unwrap_or(0));
            }
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

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn the_sources_own_time_counts_and_goes_on_after_a_loss() {
        let mut line = Timeline::default();
        assert_eq!(line.pts(ms(1000), Some(ms(70_000))), (ms(0), None));
        // It arrived late, but the source says when it was taken.
        assert_eq!(line.pts(ms(1090), Some(ms(70_040))), (ms(40), None));
        line.lost();
        assert_eq!(line.pts(ms(3000), Some(ms(5))), (ms(2000), None));
        assert_eq!(line.pts(ms(3030), Some(ms(45))), (ms(2040), None));
    }

    #[test]
    fn a_jump_is_told_and_time_never_goes_back() {
        let mut line = Timeline::default();
        line.pts(ms(0), Some(ms(0)));
        assert_eq!(line.pts(ms(40), Some(ms(3_600_000))).0, ms(40));
        let (pts, jumped) = line.pts(ms(80), Some(ms(0)));
        assert!(pts == ms(80) && jumped.is_some_and(|by| by < 0), "{pts:?} {jumped:?}");
        assert_eq!(line.pts(ms(80), None).0, ms(80) + Duration::from_micros(1));
    }
}
