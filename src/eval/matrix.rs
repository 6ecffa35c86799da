//! Which class is taken for which: the confusion matrix of a detector, equal to that of supervision 0.31
//! (`ConfusionMatrix`).
//!
//! Pairs are made greedily: those of one class first, then by falling IoU; an IoU of exactly the threshold is none. Scores
//! play no part. Crowds and difficult objects are left out, with what lies in them.

use super::coco::{Found, Real, iou};
use std::collections::BTreeMap;

/// Counts: `[real class][found class]`. The last row is "nothing there", the last column "missed".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matrix {
    /// The numbers of the classes, in the order of rows and columns.
    pub classes: Vec<u64>,
    /// The counts, row by row.
    pub counts: Vec<Vec<u64>>,
}

/// Boxes with a larger IoU are of one object.
const NEAR: f32 = 0.5;

/// Counts pairs of objects and detections with at least `least` as their score.
#[must_use]
pub fn confusion(classes: &[u64], real: &[Real], found: &[Found], least: f64) -> Matrix {
    let place: BTreeMap<u64, usize> = classes.iter().enumerate().map(|(at, class)| (*class, at)).collect();
    let none = classes.len();
    let mut matrix = Matrix { classes: classes.to_vec(), counts: vec![vec![0; none + 1]; none + 1] };
    let mut images: BTreeMap<u64, (Vec<&Real>, Vec<&Found>)> = BTreeMap::new();
    real.iter().filter(|r| place.contains_key(&r.class)).for_each(|r| images.entry(r.image).or_default().0.push(r));
    let counts = |f: &&Found| f.score >= least && place.contains_key(&f.class);
    found.iter().filter(counts).for_each(|f| images.entry(f.image).or_default().1.push(f));
    for (all, found) in images.into_values() {
        let (excuses, real): (Vec<&Real>, Vec<&Real>) = all.into_iter().partition(|r| r.crowd || r.ignore);
        let mut pairs: Vec<(bool, f32, usize, usize)> = Vec::new();
        for (a, r) in real.iter().enumerate() {
            for (b, f) in found.iter().enumerate() {
                let overlap = iou(&f.bbox, &r.bbox, false) as f32;
                if overlap > NEAR {
                    pairs.push((r.class != f.class, overlap, a, b));
                }
            }
        }
        pairs.sort_by(|x, y| x.0.cmp(&y.0).then(y.1.total_cmp(&x.1)).then(x.2.cmp(&y.2)).then(x.3.cmp(&y.3)));
        let (mut taken, mut given) = (vec![false; real.len()], vec![false; found.len()]);
        for (_, _, a, b) in pairs {
            if !taken[a] && !given[b] {
                (taken[a], given[b]) = (true, true);
                matrix.counts[place[&real[a].class]][place[&found[b].class]] += 1;
            }
        }
        for (r, _) in real.iter().zip(taken).filter(|(_, taken)| !taken) {
            matrix.counts[place[&r.class]][none] += 1;
        }
        let excused =
            |f: &Found| excuses.iter().any(|r| r.class == f.class && iou(&f.bbox, &r.bbox, r.crowd) >= f64::from(NEAR));
        for (f, _) in found.iter().zip(given).filter(|(f, given)| !given && !excused(f)) {
            matrix.counts[none][place[&f.class]] += 1;
        }
    }
    matrix
}

impl Matrix {
    /// Pairs of different classes, most common first: real, found, count.
    #[must_use]
    pub fn confused(&self) -> Vec<(u64, u64, u64)> {
        let mut pairs = Vec::new();
        for (a, real) in self.classes.iter().enumerate() {
            for (b, found) in self.classes.iter().enumerate() {
                if a != b && self.counts[a][b] > 0 {
                    pairs.push((*real, *found, self.counts[a][b]));
                }
            }
        }
        pairs.sort_by_key(|(.., count)| std::cmp::Reverse(*count));
        pairs
    }
}
