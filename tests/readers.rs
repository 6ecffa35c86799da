//! Our readers of labels against the field's reference readers: the same objects from the same files.
//!
//! `tests/readers/expected.json` is written by `scripts/label-numbers.py` (pycocotools 2.0.11, torchvision 0.29.2,
//! Ultralytics 8.4.190, Pillow 13.0.0), which also makes the files.
#![allow(clippy::unwrap_used)]

#[path = "support/limit.rs"]
mod limit;

use ocelli::internals::labels::{ClassName, Labels, Matching, Place, Truth};
use ocelli::internals::media::png::{Values, decode_values};
use ocelli::internals::types::Size;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// Where we differ from the reference reader, and why.
const APART: &[(&str, &str)] = &[
    ("coco-string-and-number", "\"1\" and 1 are one id"),
    ("coco-string-category", "\"1\" and 1 are one id"),
    ("coco-bbox-missing", "no box: the one around the polygon, or left out"),
    ("coco-bbox-null", "no box: the one around the polygon, or left out"),
    ("coco-bbox-empty", "no box: the one around the polygon, or left out"),
    ("coco-bbox-five", "no box: the one around the polygon, or left out"),
    ("coco-bbox-nan", "no box: the one around the polygon, or left out"),
    ("coco-bbox-strings", "numbers as text are numbers"),
    ("coco-bbox-zero", "a box without area is left out"),
    ("coco-bbox-negative-width", "taken for a box drawn backwards"),
    ("coco-category-null", "an object without a class is left out"),
    ("coco-category-unknown", "an object without a class is left out"),
    ("coco-categories-missing", "refused: nothing names the classes"),
    ("coco-categories-twice", "refused: one id for two classes"),
    ("coco-images-twice", "refused: one id for two pictures"),
    ("coco-ids-twice", "ids of objects are not looked at, so none is lost"),
    ("voc-zero", "a box that begins at 0 is counted from 0"),
    ("voc-swapped", "corners are put in order"),
    ("yolo-nc-only", "numbers stay numbers where Ultralytics calls them class_0"),
    ("yolo-train-text-bare", "paths of a list are looked for beside it, too"),
    ("yolo-suffixes", "one label file for two pictures is an error"),
    ("yolo-one-class", "refused: more than one object in twenty has a number without a name"),
    ("yolo-names-numbers", "names are taken as they are written: `yes` is not `True`"),
    (
        "yolo-lines",
        "one odd line costs itself, not its picture; lines without area, and points far outside, are left out",
    ),
    ("masks-grey-2", "Pillow scales the levels of 2 bits; we read them as written"),
    ("masks-grey-4", "Pillow scales the levels of 4 bits; we read them as written"),
    ("masks-grey-16", "refused: levels above 255"),
    ("folders-train", "hidden folders are no classes"),
];

/// Class, box, crowd, difficult.
type Object = (String, [i64; 4], bool, bool);

/// Coordinates in 1/1000 pixel: floats of the reference are rounded to 32 bits.
fn thousandths(corners: [f64; 4]) -> [i64; 4] {
    corners.map(|v| (v * 1000.0).round() as i64)
}

fn expected(case: &Value) -> BTreeMap<String, Vec<Object>> {
    let flag = |value: &Value| match value {
        Value::Bool(yes) => *yes,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(word) => ["1", "true", "yes"].contains(&word.to_lowercase().as_str()),
        _ => false,
    };
    let object = |o: &Value| -> Option<Object> {
        let mut corners = [0.0; 4];
        for (at, corner) in corners.iter_mut().enumerate() {
            *corner = o[at + 1].as_f64()?;
        }
        Some((o[0].as_str()?.to_owned(), thousandths(corners), flag(&o[5]), flag(&o[6])))
    };
    let list = |objects: &Value| {
        let mut list: Vec<Object> = objects.as_array().unwrap().iter().filter_map(object).collect();
        list.sort();
        list
    };
    case["objects"].as_object().unwrap().iter().map(|(name, objects)| (name.clone(), list(objects))).collect()
}

