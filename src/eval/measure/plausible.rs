//! When hardly anything agrees, is it the model, or are the labels read in the wrong way? A low number alone does not say.

use super::super::coco::{Found, Real, iou};
use super::super::segmentation::Confusion;
use super::results::Answer;
use crate::error::{Error, Result};
use crate::labels::{Notes, shown};
use crate::types::Size;
use std::collections::BTreeMap;

/// Only the first pictures are looked at: they show it.
const PICTURES: u64 = 2000;

type Box4 = [f64; 4];
/// A way to read boxes wrongly: what the labels then are, and how to make the right box of one, in a picture of a size.
type Reading = (&'static str, fn(Box4, [f64; 2]) -> Box4);

/// Boxes are left, top, width, height.
const READINGS: [Reading; 19] = [
    ("boxes of pictures half the size", scaled::<50>),
    ("boxes of pictures twice the size", scaled::<200>),
    ("boxes of pictures at two thirds of the size", scaled::<67>),
    ("boxes of pictures at three quarters of the size", scaled::<75>),
    ("boxes of pictures at 80 % of the size", scaled::<80>),
    ("boxes of pictures at 90 % of the size", scaled::<90>),
    ("boxes of pictures at 110 % of the size", scaled::<110>),
    ("boxes of pictures at 125 % of the size", scaled::<125>),
    ("boxes of pictures at 150 % of the size", scaled::<150>),
    ("fractions of a square that the picture was padded to", |[x, y, w, h], [wide, high]| {
        let side = f64::max(wide, high);
        let (left, top) = ((side - wide) / 2.0, (side - high) / 2.0);
        [x / wide * side - left, y / high * side - top, w / wide * side, h / high * side]
    }),
    ("percentages of the picture", |[x, y, w, h], [wide, high]| {
        [x * wide / 100.0, y * high / 100.0, w * wide / 100.0, h * high / 100.0]
    }),
    ("boxes given by their centre instead of their top-left corner", |[x, y, w, h], _| {
        [x - w / 2.0, y - h / 2.0, w, h]
    }),
    ("boxes given by their top-left corner instead of their centre", |[x, y, w, h], _| {
        [x + w / 2.0, y + h / 2.0, w, h]
    }),
    ("boxes with x and y swapped", |[x, y, w, h], _| [y, x, h, w]),
    ("boxes flipped upside down", |[x, y, w, h], [_, high]| [x, high - y - h, w, h]),
    ("mirrored boxes", |[x, y, w, h], [wide, _]| [wide - x - w, y, w, h]),
    ("boxes rotated by 180 degrees", |[x, y, w, h], [wide, high]| [wide - x - w, high - y - h, w, h]),
    ("boxes of the pictures as stored, before EXIF data turns them to the right", |[x, y, w, h], [wide, high]| {
        [(1.0 - (y + h) / high) * wide, x / wide * high, h / high * wide, w / wide * high]
    }),
    ("boxes of the pictures as stored, before EXIF data turns them to the left", |[x, y, w, h], [wide, high]| {
        [y / high * wide, (1.0 - (x + w) / wide) * high, h / high * wide, w / wide * high]
    }),
];

/// The box of a label that was made on pictures at so many percent of the size.
fn scaled<const PERCENT: u32>(b: Box4, _: [f64; 2]) -> Box4 {
    b.map(|v| v * 100.0 / f64::from(PERCENT))
}

/// The readings that only pictures turned by their EXIF data can have: the last ones.
const TURNED: usize = 2;

/// Objects and detections by picture.
struct Pictures<'a>(Vec<(Vec<&'a Real>, Vec<&'a Found>, [f64; 2])>);

impl<'a> Pictures<'a> {
    fn of(real: &'a [Real], found: &'a [Found], sizes: &[Size]) -> Self {
        let mut all: BTreeMap<u64, (Vec<&Real>, Vec<&Found>)> = BTreeMap::new();
        let counts = |r: &&Real| !r.crowd && !r.ignore && r.image <= PICTURES;
        real.iter().filter(counts).for_each(|r| all.entry(r.image).or_default().0.push(r));
        found.iter().filter(|f| f.image <= PICTURES).for_each(|f| all.entry(f.image).or_default().1.push(f));
        let size = |image: u64| {
            let size = sizes.get(image as usize - 1).copied().unwrap_or_default();
            [f64::from(size.width.max(1)), f64::from(size.height.max(1))]
        };
        Self(all.into_iter().map(|(image, (real, found))| (real, found, size(image))).collect())
    }

    /// For each object that is overlapped by so much: its class, and the class of what overlaps it most. The detections
    /// may be those of a later or an earlier picture.
    fn agreeing(&self, reading: fn(Box4, [f64; 2]) -> Box4, overlapped: f64, later: isize) -> Vec<(u64, u64)> {
        let mut pairs = Vec::new();
        for (at, (real, _, size)) in self.0.iter().enumerate() {
            let Some((_, found, _)) = at.checked_add_signed(later).and_then(|at| self.0.get(at)) else { continue };
            for r in real {
                let place = reading(r.bbox, *size);
                let overlaps = found.iter().map(|f| (iou(&f.bbox, &place, false), f.class == r.class, f.class));
                let best = overlaps.max_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
                pairs.extend(best.filter(|(overlap, ..)| *overlap >= overlapped).map(|(.., class)| (r.class, class)));
            }
        }
        pairs
    }
}

/// Another way to read the labels by which far more boxes agree: what they look like, and how many agree now and then.
fn better(pictures: &Pictures<'_>, objects: usize, readings: &[Reading]) -> Option<(&'static str, usize, usize)> {
    let shifts = [("labels of the picture after", 1), ("labels of the picture before", -1)];
    let as_they_are: fn(Box4, [f64; 2]) -> Box4 = |b, _| b;
    // Boxes that are nearly right agree by half; so both are asked.
    for (overlap, times, more) in [(0.5, 2, 4), (0.75, 3, 6)] {
        let own = pictures.agreeing(as_they_are, overlap, 0).len();
        if own * times >= objects {
            continue;
        }
        let read = readings.iter().map(|(what, reading)| (*what, pictures.agreeing(*reading, overlap, 0).len()));
        let shifted = shifts.iter().map(|(what, later)| (*what, pictures.agreeing(as_they_are, overlap, *later).len()));
        let best = read.chain(shifted).max_by_key(|(_, count)| *count);
        if let Some((what, count)) = best
            && count * 2 >= objects
            && count >= own * times
            && count >= own + more
        {
            return Some((what, own, count));
        }
    }
    None
}

/// Looks at boxes. `turned` says which pictures their EXIF data turned.
///
/// # Errors
/// [`Error::Data`] if another way to read the labels makes most of them agree.
pub fn boxes(
    real: &[Real],
    found: &[Found],
    (sizes, turned): (&[Size], &[bool]),
    names: &BTreeMap<u64, String>,
    notes: &mut Notes,
) -> Result<()> {
    let pictures = Pictures::of(real, found, sizes);
    let count = |pictures: &Pictures<'_>| {
        pictures.0.iter().fold((0, 0), |(r, f), (real, found, _)| (r + real.len(), f + found.len()))
    };
    let (objects, detections) = count(&pictures);
    if objects > 0 && detections == 0 {
        notes.say(format!(
            "nothing was found in any of {} pictures, so AP is 0; lower `min_score`, or look at what the model finds with `annotate`",
            pictures.0.len()
        ));
    }
    if objects < 4 || detections * 4 < objects {
        return Ok(());
    }
    let refuse = |which: &str, all: usize, (what, own, count): (&str, usize, usize)| {
        Err(Error::Data(format!(
            "{which}the labels look like {what}: only {own} of {all} labelled boxes overlap anything that was found, but {count} would if this were corrected; correct the labels"
        )))
    };
    if let Some(reading) = better(&pictures, objects, &READINGS) {
        return refuse("", objects, reading);
    }
    let pairs = pictures.agreeing(|b, _| b, 0.5, 0);
    let is_turned = |at: usize| turned.get(at).copied().unwrap_or(false);
    let own_real: Vec<Real> = real.iter().filter(|r| is_turned(r.image as usize - 1)).cloned().collect();
    let own_found: Vec<Found> = found.iter().filter(|f| is_turned(f.image as usize - 1)).cloned().collect();
    let pictures = Pictures::of(&own_real, &own_found, sizes);
    let (some, _) = count(&pictures);
    if some >= 4
        && some < objects
        && let Some(reading) = better(&pictures, some, &READINGS[READINGS.len() - TURNED..])
    {
        return refuse("in the pictures that EXIF data turns, ", some, reading);
    }
    if pairs.len() * 5 < objects {
        notes.say(format!(
            "almost no box agrees: only {} of {objects} labelled boxes overlap anything that was found, of any class (IoU 0.5, {detections} detections); check with `ocelli data check --sheet` that these are the labels of these pictures",
            pairs.len()
        ));
        return Ok(());
    }
    classes(&pairs, names, notes)
}

