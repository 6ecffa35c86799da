//! COCO's detection metrics, number for number equal to those of pycocotools 2.0.11 (`COCOeval`, `iouType='bbox'`).
//!
//! Lin et al. 2014, "Microsoft COCO: Common Objects in Context"; <https://cocodataset.org/#detection-eval>.

use super::Xywh;
use std::collections::{BTreeMap, BTreeSet};

/// Something that is really there.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Real {
    /// The picture's number.
    pub image: u64,
    /// The class's number.
    pub class: u64,
    /// Its box.
    pub bbox: Xywh,
    /// Its area in pixels (of the mask if there is one): decides whether it is small, medium or large.
    pub area: f64,
    /// A crowd: any number of detections in it are neither right nor wrong.
    pub crowd: bool,
    /// One object that need not be found: a detection of it is neither right nor wrong.
    pub ignore: bool,
}

/// Something that was found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// The picture's number.
    pub image: u64,
    /// The class's number.
    pub class: u64,
    /// Its box.
    pub bbox: Xywh,
    /// Its score.
    pub score: f64,
}

/// COCO's twelve numbers, 0–1; `None` if there was nothing to measure (pycocotools returns -1).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// Average precision over IoU 0.50:0.95, all sizes: "mAP".
    pub ap: Option<f64>,
    /// Average precision at IoU 0.50.
    pub ap50: Option<f64>,
    /// Average precision at IoU 0.75.
    pub ap75: Option<f64>,
    /// Average precision over IoU 0.50:0.95 of objects below 32², up to 96², and above.
    pub ap_by_size: [Option<f64>; 3],
    /// Average recall with 1, 10 and 100 detections per picture.
    pub ar: [Option<f64>; 3],
    /// Average recall by size, with 100 detections per picture.
    pub ar_by_size: [Option<f64>; 3],
}

impl Summary {
    /// Returns the numbers under pycocotools' names, in its order.
    #[must_use]
    pub fn named(&self) -> [(&'static str, Option<f64>); 12] {
        let ([aps, apm, apl], [ar1, ar10, ar100], [ars, arm, arl]) = (self.ap_by_size, self.ar, self.ar_by_size);
        [
            ("AP", self.ap),
            ("AP50", self.ap50),
            ("AP75", self.ap75),
            ("APs", aps),
            ("APm", apm),
            ("APl", apl),
            ("AR1", ar1),
            ("AR10", ar10),
            ("AR100", ar100),
            ("ARs", ars),
            ("ARm", arm),
            ("ARl", arl),
        ]
    }
}

/// All measurements.
#[derive(Clone, Debug, Default)]
pub struct Scores {
    /// The twelve numbers.
    pub summary: Summary,
    /// By class: AP over IoU 0.50:0.95, and at 0.50.
    pub classes: BTreeMap<u64, (Option<f64>, Option<f64>)>,
    /// By class: precision at IoU 0.50 for each of 101 recalls from 0 to 1.
    pub curves: BTreeMap<u64, Vec<f64>>,
    /// Average precision at each of the ten IoUs.
    pub by_iou: [Option<f64>; THRESHOLDS],
    /// What was found, and at which of the ten IoUs it is right, and counts, as bits: the first bit is IoU 0.50.
    pub matches: Vec<Match>,
}

/// A detection, and how it fares.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Match {
    /// The picture's number.
    pub image: u64,
    /// The class's number.
    pub class: u64,
    /// The score.
    pub score: f64,
    /// At which IoUs it is right.
    pub right: u16,
    /// At which IoUs it counts: not if it lies on something that need not be found.
    pub counts: u16,
}

/// How many IoUs there are: 0.50, 0.55 … 0.95.
pub const THRESHOLDS: usize = 10;
const RECALLS: usize = 101;
const MOST: [usize; 3] = [1, 10, 100];
const AREAS: [[f64; 2]; 4] = [[0.0, 1e10], [0.0, 1024.0], [1024.0, 9216.0], [9216.0, 1e10]];

