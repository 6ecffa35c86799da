//! Pascal VOC's XML, one file for each picture, read as torchvision's `VOCDetection` reads it.
//!
//! Everingham et al. 2010, §2.4 of the development kit: pixels are counted from 1, and the last one is in the box. Many
//! tools count from 0; a set whose boxes touch 0 more often than 1 is taken to be from one of them.

use super::keys::Key;
use super::loose::is_yes;
use super::notes::Notes;
use super::text::{self, shown};
use super::xml::{self, Element};
use super::{ClassName, Format, Labelled, Labels, Picture, Place};
use crate::error::{Error, Result};
use crate::types::Size;
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

/// Returns whether an XML text has the form of VOC's, judged by its first part.
#[must_use]
pub fn is_one(head: &str) -> bool {
    head.contains("<annotation") && !head.contains("<annotations")
}

/// Reads files into `labels`; each comes with its path below the folder of the labels.
///
/// # Errors
/// [`Error::Data`] if most of the annotations cannot be used, [`Error::Io`].
pub fn read(files: &[(String, PathBuf, Option<Arc<str>>)], labels: &mut Labels) -> Result<()> {
    labels.format = Format::Voc;
    let (mut notes, mut read, mut edge) = (Notes::default(), 0, Edge::default());
    let first = labels.pictures.len();
    for (name, path, split) in files {
        let text = text::read(path, &mut notes)?;
        match parse(&text, name, &mut notes, &mut edge) {
            Ok(mut picture) => {
                read += picture.boxes.len() as u64;
                (picture.file, picture.split) = (path.clone(), split.clone());
                labels.pictures.push(picture);
            }
            Err(error) => notes.left_out("files that are not VOC annotations, left out", || format!("{name}: {error}")),
        }
    }
    // A file that cannot be read weighs as much as its objects would.
    let unread = (files.len() + first - labels.pictures.len()) as u64;
    if unread * 2 > files.len() as u64 {
        notes.most_are_sound("Pascal VOC", 0)?;
    }
    notes.most_are_sound("Pascal VOC", read)?;
    let own: HashSet<String> = labels.pictures[first..].iter().map(|picture| Key::of(&picture.path).stem).collect();
    for picture in &labels.pictures[first..] {
        let other = picture.also.as_deref().map(|also| Key::of(also).stem);
        if other.is_some_and(|other| other != Key::of(&picture.path).stem && own.contains(&other)) {
            let kind = "files whose `<filename>` is the picture of another file; their own names count";
            notes.add(kind, || shown(&picture.path));
        }
    }
    if read > 0 && edge.largest <= 1.0 {
        return Err(Error::Data(format!(
            "none of the {read} boxes has a coordinate above 1: they are fractions of the picture (0 to 1), but VOC uses pixels; multiply them by its width and height"
        )));
    }
    if edge.swapped * 2 > read && read > 2 {
        return Err(Error::Data(format!(
            "`xmax` is less than `xmin`, or `ymax` than `ymin`, in {} of {read} boxes; if `xmax` and `ymax` are really width and height, write the second corner instead",
            edge.swapped
        )));
    }
    labels.notes.extend(notes);
    if edge.zeros > 0 {
        let from_0 = edge.zeros > edge.ones;
        let then = if from_0 { "read as counted from 0" } else { "still read as counted from 1, as most boxes are" };
        labels.notes.add(&format!("`xmin` or `ymin` is 0, while VOC counts from 1; {then}"), || edge.place.clone());
        if from_0 {
            // A box that ends at the picture's width ends behind its last pixel.
            let last = if edge.ends > 0 { 0.0 } else { 1.0 };
            for labelled in labels.pictures[first..].iter_mut().flat_map(|picture| &mut picture.boxes) {
                if let Place::Pixels([x1, y1, x2, y2]) = &mut labelled.place {
                    (*x1, *y1, *x2, *y2) = (*x1 + 1.0, *y1 + 1.0, *x2 + last, *y2 + last);
                }
            }
        }
    }
    Ok(())
}

/// How often boxes touch the edge in each way of counting.
#[derive(Default)]
pub struct Edge {
    zeros: u64,
    ones: u64,
    ends: u64,
    swapped: u64,
    largest: f64,
    place: String,
}

/// Reads a text: a picture and the objects in it.
///
/// # Errors
/// [`Error::Data`] if it is not VOC's.
pub fn parse(text: &str, name: &str, notes: &mut Notes, edge: &mut Edge) -> Result<Picture> {
    let root = xml::parse(text)?;
    if root.name.eq_ignore_ascii_case("annotations") {
        return Err(Error::Data("CVAT's own XML; export Pascal VOC or COCO from CVAT".into()));
    }
    if !root.name.eq_ignore_ascii_case("annotation") {
        return Err(Error::Data(format!("its root is `{}`; expected `annotation`", shown(&root.name))));
    }
    let stem = name.rsplit_once('.').map_or(name, |(front, _)| front);
    let inside = root.value("filename");
    let mut picture =
        Picture { path: stem.to_owned(), also: (!inside.is_empty()).then(|| inside.to_owned()), ..Picture::default() };
    if let Some(size) = root.first("size") {
        let side = |name| size.number(name).filter(|v| (1.0..1e6).contains(v)).map(|v| v as u32);
        picture.size = side("width").zip(side("height")).map(|(w, h)| Size::new(w, h));
    }
    let mut seen = HashSet::new();
    for (index, object) in root.all("object").enumerate() {
        let at = || format!("{name}: object {} in line {}", index + 1, object.line);
        match read_object(object, edge, &at) {
            Ok((labelled, odd)) => {
                if let Some(kind) = odd {
                    notes.add(kind, at);
                }
                if let (Place::Pixels([.., x2, y2]), Some(size)) = (labelled.place, picture.size) {
                    edge.ends += u64::from(x2 == f64::from(size.width)) + u64::from(y2 == f64::from(size.height));
                }
                if let Place::Pixels(corners) = labelled.place
                    && !seen.insert((object.value("name").to_owned(), corners.map(f64::to_bits)))
                {
                    notes.add("the same object twice (both count; remove one)", at);
                }
                picture.boxes.push(labelled);
            }
            Err(kind) => notes.left_out(kind, at),
        }
    }
    Ok(picture)
}