/// Looks whether boxes agree and classes do not.
fn classes(pairs: &[(u64, u64)], names: &BTreeMap<u64, String>, notes: &mut Notes) -> Result<()> {
    let mut by_class: BTreeMap<u64, BTreeMap<u64, usize>> = BTreeMap::new();
    pairs.iter().for_each(|(real, found)| *by_class.entry(*real).or_default().entry(*found).or_default() += 1);
    let own = pairs.iter().filter(|(real, found)| real == found).count();
    let name = |class: &u64| names.get(class).map_or_else(|| class.to_string(), |name| shown(name));
    let (mut taken, mut list, mut map) = (0, Vec::new(), Vec::new());
    for (class, found) in &by_class {
        let all: usize = found.values().sum();
        let Some((other, count)) = found.iter().max_by_key(|(_, count)| **count) else { continue };
        if other != class && count * 5 >= all * 4 && *count >= 2 {
            taken += count;
            list.push(format!("`{}` is found as `{}` in {count} of {all}", name(class), name(other)));
            map.push(format!("{}={}", name(class), name(other)));
        }
    }
    if own * 5 < pairs.len() && taken * 10 >= pairs.len() * 7 && pairs.len() >= 5 {
        return Err(Error::Data(format!(
            "the boxes agree but the classes do not: what is labelled {}; if these are class numbers of another list, give it with --names, else rename the classes with --map \"{}\"",
            list.join(", "),
            map.join(",")
        )));
    }
    if !list.is_empty() {
        notes.say(format!("the boxes agree but the classes do not: what is labelled {}", list.join(", ")));
    }
    Ok(())
}

