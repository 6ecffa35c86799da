//! Which truth each anchor is matched to. Same numbers as torchvision's `Matcher` and `SSDMatcher`.

/// The anchor matches no truth.
pub const BACKGROUND: i64 = -1;
/// The anchor overlaps too much for background and too little for a match; training ignores it.
pub const BETWEEN: i64 = -2;

/// The thresholds of a matcher.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Matcher {
    /// An anchor matches from this IoU up.
    pub high: f32,
    /// Below this IoU an anchor is background.
    pub low: f32,
    /// Whether each truth gets the anchors that overlap it most, however little that is (Ren et al. 2015, §3.1.2).
    pub allow_low_quality: bool,
}

impl Matcher {
    /// Returns for each of `anchors` the index of its truth, [`BACKGROUND`] or [`BETWEEN`].
    ///
    /// `iou` is `[truths, anchors]`, row by row.
    #[must_use]
    pub fn matches(&self, iou: &[f32], anchors: usize) -> Vec<i64> {
        let best = best_truths(iou, anchors);
        let mut matches: Vec<i64> = best
            .iter()
            .map(|&(truth, value)| match value {
                v if v < self.low => BACKGROUND,
                v if v < self.high => BETWEEN,
                _ => truth as i64,
            })
            .collect();
        if self.allow_low_quality && anchors > 0 {
            for row in iou.chunks_exact(anchors) {
                let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                for (anchor, _) in row.iter().enumerate().filter(|(_, value)| **value == most) {
                    matches[anchor] = best[anchor].0 as i64;
                }
            }
        }
        matches
    }
}

/// SSD's rule (Liu et al. 2016, §2.2): anchors above `threshold` match, and each truth always takes its
/// best anchor; a later truth takes an anchor from an earlier one.
#[must_use]
pub fn ssd_matches(iou: &[f32], anchors: usize, threshold: f32) -> Vec<i64> {
    let matcher = Matcher { high: threshold, low: threshold, allow_low_quality: false };
    let mut matches = matcher.matches(iou, anchors);
    if anchors > 0 {
        for (truth, row) in iou.chunks_exact(anchors).enumerate() {
            let best = row.iter().enumerate().fold(0, |b, (i, v)| if *v > row[b] { i } else { b });
            matches[best] = truth as i64;
        }
    }
    matches
}

/// For each anchor, its best truth (the first if several are equal) and their IoU.
fn best_truths(iou: &[f32], anchors: usize) -> Vec<(usize, f32)> {
    let mut best = vec![(0, f32::NEG_INFINITY); anchors];
    if anchors > 0 {
        for (truth, row) in iou.chunks_exact(anchors).enumerate() {
            for (slot, &value) in best.iter_mut().zip(row) {
                if value > slot.1 {
                    *slot = (truth, value);
                }
            }
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_part_the_anchors() {
        let matcher = Matcher { high: 0.7, low: 0.3, allow_low_quality: false };
        assert_eq!(matcher.matches(&[0.8, 0.5, 0.1], 3), [0, BETWEEN, BACKGROUND]);
    }

    #[test]
    fn a_lonely_truth_takes_its_best_anchor() {
        let matcher = Matcher { high: 0.7, low: 0.3, allow_low_quality: true };
        assert_eq!(matcher.matches(&[0.2, 0.1], 2), [0, BACKGROUND]);
        assert_eq!(ssd_matches(&[0.1, 0.2], 2, 0.5), [BACKGROUND, 0]);
    }
}
