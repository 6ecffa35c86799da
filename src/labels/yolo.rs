//! YOLO's text files, one for each picture, read as Ultralytics reads them.
//!
//! A line is a class number and a box (`x y width height`, of the centre, as fractions of the picture), or a polygon
//! (`x y x y …`, at least three points), whose bounding box counts, or a box with keypoints behind it. A sixth number
//! is a score or a track.

use super::keys::Key;
use super::notes::Notes;
use super::text::{self, shown};
use super::{ClassName, Format, Labelled, Labels, Picture, Place};
use crate::error::Result;
use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

/// A file of labels: its name below the folder of labels, its path, and its part of the set.
pub type File = (String, PathBuf, Option<Arc<str>>);

/// Returns whether a text looks like YOLO's: its first line begins with a number and has at least four more words.
#[must_use]
pub fn is_one(text: &str) -> bool {
    let Some(line) = text.split(['\n', '\r']).find(|line| !line.trim().is_empty()) else { return true };
    let mut words = line.split(|c: char| c.is_whitespace() || matches!(c, ',' | ';')).filter(|word| !word.is_empty());
    words.next().is_some_and(|word| word.trim_start_matches('\u{feff}').parse::<f64>().is_ok()) && words.count() >= 4
}

/// What a line says besides its class.
#[derive(Clone, Debug, PartialEq)]
enum Line {
    Box([f64; 4]),
    /// Points, or a box and keypoints: which is seen only when all lines are known.
    Points(Vec<f64>),
}

impl Line {
    /// The numbers to the bit.
    fn bits(&self) -> Vec<u64> {
        match self {
            Self::Box(place) => place.iter().map(|v| v.to_bits()).collect(),
            Self::Points(numbers) => numbers.iter().map(|v| v.to_bits()).collect(),
        }
    }
}

/// Reads files into `labels`; classes stay numbers. `key_points` says how many keypoints follow a box, and of how many
/// numbers each.
///
/// # Errors
/// [`crate::error::Error::Data`] if most lines cannot be used, [`crate::error::Error::Io`].
pub fn read(files: &[File], key_points: Option<(usize, usize)>, labels: &mut Labels) -> Result<()> {
    labels.format = Format::Yolo;
    let (mut notes, mut read) = (Notes::default(), 0);
    let mut pictures: Vec<(Picture, Vec<(u16, Line)>)> = Vec::with_capacity(files.len());
    for (name, path, split) in files {
        let text = text::read(path, &mut notes)?;
        let mut odd = Notes::default();
        let lines = lines(&text, name, &mut odd);
        if lines.is_empty() && !is_one(&text) {
            notes.add("text files that are not labels, left out", || name.clone());
            labels.unread.insert(Key::of_label_file(name).stem);
            continue;
        }
        notes.extend(odd);
        let stem = name.strip_suffix(".txt").or(name.strip_suffix(".TXT")).unwrap_or(name);
        let picture = Picture { path: stem.to_owned(), file: path.clone(), split: split.clone(), ..Picture::default() };
        pictures.push((picture, lines));
    }
    let poses = Poses::of(pictures.iter().flat_map(|(_, lines)| lines), key_points);
    for (mut picture, lines) in pictures {
        let mut seen = HashSet::new();
        for (class, line) in lines {
            if !seen.insert((class, line.bits())) {
                notes.add("the same line twice (it counts once)", || picture.path.clone());
                continue;
            }
            let place = match line {
                Line::Box(place) => place,
                Line::Points(numbers) if poses.is_pose(&numbers) => {
                    notes.add("lines with keypoints, read as boxes", || picture.path.clone());
                    [numbers[0], numbers[1], numbers[2], numbers[3]]
                }
                Line::Points(numbers) if numbers.len() % 2 == 1 => {
                    let kind = "an odd number of coordinates, neither a polygon nor keypoints, left out";
                    notes.left_out(kind, || picture.path.clone());
                    continue;
                }
                Line::Points(numbers) => {
                    let around = super::fit::around(numbers.as_chunks::<2>().0);
                    let Some([x1, y1, x2, y2]) = around else {
                        notes.left_out("a polygon without area, left out", || picture.path.clone());
                        continue;
                    };
                    notes.add("polygons, read as their bounding boxes", || picture.path.clone());
                    [f64::midpoint(x1, x2), f64::midpoint(y1, y2), x2 - x1, y2 - y1]
                }
            };
            read += 1;
            picture.boxes.push(Labelled {
                class: ClassName::Number(class),
                place: Place::Parts(place),
                area: None,
                crowd: false,
                difficult: false,
            });
        }
        labels.pictures.push(picture);
    }
    notes.most_are_sound("YOLO", read)?;
    labels.notes.extend(notes);
    Ok(())
}