/// Looks at the answers to whole pictures.
pub fn answers(answers: &[Answer], notes: &mut Notes) {
    let mut by_class: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
    answers.iter().for_each(|a| *by_class.entry(&a.real).or_default().entry(&a.best).or_default() += 1);
    let swapped = by_class.iter().filter_map(|(real, found)| {
        let all: usize = found.values().sum();
        let (best, count) = found.iter().max_by_key(|(_, count)| **count)?;
        let consistent = best != real && !best.is_empty() && count * 5 >= all * 4 && *count >= 3;
        consistent.then(|| format!("`{}` is taken for `{}` in {count} of {all}", shown(real), shown(best)))
    });
    let swapped: Vec<String> = swapped.collect();
    if by_class.len() > 1 && swapped.len() * 2 >= by_class.len() {
        notes.say(format!(
            "classes are mistaken for each other throughout: {}; if the numbers belong to another list, give it with --names",
            swapped.join(", ")
        ));
    }
}

/// Class maps turned over, beside what was found: would they agree better so?
#[derive(Clone, Debug, Default)]
pub struct Flips {
    pictures: u32,
    /// As they are, upside down, mirrored, and both; and those of the pictures beside.
    confusions: Vec<Confusion>,
    /// The picture before: its size, its map, and what was found.
    last: Option<(Size, Vec<u8>, Vec<u8>)>,
}

