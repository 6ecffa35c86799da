//! Labels as people have them (`OCELLI_FIELD`, `cases/labels` and `cases/labels-more`): each gives its right value, or
//! the sentence that says what is wrong. The folders' READMEs say where the right values come from (pycocotools 2.0.11,
//! or by hand).
#![allow(clippy::unwrap_used)]

#[path = "support/limit.rs"]
mod limit;
mod support;

use serde_json::Value;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use support::eval::{Given, copy, eval, ocelli, pipeline};
use support::folder;

fn cases(name: &str) -> Option<PathBuf> {
    folder("OCELLI_FIELD").map(|field| std::path::absolute(field.join("cases").join(name)).unwrap())
}

/// The figures of a report that cases compare.
fn figures(given: &Given) -> HashMap<String, f64> {
    let known =
        [("AP", "coco.AP"), ("AP50", "coco.AP50"), ("mIoU", "segmentation.miou"), ("top1", "classification.top1")];
    known.iter().filter_map(|(name, path)| Some(((*name).to_owned(), given.number(path)?))).collect()
}

/// Runs a case of `cases/labels`.
fn run(root: &Path, name: &str) -> (Value, Given) {
    let case_folder = root.join(name);
    let case: Value = serde_json::from_str(&std::fs::read_to_string(case_folder.join("case.json")).unwrap()).unwrap();
    let work = tempfile::tempdir().unwrap();
    let at = |key: &str| case_folder.join(case[key].as_str().unwrap());
    let text = pipeline(case["pipeline"].as_str().unwrap(), at("pictures").to_str().unwrap());
    std::fs::write(work.path().join("p.yaml"), text).unwrap();
    let labels = at("labels");
    let mut args = vec!["p.yaml", "--labels", labels.to_str().unwrap()];
    for arg in case["args"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        args.push(if arg == "--html" { "--html=report.html" } else { arg });
    }
    let given = eval(work.path(), &args);
    (case, given)
}

