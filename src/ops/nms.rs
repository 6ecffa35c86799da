//! Non-maximum suppression: greedy, and soft.

use super::iou::{iou, prob_iou};
use crate::types::{BBox, Detection};

/// Which boxes may suppress each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Only boxes of the same class, as in `torchvision.ops.batched_nms`.
    Class,
    /// All boxes, as in `torchvision.ops.nms`.
    All,
}

/// How soft NMS lowers the score of a box that overlaps a better one with an IoU of `o`. Bodla et al. 2017, Soft-NMS,
/// §3.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Decay {
    /// `score * (1 - o)` where `o` is above the threshold: the paper's equation 2, OpenCV's `SOFTNMS_LINEAR`.
    Linear {
        /// The threshold.
        threshold: f32,
    },
    /// `score * exp(-o² / sigma)`: the paper's equation 3, OpenCV's `SOFTNMS_GAUSSIAN`.
    Gaussian {
        /// Smaller values suppress more.
        sigma: f32,
    },
    /// `score * exp(-o² / (2 sigma))`: TensorFlow's `non_max_suppression_with_scores`.
    GaussianHalf {
        /// Smaller values suppress more.
        sigma: f32,
    },
}

impl Decay {
    fn apply(self, score: f32, overlap: f32) -> f32 {
        match self {
            Self::Linear { threshold } if overlap > threshold => score * (1.0 - overlap),
            Self::Linear { .. } => score,
            Self::Gaussian { sigma } => score * (-(overlap * overlap) / sigma).exp(),
            Self::GaussianHalf { sigma } => score * (-0.5 * overlap * overlap / sigma).exp(),
        }
    }
}

/// Non-maximum suppression with buffers that are kept from frame to frame.
#[derive(Debug, Default)]
pub struct Nms {
    order: Vec<u32>,
    keep: Vec<u32>,
    /// Boxes of `keep`, and for each the previous one kept in its group, counted from 1; 0 means none.
    boxes: Vec<BBox>,
    before: Vec<u32>,
    /// The last one kept in each group, counted from 1.
    last: Vec<u32>,
    decayed: Vec<(u32, f32)>,
}

impl Nms {
    /// Returns the indices of the boxes that stay, best score first; equal scores keep their order.
    ///
    /// In descending order of score, a box is dropped if its IoU with a better one that stayed is strictly
    /// above `threshold`. Boxes and scores that are NaN or infinite are dropped first. At most `limit`
    /// boxes stay. Same results as `torchvision.ops.nms` and `batched_nms`.
    pub fn greedy(&mut self, found: &[Detection], threshold: f32, scope: Scope, limit: usize) -> &[u32] {
        self.adaptive(found, threshold, 1.0, scope, limit)
    }

    /// Like [`Nms::greedy`], but with an `eta` below 1 the threshold is multiplied by it after each box that stays, as
    /// long as the threshold is above 0.5: the `eta` of OpenCV's `NMSBoxes`.
    pub fn adaptive(&mut self, found: &[Detection], threshold: f32, eta: f32, scope: Scope, limit: usize) -> &[u32] {
        let mut threshold = threshold;
        self.order.clear();
        self.keep.clear();
        let sound = |d: &Detection| d.score.is_finite() && d.bbox.is_finite();
        self.order.extend((0..found.len() as u32).filter(|&i| sound(&found[i as usize])));
        // The index breaks ties, so the unstable sort (which allocates nothing) is stable here.
        self.order.sort_unstable_by(|&a, &b| {
            let by_score = found[b as usize].score.total_cmp(&found[a as usize].score);
            by_score.then(a.cmp(&b))
        });
        self.boxes.clear();
        self.before.clear();
        self.last.clear();
        for &candidate in &self.order {
            if self.keep.len() >= limit {
                break;
            }
            let new = &found[candidate as usize];
            let group = if scope == Scope::Class { usize::from(new.class) } else { 0 };
            if self.last.len() <= group {
                self.last.resize(group + 1, 0);
            }
            // Only boxes of the same group can suppress it; the others are not checked.
            let mut other = self.last[group];
            while other > 0 {
                let at = other as usize - 1;
                let shared = match &new.corners {
                    None => iou(&self.boxes[at], &new.bbox),
                    Some(_) => overlap(&found[self.keep[at] as usize], new),
                };
                if shared > threshold {
                    break;
                }
                other = self.before[at];
            }
            if other == 0 {
                self.keep.push(candidate);
                self.boxes.push(new.bbox);
                self.before.push(self.last[group]);
                self.last[group] = self.keep.len() as u32;
                if eta < 1.0 && threshold > 0.5 {
                    threshold *= eta;
                }
            }
        }
        &self.keep
    }