/// IoU 0.50, 0.55 … 0.95, as `np.linspace` rounds them.
fn threshold(index: usize) -> f64 {
    if index + 1 == THRESHOLDS { 0.95 } else { 0.5 + index as f64 * ((0.95 - 0.5) / (THRESHOLDS - 1) as f64) }
}

/// Returns the intersection over union of two boxes; over the detection's area alone if the other is a crowd.
#[must_use]
pub fn iou(found: &Xywh, real: &Xywh, crowd: bool) -> f64 {
    let side = |at: usize| (found[at] + found[at + 2]).min(real[at] + real[at + 2]) - found[at].max(real[at]);
    let (w, h) = (side(0), side(1));
    if w <= 0.0 || h <= 0.0 {
        return 0.0;
    }
    let (inside, area) = (w * h, found[2] * found[3]);
    inside / if crowd { area } else { area + real[2] * real[3] - inside }
}

/// One class in one picture.
struct Cell<'a> {
    /// Best first, at most 100.
    found: Vec<&'a Found>,
    real: Vec<&'a Real>,
    /// By detection, then by real object.
    ious: Vec<Vec<f64>>,
}

/// How the detections of a cell matched in one range of areas.
struct Matched {
    scores: Vec<f64>,
    /// By threshold: hit, and whether it counts.
    hits: Vec<Vec<(bool, bool)>>,
    /// Real objects that count.
    real: usize,
}

impl Cell<'_> {
    fn matched(&self, [least, most]: [f64; 2]) -> Matched {
        let outside = |area: f64| area < least || area > most;
        let ignored = |real: &Real| real.crowd || real.ignore || outside(real.area);
        // Those that count come first.
        let mut order: Vec<usize> = (0..self.real.len()).collect();
        order.sort_by_key(|&at| ignored(self.real[at]));
        let mut hits = Vec::with_capacity(THRESHOLDS);
        for step in 0..THRESHOLDS {
            let mut taken = vec![false; order.len()];
            let mut row = Vec::with_capacity(self.found.len());
            for (at, found) in self.found.iter().enumerate() {
                let (mut best, mut partner) = (threshold(step).min(1.0 - 1e-10), None);
                for (place, &real) in order.iter().enumerate() {
                    if taken[place] && !self.real[real].crowd {
                        continue;
                    }
                    // A match that counts is not given up for one that does not.
                    let counts = |place: usize| !ignored(self.real[order[place]]);
                    if partner.is_some_and(|known| counts(known) && !counts(place)) {
                        break;
                    }
                    if self.ious[at][real] >= best {
                        (best, partner) = (self.ious[at][real], Some(place));
                    }
                }
                row.push(match partner {
                    Some(place) => {
                        taken[place] = true;
                        (true, !ignored(self.real[order[place]]))
                    }
                    None => (false, !outside(found.bbox[2] * found.bbox[3])),
                });
            }
            hits.push(row);
        }
        let real = self.real.iter().filter(|real| !ignored(real)).count();
        Matched { scores: self.found.iter().map(|found| found.score).collect(), hits, real }
    }
}

impl Matched {
    /// What became of each detection.
    fn of<'a>(&'a self, cell: &'a Cell<'_>) -> impl Iterator<Item = Match> + 'a {
        cell.found.iter().enumerate().map(|(at, found)| {
            let bits = |wanted: fn((bool, bool)) -> bool| {
                let bit = |step: usize| u16::from(wanted(self.hits[step][at])) << step;
                (0..THRESHOLDS).map(bit).sum()
            };
            let (image, class, score) = (found.image, found.class, found.score);
            Match {
                image,
                class,
                score,
                right: bits(|(hit, counts)| hit && counts),
                counts: bits(|(_, counts)| counts),
            }
        })
    }
}