#[test]
fn forty_forms_of_one_set() {
    let _limit = limit::within(300);
    let Some(root) = cases("labels") else { return };
    let plain = |kind: &str| {
        let name = match kind {
            "detect" => "plain_coco",
            "segment" => "mask_plain",
            _ => "class_folders_plain",
        };
        figures(&run(&root, name).1)
    };
    let plain: HashMap<&str, _> =
        ["detect", "segment", "classify"].into_iter().map(|kind| (kind, plain(kind))).collect();
    let (mut wrong, mut count) = (Vec::new(), 0);
    for entry in std::fs::read_dir(&root).unwrap().flatten().filter(|entry| entry.path().join("case.json").is_file()) {
        let name = entry.file_name().into_string().unwrap();
        let (case, given) = run(&root, &name);
        let expect = &case["expect"];
        let mut told = |what: String| wrong.push(format!("{name}: {what}\n{}", given.text));
        let found = figures(&given);
        count += 1;
        if expect.get("same").is_some() || expect.get("same_as").is_some() {
            let tolerance = expect["tolerance"].as_f64().unwrap_or(1e-6);
            let right = &plain[case["pipeline"].as_str().unwrap()];
            let near = |(key, value): (&String, &f64)| found.get(key).is_some_and(|f| (f - value).abs() <= tolerance);
            if given.status != 0 || right.is_empty() || !right.iter().all(near) {
                told(format!("{found:?}; expected {right:?}"));
            }
        }
        for (key, value) in expect["figures"].as_object().into_iter().flatten() {
            let near = |f: &f64| (f - value.as_f64().unwrap()).abs() <= expect["tolerance"].as_f64().unwrap();
            if !found.get(key).is_some_and(near) {
                told(format!("{found:?}; expected {key} {value}"));
            }
        }
        if expect.get("exit_not").is_some() && given.status == 0 {
            told("exit status 0".into());
        }
        for word in expect["words"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if !given.text.contains(word) {
                told(format!("no word of `{word}`"));
            }
        }
        if let Some(byte) = expect["no_byte"].as_u64()
            && given.bytes.contains(&(byte as u8))
        {
            told("a control character reaches the terminal".into());
        }
        match name.as_str() {
            "coco_some_common" if !given.text.contains("`automobile` (9)") => told("no count of `automobile`".into()),
            "yolo_no_names_fit"
                if !given.text.contains("0 dog, 1 car, 2 person") && !given.text.contains("0 person") =>
            {
                told("the names taken are not told".into());
            }
            _ => {}
        }
    }
    assert!(count >= 40, "{count} cases");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What a run must give.
enum Right {
    /// AP and AP50, and words that must be told.
    Boxes(f64, f64, &'static str),
    /// mIoU.
    Mask(f64),
    /// Top-1 and top-5; `None` if top-5 cannot be known.
    Tags(f64, Option<f64>),
    /// An exit status other than 0, and words that must be told.
    Refused(&'static [&'static str]),
}
use Right::{Boxes, Mask, Refused, Tags};

const AP: Right = Boxes(0.6898, 0.9505, "");

/// Folder, arguments of `eval`, and what is right.
#[rustfmt::skip]
const MORE: &[(&str, &[&str], Right)] = &[
    ("1-class-names-case-space", &["det.yaml", "--labels", "plain.json"], AP),
    ("1-class-names-case-space", &["det.yaml", "--labels", "case.json"], AP),
    ("1-class-names-case-space", &["det.yaml", "--labels", "space.json"], AP),
    ("1-class-names-case-space", &["det.yaml", "--labels", "synonym.json"], Boxes(0.5003, 0.6667, "`pedestrian` (7)")),
    ("1-class-names-case-space", &["det.yaml", "--labels", "synonym.json", "--map", "pedestrian=person"], AP),
    ("1-class-names-case-space", &["det.yaml", "--labels", "synonym.json", "--strict"], Refused(&["pedestrian"])),
    ("1-coco-boxes-xyxy-or-parts", &["det.yaml", "--labels", "xyxy.json"], Refused(&["outside", "yard.jpg", "320x180"])),
    ("1-coco-boxes-xyxy-or-parts", &["det.yaml", "--labels", "parts.json"], Refused(&["0 to 1", "yard.jpg"])),
    ("1-coco80-numbers-91-names", &["--models", "models", "fixed.yaml", "--labels", "labels"], Refused(&["91 names", "`person`", "coco80"])),
    ("1-coco80-numbers-91-names", &["--models", "models", "fixed.yaml", "--labels", "labels", "--names", "coco80"], Boxes(1.0, 1.0, "coco80")),
    ("1-coco80-numbers-91-names", &["--models", "models", "fixed.yaml", "--labels", "labels91"], Boxes(1.0, 1.0, "18 dog")),
    ("1-data-yaml-names", &["det.yaml", "--labels", "labels"], AP),
    ("1-data-yaml-names", &["det.yaml", "--labels", "."], AP),
    ("1-data-yaml-names", &["det.yaml", "--labels", "data.yaml"], AP),
    ("1-other-picture-size", &["det.yaml", "--labels", "twice.json"], Refused(&["640x360", "320x180", "road.jpg"])),
    ("1-other-picture-size", &["det.yaml", "--labels", "voc"], Refused(&["640x360", "320x180", "road.jpg"])),
    ("1-other-picture-size", &["det.yaml", "--labels", "twice.json", "--scale-labels"], Boxes(0.6898, 0.9505, "scaled")),
    ("1-split-folders", &["tags.yaml", "--labels", "photos"], Tags(0.5, Some(1.0))),
    ("1-split-folders", &["tags.yaml", "--labels", "photos/val"], Tags(0.5, Some(1.0))),
    ("1-split-folders", &["flat.yaml", "--labels", "flat"], Refused(&["`train` and `val`", "not classes"])),
    ("1-voc-from-0", &["det.yaml", "--labels", "from1"], AP),
    ("1-voc-from-0", &["det.yaml", "--labels", "from0"], Boxes(0.6898, 0.9505, "counted from 0")),
    ("1-yolo-no-name-matches", &["det.yaml", "--labels", "labels"], Refused(&["road.jpg", "img_1"])),
    ("2-classes-txt-places", &["det.yaml", "--labels", "in"], AP),
    ("2-classes-txt-places", &["det.yaml", "--labels", "up/labels"], AP),
    ("2-classes-txt-places", &["det.yaml", "--labels", "two/labels/val"], AP),
    ("2-classes-txt-places", &["det.yaml", "--labels", "names"], AP),
    ("2-data-yaml-list", &["det.yaml", "--labels", "data/data.yaml"], Boxes(0.588, 0.888, "")),
    ("2-data-yaml-list", &["det.yaml", "--labels", "data"], Boxes(0.588, 0.888, "")),
    ("2-data-yaml-list", &["det.yaml", "--labels", "data/labels"], Boxes(0.588, 0.888, "")),
    ("2-data-yaml-list", &["det.yaml", "--labels", "data/labels/val"], Boxes(0.588, 0.888, "")),
    ("2-data-yaml-map", &["det.yaml", "--labels", "data/data.yaml"], Boxes(0.588, 0.888, "")),
    ("2-data-yaml-map", &["det.yaml", "--labels", "data/labels/val"], Boxes(0.588, 0.888, "")),
    ("2-json-inside-folder", &["det.yaml", "--labels", "valid"], Boxes(0.570, 0.950, "")),
    ("2-json-inside-folder", &["det.yaml", "--labels", "annotations"], Boxes(0.570, 0.950, "")),
    ("3-coco-file-name-backslash", &["det.yaml", "--labels", "folder.json"], AP),
    ("3-coco-file-name-backslash", &["det.yaml", "--labels", "backslash.json"], AP),
    ("3-coco-file-name-backslash", &["det.yaml", "--labels", "drive.json"], AP),
    ("3-coco-file-name-backslash", &["det.yaml", "--labels", "voc"], AP),
    ("3-nfc-nfd", &["det.yaml", "--labels", "labels.json"], Boxes(0.767, 1.0, "")),
    ("3-nfc-nfd", &["det.yaml", "--labels", "yolo"], Boxes(0.767, 1.0, "")),
    ("3-same-stem-two-folders", &["det.yaml", "--labels", "labels.json"], AP),
    ("3-same-stem-two-folders", &["det.yaml", "--labels", "labels"], AP),
    ("3-same-stem-two-folders", &["det.yaml", "--labels", "flat"], Refused(&["day/0001.jpg", "night/0001.jpg"])),
    ("3-same-stem-two-folders", &["det.yaml", "--labels", "labels/day"], Refused(&["day/0001.jpg", "night/0001.jpg"])),
    ("4-mask-ade-offset", &["seg.yaml", "--labels", "offset"], Refused(&["--offset 1"])),
    ("4-mask-ade-offset", &["seg.yaml", "--labels", "offset", "--offset", "1"], Mask(0.838)),
    ("4-mask-ade-offset", &["seg.yaml", "--labels", "offset-void"], Refused(&["--offset 1"])),
    ("4-mask-binary-255", &["seg.yaml", "--labels", "plain"], Mask(0.838)),
    ("4-mask-binary-255", &["seg.yaml", "--labels", "binary"], Refused(&["255", "not labelled"])),
    ("4-mask-palette-colour-suffix", &["seg.yaml", "--labels", "palette"], Mask(0.838)),
    ("4-mask-palette-colour-suffix", &["seg.yaml", "--labels", "colour"], Refused(&["colour"])),
    ("4-mask-palette-colour-suffix", &["seg.yaml", "--labels", "colour", "--format", "masks"], Refused(&["colours", "labelmap.txt"])),
    ("4-mask-palette-colour-suffix", &["seg.yaml", "--labels", "sixteen"], Mask(0.838)),
    ("4-mask-palette-colour-suffix", &["seg.yaml", "--labels", "suffix"], Mask(0.838)),
    ("4-mask-scaled-greys", &["seg.yaml", "--labels", "scaled"], Refused(&["36, 72, 108", "7 classes", "times 36"])),
    ("5-coco-one-odd-annotation", &["det.yaml", "--labels", "string-image-ids.json"], AP),
    ("5-coco-one-odd-annotation", &["det.yaml", "--labels", "string-category-ids.json"], AP),
    ("5-coco-one-odd-annotation", &["det.yaml", "--labels", "iscrowd-false.json"], AP),
    ("5-coco-one-odd-annotation", &["det.yaml", "--labels", "iscrowd-float.json"], AP),
    ("5-coco-one-odd-annotation", &["det.yaml", "--labels", "iscrowd-null.json"], AP),
    ("5-coco-one-odd-annotation", &["det.yaml", "--labels", "float-ids.json"], AP),
    ("5-coco-one-odd-annotation", &["det.yaml", "--labels", "empty-bbox.json"], Boxes(0.6898, 0.9505, "annotations[11]")),
    ("5-coco-one-odd-annotation", &["det.yaml", "--labels", "no-bbox.json"], Boxes(0.6898, 0.9505, "annotations[11]")),
    ("5-coco-one-odd-annotation", &["det.yaml", "--labels", "null-category.json"], Boxes(0.6898, 0.9505, "annotations[11]")),
    ("5-coco-one-odd-annotation", &["det.yaml", "--labels", "image-missing.json"], Boxes(0.6898, 0.9505, "`image_id` 77")),
    ("5-coco-one-odd-annotation", &["det.yaml", "--labels", "category-missing.json"], Boxes(0.6898, 0.9505, "`category_id` 77")),
    ("5-coco-one-odd-annotation", &["det.yaml", "--labels", "negative-id.json"], Boxes(0.6898, 0.9505, "other.jpg")),
    ("5-coco-one-odd-annotation", &["det.yaml", "--labels", "string-numbers.json"], AP),
    ("5-coco-one-odd-annotation", &["det.yaml", "--labels", "nan-bbox.json"], Boxes(0.6898, 0.9505, "annotations[11]")),
    ("5-coco-one-odd-annotation", &["det.yaml", "--labels", "bom.json"], AP),
    ("5-coco-one-odd-annotation", &["det.yaml", "--labels", "utf16.json"], AP),
    ("5-coco-one-odd-annotation", &["det.yaml", "--labels", "nan-bbox.json", "--strict"], Refused(&["annotations[11]", "strict"])),
    ("5-voc-one-odd-object", &["det.yaml", "--labels", "difficult"], AP),
    ("5-voc-one-odd-object", &["det.yaml", "--labels", "yes"], AP),
    ("5-voc-one-odd-object", &["det.yaml", "--labels", "no-difficult"], AP),
    ("5-voc-one-odd-object", &["det.yaml", "--labels", "latin1"], AP),
    ("5-voc-one-odd-object", &["det.yaml", "--labels", "latin1-undeclared"], Boxes(0.6898, 0.9505, "Latin-1")),
    ("5-voc-one-odd-object", &["det.yaml", "--labels", "no-bndbox"], Boxes(0.6898, 0.9505, "without `bndbox`")),
    ("5-voc-one-odd-object", &["det.yaml", "--labels", "bom"], AP),
    ("5-voc-one-odd-object", &["det.yaml", "--labels", "empty"], Boxes(0.6898, 0.9505, "gone.xml")),
    ("5-voc-one-odd-object", &["det.yaml", "--labels", "space"], AP),
    ("7-sweep-tags-and-masks", &["tags.yaml", "--labels", "photos"], Tags(0.5, Some(1.0))),
    ("7-sweep-tags-and-masks", &["seg.yaml", "--labels", "masks"], Mask(0.838)),
    ("7-top5-under-top-1", &["top1.yaml", "--labels", "photos"], Tags(0.5, None)),
    ("7-top5-under-top-1", &["top6.yaml", "--labels", "photos"], Tags(0.5, Some(1.0))),
    ("8-class-name-65536", &["det.yaml", "--labels", "long.json", "--html", "report.html"], Boxes(0.367, 0.5, "…")),
    ("8-class-name-65536", &["det.yaml", "--labels", "almost.json"], Boxes(0.367, 0.5, "…")),
    ("8-escape-in-class-name", &["det.yaml", "--labels", "esc.json"], Boxes(0.367, 0.5, "\\u{1b}[2J")),
    ("8-escape-in-class-name", &["det.yaml", "--labels", "newline.json"], Boxes(0.367, 0.5, "dog\\nfake")),
    ("8-escape-in-class-name", &["det.yaml", "--labels", "yolo"], Refused(&["yard.txt:1", "\\u{1b}"])),
    ("9-class-folders-by-number", &["index.yaml", "--labels", "index"], Tags(0.5, Some(1.0))),
    ("9-class-folders-by-number", &["subset.yaml", "--labels", "subset"], Tags(0.0, Some(1.0))),
    ("9-class-folders-by-number", &["deep.yaml", "--labels", "deep"], Tags(0.5, Some(1.0))),
    ("9-exif-orientation", &["upright.yaml", "--labels", "labels.json"], Boxes(0.767, 1.0, "")),
    ("9-voc-parts-floats", &["det.yaml", "--labels", "parts"], AP),
    ("9-voc-parts-floats", &["det.yaml", "--labels", "parts-behind"], AP),
    ("9-voc-parts-floats", &["det.yaml", "--labels", "floats"], AP),
    ("9-voc-parts-floats", &["det.yaml", "--labels", "order"], AP),
    ("9-voc-parts-floats", &["det.yaml", "--labels", "namespace"], AP),
    ("9-voc-parts-floats", &["det.yaml", "--labels", "two-boxes", "--strict"], Refused(&["road.xml: object 1", "two `bndbox`"])),
];

#[test]
fn further_cases_give_their_value_or_their_sentence() {
    let _limit = limit::within(300);
    let Some(root) = cases("labels-more") else { return };
    let mut wrong = Vec::new();
    for (name, args, right) in MORE {
        let work = tempfile::tempdir().unwrap();
        copy(&root.join(name), work.path());
        let given = eval(work.path(), args);
        let near = |path: &str, value: f64| given.number(path).is_some_and(|found| (found - value).abs() < 6e-4);
        let fault = match right {
            Boxes(ap, ap50, word) => {
                let fits = given.status == 0 && near("coco.AP", *ap) && near("coco.AP50", *ap50);
                (!fits || !given.text.contains(word)).then(|| format!("expected AP {ap}, AP50 {ap50} and `{word}`"))
            }
            Mask(miou) => {
                (given.status != 0 || !near("segmentation.miou", *miou)).then(|| format!("expected mIoU {miou}"))
            }
            Tags(top1, top5) => {
                let five =
                    top5.map_or(given.json["classification"]["top5"].is_null(), |v| near("classification.top5", v));
                (given.status != 0 || !near("classification.top1", *top1) || !five)
                    .then(|| format!("expected top-1 {top1}, top-5 {top5:?}"))
            }
            Refused(words) => {
                let told = given.status != 0 && words.iter().all(|word| given.text.contains(word));
                (!told).then(|| format!("expected a refusal with {words:?}"))
            }
        };
        let control = given.bytes.iter().any(|byte| *byte < 32 && *byte != b'\n');
        if let Some(fault) = fault {
            wrong.push(format!("{name} {args:?}: {fault}; status {}\n{}", given.status, given.text));
        } else if control || given.text.contains("panic") {
            wrong.push(format!("{name} {args:?}: a control character or a panic\n{}", given.text));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// `._NAME` files, and a picture that is turned: git and file systems treat them differently, so they are made here.
#[test]
fn hidden_files_and_turned_pictures() {
    let _limit = limit::within(120);
    let Some(root) = cases("labels-more") else { return };
    let apple = |name: &str, files: &[&str], args: &[&str]| {
        let work = tempfile::tempdir().unwrap();
        copy(&root.join(name), work.path());
        files.iter().for_each(|file| {
            std::fs::write(work.path().join(file), b"\0\x05\x16\x07\0\x02\0\0Mac OS X\xff\xfe").unwrap();
        });
        eval(work.path(), args)
    };
    let name = "9-appledouble-files";
    for (file, args) in [
        ("voc/._yard.xml", ["clean.yaml", "--labels", "voc"]),
        ("yolo/._yard.txt", ["clean.yaml", "--labels", "yolo"]),
        ("images/._yard.jpg", ["det.yaml", "--labels", "labels.json"]),
    ] {
        let given = apple(name, &[file], &args);
        assert!((given.number("coco.AP").unwrap() - 0.6898).abs() < 6e-4, "{file}: {}", given.text);
    }
    for labels in ["labels.json", "yolo"] {
        let given = apple("9-exif-orientation", &[], &["det.yaml", "--labels", labels]);
        assert!((given.number("coco.AP50").unwrap() - 1.0).abs() < 1e-9, "{labels}: {}", given.text);
    }
}

#[test]
fn runs_over_pictures_are_joined_by_name() {
    let _limit = limit::within(120);
    let Some(root) = cases("labels-more") else { return };
    let work = root.join("7-diff-by-number-last-row");
    let more = ocelli(&work, &["diff", "before.jsonl", "after.jsonl"]);
    assert!(
        more.status == 1 && more.text.contains("2 frames in both runs, 0 changed, 1 only in the second (alley.jpg)"),
        "{}",
        more.text
    );
    let same = ocelli(&work, &["diff", "before.jsonl", "no-newline.jsonl"]);
    assert!(same.status == 0 && same.text.contains("2 frames in both runs, 0 changed"), "{}", same.text);
    let copied = tempfile::tempdir().unwrap();
    copy(&work, copied.path());
    for test in ["golden.test.yaml", "both.test.yaml"] {
        let given = ocelli(copied.path(), &["test", test]);
        assert_eq!(given.status, 0, "{test}: {}", given.text);
    }
}

#[test]
fn a_sweep_shows_the_accuracy_of_what_is_found() {
    let _limit = limit::within(120);
    let Some(root) = cases("labels-more") else { return };
    let work = root.join("7-sweep-tags-and-masks");
    let tags = ocelli(&work, &["sweep", "tags.yaml", "--labels", "photos", "--set", "classify.min_score=0.1,0.2"]);
    assert!(tags.text.contains("top-1") && tags.text.contains("0.500") && !tags.text.contains("mAP"), "{}", tags.text);
    let maps = ocelli(&work, &["sweep", "seg.yaml", "--labels", "masks", "--set", "images.fps=1,2"]);
    assert!(maps.text.contains("mIoU") && maps.text.contains("0.838"), "{}", maps.text);
}

/// A test's accuracy is not that of the classes that happen to have the model's names.
#[test]
fn a_test_does_not_pass_with_some_of_the_classes() {
    let _limit = limit::within(120);
    let Some(root) = cases("labels-more") else { return };
    let work = tempfile::tempdir().unwrap();
    copy(&root.join("1-class-names-case-space"), work.path());
    let judged = |labels: &str| {
        let text = format!("pipeline: det.yaml\nlabels: {labels}\nexpect:\n  accuracy: {{ AP50: 0.3 }}\n");
        std::fs::write(work.path().join("a.test.yaml"), text).unwrap();
        ocelli(work.path(), &["test", "a.test.yaml"])
    };
    let some = judged("synonym.json");
    assert!(some.status == 1 && some.text.contains("`pedestrian` (7)"), "{}", some.text);
    let mapped = judged("{ path: synonym.json, map: { pedestrian: person } }");
    assert_eq!(mapped.status, 0, "{}", mapped.text);
}