type Read = (Labelled, Option<&'static str>);

fn read_object(object: &Element, edge: &mut Edge, at: &dyn Fn() -> String) -> Result<Read, &'static str> {
    let class = object.value("name");
    if class.is_empty() {
        return Err("an object without a name, left out");
    }
    if object.all("name").nth(1).is_some() {
        return Err("an object with two names, left out");
    }
    let mut boxes = object.all("bndbox");
    let Some(place) = boxes.next() else { return Err("an object without `bndbox`, left out") };
    if boxes.next().is_some() {
        return Err("an object with two `bndbox`, left out");
    }
    let corner = |name| place.number(name);
    let (Some(x1), Some(y1), Some(x2), Some(y2)) = (corner("xmin"), corner("ymin"), corner("xmax"), corner("ymax"))
    else {
        return Err("a `bndbox` without `xmin`, `ymin`, `xmax` or `ymax`, left out");
    };
    if [x1, y1, x2, y2].iter().any(|v| v.abs() > 1e7) {
        return Err("a box beyond all pictures, left out");
    }
    let swapped = x2 < x1 || y2 < y1;
    edge.swapped += u64::from(swapped);
    edge.largest = edge.largest.max(x1).max(y1).max(x2).max(y2);
    let (x1, x2, y1, y2) = (x1.min(x2), x1.max(x2), y1.min(y2), y1.max(y2));
    for start in [x1, y1] {
        if start == 0.0 {
            edge.zeros += 1;
            if edge.place.is_empty() {
                edge.place = at();
            }
        }
        edge.ones += u64::from(start == 1.0);
    }
    let labelled = Labelled {
        class: ClassName::Name(class.into()),
        place: Place::Pixels([x1 - 1.0, y1 - 1.0, x2, y2]),
        area: None,
        crowd: false,
        difficult: is_yes(object.value("difficult")),
    };
    Ok((
        labelled,
        swapped.then_some("`xmin` is larger than `xmax`, or `ymin` than `ymax`: the corners were put in order"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(inner: &str) -> String {
        format!("<object><name>dog</name>{inner}</object>")
    }

    fn bounds([x1, y1, x2, y2]: [f64; 4]) -> String {
        format!("<bndbox><xmin>{x1}</xmin><ymax>{y2}</ymax><ymin>{y1}</ymin><xmax>{x2}</xmax></bndbox>")
    }

    fn parse_one(objects: &str) -> (Picture, Vec<String>) {
        let text = format!(
            "<annotation><filename>..\\b.png</filename><size><width>100</width><height>50</height></size>{objects}</annotation>"
        );
        let mut notes = Notes::default();
        let picture = parse(&text, "a.xml", &mut notes, &mut Edge::default()).unwrap();
        (picture, notes.lines())
    }

    #[test]
    fn a_box_counts_from_1_and_parts_are_not_its_own() {
        let part = "<part><name>head</name><bndbox><xmin>1</xmin></bndbox></part>";
        let (picture, notes) = parse_one(&object(&format!("{part}{}", bounds([11.0, 21.0, 40.0, 60.0]))));
        assert_eq!(picture.boxes[0].place, Place::Pixels([10.0, 20.0, 40.0, 60.0]));
        assert_eq!((picture.path.as_str(), picture.also.as_deref()), ("a", Some("..\\b.png")));
        assert_eq!((picture.size, notes.len()), (Some(Size::new(100, 50)), 0));
    }

    #[test]
    fn an_odd_object_costs_only_itself() {
        let good = object(&bounds([11.0, 21.0, 40.0, 60.0]));
        for odd in ["", &bounds([1.0, 2.0, 3.0, 4.0]).repeat(2), "<bndbox><xmin>nan</xmin></bndbox>"] {
            let (picture, notes) = parse_one(&format!("{good}{}", object(odd)));
            assert_eq!(picture.boxes.len(), 1);
            assert!(notes[0].contains("left out") && notes[0].contains("object 2"), "{notes:?}");
        }
        let (picture, notes) = parse_one(&object(&bounds([40.0, 21.0, 11.0, 60.0])));
        assert_eq!(picture.boxes[0].place, Place::Pixels([10.0, 20.0, 40.0, 60.0]));
        assert!(notes[0].contains("xmin"));
        let difficult = |word| parse_one(&object(&format!("<difficult>{word}</difficult>{}", bounds([1.0; 4])))).0;
        assert!(!difficult("Unspecified").boxes[0].difficult && difficult("1").boxes[0].difficult);
    }
}
