//! What kinds of error a detector makes, and what fixing each would gain, number for number equal to tidecv 1.0.1.
//!
//! Bolya et al. 2020, "TIDE: A General Toolbox for Identifying Object Detection Errors", §2. Boxes match at IoU 0.5; the
//! background begins below 0.1.

use super::coco::{Found, Real, iou};
use std::collections::BTreeMap;

/// A kind of error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The right place, another class.
    Class,
    /// The right class, but not quite the right place.
    Place,
    /// Another class, and not quite the right place.
    Both,
    /// An object that was found already, with a higher score.
    Duplicate,
    /// Nothing is there.
    Background,
    /// An object that no detection comes near.
    Missed,
}

impl Kind {
    /// All kinds, in tidecv's order.
    pub const ALL: [Self; 6] = [Self::Class, Self::Place, Self::Both, Self::Duplicate, Self::Background, Self::Missed];

    /// The word in reports.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Class => "class",
            Self::Place => "localization",
            Self::Both => "both",
            Self::Duplicate => "duplicate",
            Self::Background => "background",
            Self::Missed => "missed",
        }
    }

    /// tidecv's name.
    #[must_use]
    pub const fn tidecv(self) -> &'static str {
        match self {
            Self::Class => "Cls",
            Self::Place => "Loc",
            Self::Both => "Both",
            Self::Duplicate => "Dupe",
            Self::Background => "Bkg",
            Self::Missed => "Miss",
        }
    }

    /// What it means.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Class => "right place (IoU 0.5 or more), wrong class",
            Self::Place => "right class, box too far off (IoU 0.1 to 0.5)",
            Self::Both => "wrong class, and box too far off",
            Self::Duplicate => "an object that was found already, with a higher score",
            Self::Background => "found where nothing is (IoU below 0.1)",
            Self::Missed => "there, and no detection comes near it",
        }
    }
}

/// What became of a detection.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fate {
    /// Right; the IoU with its object.
    Right(f64),
    /// Wrong: the kind, and the largest IoU with any object. Also those in crowds, which do not count.
    Wrong(Kind, f64),
    /// Beyond the hundred best of its picture.
    Cut,
}

/// All errors of a detector.
#[derive(Clone, Debug, Default)]
pub struct Tide {
    /// Average precision at IoU 0.5, 0–1: the mean over the classes that are there or found.
    pub ap50: f64,
    /// How many errors of each kind there are.
    pub counts: [u64; 6],
    /// How much AP at IoU 0.5 would rise if this kind were fixed.
    pub gains: [f64; 6],
    /// The same if all wrong detections were gone, and if all objects were found.
    pub special: [f64; 2],
    /// What became of each detection.
    pub fates: Vec<Fate>,
    /// The objects that count as missed, by their places.
    pub missed: Vec<usize>,
}

const NEAR: f64 = 0.5;
const FAR: f64 = 0.1;
const MOST: usize = 100;

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Right,
    Wrong,
    /// In a crowd.
    Ignored,
}

/// A detection while its picture is judged.
struct Seen<'a> {
    at: usize,
    found: &'a Found,
    state: State,
}

/// An object while its picture is judged.
struct Object<'a> {
    at: usize,
    real: &'a Real,
    taken: bool,
    /// Whether a detection would be right if it were fixed.
    usable: bool,
    /// The best of them.
    best: Option<(f64, usize)>,
}

/// An error: its kind, its detection with its class, score and state, and the object it points at.
struct Mistake {
    kind: Kind,
    /// Place, class, score, and whether it counts.
    found: Option<(usize, u64, f64, bool)>,
    /// The class of the object, and whether this is the best detection for it.
    object: Option<u64>,
    is_best: bool,
}

type Points = BTreeMap<u64, Vec<(f64, bool)>>;

/// Collects all pictures.
#[derive(Default)]
struct Judge {
    points: Points,
    right: Points,
    /// Objects by class.
    real: BTreeMap<u64, i64>,
    unmatched: BTreeMap<u64, i64>,
    mistakes: Vec<Mistake>,
    out: Tide,
}

/// Returns the place of the first largest value, and the value.
fn largest(values: impl Iterator<Item = f64>) -> Option<(usize, f64)> {
    values.enumerate().fold(None, |best, (at, value)| match best {
        Some((_, known)) if known >= value => best,
        _ => Some((at, value)),
    })
}

/// Judges detections. Pictures count in the order of `images`.
#[must_use]
pub fn judge(images: &[u64], real: &[Real], found: &[Found]) -> Tide {
    let mut judge = Judge { out: Tide { fates: vec![Fate::Cut; found.len()], ..Tide::default() }, ..Judge::default() };
    let (mut reals, mut founds): (BTreeMap<u64, Vec<usize>>, BTreeMap<u64, Vec<usize>>) = Default::default();
    real.iter().enumerate().for_each(|(at, r)| reals.entry(r.image).or_default().push(at));
    found.iter().enumerate().for_each(|(at, f)| founds.entry(f.image).or_default().push(at));
    for image in images {
        let there = reals.get(image).map_or(&[][..], Vec::as_slice);
        let mut here = founds.remove(image).unwrap_or_default();
        here.sort_by(|a, b| found[*b].score.total_cmp(&found[*a].score));
        here.truncate(MOST);
        judge.picture(there, &here, real, found);
    }
    judge.finish()
}