fn lines(text: &str, name: &str, notes: &mut Notes) -> Vec<(u16, Line)> {
    let mut read = Vec::new();
    for (index, line) in text.replace("\r\n", "\n").split(['\n', '\r']).enumerate() {
        let line = line.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
        if line.is_empty() {
            continue;
        }
        match parse(line) {
            Ok(found) => {
                if matches!(found.1, Line::Box(_)) && line.split_whitespace().count() > 5 {
                    let kind = "lines with a sixth number (a score, a track or an angle?), which is not used";
                    notes.add(kind, || format!("{name}:{}", index + 1));
                }
                read.push(found);
            }
            Err(why) => notes.left_out(why, || format!("{name}:{}: `{}`", index + 1, shown(line))),
        }
    }
    read
}

/// Reads a line; the error says why it is left out.
fn parse(line: &str) -> Result<(u16, Line), &'static str> {
    let mut numbers = Vec::with_capacity(5);
    for word in line.split_whitespace() {
        let number: f64 = word.parse().map_err(|_| {
            if word.contains(',') {
                "commas in a line, left out; expected a class number and x y width height with spaces between them"
            } else {
                "a word where a number should be, left out; expected a class number and x y width height, each 0 to 1"
            }
        })?;
        if !number.is_finite() {
            return Err("a number that is not finite, left out");
        }
        numbers.push(number);
    }
    let class = numbers.remove(0);
    if class < 0.0 || class.fract() != 0.0 || class > f64::from(u16::MAX) {
        return Err("a class number that is not 0, 1, 2 …, left out");
    }
    if numbers.len() < 4 {
        return Err("too few numbers, left out; expected a class number and x y width height");
    }
    let place = [numbers[0], numbers[1], numbers[2], numbers[3]];
    if place.iter().any(|v| !(-0.01..=1.01).contains(v)) {
        return Err("a number below 0 or above 1, left out; expected x y width height as fractions of the picture");
    }
    // A sixth number is a score.
    let line = match numbers.len() {
        4 | 5 if place[2] <= 0.0 || place[3] <= 0.0 => return Err("a box without width or height, left out"),
        4 | 5 => Line::Box(place),
        _ if numbers.iter().any(|v| v.abs() > 1e6) => return Err("a number far beyond the picture, left out"),
        _ => Line::Points(numbers),
    };
    Ok((class as u16, line))
}

/// Which lines of many numbers hold keypoints rather than a polygon.
#[derive(Debug, Default)]
struct Poses {
    /// By how many numbers there are.
    by_length: BTreeMap<usize, bool>,
}

impl Poses {
    /// Looks at all lines: those of one length are of one kind.
    fn of<'a>(lines: impl Iterator<Item = &'a (u16, Line)>, given: Option<(usize, usize)>) -> Self {
        let mut by_length: BTreeMap<usize, (bool, bool)> = BTreeMap::new();
        for (_, line) in lines {
            let Line::Points(numbers) = line else { continue };
            let (threes, twos) = by_length.entry(numbers.len()).or_insert((true, true));
            *threes &= has_threes(numbers);
            *twos &= has_twos(numbers);
        }
        let wanted = given.and_then(|(points, each)| points.checked_mul(each)?.checked_add(4));
        // Flat points look much like a polygon: all lines of the set must be of one length, and four corners are corners.
        let one = by_length.len() == 1;
        let pose = |(length, (threes, twos)): (usize, (bool, bool))| {
            let pose = match given {
                Some(_) => wanted == Some(length),
                None => threes || one && twos && length > 8,
            };
            (length, pose)
        };
        Self { by_length: by_length.into_iter().map(pose).collect() }
    }

    fn is_pose(&self, numbers: &[f64]) -> bool {
        self.by_length.get(&numbers.len()).copied().unwrap_or(false)
    }
}

