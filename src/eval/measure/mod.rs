//! Measures a pipeline's output, packet by packet, against labels or against a scene's truth.

mod results;
#[cfg(test)]
mod tests;

pub use results::{Counts, Detection, Measured, Worst};

use super::classification::TopK;
use super::coco::{self, iou};
use super::labels::{ClassName, Labelled, Labels, Picture, stem};
use super::pictures::{beside, drawn, truth};
use super::rows::Object;
use super::segmentation::Confusion;
use super::voc;
use crate::error::{Error, Result};
use crate::media::png;
use crate::types::{BBox, Found, Packet};
use std::collections::{BTreeMap, BTreeSet};

/// The value in class maps of pixels that are not labelled.
const UNLABELLED: u8 = 255;

/// Collects a pipeline's output.
#[derive(Default)]
pub struct Tally {
    labels: Option<Labels>,
    /// Only these classes count, if any are named.
    classes: BTreeSet<String>,
    /// How many of the worst pictures to keep.
    keep: usize,
    frames: u64,
    unlabelled: u64,
    /// Pictures that were measured, by name.
    seen: BTreeSet<String>,
    numbers: BTreeMap<String, u64>,
    real: Vec<coco::Real>,
    found: Vec<coco::Found>,
    counts: BTreeMap<u64, Counts>,
    has_boxes: bool,
    /// Whether a class map had pixels that are not labelled.
    has_unlabelled: bool,
    confusion: Option<(Confusion, Vec<String>)>,
    top: TopK,
    worst: Vec<Worst>,
}

impl Tally {
    /// Creates a tally that measures against labels or, without them, against the source's truth.
    #[must_use]
    pub fn new(labels: Option<Labels>, classes: &[String], keep: usize) -> Self {
        Self { labels, classes: classes.iter().cloned().collect(), keep, ..Self::default() }
    }

    fn number(&mut self, class: &str) -> u64 {
        let next = self.numbers.len() as u64 + 1;
        *self.numbers.entry(class.to_owned()).or_insert(next)
    }

    /// Measures a packet.
    ///
    /// # Errors
    /// [`Error::Data`] if its labels do not fit it.
    pub fn add(&mut self, packet: &Packet) -> Result<()> {
        let frame = &packet.frame;
        let Some(labels) = &self.labels else {
            let Some(known) = &packet.truth else {
                self.unlabelled += 1;
                return Ok(());
            };
            let object = |d: &crate::types::Detection| Truth {
                // Truth without names is in the order of the model's labels.
                label: known
                    .by
                    .label(d.class)
                    .map_or_else(|| name(labels_of(packet.detections.as_ref()), d.class), str::to_owned),
                class: d.class,
                corners: [d.bbox.x1, d.bbox.y1, d.bbox.x2, d.bbox.y2].map(f64::from),
                area: None,
                crowd: false,
                difficult: false,
            };
            let real = known.iter().map(object).collect();
            self.frames += 1;
            self.boxes(packet, real);
            return Ok(());
        };
        if frame.name.is_empty() {
            let message = "frames have no names, so labels cannot be matched; labels work only with `images`";
            return Err(Error::Config(message.into()));
        }
        let Some(picture) = labels.picture(&frame.name) else {
            self.unlabelled += 1;
            return Ok(());
        };
        self.frames += 1;
        self.seen.insert(stem(&frame.name));
        if let (Some(class), Some(answers)) = (&picture.class, &packet.classes) {
            let names = &answers.by.labels;
            let answers: Vec<String> = answers.iter().map(|answer| name(names, answer.class)).collect();
            self.top.add(class.as_str(), &answers.iter().map(String::as_str).collect::<Vec<_>>());
        }
        if picture.mask.is_some() {
            return self.mask(packet, &picture);
        }
        if packet.detections.is_some() {
            let real = picture.boxes.iter().map(|b| self.named(b, packet)).collect();
            self.boxes(packet, real);
        }
        Ok(())
    }

    fn named(&self, labelled: &Labelled, packet: &Packet) -> Truth {
        let own = self.labels.as_ref().map_or(&[][..], |labels| &labels.names);
        let model = labels_of(packet.detections.as_ref());
        let label = match &labelled.class {
            ClassName::Name(name) => name.clone(),
            ClassName::Number(number) => name(if own.is_empty() { model } else { own }, *number),
        };
        let class = model.iter().position(|known| *known == label).unwrap_or_default() as u16;
        let corners = labelled.place.corners(packet.frame.image.size);
        let Labelled { area, crowd, difficult, .. } = *labelled;
        Truth { label, class, corners, area, crowd, difficult }
    }