    /// Soft NMS: returns the indices and new scores of the boxes that stay, in the order in which they were taken. Each
    /// step takes the best box and lowers the scores of those that overlap it; boxes below `min_score` are dropped.
    /// Same results as OpenCV's `softNMSBoxes`, and as TensorFlow's for [`Decay::GaussianHalf`].
    pub fn soft(
        &mut self,
        found: &[Detection],
        decay: Decay,
        min_score: f32,
        scope: Scope,
        limit: usize,
    ) -> &[(u32, f32)] {
        let rest = &mut self.decayed;
        rest.clear();
        let sound = |d: &Detection| d.score >= min_score && d.score.is_finite() && d.bbox.is_finite();
        rest.extend(found.iter().enumerate().filter(|(_, d)| sound(d)).map(|(at, d)| (at as u32, d.score)));
        let mut taken = 0;
        while taken < rest.len().min(limit) {
            let better = |a: &(u32, f32), b: &(u32, f32)| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0));
            let Some(best) = (taken..rest.len()).max_by(|&a, &b| better(&rest[a], &rest[b])) else { break };
            if rest[best].1 < min_score {
                break;
            }
            rest.swap(taken, best);
            let kept = &found[rest[taken].0 as usize];
            for (index, score) in &mut rest[taken + 1..] {
                let other = &found[*index as usize];
                if scope == Scope::All || other.class == kept.class {
                    *score = decay.apply(*score, overlap(kept, other));
                }
            }
            taken += 1;
        }
        &rest[..taken]
    }
}

/// The IoU of two boxes, or the probabilistic one if both are turned.
fn overlap(a: &Detection, b: &Detection) -> f32 {
    match (&a.corners, &b.corners) {
        (Some(a), Some(b)) => prob_iou(a, b),
        _ => iou(&a.bbox, &b.bbox),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(x: f32, class: u16, score: f32) -> Detection {
        Detection::new(BBox::new(x, 0.0, x + 10.0, 10.0), class, score)
    }

    #[test]
    fn the_better_of_two_near_boxes_stays() {
        let found = [at(0.0, 0, 0.5), at(1.0, 0, 0.9), at(30.0, 0, 0.1)];
        assert_eq!(Nms::default().greedy(&found, 0.5, Scope::Class, 100), [1, 2]);
    }

    #[test]
    fn classes_do_not_suppress_each_other_unless_told_to() {
        let found = [at(0.0, 0, 0.5), at(0.0, 1, 0.9)];
        assert_eq!(Nms::default().greedy(&found, 0.5, Scope::Class, 100), [1, 0]);
        assert_eq!(Nms::default().greedy(&found, 0.5, Scope::All, 100), [1]);
    }

    #[test]
    fn an_overlap_of_exactly_the_threshold_stays() {
        // 10x10 boxes 5 apart: IoU = 50 / 150.
        let found = [at(0.0, 0, 0.9), at(5.0, 0, 0.8)];
        assert_eq!(Nms::default().greedy(&found, 50.0 / 150.0, Scope::All, 100), [0, 1]);
    }

    #[test]
    fn soft_suppression_lowers_scores_and_keeps_other_classes() {
        let found = [at(0.0, 0, 0.9), at(0.0, 1, 0.8), at(5.0, 0, 0.6)];
        let mut nms = Nms::default();
        let kept = nms.soft(&found, Decay::Linear { threshold: 0.3 }, 0.1, Scope::Class, 100).to_vec();
        assert_eq!(kept.iter().map(|k| k.0).collect::<Vec<_>>(), [0, 1, 2]);
        assert!((kept[2].1 - 0.4).abs() < 1e-6, "0.6 * (1 - 1/3)");
        assert_eq!(nms.soft(&found, Decay::Linear { threshold: 0.3 }, 0.5, Scope::Class, 100).len(), 2);
        assert_eq!(nms.soft(&found, Decay::Gaussian { sigma: 0.5 }, 0.1, Scope::Class, 1).len(), 1);
    }

    #[test]
    fn ties_keep_their_order_and_the_limit_holds() {
        let found = [at(0.0, 0, 0.5), at(20.0, 0, 0.5), at(40.0, 0, 0.5)];
        assert_eq!(Nms::default().greedy(&found, 0.5, Scope::All, 2), [0, 1]);
    }
}