/// Returns one class's precision at 101 recalls and the recall reached, at one threshold; `None` without real objects.
fn curve(cells: &[Matched], most: usize, step: usize) -> Option<(Vec<f64>, f64)> {
    let real: usize = cells.iter().map(|cell| cell.real).sum();
    if real == 0 {
        return None;
    }
    let mut all: Vec<(f64, (bool, bool))> = Vec::new();
    for cell in cells {
        all.extend(cell.scores.iter().copied().zip(cell.hits[step].iter().copied()).take(most));
    }
    // Stable, like numpy's mergesort: of equal scores, the earlier picture comes first.
    all.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (mut right, mut wrong) = (0.0, 0.0);
    let (mut recalls, mut precisions) = (Vec::with_capacity(all.len()), Vec::with_capacity(all.len()));
    for (_, (hit, counts)) in all {
        right += f64::from(u8::from(hit && counts));
        wrong += f64::from(u8::from(!hit && counts));
        recalls.push(right / real as f64);
        precisions.push(right / (right + wrong + f64::EPSILON));
    }
    Some((sampled(&recalls, &mut precisions), recalls.last().copied().unwrap_or(0.0)))
}

/// Samples the best precision at 101 recalls.
fn sampled(recalls: &[f64], precisions: &mut [f64]) -> Vec<f64> {
    for at in (1..precisions.len()).rev() {
        precisions[at - 1] = precisions[at - 1].max(precisions[at]);
    }
    let at = |recall: usize| recalls.partition_point(|reached| *reached < recall as f64 * 0.01);
    (0..RECALLS).map(|recall| precisions.get(at(recall)).copied().unwrap_or(0.0)).collect()
}

/// Returns the average precision of points of recall and precision, best score first.
#[must_use]
pub fn mean_precision(points: &[(f64, f64)]) -> f64 {
    let (recalls, mut precisions): (Vec<f64>, Vec<f64>) = points.iter().copied().unzip();
    mean(sampled(&recalls, &mut precisions)).unwrap_or(0.0)
}

fn mean(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let (mut sum, mut count) = (0.0, 0u64);
    for value in values {
        sum += value;
        count += 1;
    }
    (count > 0).then(|| sum / count as f64)
}

/// Measures detections against what is really there, for the classes of the real objects.
#[must_use]
pub fn evaluate(real: &[Real], found: &[Found]) -> Scores {
    // pycocotools takes the classes from the truth's file; one without a real object counts for nothing either way.
    let classes: BTreeSet<u64> = real.iter().map(|r| r.class).collect();
    let mut reals: BTreeMap<(u64, u64), Vec<&Real>> = BTreeMap::new();
    real.iter().for_each(|r| reals.entry((r.class, r.image)).or_default().push(r));
    let mut founds: BTreeMap<(u64, u64), Vec<&Found>> = BTreeMap::new();
    found.iter().for_each(|f| founds.entry((f.class, f.image)).or_default().push(f));
    let mut scores = Scores::default();
    // For each area range, and each number of detections for recall: the numbers of all classes.
    let (mut precisions, mut recalls) = (vec![Vec::new(); AREAS.len()], vec![Vec::new(); AREAS.len() + 2]);
    let mut by_iou = vec![Vec::new(); THRESHOLDS];
    for class in classes {
        let own = (class, 0)..=(class, u64::MAX);
        let images: BTreeSet<u64> = reals
            .range(own.clone())
            .map(|((_, image), _)| *image)
            .chain(founds.range(own).map(|((_, image), _)| *image))
            .collect();
        let cells: Vec<Cell<'_>> = images
            .iter()
            .filter_map(|image| {
                let real = reals.remove(&(class, *image)).unwrap_or_default();
                let mut found = founds.remove(&(class, *image)).unwrap_or_default();
                found.sort_by(|a, b| b.score.total_cmp(&a.score));
                found.truncate(MOST[2]);
                let row = |f: &&Found| real.iter().map(|r| iou(&f.bbox, &r.bbox, r.crowd)).collect();
                let ious = found.iter().map(row).collect();
                (!real.is_empty() || !found.is_empty()).then_some(Cell { found, real, ious })
            })
            .collect();
        let (mut own, mut own50) = (Vec::new(), Vec::new());
        for (range, area) in AREAS.into_iter().enumerate() {
            let matched: Vec<Matched> = cells.iter().map(|cell| cell.matched(area)).collect();
            if range == 0 {
                cells.iter().zip(&matched).for_each(|(cell, matched)| scores.matches.extend(matched.of(cell)));
            }
            for (step, at_iou) in by_iou.iter_mut().enumerate() {
                let Some((curve, reached)) = curve(&matched, MOST[2], step) else { continue };
                recalls[range].push(reached);
                precisions[range].extend_from_slice(&curve);
                if range > 0 {
                    continue;
                }
                own.extend_from_slice(&curve);
                at_iou.extend_from_slice(&curve);
                for (place, most) in MOST[..2].iter().enumerate() {
                    recalls[AREAS.len() + place].extend(self::curve(&matched, *most, step).map(|(_, reached)| reached));
                }
                if step == 0 {
                    own50.extend_from_slice(&curve);
                    scores.curves.insert(class, curve);
                }
            }
        }
        scores.classes.insert(class, (mean(own), mean(own50)));
    }
    for (step, all) in by_iou.into_iter().enumerate() {
        scores.by_iou[step] = mean(all);
    }
    let ap = |range: usize| mean(precisions[range].iter().copied());
    let ar = |range: usize| mean(recalls[range].iter().copied());
    scores.summary = Summary {
        ap: ap(0),
        ap50: scores.by_iou[0],
        ap75: scores.by_iou[5],
        ap_by_size: [ap(1), ap(2), ap(3)],
        ar: [ar(4), ar(5), ar(0)],
        ar_by_size: [ar(1), ar(2), ar(3)],
    };
    scores
}

