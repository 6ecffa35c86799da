//! The measurements.

use super::super::classification::TopK;
use super::super::coco;
use super::super::segmentation::Confusion;
use crate::types::Image;
use std::collections::BTreeMap;

/// Counts of the objects of a class at IoU 0.5, over all scores.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Found where there is one.
    pub right: u64,
    /// Found where there is none.
    pub wrong: u64,
    /// There, but not found.
    pub missed: u64,
}

impl Counts {
    /// Returns the share of what was found that is right.
    #[must_use]
    pub fn precision(&self) -> Option<f64> {
        let all = self.right + self.wrong;
        (all > 0).then(|| self.right as f64 / all as f64)
    }

    /// Returns the share of what is there that was found.
    #[must_use]
    pub fn recall(&self) -> Option<f64> {
        let all = self.right + self.missed;
        (all > 0).then(|| self.right as f64 / all as f64)
    }

    /// Returns the harmonic mean of precision and recall.
    #[must_use]
    pub fn f1(&self) -> Option<f64> {
        let (precision, recall) = self.precision().zip(self.recall())?;
        Some(if precision + recall > 0.0 { 2.0 * precision * recall / (precision + recall) } else { 0.0 })
    }

    pub(super) fn add(&mut self, other: Self) {
        self.right += other.right;
        self.wrong += other.wrong;
        self.missed += other.missed;
    }
}

/// A picture with many errors.
#[derive(Clone, Debug)]
pub struct Worst {
    /// The number of wrong and missed objects, or the share of wrong pixels.
    pub badness: f64,
    /// Which frame, and what is wrong.
    pub title: String,
    /// What is there, beside what was found.
    pub picture: Image,
}

/// All measurements.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    /// The number of frames that were measured.
    pub frames: u64,
    /// The number of frames that had no labels.
    pub unlabelled: u64,
    /// The number of labelled pictures that were never played.
    pub unseen: u64,
    /// Boxes, if there were any.
    pub detection: Option<Detection>,
    /// Class maps, if there were any: names and the confusion matrix.
    pub segmentation: Option<(Confusion, Vec<String>)>,
    /// Classes of whole pictures, if there were any.
    pub classification: Option<TopK>,
    /// The worst pictures, worst first.
    pub worst: Vec<Worst>,
    /// What was odd about labels and pictures.
    pub notes: Vec<String>,
    /// What is worth knowing about the labels.
    pub info: Vec<String>,
    /// Classes of labels or truth that the model does not know, and how often each is there.
    pub strangers: BTreeMap<String, u64>,
}

/// How good the boxes are.
#[derive(Clone, Debug, Default)]
pub struct Detection {
    /// COCO's numbers; classes by number.
    pub coco: coco::Scores,
    /// Names of classes by number.
    pub names: BTreeMap<u64, String>,
    /// VOC's average precision at IoU 0.5 by class: 11 points, and area.
    pub voc: BTreeMap<u64, (f64, f64)>,
    /// Counts by class.
    pub counts: BTreeMap<u64, Counts>,
    /// Counts of all classes together.
    pub total: Counts,
    /// The line with the highest threshold, and this threshold: below it, the pipeline cuts off the curve.
    pub cut: Option<(String, f64)>,
}
