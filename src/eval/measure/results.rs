//! The measurements.

use super::super::boundary::Boundaries;
use super::super::calibration::{Calibration, calibration};
use super::super::classification::TopK;
use super::super::coco;
use super::super::matrix::Matrix;
use super::super::records::Record;
use super::super::segmentation::Confusion;
use super::super::thresholds::Curves;
use super::super::tide::Tide;
use crate::labels::shown as plain;
use crate::types::Size;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

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

/// A picture with many errors, small enough for a report.
#[derive(Clone, Debug)]
pub struct Shot {
    /// The place of the picture among those that were measured.
    pub image: usize,
    /// The number of wrong and missed objects, the share of wrong pixels, or the score of a wrong class.
    pub badness: f64,
    /// The size of the frame.
    pub frame: Size,
    /// The size of each JPEG.
    pub size: Size,
    /// The picture; of class maps, with what is there and with what was found.
    pub jpegs: Vec<Vec<u8>>,
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
    /// Class maps, if there were any.
    pub segmentation: Option<Segmentation>,
    /// Classes of whole pictures, if there were any.
    pub classification: Option<Classification>,
    /// The worst pictures, worst first.
    pub shots: Vec<Shot>,
    /// What was measured of each picture.
    pub records: Vec<Record>,
    /// What was odd about labels and pictures.
    pub notes: Vec<String>,
    /// What is worth knowing about the labels.
    pub info: Vec<String>,
    /// Classes of labels or truth that the model does not know, and how often each is there.
    pub strangers: BTreeMap<String, u64>,
    /// Where the numbers come from: version, files and their hashes.
    pub provenance: Vec<(String, String)>,
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
    /// What is there.
    pub real: Vec<coco::Real>,
    /// What was found.
    pub found: Vec<coco::Found>,
    /// Kinds of error.
    pub tide: Tide,
    /// Which class is taken for which.
    pub matrix: Matrix,
    /// Precision and recall over the score, by class.
    pub curves: BTreeMap<u64, Curves>,
}

/// How good the class maps are.
#[derive(Clone, Debug)]
pub struct Segmentation {
    /// Counts of pixels.
    pub confusion: Confusion,
    /// The model's names.
    pub names: Vec<String>,
    /// How well edges agree.
    pub boundaries: Boundaries,
}

impl Detection {
    /// The least score that the pipeline lets through.
    #[must_use]
    pub fn floor(&self) -> f64 {
        self.cut.as_ref().map_or(0.0, |(_, cut)| *cut)
    }
}

impl Segmentation {
    /// The name of a class; its number if it has none.
    #[must_use]
    pub fn name(&self, class: usize) -> String {
        self.names.get(class).map_or_else(|| class.to_string(), |name| plain(name))
    }

    /// The mean boundary IoU of the classes that are there or found.
    #[must_use]
    pub fn mean_boundary_iou(&self) -> Option<f64> {
        let known: Vec<f64> = self.boundaries.iou().into_iter().flatten().collect();
        (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
    }

    /// One row for each class: name, IoU, Dice, boundary IoU.
    #[must_use]
    pub fn rows(&self) -> Vec<Vec<String>> {
        let edges = self.boundaries.iou();
        let values = self.confusion.iou().into_iter().zip(self.confusion.dice()).enumerate();
        let shown = super::super::table::shown;
        values
            .map(|(class, (iou, dice))| {
                vec![self.name(class), shown(iou), shown(dice), shown(edges.get(class).copied().flatten())]
            })
            .collect()
    }
}

/// The answer of a classifier to a picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The real class.
    pub real: Arc<str>,
    /// The best answer; empty if there was none.
    pub best: Arc<str>,
    /// Its score.
    pub score: f64,
}

/// How good the classes of whole pictures are.
#[derive(Clone, Debug, Default)]
pub struct Classification {
    /// Counts of right answers.
    pub top: TopK,
    /// The best answer to each picture.
    pub answers: Vec<Answer>,
}

impl Classification {
    /// The classes that are there or were answered.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        let names: BTreeSet<&str> = self.answers.iter().flat_map(|a| [&*a.real, &*a.best]).collect();
        names.into_iter().collect()
    }

    /// Pairs of different classes, most common first: real, answered, count.
    #[must_use]
    pub fn confused(&self) -> Vec<(&str, &str, u64)> {
        let mut pairs: BTreeMap<(&str, &str), u64> = BTreeMap::new();
        for answer in self.answers.iter().filter(|a| a.real != a.best) {
            *pairs.entry((&answer.real, &answer.best)).or_default() += 1;
        }
        let mut pairs: Vec<_> = pairs.into_iter().map(|((a, b), count)| (a, b, count)).collect();
        pairs.sort_by_key(|(.., count)| std::cmp::Reverse(*count));
        pairs
    }

    /// How well the scores of the best answers are calibrated.
    #[must_use]
    pub fn calibration(&self) -> Option<Calibration> {
        let answers: Vec<(f64, bool)> =
            self.answers.iter().filter(|a| !a.best.is_empty()).map(|a| (a.score, a.real == a.best)).collect();
        calibration(&answers)
    }
}

impl Measured {
    /// The same without what was measured of each picture, which takes memory.
    #[must_use]
    pub fn without_pictures(mut self) -> Self {
        self.records = Vec::new();
        self.shots = Vec::new();
        if let Some(detection) = &mut self.detection {
            (detection.real, detection.found) = (Vec::new(), Vec::new());
            (detection.tide.fates, detection.tide.missed) = (Vec::new(), Vec::new());
            detection.coco.matches = Vec::new();
        }
        if let Some(classification) = &mut self.classification {
            classification.answers = Vec::new();
        }
        self
    }

    /// What is wrong with a picture, in words.
    #[must_use]
    pub fn words(&self, image: usize) -> String {
        let Some(record) = self.records.get(image) else { return String::new() };
        if let Some((real, best, _)) = &record.class {
            let score = self.classification.as_ref().and_then(|c| c.answers.get(image)).map_or(0.0, |a| a.score);
            if best.is_empty() {
                return format!("is {}, no answer", plain(real));
            }
            return format!("is {}, taken for {} ({score:.2})", plain(real), plain(best));
        }
        if self.segmentation.is_some() {
            return format!("{:.1} % of pixels wrong", record.wrong * 100.0);
        }
        format!("{} missed, {} wrong", record.missed, record.wrong)
    }
}