/// Whether numbers are a box and points, each with a third number that says whether it is seen.
fn has_threes(numbers: &[f64]) -> bool {
    let (points, rest) = numbers[4..].as_chunks::<3>();
    rest.is_empty() && points.iter().all(|point| [0.0, 1.0, 2.0].contains(&point[2]))
}

/// Whether numbers are a box and flat points that fill much of it. A point that is not seen is written as 0 0.
fn has_twos(numbers: &[f64]) -> bool {
    let (points, rest) = numbers[4..].as_chunks::<2>();
    let seen: Vec<&[f64; 2]> = points.iter().filter(|point| **point != [0.0, 0.0]).collect();
    let [x, y, w, h] = [numbers[0], numbers[1], numbers[2], numbers[3]];
    let edge = 0.005;
    let inside = |[px, py]: &&&[f64; 2]| (px - x).abs() <= w / 2.0 + edge && (py - y).abs() <= h / 2.0 + edge;
    let Some([x1, y1, x2, y2]) = super::fit::around(seen.iter().copied()) else { return false };
    rest.is_empty() && seen.iter().filter(inside).count() == seen.len() && x2 - x1 > 0.3 * w && y2 - y1 > 0.3 * h
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boxes(text: &str) -> (Vec<[f64; 4]>, Vec<String>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        std::fs::write(&path, text).unwrap();
        let mut labels = Labels::default();
        read(&[("a.txt".into(), path, None)], None, &mut labels).unwrap();
        let place = |b: &Labelled| match b.place {
            Place::Parts(place) => place.map(|v| (v * 1000.0).round() / 1000.0),
            Place::Pixels(_) => [0.0; 4],
        };
        let boxes = labels.pictures.first().map(|p| p.boxes.iter().map(place).collect()).unwrap_or_default();
        (boxes, labels.notes.lines())
    }

    const GOOD: &str = "0 0.5 0.5 0.2 0.4";

    #[test]
    fn a_box_has_many_forms() {
        let whole = [0.5, 0.5, 0.2, 0.4];
        for text in [
            "\u{feff}0 0.5 0.5 0.2 0.4\r\n\r\n  ",
            "0.0\t0.5 0.5 0.2 0.4 0.9",
            "0 0.4 0.3 0.6 0.3 0.6 0.7 0.4 0.7",
            "0 0.5 0.5 0.2 0.4 0.45 0.5 2 0 0 0",
            "0 0.5 0.5 0.2 0.4 0.45 0.4 0.55 0.6 0 0",
        ] {
            assert_eq!(boxes(text).0, [whole], "{text:?}");
        }
    }

    #[test]
    fn an_odd_line_costs_only_itself() {
        for odd in [
            "0 0.5 0.5 0.2",
            "-1 0.5 0.5 0.1 0.1",
            "0 320 200 40 40",
            "0 0.5 x 0.1 0.1",
            "0 .5 .5 0 .1",
            "0.5 .1 .1 .1 .1",
            "0 nan .1 .1 .1",
        ] {
            let (found, notes) = boxes(&format!("{GOOD}\n{odd}\n"));
            assert_eq!(found.len(), 1, "{odd}");
            assert!(notes[0].contains("a.txt:2") && notes[0].contains("left out"), "{notes:?}");
        }
        assert_eq!(boxes(&format!("{GOOD}\n{GOOD}\n")).0.len(), 1);
        // Small polygons far from the corner, of one length and of several.
        for text in [
            "0 .3 .3 .34 .3 .34 .34 .3 .34",
            "0 .3 .3 .34 .3 .35 .32 .34 .34 .3 .34",
            "0 .3 .3 .34 .3 .35 .32 .34 .34 .3 .34\n0 .6 .6 .7 .6 .7 .7",
        ] {
            let first = boxes(text).0[0];
            assert!((first[2] - 0.045).abs() < 0.006 && (first[3] - 0.04).abs() < 1e-9, "{text}: {first:?}");
        }
        // A first line that is not a label.
        assert_eq!(boxes(&format!("# class x y w h\n{GOOD}\n")).0.len(), 1);
        assert!(boxes("Drawn by hand in May.").1[0].contains("not labels"));
    }
}
