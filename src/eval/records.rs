//! What was measured of each picture: enough to measure any choice of the pictures again, and to compare two runs.

use super::coco;
use super::segmentation::Confusion;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What was measured of a picture.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Its name, or its source, number and time.
    pub name: String,
    /// Objects found that are wrong, or the share of wrong pixels, or 1 for a wrong class.
    pub wrong: f64,
    /// Objects that were not found.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub missed: u64,
    /// How many objects of each class are there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub real: Vec<(u64, u64)>,
    /// What was found: class, score, and at which of the IoUs 0.50, 0.55 … 0.95 it is right, and counts, as bits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub found: Vec<(u64, f64, u16, u16)>,
    /// Pixels of a class map: real class, found class, count.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pixels: Vec<(u8, u8, u64)>,
    /// The classes of a whole picture: the real one and the best answer, and whether the right one is among the best five.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<(String, String, Option<bool>)>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde calls")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// A metric of a choice of pictures.
pub type Values = BTreeMap<&'static str, f64>;

/// Pictures, prepared to be measured many times.
pub struct Prepared<'a> {
    records: &'a [Record],
    classes: Vec<Class>,
    has_boxes: bool,
    has_pixels: bool,
}

/// What is there and what was found of one class.
#[derive(Default)]
struct Class {
    /// Picture, and how many objects are in it.
    real: Vec<(usize, u64)>,
    /// Picture, and at which IoUs it is right and counts: best score first.
    found: Vec<(usize, u16, u16)>,
}

impl<'a> Prepared<'a> {
    /// Sorts what was found by class and score.
    #[must_use]
    pub fn new(records: &'a [Record]) -> Self {
        let mut real: BTreeMap<u64, Vec<(usize, u64)>> = BTreeMap::new();
        let mut found: BTreeMap<u64, Vec<(f64, usize, u16, u16)>> = BTreeMap::new();
        for (at, record) in records.iter().enumerate() {
            record.real.iter().for_each(|(class, count)| real.entry(*class).or_default().push((at, *count)));
            for (class, score, right, counts) in &record.found {
                found.entry(*class).or_default().push((*score, at, *right, *counts));
            }
        }
        let class = |(class, real)| {
            let mut list = found.remove(&class).unwrap_or_default();
            list.sort_by(|a, b| b.0.total_cmp(&a.0));
            Class { real, found: list.into_iter().map(|(_, at, right, counts)| (at, right, counts)).collect() }
        };
        let classes = real.into_iter().map(class).collect();
        let has_boxes = records.iter().any(|r| !r.real.is_empty() || !r.found.is_empty());
        Self { records, classes, has_boxes, has_pixels: records.iter().any(|r| !r.pixels.is_empty()) }
    }

    /// Measures the pictures, each counted as often as `times` says.
    #[must_use]
    pub fn measure(&self, times: &[u32]) -> Values {
        let mut values = Values::new();
        if self.has_boxes {
            self.boxes(times, &mut values);
        }
        if self.has_pixels {
            let mut confusion = Confusion::new(256);
            for (record, times) in self.records.iter().zip(times).filter(|(_, times)| **times > 0) {
                let pixels = record.pixels.iter();
                pixels.for_each(|(real, found, count)| confusion.count(*real, *found, count * u64::from(*times)));
            }
            values.extend(confusion.mean_iou().map(|value| ("mIoU", value)));
            values.extend(confusion.pixel_accuracy().map(|value| ("pixel accuracy", value)));
        }
        let answers =
            || self.records.iter().zip(times).filter_map(|(r, times)| Some((r.class.as_ref()?, f64::from(*times))));
        let all: f64 = answers().map(|(_, times)| times).sum();
        if all > 0.0 {
            let right: f64 = answers().filter(|((real, best, _), _)| real == best).map(|(_, times)| times).sum();
            values.insert("top-1", right / all);
            if answers().all(|((.., five), _)| five.is_some()) {
                let five: f64 = answers().filter(|((.., five), _)| *five == Some(true)).map(|(_, times)| times).sum();
                values.insert("top-5", five / all);
            }
        }
        values
    }

    fn boxes(&self, times: &[u32], values: &mut Values) {
        let [ap, ap50] = self.average_precision(times);
        values.extend(ap.map(|value| ("AP", value)));
        values.extend(ap50.map(|value| ("AP50", value)));
        let (mut right, mut found, mut real) = (0u64, 0u64, 0u64);
        for (record, times) in self.records.iter().zip(times) {
            let times = u64::from(*times);
            let all: u64 = record.real.iter().map(|(_, count)| count).sum();
            let hits = all.saturating_sub(record.missed);
            right += times * hits;
            found += times * (hits + record.wrong as u64);
            real += times * all;
        }
        let ratio = |part: u64, whole: u64| (whole > 0).then(|| part as f64 / whole as f64);
        values.extend(ratio(right, found).map(|value| ("precision", value)));
        values.extend(ratio(right, real).map(|value| ("recall", value)));
    }

    /// COCO's average precision, over all IoUs and at 0.5.
    fn average_precision(&self, times: &[u32]) -> [Option<f64>; 2] {
        let (mut sum, mut sum50, mut classes) = (0.0, 0.0, 0.0);
        let mut curve: Vec<(f64, f64)> = Vec::new();
        for class in &self.classes {
            let count: u64 = class.real.iter().map(|(at, count)| count * u64::from(times[*at])).sum();
            if count == 0 {
                continue;
            }
            let mut own = 0.0;
            for step in 0..coco::THRESHOLDS {
                let (mut right, mut wrong) = (0.0, 0.0);
                curve.clear();
                for (at, hits, counts) in class.found.iter().filter(|(at, ..)| times[*at] > 0) {
                    if counts & (1 << step) != 0 {
                        let times = f64::from(times[*at]);
                        if hits & (1 << step) == 0 { wrong += times } else { right += times }
                    }
                    curve.push((right / count as f64, right / (right + wrong + f64::EPSILON)));
                }
                let ap = coco::mean_precision(&curve);
                own += ap / coco::THRESHOLDS as f64;
                sum50 += if step == 0 { ap } else { 0.0 };
            }
            sum += own;
            classes += 1.0;
        }
        let mean = |sum: f64| (classes > 0.0).then(|| sum / classes);
        [mean(sum), mean(sum50)]
    }
}
