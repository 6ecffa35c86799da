//! What a user says about labels and runs, and what comes of it: truth files, branches, comparisons, thresholds, turned
//! pictures.
#![allow(clippy::unwrap_used)]

#[path = "support/limit.rs"]
mod limit;
mod support;

use ocelli::internals::media::still;
use ocelli::internals::types::{Image, PixelFormat, Size};
use support::eval::{Given, pipeline};
use support::set::{Set, both, each, renamed, run, write};

/// What is said about labels can stand in a file of its own.
#[test]
fn a_truth_file_says_how_labels_are_read() {
    let _limit = limit::within(120);
    let set = Set::render();
    let folder = set.folder("images", "images");
    let mut coco = set.coco.clone();
    renamed(&mut coco, |name| name.replace("person", "human"));
    write(folder.path(), "data/labels.json", coco.to_string());
    let labels = "labels:\n  path: labels.json\n  map: { human: person }\n  strict: true\n";
    write(folder.path(), "data/truth.yaml", labels);
    let given = run(folder.path(), "data/truth.yaml", &[]);
    assert!(given.status == 0 && given.number("coco.AP50").unwrap() > 0.3, "{}", given.text);
    write(folder.path(), "data/truth.yaml", labels.replace("strict", "strickt"));
    let given = run(folder.path(), "data/truth.yaml", &[]);
    assert!(given.status == 2 && given.text.contains("truth.yaml") && given.text.contains("strickt"), "{}", given.text);
}

/// Of two lines that write rows, one is measured, and which one is told and can be chosen.
#[test]
fn one_of_two_branches_is_chosen_with_a_word() {
    let _limit = limit::within(120);
    let set = Set::render();
    let folder = set.folder("images", "images");
    write(folder.path(), "labels.json", set.coco.to_string());
    let detect = pipeline("detect", "images");
    let text = detect.replace("  - jsonl\n", "")
        + "  - jsonl: { path: all.jsonl }\n    id: all\n  - jsonl: { path: raw.jsonl }\n    id: raw\n    from: detect\n";
    write(folder.path(), "p.yaml", text);
    let first = run(folder.path(), "labels.json", &[]);
    assert!(first.status == 0 && first.text.contains("--rows raw"), "{}", first.text);
    let raw = run(folder.path(), "labels.json", &["--rows", "raw"]);
    assert!(raw.number("precision").unwrap() < first.number("precision").unwrap(), "without nms: {}", raw.text);
    let unknown = run(folder.path(), "labels.json", &["--rows", "nothing"]);
    assert!(unknown.status == 2 && unknown.text.contains("`all` or `raw`"), "{}", unknown.text);
}

/// Is a change better, or chance? And the report shows what there is.
#[test]
fn two_runs_are_compared_picture_by_picture() {
    let _limit = limit::within(120);
    let set = Set::render();
    let folder = set.folder("images", "images");
    write(folder.path(), "labels.json", set.coco.to_string());
    let path = folder.path().join("before.json");
    let before = run(folder.path(), "labels.json", &[]);
    std::fs::write(&path, before.json.to_string()).unwrap();
    let same = run(folder.path(), "labels.json", &["--against", "before.json"]);
    assert!(same.text.contains("6 pictures in both runs") && same.text.contains("no difference"), "{}", same.text);
    for metric in same.json["comparison"]["metrics"].as_array().unwrap() {
        let name = metric["metric"].as_str().unwrap();
        let whole = same.number(&format!("coco.{name}")).or(same.number(name)).unwrap();
        assert!((metric["after"].as_f64().unwrap() - whole).abs() < 1e-9, "{name}: the sum of its pictures");
    }
    let args = ["--against", "before.json", "--set", "detect.min_score=0.95", "--html", "report.html"];
    let fewer = run(folder.path(), "labels.json", &args);
    assert!(fewer.text.contains("worse"), "{}", fewer.text);
    let report = std::fs::read_to_string(folder.path().join("report.html")).unwrap();
    for words in
        ["Kinds of error", "Confusion matrix", "min_score:", "Against the earlier run", "sha256", "class=\"shot\""]
    {
        assert!(report.contains(words), "{words}");
    }
    let other = run(folder.path(), "labels.json", &["--against", "labels.json"]);
    assert!(other.status == 5 && other.text.contains("not a report"), "{}", other.text);
}