impl Judge {
    fn picture(&mut self, there: &[usize], here: &[usize], real: &[Real], found: &[Found]) {
        let object = |at: &usize| Object { at: *at, real: &real[*at], taken: false, usable: false, best: None };
        let excused = |at: &&usize| real[**at].crowd || real[**at].ignore;
        let mut objects: Vec<Object<'_>> = there.iter().filter(|at| !excused(at)).map(object).collect();
        let excuses: Vec<&Real> = there.iter().filter(excused).map(|at| &real[*at]).collect();
        objects.iter().for_each(|o| *self.real.entry(o.real.class).or_default() += 1);
        let mut seen: Vec<Seen<'_>> =
            here.iter().map(|at| Seen { at: *at, found: &found[*at], state: State::Wrong }).collect();
        let ious: Vec<Vec<f64>> =
            seen.iter().map(|s| objects.iter().map(|o| iou(&s.found.bbox, &o.real.bbox, false)).collect()).collect();
        for (place, s) in seen.iter_mut().enumerate() {
            let free = |(at, o): (usize, &Object<'_>)| {
                if o.real.class == s.found.class && !o.taken { ious[place][at] } else { 0.0 }
            };
            if let Some((at, value)) = largest(objects.iter().enumerate().map(free))
                && value >= NEAR
            {
                s.state = State::Right;
                objects[at].taken = true;
                self.out.fates[s.at] = Fate::Right(value);
            }
        }
        for s in seen.iter_mut().filter(|s| s.state == State::Wrong) {
            let covers = |r: &&Real| {
                let overlap = iou(&s.found.bbox, &r.bbox, r.crowd);
                r.class == s.found.class && if r.crowd { overlap > NEAR } else { overlap >= NEAR }
            };
            if excuses.iter().any(covers) {
                s.state = State::Ignored;
            }
        }
        for (place, s) in seen.iter().enumerate() {
            self.real.entry(s.found.class).or_default();
            let class = s.found.class;
            if s.state != State::Ignored {
                self.points.entry(class).or_default().push((s.found.score, s.state == State::Right));
            }
            if s.state == State::Right {
                self.right.entry(class).or_default().push((s.found.score, true));
            } else {
                self.classify(s, &ious[place], &mut objects);
            }
        }
        // The best detection for an object is known only now.
        for o in &objects {
            if let Some((_, at)) = o.best {
                let own = |m: &&mut Mistake| m.found.is_some_and(|(found, ..)| found == at);
                self.mistakes.iter_mut().rev().filter(own).take(1).for_each(|m| m.is_best = true);
            }
        }
        for o in objects.iter().filter(|o| !o.taken) {
            *self.unmatched.entry(o.real.class).or_default() += 1;
            if !o.usable {
                let class = Some(o.real.class);
                self.mistakes.push(Mistake { kind: Kind::Missed, found: None, object: class, is_best: false });
                self.out.missed.push(o.at);
            }
        }
    }

