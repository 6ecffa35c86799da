//! Do scores mean what they say? The expected calibration error, equal to that of torchmetrics 1.9
//! (`BinaryCalibrationError`, 15 bins, L1).
//!
//! Guo et al. 2017, "On Calibration of Modern Neural Networks", §2. Bins include their lower edge; a score of 1 has one of
//! its own.

/// A bin of scores.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bin {
    /// How many answers fall into it.
    pub count: u64,
    /// Their mean score.
    pub score: f64,
    /// The share of them that is right.
    pub right: f64,
}

/// How well scores are calibrated.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Calibration {
    /// The bins, from low scores to high ones.
    pub bins: Vec<Bin>,
    /// The mean difference between score and share, weighted by count.
    pub error: f64,
}

const BINS: usize = 15;

/// Measures scores (0–1) of answers that are right or wrong; `None` without answers.
#[must_use]
pub fn calibration(answers: &[(f64, bool)]) -> Option<Calibration> {
    if answers.is_empty() {
        return None;
    }
    let mut bins = vec![(0u64, 0.0, 0u64); BINS + 1];
    for (score, right) in answers {
        let score = score.clamp(0.0, 1.0);
        // The number of edges up to the score, of 0, 1/15 … 1.
        let bin = (0..=BINS).filter(|edge| *edge as f64 / BINS as f64 <= score).count() - 1;
        bins[bin].0 += 1;
        bins[bin].1 += score;
        bins[bin].2 += u64::from(*right);
    }
    let bin = |(count, sum, right): &(u64, f64, u64)| {
        let n = (*count).max(1) as f64;
        Bin { count: *count, score: sum / n, right: *right as f64 / n }
    };
    let bins: Vec<Bin> = bins.iter().map(bin).collect();
    let all = answers.len() as f64;
    let error = bins.iter().map(|bin| bin.count as f64 / all * (bin.right - bin.score).abs()).sum();
    Some(Calibration { bins, error })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sure_answers_that_are_half_right_are_off_by_their_score() {
        let found = calibration(&[(1.0, true), (1.0, false), (0.5, true), (0.5, false)]).unwrap();
        assert!((found.error - 0.25).abs() < 1e-12 && found.bins[15].count == 2);
        assert_eq!(calibration(&[]), None);
    }
}