    fn boxes(&mut self, packet: &Packet, mut real: Vec<Truth>) {
        self.has_boxes |= packet.detections.is_some();
        let counts = |label: &str, classes: &BTreeSet<String>| classes.is_empty() || classes.contains(label);
        real.retain(|object| counts(&object.label, &self.classes));
        let mut found: Vec<Object> = Vec::new();
        for d in packet.detections.iter().flat_map(|found| found.iter()) {
            let label = packet.label(d.class).map_or_else(|| d.class.to_string(), str::to_owned);
            if counts(&label, &self.classes) {
                found.push(Object { label, class: d.class, score: f64::from(d.score), bbox: d.bbox });
            }
        }
        let image = self.frames;
        for object in &real {
            let [x1, y1, x2, y2] = object.corners;
            let (class, bbox) = (self.number(&object.label), [x1, y1, x2 - x1, y2 - y1]);
            let area = object.area.unwrap_or(bbox[2] * bbox[3]);
            let (crowd, ignore) = (object.crowd, object.difficult);
            self.real.push(coco::Real { image, class, bbox, area, crowd, ignore });
        }
        for object in &found {
            let class = self.number(&object.label);
            self.found.push(coco::Found { image, class, bbox: xywh(&object.bbox), score: object.score });
        }
        let (wrong, missed) = self.judge(&real, &mut found);
        self.keep_worst((wrong.len() + missed.len()) as f64, |badness| {
            let all: Vec<Object> = real.iter().map(Truth::object).collect();
            let mut there = packet.frame.image.clone();
            truth(&mut there, &all);
            let there = drawn(&there, &[], &missed);
            let here = drawn(&packet.frame.image, &found, &wrong);
            let title = format!("{}: {} missed, {} wrong", title(packet), missed.len(), wrong.len());
            Worst {
                badness,
                title,
                picture: beside(&[("truth (missed in red)", &there), ("found (wrong in red)", &here)]),
            }
        });
    }

    /// Pairs what was found with what is there, best score first, at IoU 0.5, and counts by class.
    fn judge(&mut self, real: &[Truth], found: &mut [Object]) -> (Vec<Object>, Vec<Object>) {
        found.sort_by(|a, b| b.score.total_cmp(&a.score));
        let (mut taken, mut wrong, mut missed) = (vec![false; real.len()], Vec::new(), Vec::new());
        for object in found.iter() {
            let overlap = |r: &Truth| {
                let [x1, y1, x2, y2] = r.corners;
                iou(&xywh(&object.bbox), &[x1, y1, x2 - x1, y2 - y1], r.crowd)
            };
            let fits = |at: &usize| {
                real[*at].label == object.label && (!taken[*at] || real[*at].crowd) && overlap(&real[*at]) >= 0.5
            };
            // Objects that count come before those that do not.
            let best = (0..real.len()).filter(fits).max_by(|a, b| {
                real[*b].ignored().cmp(&real[*a].ignored()).then(overlap(&real[*a]).total_cmp(&overlap(&real[*b])))
            });
            let mut counts = Counts::default();
            match best {
                Some(at) => {
                    taken[at] = true;
                    counts.right = u64::from(!real[at].ignored());
                }
                None => {
                    counts.wrong = 1;
                    wrong.push(object.clone());
                }
            }
            let class = self.number(&object.label);
            self.counts.entry(class).or_default().add(counts);
        }
        for (object, _) in real.iter().zip(taken).filter(|(object, taken)| !taken && !object.ignored()) {
            missed.push(object.object());
            let class = self.number(&object.label);
            self.counts.entry(class).or_default().missed += 1;
        }
        (wrong, missed)
    }

    fn mask(&mut self, packet: &Packet, picture: &Picture) -> Result<()> {
        let (Some(path), Some(found)) = (&picture.mask, &packet.mask) else { return Ok(()) };
        let bytes = std::fs::read(path).map_err(|e| Error::io(path, e))?;
        let (size, real) = png::decode_values(&bytes).map_err(|e| e.at(path.display()))?;
        if size != found.size {
            let message = format!("{}: the class map is {size}, but the picture is {}", path.display(), found.size);
            return Err(Error::Data(message));
        }
        let names = &found.by.labels;
        // A later picture may have any class.
        let (confusion, _) = self.confusion.get_or_insert_with(|| (Confusion::new(256), names.to_vec()));
        confusion.add(&real, &found.classes, Some(UNLABELLED));
        self.has_unlabelled |= real.contains(&UNLABELLED);
        let pairs = real.iter().zip(&found.classes).filter(|(real, _)| **real != UNLABELLED);
        let (all, off) = pairs.fold((0u64, 0u64), |(all, off), (a, b)| (all + 1, off + u64::from(a != b)));
        let badness = off as f64 / all.max(1) as f64;
        self.keep_worst(badness, |badness| {
            let tinted = |classes: &[u8]| {
                let mut image = packet.frame.image.clone();
                crate::ops::draw::tint(&mut image, classes, 140);
                image
            };
            let (there, here) = (tinted(&real), tinted(&found.classes));
            let title = format!("{}: {:.1} % of pixels wrong", title(packet), badness * 100.0);
            Worst { badness, title, picture: beside(&[("truth", &there), ("found", &here)]) }
        });
        Ok(())
    }

    fn keep_worst(&mut self, badness: f64, picture: impl FnOnce(f64) -> Worst) {
        let worse = self.worst.len() < self.keep || self.worst.last().is_some_and(|known| known.badness < badness);
        if badness > 0.0 && self.keep > 0 && worse {
            let at = self.worst.partition_point(|known| known.badness >= badness);
            self.worst.insert(at, picture(badness));
            self.worst.truncate(self.keep);
        }
    }

