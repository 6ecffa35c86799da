//! Greedy non-maximum suppression.

use super::iou::iou;
use crate::types::Detection;

/// Which boxes may suppress each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Only boxes of the same class, as `torchvision.ops.batched_nms`.
    Class,
    /// All boxes, as `torchvision.ops.nms`.
    All,
}

/// Non-maximum suppression with buffers that are kept from frame to frame.
#[derive(Debug, Default)]
pub struct Nms {
    order: Vec<u32>,
    keep: Vec<u32>,
}

impl Nms {
    /// Indices of the boxes that stay, best score first; equal scores keep their order.
    ///
    /// Going down the scores, a box is dropped when its IoU with a better one that stayed is strictly
    /// above `threshold`. Boxes and scores that are NaN or infinite are dropped first. At most `limit`
    /// boxes stay. The results of `torchvision.ops.nms` and `batched_nms`.
    pub fn greedy(&mut self, found: &[Detection], threshold: f32, scope: Scope, limit: usize) -> &[u32] {
        self.order.clear();
        self.keep.clear();
        let sound = |d: &Detection| d.score.is_finite() && d.bbox.is_finite();
        self.order.extend((0..found.len() as u32).filter(|&i| sound(&found[i as usize])));
        // The index settles ties, so the unstable sort (which allocates nothing) is stable here.
        self.order.sort_unstable_by(|&a, &b| {
            let by_score = found[b as usize].score.total_cmp(&found[a as usize].score);
            by_score.then(a.cmp(&b))
        });
        for &candidate in &self.order {
            if self.keep.len() >= limit {
                break;
            }
            let new = &found[candidate as usize];
            let hidden = self.keep.iter().any(|&kept| {
                let better = &found[kept as usize];
                (scope == Scope::All || better.class == new.class) && iou(&better.bbox, &new.bbox) > threshold
            });
            if !hidden {
                self.keep.push(candidate);
            }
        }
        &self.keep
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::BBox;

    fn at(x: f32, class: u16, score: f32) -> Detection {
        Detection { bbox: BBox::new(x, 0.0, x + 10.0, 10.0), class, score }
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
    fn ties_keep_their_order_and_the_limit_holds() {
        let found = [at(0.0, 0, 0.5), at(20.0, 0, 0.5), at(40.0, 0, 0.5)];
        assert_eq!(Nms::default().greedy(&found, 0.5, Scope::All, 2), [0, 1]);
    }
}
