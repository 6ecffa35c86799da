//! Measures a pipeline's output, packet by packet, against labels or against a scene's truth.

mod against;
mod ground_truth;
mod plausible;
mod results;
#[cfg(test)]
mod tests;

pub use results::{Answer, Classification, Counts, Detection, Measured, Segmentation, Shot};

use super::boundary::Boundaries;
use super::classification::TopK;
use super::coco::{self, iou};
use super::matrix::confusion;
use super::pictures::thumbnail;
use super::records::Record;
use super::rows::Object;
use super::segmentation::Confusion;
use super::thresholds::curves;
use super::{tide, voc};
use crate::error::{Error, Result};
use crate::labels::{Labels, Notes, Played, UNLABELLED, same_name, shown};
use crate::types::{BBox, Found, Image, Packet, Size};
use against::Against;
use ground_truth::GroundTruth;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;

/// Two lists of names, and what the second calls each of the first.
type Spellings = (Arc<[String]>, Arc<[String]>, Vec<Option<String>>);

/// Collects a pipeline's output.
#[derive(Default)]
pub struct Tally {
    against: Option<Against>,
    /// Only these classes count, if any are named.
    classes: BTreeSet<String>,
    /// How many of the worst pictures to keep.
    keep: usize,
    frames: u64,
    unlabelled: u64,
    numbers: BTreeMap<String, u64>,
    real: Vec<coco::Real>,
    found: Vec<coco::Found>,
    counts: BTreeMap<u64, Counts>,
    has_boxes: bool,
    /// Classes of a source's truth that the model does not know, with their counts.
    strangers: BTreeMap<String, u64>,
    /// Whether a class of a source's truth is one of the model's.
    met: bool,
    /// The names of a source's truth and of the model, and the model's name of each of the truth's.
    known: Option<Spellings>,
    confusion: Option<(Confusion, Arc<[String]>)>,
    boundaries: Boundaries,
    flips: plausible::Flips,
    top: TopK,
    answers: Vec<Answer>,
    /// Of each frame.
    records: Vec<Record>,
    /// The size of each frame.
    sizes: Vec<Size>,
    /// Whether EXIF data laid it on its side or stood it up.
    turned: Vec<bool>,
    /// Which source had a name first.
    names: HashMap<String, Arc<str>>,
    shots: Vec<Shot>,
    /// The line that leaves out the most, and the least score that it lets through.
    cut: Option<(String, f64)>,
    /// Whether labels are not doubted because answers differ from them: a model that is being trained knows little.
    trusts: bool,
    /// The classes that the pipeline keeps, if it does not keep all.
    kept: Option<BTreeSet<String>>,
}

impl Tally {
    /// Creates a tally that measures against labels or, without them, against the source's truth.
    #[must_use]
    pub fn new(labels: Option<Arc<Labels>>, classes: &[String], keep: usize) -> Self {
        let against = labels.map(Against::new);
        Self { against, classes: classes.iter().cloned().collect(), keep, ..Self::default() }
    }

    /// Trusts the labels, however far the answers are from them.
    #[must_use]
    pub const fn trusting(mut self) -> Self {
        self.trusts = true;
        self
    }