    /// Finds the kind of a wrong detection: the first rule that holds.
    fn classify(&mut self, s: &Seen<'_>, ious: &[f64], objects: &mut [Object<'_>]) {
        let class = s.found.class;
        let own = |o: &Object<'_>| o.real.class == class;
        let among = |fits: &dyn Fn(&Object<'_>) -> bool| {
            largest(objects.iter().zip(ious).map(|(o, value)| if fits(o) { *value } else { 0.0 }))
        };
        let (any, same, other) = (among(&|_| true), among(&own), among(&|o| !own(o)));
        let again = among(&|o| own(o) && o.taken);
        let value = |found: Option<(usize, f64)>| found.map_or(0.0, |(_, value)| value);
        let (kind, object) = if objects.is_empty() {
            (Kind::Background, None)
        } else if (FAR..=NEAR).contains(&value(same)) {
            (Kind::Place, same)
        } else if value(other) >= NEAR {
            (Kind::Class, other)
        } else if value(again) >= NEAR {
            (Kind::Duplicate, None)
        } else if value(any) <= FAR {
            (Kind::Background, None)
        } else {
            (Kind::Both, None)
        };
        self.out.fates[s.at] = Fate::Wrong(kind, value(any));
        let mut points_at = None;
        if let Some(object) = object.map(|(at, _)| &mut objects[at]).filter(|object| !object.taken) {
            object.usable = true;
            if object.best.is_none_or(|(score, _)| s.found.score > score) {
                object.best = Some((s.found.score, s.at));
            }
            points_at = Some(object.real.class);
        }
        let counts = s.state != State::Ignored;
        let found = Some((s.at, class, s.found.score, counts));
        self.mistakes.push(Mistake { kind, found, object: points_at, is_best: false });
    }

    fn finish(mut self) -> Tide {
        let base = mean_ap(&self.points, &self.real);
        self.out.ap50 = base;
        for (place, kind) in Kind::ALL.into_iter().enumerate() {
            self.out.counts[place] = self.mistakes.iter().filter(|m| m.kind == kind).count() as u64;
            let (points, real) = self.fixed(Some(kind));
            self.out.gains[place] = (mean_ap(&points, &real) - base).max(0.0);
        }
        let (points, real) = self.fixed(None);
        let perfect =
            |points: &Vec<(f64, bool)>| points.iter().map(|(_, right)| (f64::from(u8::from(*right)), *right)).collect();
        let sorted: Points = points.iter().map(|(class, points)| (*class, perfect(points))).collect();
        let mut fewer = real.clone();
        self.unmatched.iter().for_each(|(class, count)| *fewer.entry(*class).or_default() -= count);
        self.out.special = [mean_ap(&sorted, &real) - base, mean_ap(&points, &fewer) - base];
        self.out
    }

    /// The detections and objects as they would be without one kind of error. As in tidecv, wrong detections come before
    /// right ones of the same score.
    fn fixed(&self, kind: Option<Kind>) -> (Points, BTreeMap<u64, i64>) {
        let (mut points, mut real) = (Points::new(), self.real.clone());
        for m in &self.mistakes {
            let fixes = Some(m.kind) == kind;
            match (m.found, m.object) {
                (None, Some(class)) if fixes => *real.entry(class).or_default() -= 1,
                (Some((_, own, score, _)), Some(class)) if fixes && m.is_best => {
                    let class = if m.kind == Kind::Class { class } else { own };
                    points.entry(class).or_default().push((score, true));
                }
                (Some((_, class, score, true)), _) if !fixes => points.entry(class).or_default().push((score, false)),
                _ => {}
            }
        }
        for (class, right) in &self.right {
            points.entry(*class).or_default().extend(right);
        }
        (points, real)
    }
}

/// The mean over the classes that are there or found.
fn mean_ap(points: &Points, real: &BTreeMap<u64, i64>) -> f64 {
    let none = Vec::new();
    let of = |class: &u64| points.get(class).unwrap_or(&none);
    let classes: Vec<u64> =
        real.iter().filter(|(class, count)| **count != 0 || !of(class).is_empty()).map(|(c, _)| *c).collect();
    let sum: f64 = classes.iter().map(|class| ap(of(class), real[class])).sum();
    if classes.is_empty() { 0.0 } else { sum / classes.len() as f64 }
}

/// The mean of the best precisions at 101 recalls.
fn ap(points: &[(f64, bool)], real: i64) -> f64 {
    if real == 0 {
        return 0.0;
    }
    let mut points = points.to_vec();
    points.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (mut right, mut all) = (0.0, 0.0);
    let mut curve: Vec<(f64, f64)> = Vec::with_capacity(points.len());
    for (_, hit) in points {
        all += 1.0;
        right += f64::from(u8::from(hit));
        curve.push((right / real as f64, right / all));
    }
    for at in (1..curve.len()).rev() {
        curve[at - 1].1 = curve[at - 1].1.max(curve[at].1);
    }
    let at = |step: u32| {
        let place = curve.partition_point(|(recall, _)| *recall < f64::from(step) / 100.0);
        curve.get(place).map_or(0.0, |(_, precision)| *precision)
    };
    (0..=100).map(at).sum::<f64>() / 101.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_told_from_the_others() {
        let real = |class, x: f64| Real { image: 1, class, bbox: [x, 0.0, 10.0, 10.0], area: 100.0, ..Real::default() };
        let found = |class, x: f64, score| Found { image: 1, class, bbox: [x, 0.0, 10.0, 10.0], score };
        let there = [real(1, 0.0), real(1, 100.0), real(2, 200.0), real(1, 300.0)];
        let here = [
            found(1, 0.0, 0.9),
            found(1, 1.0, 0.8),
            found(1, 105.0, 0.7),
            found(1, 200.0, 0.6),
            found(2, 306.0, 0.5),
            found(1, 500.0, 0.4),
        ];
        let tide = judge(&[1], &there, &here);
        let kinds: Vec<Option<Kind>> = tide
            .fates
            .iter()
            .map(|fate| match fate {
                Fate::Wrong(kind, _) => Some(*kind),
                _ => None,
            })
            .collect();
        let wanted = [
            None,
            Some(Kind::Duplicate),
            Some(Kind::Place),
            Some(Kind::Class),
            Some(Kind::Both),
            Some(Kind::Background),
        ];
        assert_eq!(kinds, wanted);
        assert_eq!((tide.missed.as_slice(), tide.counts), (&[3][..], [1; 6]));
    }
}