const TURNS: [&str; 6] = [
    "as they are",
    "upside down",
    "mirrored",
    "rotated by 180 degrees",
    "those of the picture before",
    "those of the picture after",
];

impl Flips {
    /// Looks at a picture, if it is one of the first.
    pub fn add(&mut self, size: Size, real: &[u8], found: &[u8], ignore: u8) {
        if self.pictures >= 200 {
            return;
        }
        self.pictures += 1;
        self.confusions.resize_with(TURNS.len(), || Confusion::new(256));
        let wide = size.width.max(1) as usize;
        let mirrored = |rows: Vec<&[u8]>| rows.iter().flat_map(|row| row.iter().rev().copied()).collect::<Vec<u8>>();
        let rows: Vec<&[u8]> = real.chunks(wide).collect();
        let upside: Vec<&[u8]> = real.chunks(wide).rev().collect();
        let turned = [real.to_vec(), upside.concat(), mirrored(rows), mirrored(upside)];
        for (confusion, real) in self.confusions.iter_mut().zip(turned) {
            confusion.add(&real, found, Some(ignore));
        }
        if let Some((_, before, found_before)) = self.last.take().filter(|(known, ..)| *known == size) {
            self.confusions[4].add(real, &found_before, Some(ignore));
            self.confusions[5].add(&before, found, Some(ignore));
        }
        self.last = Some((size, real.to_vec(), found.to_vec()));
    }

    /// Refuses maps that agree only when they are turned.
    ///
    /// # Errors
    /// [`Error::Data`] if one way to turn them makes them agree far better.
    pub fn judge(&self) -> Result<()> {
        let values: Vec<f64> = self.confusions.iter().map(|c| c.trimmed(0).mean_iou().unwrap_or(0.0)).collect();
        let Some(own) = values.first() else { return Ok(()) };
        let best = values.iter().zip(TURNS).skip(1).max_by(|a, b| a.0.total_cmp(b.0));
        match best.filter(|(value, _)| **value > 0.4 && **value > own * 1.7) {
            Some((value, how)) => Err(Error::Data(format!(
                "the class maps seem to be {how}: mIoU is {own:.3}, but {value:.3} if this is undone; correct the class maps"
            ))),
            None => Ok(()),
        }
    }
}