    /// Whether nothing was measured.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.frames == 0
    }

    /// Looks at the pictures that will be played: do they have labels?
    ///
    /// # Errors
    /// [`Error::Data`] if none has, or if labels cannot be right.
    pub fn prepare(&mut self, played: &[Played]) -> Result<()> {
        self.against.as_mut().map_or(Ok(()), |against| against.prepare(played))
    }

    /// Learns what a line leaves out: answers with a lower score, and those of other classes.
    pub fn leaves_out(&mut self, line: &str, score: Option<f64>, classes: Option<&[String]>) {
        if let Some(score) = score {
            let highest = self.cut.as_ref().is_none_or(|(_, known)| *known < score);
            if highest {
                self.cut = Some((line.to_owned(), score));
            }
        }
        if let Some(classes) = classes {
            self.kept.get_or_insert_default().extend(classes.iter().cloned());
        }
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
        let Some(mut against) = self.against.take() else { return self.add_known(packet) };
        let added = self.add_labelled(packet, &mut against);
        self.against = Some(against);
        added
    }

    /// Measures a packet against labels.
    fn add_labelled(&mut self, packet: &Packet, against: &mut Against) -> Result<()> {
        let frame = &packet.frame;
        if frame.name.is_empty() {
            let message = "frames have no names, so labels cannot be matched; labels work only with `images`";
            return Err(Error::Config(message.into()));
        }
        let Some(picture) = against.picture(frame)? else {
            self.unlabelled += 1;
            return Ok(());
        };
        if let Some(class) = &picture.class {
            let Some(answers) = &packet.classes else { return Ok(()) };
            let names = &answers.by.labels;
            if let Some(class) = against.class(class, names)? {
                self.begin(packet);
                let best = answers.first().map_or(0.0, |answer| f64::from(answer.score));
                let answers: Vec<String> = answers.iter().map(|answer| name(names, answer.class)).collect();
                self.answer(packet, &class, &answers, best, names.len());
            }
            return Ok(());
        }
        self.begin(packet);
        if picture.mask.is_some() {
            let Some(found) = &packet.mask else { return Ok(()) };
            let (size, names) = (found.size, Arc::clone(&found.by.labels));
            let real = against.mask(&picture, size, &names)?;
            if let Some(real) = real {
                self.mask(packet, &real, &names);
            }
            return Ok(());
        }
        if let Some(found) = &packet.detections {
            let real = against.objects(&picture, frame, &found.by.labels)?;
            self.boxes(packet, real);
        }
        Ok(())
    }

    /// Measures a packet whose source knows the truth.
    fn add_known(&mut self, packet: &Packet) -> Result<()> {
        let Some(known) = &packet.truth else {
            self.unlabelled += 1;
            return Ok(());
        };
        let model = labels_of(packet.detections.as_ref());
        let theirs = &known.by.labels;
        let cached = self.known.as_ref().is_some_and(|(a, b, _)| Arc::ptr_eq(a, theirs) && **b == *model);
        if !cached {
            let own = |name: &String| {
                model.iter().find(|own| *own == name).or_else(|| model.iter().find(|own| same_name(own, name)))
            };
            let names: Vec<Option<String>> =
                theirs.iter().map(|name| own(name).filter(|_| !name.is_empty()).cloned()).collect();
            self.known = Some((Arc::clone(theirs), model.into(), names));
        }
        let names = self.known.as_ref().map_or(&[][..], |(.., names)| names.as_slice());
        if !model.is_empty() && !theirs.is_empty() && names.iter().all(Option::is_none) {
            let list = |names: &[String]| names.iter().take(12).map(|name| shown(name)).collect::<Vec<_>>().join(", ");
            return Err(Error::Data(format!(
                "no class of the ground truth is known to the model\n  truth: {}\n  model: {}",
                list(theirs),
                list(model)
            )));
        }
        let mut real = Vec::with_capacity(known.len());
        for d in known.iter() {
            // Truth without names is in the order of the model's labels.
            let own = known.by.label(d.class).map_or_else(|| name(model, d.class), str::to_owned);
            let label = if theirs.is_empty() {
                model.contains(&own).then(|| own.clone())
            } else {
                names.get(usize::from(d.class)).cloned().flatten()
            };
            match label {
                Some(_) => self.met = true,
                None if packet.detections.is_some() && !model.is_empty() => {
                    *self.strangers.entry(own.clone()).or_default() += 1;
                }
                None => {}
            }
            let label = label.unwrap_or(own);
            let corners = [d.bbox.x1, d.bbox.y1, d.bbox.x2, d.bbox.y2].map(f64::from);
            real.push(GroundTruth { label, class: d.class, corners, area: None, crowd: false, difficult: false });
        }
        self.begin(packet);
        self.boxes(packet, real);
        Ok(())
    }

    /// Begins the next frame. A picture is called by its name, and by its source, too, if another source has that name.
    fn begin(&mut self, packet: &Packet) {
        self.frames += 1;
        self.sizes.push(packet.frame.image.size);
        self.turned.push(packet.frame.sideways);
        let (name, source) = (title(packet), &packet.frame.source);
        let known = self.names.entry(name.clone()).or_insert_with(|| Arc::clone(source));
        let name = if known == source { name } else { format!("{source}: {name}") };
        self.records.push(Record { name, ..Record::default() });
    }

    /// Measures the answers to a whole picture, best first.
    fn answer(&mut self, packet: &Packet, class: &Arc<str>, answers: &[String], score: f64, classes: usize) {
        let refs: Vec<&str> = answers.iter().map(String::as_str).collect();
        let unknown = self.top.unknown;
        self.top.add(&**class, &refs, classes);
        let best: Arc<str> = answers.first().map_or("", String::as_str).into();
        let right = *best == **class;
        let five = (self.top.unknown == unknown).then(|| refs.iter().take(5).any(|answer| **answer == **class));
        if let Some(record) = self.records.last_mut() {
            record.wrong = f64::from(u8::from(!right));
            record.class = Some((class.to_string(), best.to_string(), five));
        }
        self.answers.push(Answer { real: Arc::clone(class), best, score });
        if !right {
            self.keep(score.max(f64::MIN_POSITIVE), packet, 200, |image| vec![image.clone()]);
        }
    }

    fn boxes(&mut self, packet: &Packet, mut real: Vec<GroundTruth>) {
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
        let (wrong, missed) = (wrong.len() as f64, missed.len() as u64);
        if let Some(record) = self.records.last_mut() {
            (record.wrong, record.missed) = (wrong, missed);
        }
        self.keep(wrong + missed as f64, packet, 480, |image| vec![image.clone()]);
    }

    /// Pairs what was found with what is there, best score first, at IoU 0.5, and counts by class.
    fn judge(&mut self, real: &[GroundTruth], found: &mut [Object]) -> (Vec<Object>, Vec<Object>) {
        found.sort_by(|a, b| b.score.total_cmp(&a.score));
        let (mut taken, mut wrong, mut missed) = (vec![false; real.len()], Vec::new(), Vec::new());
        for object in found.iter() {
            let overlap = |r: &GroundTruth| {
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

    fn mask(&mut self, packet: &Packet, real: &[u8], names: &Arc<[String]>) {
        let Some(found) = &packet.mask else { return };
        // A later picture may have any class.
        let (confusion, _) = self.confusion.get_or_insert_with(|| (Confusion::new(256), Arc::clone(names)));
        confusion.add(real, &found.classes, Some(UNLABELLED));
        self.flips.add(found.size, real, &found.classes, UNLABELLED);
        let classes =
            names.len().max(usize::from(real.iter().copied().filter(|v| *v != UNLABELLED).max().unwrap_or(0)) + 1);
        self.boundaries.add(found.size, real, &found.classes, UNLABELLED, classes);
        let mut pixels: BTreeMap<(u8, u8), u64> = BTreeMap::new();
        let counted = real.iter().zip(&found.classes).filter(|(real, _)| **real != UNLABELLED);
        counted.for_each(|(real, found)| *pixels.entry((*real, *found)).or_default() += 1);
        let all: u64 = pixels.values().sum();
        let off: u64 = pixels.iter().filter(|((real, found), _)| real != found).map(|(_, count)| count).sum();
        let badness = off as f64 / all.max(1) as f64;
        if let Some(record) = self.records.last_mut() {
            record.wrong = badness;
            record.pixels = pixels.into_iter().map(|((real, found), count)| (real, found, count)).collect();
        }
        self.keep(badness, packet, 320, |image| {
            let tinted = |classes: &[u8]| {
                let mut image = image.clone();
                crate::ops::draw::tint(&mut image, classes, 140);
                image
            };
            vec![tinted(real), tinted(&found.classes)]
        });
    }

    /// Keeps a picture if it is among the worst; `side` is the longer side of what is kept.
    fn keep(&mut self, badness: f64, packet: &Packet, side: u32, pictures: impl FnOnce(&Image) -> Vec<Image>) {
        let worse = self.shots.len() < self.keep || self.shots.last().is_some_and(|known| known.badness < badness);
        if badness <= 0.0 || self.keep == 0 || !worse {
            return;
        }
        let frame = &packet.frame.image;
        let mut size = frame.size;
        let mut jpegs = Vec::new();
        for picture in pictures(frame) {
            // A picture that no JPEG can hold is only named.
            if let Ok((jpeg, small)) = thumbnail(&picture, side) {
                size = small;
                jpegs.push(jpeg);
            }
        }
        let at = self.shots.partition_point(|known| known.badness >= badness);
        let image = self.records.len().saturating_sub(1);
        self.shots.insert(at, Shot { image, badness, frame: frame.size, size, jpegs });
        self.shots.truncate(self.keep);
    }

    /// Returns the numbers.
    ///
    /// # Errors
    /// [`Error::Config`] if there was nothing to measure, [`Error::Data`] if labels and model do not fit.
    pub fn finish(mut self) -> Result<Measured> {
        if self.frames == 0 {
            return Err(match &self.against {
                Some(against) => against.nothing(),
                None => Error::Config(
                    "no frame has ground truth; give --labels, or play a `scene` or a recording of one".into(),
                ),
            });
        }
        let names: BTreeMap<u64, String> = self.numbers.iter().map(|(name, number)| (*number, name.clone())).collect();
        let names_of = names.clone();
        let cut = self.cut.clone();
        let detection = self.has_boxes.then(|| {
            let coco = coco::evaluate(&self.real, &self.found);
            let voc =
                names.keys().filter_map(|class| Some((*class, voc_ap(*class, &self.real, &self.found)?))).collect();
            let mut total = Counts::default();
            self.counts.values().for_each(|counts| total.add(*counts));
            let images: Vec<u64> = (1..=self.frames).collect();
            let classes: Vec<u64> = names.keys().copied().collect();
            Detection {
                tide: tide::judge(&images, &self.real, &self.found),
                matrix: confusion(&classes, &self.real, &self.found, 0.0),
                curves: curves(&self.real, &self.found),
                coco,
                names,
                voc,
                counts: self.counts.clone(),
                total,
                cut,
                real: std::mem::take(&mut self.real),
                found: std::mem::take(&mut self.found),
            }
        });
        let format = self.against.as_ref().map(|against| against.labels().format);
        if detection.is_none() && self.confusion.is_none() && self.top.count == 0 {
            let what = format.map_or(String::new(), |format| format!(" ({})", format.name()));
            return Err(Error::Config(format!(
                "the pipeline gives no answers of the kind that the labels describe{what}; use labels of its kind (boxes, class maps or classes), or, if the format was guessed wrongly, give it with --format"
            )));
        }
        if let Some(nobody) = self.classes.iter().find(|class| !self.numbers.contains_key(*class)) {
            return Err(Error::Config(format!(
                "no `{nobody}` is labelled or was found; check the names given as classes (--classes)"
            )));
        }
        let mut provenance = vec![("ocelli".to_owned(), env!("CARGO_PKG_VERSION").to_owned())];
        if let Some(labels) = self.against.as_ref().map(Against::labels) {
            let (path, form) = (labels.truth.path.display(), labels.format.name());
            provenance.push((format!("labels {path}"), format!("{form}, sha256 {}", labels.digest())));
        }
        if !self.classes.is_empty() {
            provenance.push(("classes".into(), self.classes.iter().cloned().collect::<Vec<_>>().join(", ")));
        }
        let (strict, path) = self.against.as_ref().map_or((false, String::new()), |against| {
            let truth = &against.labels().truth;
            (truth.strict, truth.path.display().to_string())
        });
        let mut strangers = self.strangers.clone();
        let (mut notes, info, unseen) = match self.against {
            Some(against) => {
                strangers.extend(against.strangers());
                against.finish()?
            }
            None => (Notes::default(), Vec::new(), 0),
        };
        if !self.strangers.is_empty() {
            let list: Vec<String> = self.strangers.iter().take(6).map(|(name, n)| format!("`{name}` ({n})")).collect();
            let list = list.join(", ");
            if !self.met {
                return Err(Error::Data(format!("no class of the ground truth is known to the model: {list}")));
            }
            notes.say(format!(
                "the ground truth has classes that the model does not know, which count as missed: {list}"
            ));
        }
        if let Some((confusion, names)) = self.confusion.as_ref().filter(|_| !self.trusts) {
            notes.extend(shifted(confusion, Path::new(&path))?);
            plausible::maps(confusion, names, &mut notes);
            self.flips.judge().map_err(|e| e.at(&path))?;
        }
        if let Some(d) = &detection {
            if !self.trusts {
                plausible::boxes(&d.real, &d.found, (&self.sizes, &self.turned), &d.names, &mut notes)
                    .map_err(|e| if path.is_empty() { e } else { e.at(&path) })?;
            }
            let counted = d.real.iter().filter(|real| !real.crowd && !real.ignore).count();
            let ignored = d.real.len() - counted;
            if d.real.is_empty() {
                notes.say("no picture that was played has a labelled object".into());
            } else if counted > 0 && ignored > counted {
                let all = d.real.len();
                notes.say(format!(
                    "more than half of the labelled objects ({ignored} of {all}) are crowds or difficult, and do not count"
                ));
            } else if counted == 0 {
                notes.say(format!(
                    "there is no AP: no labelled object counts ({ignored} crowds or difficult ones are ignored)"
                ));
            }
        }
        plausible::answers(&self.answers, &mut notes);
        if let Some(kept) = self.kept.as_ref().filter(|_| self.classes.is_empty()) {
            let lost = self.counts.iter().filter(|(class, counts)| {
                counts.missed > 0 && names_of.get(class).is_some_and(|name| !kept.contains(name))
            });
            let lost: Vec<String> =
                lost.take(6).map(|(class, c)| format!("`{}` ({})", names_of[class], c.missed)).collect();
            if !lost.is_empty() {
                let only: Vec<&str> = kept.iter().map(String::as_str).collect();
                notes.say(format!(
                    "the pipeline keeps only some classes, so others that are labelled count as missed: {}; to leave them out: --classes {}",
                    lost.join(", "),
                    only.join(",")
                ));
            }
        }
        if strict {
            notes.refuse(&path)?;
        }
        let mut records = self.records;
        if let Some(detection) = &detection {
            for found in &detection.coco.matches {
                if let Some(record) = records.get_mut(found.image as usize - 1) {
                    record.found.push((found.class, found.score, found.right, found.counts));
                }
            }
            for real in detection.real.iter().filter(|real| !real.crowd && !real.ignore) {
                if let Some(record) = records.get_mut(real.image as usize - 1) {
                    match record.real.iter_mut().find(|(class, _)| *class == real.class) {
                        Some((_, count)) => *count += 1,
                        None => record.real.push((real.class, 1)),
                    }
                }
            }
        }
        Ok(Measured {
            frames: self.frames,
            unlabelled: self.unlabelled,
            unseen,
            detection,
            segmentation: self.confusion.map(|(confusion, names)| Segmentation {
                confusion: confusion.trimmed(names.len()),
                names: names.to_vec(),
                boundaries: self.boundaries,
            }),
            classification: (self.top.count > 0).then_some(Classification { top: self.top, answers: self.answers }),
            shots: self.shots,
            records,
            provenance,
            notes: notes.lines(),
            info,
            strangers,
        })
    }
}

/// Looks whether class maps would agree if their numbers were one less.
fn shifted(confusion: &Confusion, path: &Path) -> Result<Notes> {
    let all = confusion.counts().iter().sum::<u64>();
    let (own, less) = (confusion.along(0), confusion.along(1));
    if less * 2 > all && own * 4 < less {
        let share = |part: u64| 100.0 * part as f64 / all.max(1) as f64;
        return Err(Error::Data(format!(
            "{}: only {:.1} % of the pixels agree, and {:.1} % would if every value of the class maps were one less, as where 0 means \"not labelled\" (ADE20K); if so, --offset 1",
            path.display(),
            share(own),
            share(less)
        )));
    }
    Ok(Notes::default())
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
    frame.name.clone()
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
