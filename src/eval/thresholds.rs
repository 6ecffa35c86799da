//! Precision, recall and F1 over the score: which threshold is best?
//!
//! As Ultralytics counts: at IoU 0.5, each detection takes, best score first, the free object of its class that it
//! overlaps most. A point is what is left with this score as the least one.

use super::coco::{Found, Real, iou};
use std::collections::BTreeMap;

/// The curves of one class, or of all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Curves {
    /// How many objects there are.
    pub real: u64,
    /// Score, and whether it is right: best score first. Without those in crowds.
    pub found: Vec<(f64, bool)>,
}

/// What is left at a threshold.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Point {
    /// The least score.
    pub score: f64,
    /// Share of what is found that is right; 1 if nothing is found.
    pub precision: f64,
    /// Share of what is there that is found.
    pub recall: f64,
}

impl Point {
    /// The harmonic mean of precision and recall.
    #[must_use]
    pub fn f1(&self) -> f64 {
        let sum = self.precision + self.recall;
        if sum > 0.0 { 2.0 * self.precision * self.recall / sum } else { 0.0 }
    }
}

impl Curves {
    /// What is left with this least score.
    #[must_use]
    pub fn at(&self, score: f64) -> Point {
        let left = self.found.partition_point(|(own, _)| *own >= score);
        self.point(score, left)
    }

    fn point(&self, score: f64, left: usize) -> Point {
        let right = self.found[..left].iter().filter(|(_, right)| *right).count() as f64;
        let precision = if left == 0 { 1.0 } else { right / left as f64 };
        Point { score, precision, recall: right / self.real.max(1) as f64 }
    }

    /// The threshold with the best F1. It lies in the middle between the last score that it lets through and the next
    /// lower one, so that a small change of a score does not matter, but never below `floor`, where nothing was seen. It
    /// has as few digits as can be.
    #[must_use]
    pub fn best(&self, floor: f64) -> Option<Point> {
        if self.real == 0 || self.found.is_empty() {
            return None;
        }
        let (mut right, mut best) = (0.0, (0.0, 0));
        for (at, (score, hit)) in self.found.iter().enumerate() {
            right += f64::from(u8::from(*hit));
            // Of equal scores, all are let through or none.
            if self.found.get(at + 1).is_some_and(|(next, _)| next == score) {
                continue;
            }
            let (precision, recall) = (right / (at + 1) as f64, right / self.real as f64);
            let f1 = Point { score: *score, precision, recall }.f1();
            if f1 > best.0 {
                best = (f1, at + 1);
            }
        }
        let last = self.found[best.1.checked_sub(1)?].0;
        let next = self.found.get(best.1).map_or(floor.min(last), |(score, _)| *score);
        Some(self.point(between(next, last), best.1))
    }

    /// The curves as points for a chart.
    #[must_use]
    pub fn points(&self) -> Vec<Point> {
        let (mut left, mut right) = (self.found.len(), self.found.iter().filter(|(_, hit)| *hit).count());
        let mut points = Vec::with_capacity(101);
        for step in 0..=100 {
            let score = f64::from(step) / 100.0;
            while left > 0 && self.found[left - 1].0 < score {
                left -= 1;
                right -= usize::from(self.found[left].1);
            }
            let precision = if left == 0 { 1.0 } else { right as f64 / left as f64 };
            points.push(Point { score, precision, recall: right as f64 / self.real.max(1) as f64 });
        }
        points
    }
}

/// The number of the fewest digits above the lower bound and not above the upper one, near their middle.
fn between(low: f64, high: f64) -> f64 {
    let middle = f64::midpoint(low, high);
    let rounded = (1..=9).map(|digits| {
        let scale = 10f64.powi(digits);
        (middle * scale).round() / scale
    });
    rounded.into_iter().find(|value| *value > low && *value <= high).unwrap_or(high)
}

/// Returns the curves of each class that is there.
#[must_use]
pub fn curves(real: &[Real], found: &[Found]) -> BTreeMap<u64, Curves> {
    let mut all: BTreeMap<u64, Curves> = BTreeMap::new();
    real.iter().filter(|r| !r.crowd && !r.ignore).for_each(|r| all.entry(r.class).or_default().real += 1);
    let mut reals: BTreeMap<(u64, u64), Vec<&Real>> = BTreeMap::new();
    real.iter().for_each(|r| reals.entry((r.image, r.class)).or_default().push(r));
    let mut order: Vec<&Found> = found.iter().filter(|f| all.contains_key(&f.class)).collect();
    order.sort_by(|a, b| b.score.total_cmp(&a.score));
    let mut taken: BTreeMap<(u64, u64), Vec<bool>> = BTreeMap::new();
    for f in order {
        let key = (f.image, f.class);
        let there = reals.get(&key).map_or(&[][..], Vec::as_slice);
        let taken = taken.entry(key).or_insert_with(|| vec![false; there.len()]);
        let mut best: Option<(f64, usize)> = None;
        for (at, r) in there.iter().enumerate().filter(|(at, r)| !r.crowd && !r.ignore && !taken[*at]) {
            let overlap = iou(&f.bbox, &r.bbox, false);
            if overlap >= 0.5 && best.is_none_or(|(known, _)| overlap > known) {
                best = Some((overlap, at));
            }
        }
        let excused = || there.iter().any(|r| (r.crowd || r.ignore) && iou(&f.bbox, &r.bbox, r.crowd) >= 0.5);
        match best {
            Some((_, at)) => taken[at] = true,
            None if excused() => continue,
            None => {}
        }
        all.entry(f.class).or_default().found.push((f.score, best.is_some()));
    }
    all
}

/// Puts classes together.
#[must_use]
pub fn together<'a>(curves: impl IntoIterator<Item = &'a Curves>) -> Curves {
    let mut all = Curves::default();
    for one in curves {
        all.real += one.real;
        all.found.extend(&one.found);
    }
    all.found.sort_by(|a, b| b.0.total_cmp(&a.0));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_threshold_lies_between_two_scores() {
        let curves = Curves { real: 3, found: vec![(0.9, true), (0.8, true), (0.4, false), (0.3, true), (0.1, false)] };
        // After 2: P 1, R 2/3, F1 0.8; after 4: P 3/4, R 1, F1 0.857.
        let best = curves.best(0.0).unwrap();
        assert_eq!((between(0.501, 0.503), between(0.0, 1.0), between(0.3, 0.3)), (0.502, 0.5, 0.3));
        assert!(Curves { real: 1, found: vec![(0.9, true)] }.best(0.5).unwrap().score > 0.5);
        assert!((best.score - 0.2).abs() < 1e-12 && (best.f1() - 6.0 / 7.0).abs() < 1e-12);
        assert_eq!((curves.at(0.5).precision, curves.at(0.95).precision), (1.0, 1.0));
        assert!((curves.points()[50].recall - 2.0 / 3.0).abs() < 1e-12);
        assert_eq!(Curves::default().best(0.0), None);
    }
}
