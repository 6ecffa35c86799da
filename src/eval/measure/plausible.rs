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
const READINGS: [Reading; 11] = [
    ("boxes of pictures half the size", |b, _| b.map(|v| v * 2.0)),
    ("boxes of pictures twice the size", |b, _| b.map(|v| v / 2.0)),
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

    /// For each object that is overlapped by half or more: its class, and the class of what overlaps it most.
    fn agreeing(&self, reading: fn(Box4, [f64; 2]) -> Box4) -> Vec<(u64, u64)> {
        let mut pairs = Vec::new();
        for (real, found, size) in &self.0 {
            for r in real {
                let place = reading(r.bbox, *size);
                let overlaps = found.iter().map(|f| (iou(&f.bbox, &place, false), f.class == r.class, f.class));
                let best = overlaps.max_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
                pairs.extend(best.filter(|(overlap, ..)| *overlap >= 0.5).map(|(.., class)| (r.class, class)));
            }
        }
        pairs
    }
}

/// Looks at boxes.
///
/// # Errors
/// [`Error::Data`] if another way to read the labels makes most of them agree.
pub fn boxes(
    real: &[Real],
    found: &[Found],
    sizes: &[Size],
    names: &BTreeMap<u64, String>,
    notes: &mut Notes,
) -> Result<()> {
    let pictures = Pictures::of(real, found, sizes);
    let (objects, detections) =
        pictures.0.iter().fold((0, 0), |(r, f), (real, found, _)| (r + real.len(), f + found.len()));
    if objects < 4 || detections * 4 < objects {
        return Ok(());
    }
    let pairs = pictures.agreeing(|b, _| b);
    if pairs.len() * 5 < objects {
        let other =
            READINGS.iter().map(|(what, reading)| (pictures.agreeing(*reading).len(), what)).max_by_key(|(n, _)| *n);
        if let Some((count, what)) = other.filter(|(count, _)| count * 2 >= objects && *count >= pairs.len() * 3) {
            return Err(Error::Data(format!(
                "the labels look like {what}: only {} of {objects} labelled boxes overlap anything that was found, but {count} would if this were corrected; correct the labels",
                pairs.len()
            )));
        }
        notes.say(format!(
            "almost no box agrees: only {} of {objects} labelled boxes overlap anything that was found, of any class (IoU 0.5, {detections} detections); are the labels of other pictures, or in another unit?",
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
            "the boxes agree but the classes do not: what is labelled {}; do the class numbers belong to another list? Give their names with --names, or --map \"{}\"",
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
            "classes are mistaken for each other throughout: {}; do their numbers belong to another list?",
            swapped.join(", ")
        ));
    }
}

/// Class maps turned over, beside what was found: would they agree better so?
#[derive(Clone, Debug, Default)]
pub struct Flips {
    pictures: u32,
    /// As they are, upside down, mirrored, and both.
    confusions: Vec<Confusion>,
}

const TURNS: [&str; 4] = ["as they are", "upside down", "mirrored", "turned upside down"];

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
            "the classes do not agree: what is labelled {}; do the numbers belong to another list?",
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
        boxes(&real, &found, &sizes, &names, &mut notes).map(|()| notes.lines())
    }

    #[test]
    fn labels_that_are_read_wrongly_are_told_from_a_bad_model() {
        assert!(looked(|b, _| b, |c| c).unwrap().is_empty());
        let told = |reading| looked(reading, |c| c).unwrap_err().to_string();
        assert!(told(|b, _| b.map(|v| v / 2.0)).contains("half the size"));
        assert!(told(|[x, y, w, h], _| [x + w / 2.0, y + h / 2.0, w, h]).contains("by their centre"));
        assert!(told(|[x, y, w, h], [_, high]| [x, high - y - h, w, h]).contains("upside down"));
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