/// Looks at class maps: classes that are found as others throughout.
pub fn maps(confusion: &Confusion, names: &[String], notes: &mut Notes) {
    let (classes, counts) = (confusion.classes(), confusion.counts());
    let name = |class: usize| names.get(class).map_or_else(|| class.to_string(), |name| shown(name));
    let row = |class: usize| &counts[class * classes..][..classes];
    let total = counts.iter().sum::<u64>();
    let mut list = Vec::new();
    for class in 0..classes {
        let all: u64 = row(class).iter().sum();
        let Some((other, count)) = row(class).iter().enumerate().max_by_key(|(_, count)| **count) else { continue };
        // Much is taken for the background by a model that finds little; that does not mean another list.
        let largest = (0..classes).max_by_key(|at| row(*at).iter().sum::<u64>());
        if other != class && Some(other) != largest && count * 2 > all && all * 200 > total {
            list.push(format!(
                "`{}` is found as `{}` ({:.0} %)",
                name(class),
                name(other),
                100.0 * *count as f64 / all as f64
            ));
        }
    }
    if !list.is_empty() {
        notes.say(format!(
            "the classes do not agree: what is labelled {}; if the numbers belong to another list, give it with --names",
            list.join(", ")
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looked(reading: fn(Box4, [f64; 2]) -> Box4, class: fn(u64) -> u64) -> Result<Vec<String>> {
        let (mut real, mut found, mut sizes) = (Vec::new(), Vec::new(), Vec::new());
        for image in 1..=6u64 {
            sizes.push(Size::new(400, 300));
            let at = image as f64 * 9.0;
            for (nth, bbox) in [[20.0 + at, 30.0, 40.0, 60.0], [180.0, 150.0 + at, 70.0, 30.0]].into_iter().enumerate()
            {
                let own = nth as u64 + 1;
                found.push(Found { image, class: own, bbox, score: 0.9 });
                real.push(Real { image, class: class(own), bbox: reading(bbox, [400.0, 300.0]), ..Real::default() });
            }
        }
        let names = [(1, "car".to_owned()), (2, "dog".to_owned()), (3, "cat".to_owned())].into();
        let mut notes = Notes::default();
        boxes(&real, &found, (&sizes, &[]), &names, &mut notes).map(|()| notes.lines())
    }

    #[test]
    fn labels_of_the_next_picture_and_of_turned_pictures_are_told() {
        let bbox = |image: u64| [20.0 + image as f64 * 60.0, 30.0, 40.0, 60.0];
        let found: Vec<Found> = (1..=8).map(|image| Found { image, class: 1, bbox: bbox(image), score: 0.9 }).collect();
        let sizes = vec![Size::new(600, 300); 8];
        let names = [(1, "car".to_owned())].into();
        let look = |real: &[Real], found: &[Found], turned: &[bool]| {
            boxes(real, found, (&sizes, turned), &names, &mut Notes::default()).unwrap_err().to_string()
        };
        let of = |bbox: Box4, image: u64| Real { image, class: 1, bbox, ..Real::default() };
        let later: Vec<Real> = (1..=8).map(|image| of(bbox(image + 1), image)).collect();
        assert!(look(&later, &found, &[]).contains("labels of the picture after"));
        // Half of the pictures are turned, and labelled as they are stored.
        let turned = [true, false, true, false, true, false, true, false];
        let stored = |[x, y, w, h]: Box4| [y / 300.0 * 600.0, (1.0 - (x + w) / 600.0) * 300.0, h * 2.0, w / 2.0];
        let mixed: Vec<Real> = (1..=8)
            .map(|image| of(if turned[image as usize - 1] { stored(bbox(image)) } else { bbox(image) }, image))
            .collect();
        let error = look(&mixed, &found, &turned);
        assert!(error.contains("in the pictures that EXIF data turns") && error.contains("as stored"), "{error}");
    }

    #[test]
    fn labels_that_are_read_wrongly_are_told_from_a_bad_model() {
        assert!(looked(|b, _| b, |c| c).unwrap().is_empty());
        let told = |reading| looked(reading, |c| c).unwrap_err().to_string();
        assert!(told(|b, _| b.map(|v| v / 2.0)).contains("half the size"));
        assert!(told(|[x, y, w, h], _| [x + w / 2.0, y + h / 2.0, w, h]).contains("by their centre"));
        assert!(told(|[x, y, w, h], [_, high]| [x, high - y - h, w, h]).contains("upside down"));
        assert!(told(|b, _| b.map(|v| v * 0.9)).contains("at 90 % of the size"));
        let square = |[x, y, w, h]: Box4, _: [f64; 2]| [x, (y + 50.0) * 0.75, w, h * 0.75];
        assert!(told(square).contains("padded to"));
        assert!(looked(|[x, y, w, h], _| [x + 200.0, y, w, h], |c| c).unwrap()[0].contains("almost no box agrees"));
        let error = looked(|b, _| b, |c| 3 - c).unwrap_err().to_string();
        assert!(error.contains("`car` is found as `dog`") && error.contains("car=dog,dog=car"), "{error}");
    }

    #[test]
    fn maps_of_another_list_are_told() {
        let mut confusion = Confusion::new(4);
        [(0, 0, 900), (1, 2, 40), (2, 1, 50), (3, 0, 10)].into_iter().for_each(|(a, b, n)| confusion.count(a, b, n));
        let mut notes = Notes::default();
        maps(&confusion, &["sky".into(), "car".into(), "dog".into()], &mut notes);
        assert!(notes.lines()[0].contains("`car` is found as `dog` (100 %), `dog` is found as `car`"), "{notes:?}");
    }
}
