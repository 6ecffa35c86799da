//! Average precision as Pascal VOC computed it. The numbers equal those of detectron2's `voc_eval`, a port of the
//! official code.
//!
//! Everingham et al. 2010, "The Pascal Visual Object Classes (VOC) Challenge", §4.2. Boxes are in pixels counted
//! from 1, the last one included: IoU counts one more pixel per side.

use std::collections::BTreeMap;

/// Something that is really there; its box is x1, y1, x2, y2, all inclusive.
#[derive(Clone, Debug, PartialEq)]
pub struct Real {
    /// The picture.
    pub image: u64,
    /// Its box.
    pub bbox: [f64; 4],
    /// Marked as difficult: neither missed nor found wrongly.
    pub difficult: bool,
}

/// Something that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The picture.
    pub image: u64,
    /// Its box.
    pub bbox: [f64; 4],
    /// Its score.
    pub score: f64,
}

/// The numbers of one class at one IoU.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scores {
    /// Mean of the best precisions at 11 recalls, as used until 2007.
    pub eleven_points: f64,
    /// Area under the curve made monotone, as used since 2010.
    pub area: f64,
    /// Recall after each detection, best first.
    pub recalls: Vec<f64>,
    /// Precision after each detection.
    pub precisions: Vec<f64>,
}

fn iou(a: &[f64; 4], b: &[f64; 4]) -> f64 {
    let side = |at: usize| (a[at + 2].min(b[at + 2]) - a[at].max(b[at]) + 1.0).max(0.0);
    let area = |c: &[f64; 4]| (c[2] - c[0] + 1.0) * (c[3] - c[1] + 1.0);
    let inside = side(0) * side(1);
    inside / (area(a) + area(b) - inside)
}

/// Measures one class. A second detection of the same object is wrong.
#[must_use]
pub fn evaluate(real: &[Real], found: &[Found], least_iou: f64) -> Scores {
    let mut images: BTreeMap<u64, Vec<(&Real, bool)>> = BTreeMap::new();
    real.iter().for_each(|r| images.entry(r.image).or_default().push((r, false)));
    let count = real.iter().filter(|r| !r.difficult).count() as f64;
    let mut order: Vec<&Found> = found.iter().collect();
    order.sort_by(|a, b| b.score.total_cmp(&a.score));
    let (mut right, mut wrong) = (0.0, 0.0);
    let mut scores = Scores::default();
    for found in order {
        let mut best: (f64, Option<&mut (&Real, bool)>) = (f64::NEG_INFINITY, None);
        for real in images.get_mut(&found.image).into_iter().flatten() {
            let overlap = iou(&real.0.bbox, &found.bbox);
            if overlap > best.0 {
                best = (overlap, Some(real));
            }
        }
        match best {
            (overlap, Some((real, taken))) if overlap > least_iou => {
                if !real.difficult {
                    let again = std::mem::replace(taken, true);
                    right += f64::from(u8::from(!again));
                    wrong += f64::from(u8::from(again));
                }
            }
            _ => wrong += 1.0,
        }
        scores.recalls.push(right / count);
        scores.precisions.push(right / f64::max(right + wrong, f64::EPSILON));
    }
    let points = scores.recalls.iter().zip(&scores.precisions);
    scores.eleven_points = (0..11)
        .map(|step| {
            let reached = points.clone().filter(|(recall, _)| **recall >= f64::from(step) * 0.1);
            reached.map(|(_, precision)| *precision).fold(0.0, f64::max) / 11.0
        })
        .sum();
    let (mut best, mut right_of) = (0.0f64, 1.0);
    for (recall, precision) in points.rev() {
        // The step from this recall to the next higher one has the best precision beyond it.
        scores.area += (right_of - recall) * best;
        (best, right_of) = (best.max(*precision), *recall);
    }
    scores.area += right_of * best;
    scores
}