#[cfg(test)]
mod tests {
    use super::*;

    fn real(image: u64, bbox: Xywh) -> Real {
        Real { image, class: 1, bbox, area: bbox[2] * bbox[3], crowd: false, ignore: false }
    }

    #[test]
    fn a_crowd_excuses_all_that_is_in_it_and_a_difficult_object_only_itself() {
        let sure = real(1, [300.0, 300.0, 50.0, 50.0]);
        let large = real(1, [0.0, 0.0, 200.0, 200.0]);
        let found = |bbox, score| Found { image: 1, class: 1, bbox, score };
        let hits =
            [found([10.0, 10.0, 20.0, 20.0], 0.95), found([50.0, 50.0, 20.0, 20.0], 0.94), found(sure.bbox, 0.9)];
        let ap = |large: Real| evaluate(&[sure.clone(), large], &hits).summary.ap50.unwrap();
        assert!((ap(Real { crowd: true, ..large.clone() }) - 1.0).abs() < 1e-9);
        // Two wrong ones before the right one: one third.
        assert!((ap(Real { ignore: true, ..large.clone() }) - 1.0 / 3.0).abs() < 1e-9);
        let itself = [found(large.bbox, 0.99), found(sure.bbox, 0.9)];
        let scores = evaluate(&[sure.clone(), Real { ignore: true, ..large }], &itself);
        assert!((scores.summary.ap50.unwrap() - 1.0).abs() < 1e-9);
    }

    #[test]
    fn all_found_is_one_and_half_found_is_half() {
        let truth = [real(1, [0.0, 0.0, 50.0, 50.0]), real(2, [10.0, 10.0, 50.0, 50.0])];
        let hit = |image, bbox, score| Found { image, class: 1, bbox, score };
        let both = [hit(1, truth[0].bbox, 0.9), hit(2, truth[1].bbox, 0.8)];
        let scores = evaluate(&truth, &both);
        assert!((scores.summary.ap.unwrap() - 1.0).abs() < 1e-9 && scores.summary.ap_by_size[0].is_none());
        // Recall 0 to 0.5: 51 of 101 points.
        let one = evaluate(&truth, &both[..1]).summary;
        assert!((one.ap50.unwrap() - 51.0 / 101.0).abs() < 1e-9 && one.ar[2] == Some(0.5));
        assert_eq!(evaluate(&[], &both).summary.ap, None);
    }
}