/// What we read of a picture.
fn ours(labels: &Labels, matching: &mut Matching, name: &str, size: Size) -> Vec<Object> {
    let at = match matching.find("", name, labels) {
        Ok(Some(at)) => at,
        Ok(None) => return Vec::new(),
        Err(error) => return vec![(error.to_string(), [0; 4], false, false)],
    };
    let picture = &labels.pictures[at];
    let voc = labels.format.name() == "Pascal VOC";
    let mut list: Vec<Object> = picture
        .boxes
        .iter()
        .map(|labelled| {
            let class = match &labelled.class {
                ClassName::Name(class) => class.to_string(),
                ClassName::Number(number) => number.to_string(),
            };
            let mut corners = labelled.place.corners(size);
            if let (true, Place::Pixels(_)) = (voc, labelled.place) {
                // The reference keeps VOC's numbers, counted from 1.
                corners = [corners[0] + 1.0, corners[1] + 1.0, corners[2], corners[3]];
            }
            (class, thousandths(corners), labelled.crowd, labelled.difficult)
        })
        .collect();
    if let Some(class) = &picture.class {
        let corners = [0.0, 0.0, f64::from(size.width), f64::from(size.height)];
        list.push((class.to_string(), thousandths(corners), false, false));
    }
    list.sort();
    list
}

#[test]
fn objects_are_those_of_the_reference_readers() {
    let _limit = limit::within(120);
    let root = Path::new("tests/readers");
    let cases: Vec<Value> =
        serde_json::from_str(&std::fs::read_to_string(root.join("expected.json")).unwrap()).unwrap();
    let (mut wrong, mut equal, mut refused) = (Vec::new(), 0, 0);
    for case in cases.iter().filter(|case| case["form"] != "masks") {
        let name = case["case"].as_str().unwrap();
        let path = root.join(case["labels"].as_str().unwrap());
        let read = Labels::read(&Truth::at(&path));
        if case.get("error").is_some() {
            // What the reference refuses we may read; it must only end.
            refused += 1;
            continue;
        }
        if APART.iter().any(|(known, _)| *known == name) {
            continue;
        }
        let labels = match read {
            Ok(labels) => labels,
            Err(error) if expected(case).values().all(Vec::is_empty) => {
                assert!(!error.to_string().is_empty());
                continue;
            }
            Err(error) => {
                wrong.push(format!("{name}: {error}"));
                continue;
            }
        };
        let mut matching = Matching::new(&labels);
        for (picture, objects) in expected(case) {
            let size = &case["sizes"][&picture];
            let size = Size::new(size[0].as_u64().unwrap_or(1) as u32, size[1].as_u64().unwrap_or(1) as u32);
            let found = ours(&labels, &mut matching, &picture, size);
            if found == objects {
                equal += 1;
            } else {
                wrong.push(format!(
                    "{name}: {picture}: read {found:?}, expected {objects:?} ({}; notes {:?})",
                    case["note"],
                    labels.notes.lines()
                ));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} differ, {refused} refused:\n{}",
        wrong.len(),
        wrong.len() + equal,
        wrong.join("\n")
    );
    assert!(equal > 80, "{equal}");
}

#[test]
fn values_of_class_maps_are_those_of_pillow() {
    let _limit = limit::within(60);
    let root = Path::new("tests/readers");
    let cases: Vec<Value> =
        serde_json::from_str(&std::fs::read_to_string(root.join("expected.json")).unwrap()).unwrap();
    let mut equal = 0;
    for case in cases.iter().filter(|case| case["form"] == "masks" && case.get("error").is_none()) {
        let name = case["case"].as_str().unwrap();
        for (file, histogram) in case["histograms"].as_object().unwrap() {
            let read = decode_values(&std::fs::read(root.join(file)).unwrap());
            if APART.iter().any(|(known, _)| *known == name) {
                continue;
            }
            let mut counts: BTreeMap<String, u64> = BTreeMap::new();
            match read.unwrap_or_else(|e| panic!("{name}: {e}")).1 {
                Values::Numbers(numbers) | Values::Indices(numbers, _) => {
                    numbers.iter().for_each(|n| *counts.entry(n.to_string()).or_default() += 1);
                }
                Values::Colors(colors) => {
                    colors.iter().for_each(|[r, g, b]| *counts.entry(format!("{r},{g},{b}")).or_default() += 1);
                }
            }
            // Without what is transparent.
            let mut wanted: BTreeMap<String, u64> = BTreeMap::new();
            for (value, count) in histogram.as_object().unwrap() {
                let parts: Vec<&str> = value.split(',').collect();
                let keep = match parts.len() {
                    2 | 4 => parts.len() - 1,
                    other => other,
                };
                *wanted.entry(parts[..keep].join(",")).or_default() += count.as_u64().unwrap();
            }
            assert_eq!(counts, wanted, "{name}");
            equal += 1;
        }
    }
    assert!(equal >= 10, "{equal}");
}