    /// Returns the numbers.
    ///
    /// # Errors
    /// [`Error::Config`] if there was nothing to measure.
    pub fn finish(self) -> Result<Measured> {
        if self.frames == 0 {
            let message = match &self.labels {
                Some(labels) => format!(
                    "none of {} frames has a label; {} pictures are labelled ({})",
                    self.unlabelled,
                    labels.pictures.len(),
                    labels.form
                ),
                None => "no frame knows the truth; give --labels, or play a `scene` or a recording of one".into(),
            };
            return Err(Error::Config(message));
        }
        let names: BTreeMap<u64, String> = self.numbers.iter().map(|(name, number)| (*number, name.clone())).collect();
        let detection = self.has_boxes.then(|| {
            let coco = coco::evaluate(&self.real, &self.found);
            let voc =
                names.keys().filter_map(|class| Some((*class, voc_ap(*class, &self.real, &self.found)?))).collect();
            let mut total = Counts::default();
            self.counts.values().for_each(|counts| total.add(*counts));
            let least_score = self.found.iter().map(|found| found.score).fold(f64::INFINITY, f64::min);
            Detection { coco, names, voc, counts: self.counts.clone(), total, least_score }
        });
        if detection.is_none() && self.confusion.is_none() && self.top.count == 0 {
            return Err(Error::Config(
                "the pipeline finds nothing that the labels describe: boxes, class maps or classes".into(),
            ));
        }
        let unseen = |labels: &Labels| labels.pictures.keys().filter(|name| !self.seen.contains(*name)).count();
        let unseen = self.labels.as_ref().map_or(0, unseen) as u64;
        if let Some(nobody) = self.classes.iter().find(|class| !self.numbers.contains_key(*class)) {
            return Err(Error::Config(format!("no `{nobody}` is labelled or was found; check the names in `classes`")));
        }
        let segmentation = match self.confusion {
            Some((confusion, names)) if confusion.trimmed(0).counts().len() == 1 && self.has_unlabelled => {
                let message = "all labelled pixels are 0 and all others 255, which means not labelled; write class numbers into the maps, 1 for the first class after the background";
                let _ = names;
                return Err(Error::Data(message.into()));
            }
            other => other.map(|(confusion, names)| (confusion.trimmed(names.len()), names)),
        };
        Ok(Measured {
            frames: self.frames,
            unlabelled: self.unlabelled,
            unseen,
            detection,
            segmentation,
            classification: (self.top.count > 0).then_some(self.top),
            worst: self.worst,
        })
    }
}

/// Something that is really there.
struct Truth {
    label: String,
    class: u16,
    corners: [f64; 4],
    area: Option<f64>,
    crowd: bool,
    difficult: bool,
}

impl Truth {
    const fn ignored(&self) -> bool {
        self.crowd || self.difficult
    }

    fn object(&self) -> Object {
        let [x1, y1, x2, y2] = self.corners.map(|v| v as f32);
        Object { label: self.label.clone(), class: self.class, score: 1.0, bbox: BBox::new(x1, y1, x2, y2) }
    }
}

fn xywh(bbox: &BBox) -> [f64; 4] {
    let [x1, y1, x2, y2] = [bbox.x1, bbox.y1, bbox.x2, bbox.y2].map(f64::from);
    [x1, y1, x2 - x1, y2 - y1]
}

/// Returns the labels of the model that found something.
fn labels_of<T>(found: Option<&Found<T>>) -> &[String] {
    found.map_or(&[], |found| &found.by.labels)
}

fn name(names: &[String], class: u16) -> String {
    names.get(usize::from(class)).cloned().unwrap_or_else(|| class.to_string())
}

fn title(packet: &Packet) -> String {
    let frame = &packet.frame;
    if frame.name.is_empty() {
        return format!("frame {} of {} ({:.3} s)", frame.seq, frame.source, frame.pts.as_secs_f64());
    }
    stem(&frame.name)
}

/// Returns VOC's numbers of a class at IoU 0.5, in VOC's pixels: counted from 1, the last one included.
fn voc_ap(class: u64, real: &[coco::Real], found: &[coco::Found]) -> Option<(f64, f64)> {
    let corners = |[x, y, w, h]: [f64; 4]| [x + 1.0, y + 1.0, x + w, y + h];
    let real: Vec<voc::Real> = real
        .iter()
        .filter(|r| r.class == class)
        .map(|r| voc::Real { image: r.image, bbox: corners(r.bbox), difficult: r.crowd || r.ignore })
        .collect();
    let found: Vec<voc::Found> = found
        .iter()
        .filter(|f| f.class == class)
        .map(|f| voc::Found { image: f.image, bbox: corners(f.bbox), score: f.score })
        .collect();
    real.iter().any(|r| !r.difficult).then(|| {
        let scores = voc::evaluate(&real, &found, 0.5);
        (scores.eleven_points, scores.area)
    })
}