/// A threshold for each class, as the report proposes it.
#[test]
fn each_class_may_have_its_threshold() {
    let _limit = limit::within(120);
    let set = Set::render();
    let folder = set.folder("images", "images");
    write(folder.path(), "labels.json", set.coco.to_string());
    let none = run(folder.path(), "labels.json", &["--set", "detect.min_score={ person: 1, other: 0.3 }"]);
    let all = run(folder.path(), "labels.json", &[]);
    let missed = |given: &Given, class: &str| {
        let list = given.json["classes"].as_array().unwrap();
        let found = list.iter().find(|c| c["class"] == class).unwrap_or_else(|| panic!("{}", given.text));
        (found["right"].as_u64().unwrap(), found["wrong"].as_u64().unwrap())
    };
    assert_eq!(missed(&none, "person"), (0, 0));
    assert_eq!(missed(&none, "car"), missed(&all, "car"));
    let typo = run(folder.path(), "labels.json", &["--set", "detect.min_score={ persn: 0.4 }"]);
    assert!(typo.status == 2 && typo.text.contains("did you mean `person`"), "{}", typo.text);
}

/// A JPEG with EXIF data that asks to turn the picture.
fn turned(pixels: &image::DynamicImage, orientation: u8) -> Vec<u8> {
    use image::metadata::Orientation;
    // Stored so that turning gives the upright picture: 6 and 8 undo each other, the others themselves.
    let inverse = match orientation {
        6 => 8,
        8 => 6,
        other => other,
    };
    let mut stored = pixels.clone();
    stored.apply_orientation(Orientation::from_exif(inverse).unwrap());
    let picture = Image {
        size: Size::new(stored.width(), stored.height()),
        format: PixelFormat::Rgb8,
        data: stored.into_rgb8().into_raw(),
    };
    let mut jpeg = Vec::new();
    ocelli::internals::media::jpeg::encode(&picture, 98, &mut jpeg).unwrap();
    let tiff = [&b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0"[..], &[orientation], &[0; 6]].concat();
    let exif = [&b"Exif\0\0"[..], &tiff].concat();
    let length = (exif.len() as u16 + 2).to_be_bytes();
    [&jpeg[..2], &[0xFF, 0xE1], &length, &exif, &jpeg[2..]].concat()
}

/// Labels are those of the picture as people see it, in all eight ways to store it; a COCO file may state either size.
#[test]
fn labels_are_those_of_the_upright_picture() {
    let _limit = limit::within(300);
    let set = Set::render();
    let plain = set.folder("images", "images");
    write(plain.path(), "labels.json", set.coco.to_string());
    let right = both(&run(plain.path(), "labels.json", &[]));
    for orientation in 1..=8 {
        let folder = set.folder("images", "images");
        for at in 0..6 {
            let path = folder.path().join(format!("images/{at:06}.jpg"));
            let mut upright = Image::default();
            assert_eq!(still::decode(&std::fs::read(&path).unwrap(), &mut upright).unwrap(), None);
            let pixels = image::RgbImage::from_raw(upright.size.width, upright.size.height, upright.data).unwrap();
            std::fs::write(path, turned(&image::DynamicImage::ImageRgb8(pixels), orientation)).unwrap();
        }
        let mut stored = set.coco.clone();
        each(&mut stored, "images", |_, i| (i["width"], i["height"]) = (180.into(), 320.into()));
        write(folder.path(), "upright.json", set.coco.to_string());
        write(folder.path(), "stored.json", stored.to_string());
        (0..6).for_each(|at| write(folder.path(), &format!("yolo/{at:06}.txt"), set.yolo(at)));
        write(folder.path(), "yolo/classes.txt", set.names().join("\n"));
        for labels in ["upright.json", "stored.json", "yolo"] {
            let given = run(folder.path(), labels, &[]);
            // The size as it is stored is another one only if the picture lies on its side.
            if labels == "stored.json" && orientation < 5 {
                assert!(given.status == 5 && given.text.contains("180x320"), "{orientation}: {}", given.text);
                continue;
            }
            let found = both(&given);
            // The JPEGs are made anew, so scores move a little.
            let near = found.iter().zip(&right).all(|(a, b)| (a - b).abs() < 0.05);
            assert!(near, "orientation {orientation}, {labels}: {found:?}, upright {right:?}\n{}", given.text);
        }
    }
}
