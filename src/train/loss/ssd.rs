//! SSD's loss: smooth L1 for boxes and cross-entropy for classes, with the hardest negatives only (Liu et al. 2016, §2.2),
//! as torchvision's `SSD.compute_loss`.

use super::classes::CrossEntropy;
use super::regression::{Distance, regression};

/// How SSD is trained.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Multibox {
    /// Negatives for each positive.
    pub negatives: f64,
}

/// Both parts of the loss, and their gradients.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MultiboxLoss {
    /// Of the boxes.
    pub boxes: f64,
    /// Of the classes.
    pub classes: f64,
    /// For the logits, `[anchors, classes]`.
    pub by_logits: Vec<f32>,
    /// For the offsets, `[anchors, 4]`.
    pub by_offsets: Vec<f32>,
}

impl Multibox {
    /// The loss of one or several pictures, one after the other. `logits` is `[pictures * anchors, classes]`; `wanted` has
    /// for each anchor that is matched its class and the offsets of its box. Class 0 is the background.
    #[must_use]
    pub fn loss(
        &self,
        (logits, offsets): (&[f32], &[f32]),
        classes: usize,
        wanted: &[Option<(usize, [f32; 4])>],
        anchors: usize,
    ) -> MultiboxLoss {
        let positives = wanted.iter().flatten().count();
        let share = 1.0 / positives.max(1) as f64;
        let (mut by_logits, mut by_offsets) = (vec![0.0; logits.len()], vec![0.0; offsets.len()]);
        let (mut boxes, mut loss) = (0.0, 0.0);
        for (picture, wanted) in wanted.chunks(anchors.max(1)).enumerate() {
            let first = picture * anchors;
            let entropy = |at: usize| {
                let target = wanted[at].map_or(0, |(class, _)| class);
                let row = &logits[(first + at) * classes..][..classes];
                CrossEntropy::default().mean(row, [1, classes, 1], &[target])
            };
            let all: Vec<(f64, Vec<f32>)> = (0..wanted.len()).map(entropy).collect();
            let mut negatives: Vec<usize> = (0..wanted.len()).filter(|at| wanted[*at].is_none()).collect();
            negatives.sort_by(|a, b| all[*b].0.total_cmp(&all[*a].0));
            let count = wanted.iter().flatten().count();
            negatives.truncate((self.negatives * count as f64) as usize);
            let matched = (0..wanted.len()).filter(|at| wanted[*at].is_some());
            for at in matched.chain(negatives) {
                loss += all[at].0 * share;
                let row = &mut by_logits[(first + at) * classes..][..classes];
                row.iter_mut().zip(&all[at].1).for_each(|(to, g)| *to = (f64::from(*g) * share) as f32);
            }
            for (at, (_, target)) in wanted.iter().enumerate().filter_map(|(at, wanted)| Some((at, (*wanted)?))) {
                let range = (first + at) * 4..(first + at) * 4 + 4;
                let (cost, slope) = regression(Distance::SmoothL1(1.0), &offsets[range.clone()], &target);
                boxes += cost.iter().sum::<f64>() * share;
                let to = by_offsets[range].iter_mut();
                to.zip(slope).for_each(|(to, g)| *to = (f64::from(g) * share) as f32);
            }
        }
        MultiboxLoss { boxes, classes: loss, by_logits, by_offsets }
    }
}
