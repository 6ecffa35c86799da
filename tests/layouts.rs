//! One rendered set in each layout that tools write gives one AP; labels with a fault end in a sentence that says so.
#![allow(clippy::unwrap_used)]

#[path = "support/limit.rs"]
mod limit;
mod support;

use serde_json::{Value, json};
use std::path::Path;
use support::eval::{copy, ocelli};
use support::set::{Set, both, each, renamed, run, write};

#[test]
fn every_layout_gives_one_ap() {
    let _limit = limit::within(300);
    let set = Set::render();
    let names = set.names();
    let plain = set.folder("images", "images");
    write(plain.path(), "labels.json", set.coco.to_string());
    let right = both(&run(plain.path(), "labels.json", &[]));
    assert!(right[1] > 0.3, "{right:?}");
    let mut wrong = Vec::new();
    let mut check = |what: &str, folder: &Path, labels: &str| {
        let given = run(folder, labels, &["--strict"]);
        let found = [given.number("coco.AP"), given.number("coco.AP50")];
        let near = |(found, right): (&Option<f64>, &f64)| found.is_some_and(|found| (found - right).abs() < 1e-4);
        if !found.iter().zip(&right).all(near) {
            wrong.push(format!("{what}: {found:?}, expected {right:?}, status {}\n{}", given.status, given.text));
        }
    };
    let yolo =
        |root: &Path, folder: &str| (0..6).for_each(|at| write(root, &format!("{folder}/{at:06}.txt"), set.yolo(at)));
    let map: String = names.iter().enumerate().map(|(at, name)| format!("  {at}: {name}\n")).collect();

    // Ultralytics, as its documentation and exporters write it.
    let forms = [
        ("names as a list", format!("train: images/train\nval: images/val\nnc: 6\nnames: [{}]\n", names.join(", "))),
        ("names as a map", format!("path: .\ntrain: images/train\nval: images/val\nnames:\n{map}")),
        ("a list of folders", format!("path: ../datasets/x\ntrain: [images/train]\nval: [images/val]\nnames:\n{map}")),
        (
            "a folder elsewhere",
            format!("path: /data/ann/x\nval: /data/ann/x/images/val\ntrain: images/train\nnames:\n{map}"),
        ),
    ];
    for (what, text) in forms {
        let folder = set.folder("images/val", "images/val");
        // The other part has pictures of the same names.
        yolo(folder.path(), "labels/val");
        (0..6).for_each(|at| write(folder.path(), &format!("labels/train/{at:06}.txt"), "0 0.5 0.5 0.1 0.1\n"));
        copy(&set.images(), &folder.path().join("images/train"));
        write(folder.path(), "data.yaml", text);
        for labels in ["data.yaml", ".", "labels/val"] {
            check(&format!("data.yaml, {what}, {labels}"), folder.path(), labels);
        }
    }
    let folder = set.folder("images", "images");
    yolo(folder.path(), "labels");
    let list: String = (0..6).map(|at| format!("./images/{at:06}.jpg\n")).collect();
    write(folder.path(), "val.txt", list);
    write(folder.path(), "data.yaml", format!("train: val.txt\nval: val.txt\nnames:\n{map}"));
    check("data.yaml with a text file", folder.path(), "data.yaml");
    check("the text file itself", folder.path(), "val.txt");

    // Roboflow: paths that lead out of the folder, README files.
    let folder = set.folder("valid/images", "valid/images");
    yolo(folder.path(), "valid/labels");
    (0..6).for_each(|at| write(folder.path(), &format!("train/labels/{at:06}.txt"), "1 0.5 0.5 0.1 0.1\n"));
    copy(&set.images(), &folder.path().join("train/images"));
    let text = format!(
        "train: ../train/images\nval: ../valid/images\ntest: ../test/images\n\nnc: 6\nnames: [{}]\n",
        names.join(", ")
    );
    write(folder.path(), "data.yaml", text.replace("test: ../test/images\n", ""));
    write(folder.path(), "README.dataset.txt", "# scene > 2026-11-28\n");
    write(folder.path(), "README.roboflow.txt", "\nscene - v1\n");
    check("Roboflow's data.yaml", folder.path(), "data.yaml");
    check("Roboflow's folder", folder.path(), ".");

    // Darknet, as CVAT writes it: labels beside the pictures.
    let folder = set.folder("obj_train_data", "obj_train_data");
    yolo(folder.path(), "obj_train_data");
    write(folder.path(), "obj.names", names.join("\n"));
    write(folder.path(), "obj.data", "classes = 6\ntrain = data/train.txt\nnames = data/obj.names\nbackup = backup/\n");
    let list: String = (0..6).map(|at| format!("data/obj_train_data/{at:06}.jpg\n")).collect();
    write(folder.path(), "train.txt", list);
    for labels in ["obj.data", ".", "obj_train_data"] {
        check(&format!("Darknet, {labels}"), folder.path(), labels);
    }

    // Lists of names in all forms and places.
    let quoted: String = names.iter().map(|name| format!("\"{name}\",\r\n")).collect();
    let numbered: String = names.iter().enumerate().map(|(at, name)| format!("{at}: {name}\n")).collect();
    for (what, list) in [
        ("plain", names.join("\n")),
        ("a byte-order mark", format!("\u{feff}{}\n\n", names.join("\r\n"))),
        ("quotes", quoted),
        ("numbers", numbered),
    ] {
        for place in ["labels/val/classes.txt", "labels/classes.txt", "classes.txt", "labels/val/obj.names"] {
            let folder = set.folder("images", "images");
            yolo(folder.path(), "labels/val");
            write(folder.path(), place, &list);
            check(&format!("names with {what} in {place}"), folder.path(), "labels/val");
        }
    }
    // Label Studio: the numbers of its notes count, not the order of its list.
    let folder = set.folder("images", "images");
    yolo(folder.path(), "labels");
    let notes: Vec<Value> = names.iter().enumerate().map(|(id, name)| json!({ "id": id, "name": name })).collect();
    write(folder.path(), "notes.json", json!({ "categories": notes, "info": { "year": 2026 } }).to_string());
    write(folder.path(), "classes.txt", names.join("\n"));
    check("Label Studio's YOLO", folder.path(), ".");

    // COCO in folders, several files, paths of other machines.
    for (what, path, prefix) in [
        ("folders", "annotations/instances_val.json", "images/"),
        ("backslashes", "annotations/instances_val.json", "..\\images\\"),
        ("drives", "labels.json", "C:\\data\\set\\"),
        ("percent forms", "labels.json", "%2Edata/"),
        ("addresses", "labels.json", "https://host/set/"),
        ("local files", "result.json", "/data/local-files/?d=set/"),
        ("hashes in front", "result.json", "images/1a2b3c4d-"),
    ] {
        let folder = set.folder("images", "images");
        let mut coco = set.coco.clone();
        for image in coco["images"].as_array_mut().unwrap() {
            image["file_name"] = format!("{prefix}{}", image["file_name"].as_str().unwrap()).into();
        }
        write(folder.path(), path, coco.to_string());
        check(&format!("COCO, {what}"), folder.path(), path);
        let above = path.split_once('/').map_or(".", |(front, _)| front);
        check(&format!("COCO, {what}, its folder"), folder.path(), above);
    }
    let folder = set.folder("valid", "valid");
    copy(&set.images(), &folder.path().join("train"));
    write(folder.path(), "valid/_annotations.coco.json", set.coco.to_string());
    let mut other = set.coco.clone();
    other["annotations"] = json!([]);
    write(folder.path(), "train/_annotations.coco.json", other.to_string());
    check("COCO of Roboflow, both parts", folder.path(), ".");
    check("COCO of Roboflow, one part", folder.path(), "valid");

    // VOC: a plain folder, VOCdevkit, and beside the pictures.
    let voc =
        |root: &Path, folder: &str| (0..6).for_each(|at| write(root, &format!("{folder}/{at:06}.xml"), set.voc(at)));
    let folder = set.folder("JPEGImages", "JPEGImages");
    voc(folder.path(), "Annotations");
    let list: String = (0..6).map(|at| format!("{at:06}\n")).collect();
    write(folder.path(), "ImageSets/Main/val.txt", list);
    write(folder.path(), "ImageSets/Main/dog_val.txt", "000000 -1\n000001  1\n");
    write(folder.path(), "labelmap.txt", "# label:color_rgb:parts:actions\nbackground:0,0,0::\n");
    for labels in [".", "Annotations", "ImageSets/Main/val.txt"] {
        check(&format!("VOC, {labels}"), folder.path(), labels);
    }
    let folder = set.folder("valid", "valid");
    voc(folder.path(), "valid");
    check("VOC beside the pictures", folder.path(), "valid");

    // What systems and tools leave behind.
    let folder = set.folder("images", "images");
    yolo(folder.path(), "labels");
    write(folder.path(), "labels/classes.txt", names.join("\n"));
    for stray in
        [".DS_Store", "._000001.txt", ".gitkeep", "Thumbs.db", "desktop.ini", "labels.cache", "__MACOSX/._000001.txt"]
    {
        write(folder.path(), &format!("labels/{stray}"), b"\0\x01\x02\xff");
    }
    write(folder.path(), "labels/README.md", "labels\n");
    write(folder.path(), "labels/project.json", "{\"tool\": 1}");
    check("stray files", folder.path(), "labels");
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// A change of the labels that makes the numbers wrong, the arguments, the status, and words of the sentence.
type Mutation<'a> = (&'a str, &'a dyn Fn(&mut Value), &'a [&'a str], i32, &'a [&'a str]);

/// A box's numbers, changed.
fn boxes(coco: &mut Value, change: impl Fn(usize, [f64; 4]) -> [f64; 4]) {
    each(coco, "annotations", |at, a| {
        let old = [0, 1, 2, 3].map(|i| a["bbox"][i].as_f64().unwrap());
        a["bbox"] = json!(change(at, old));
    });
}

#[test]
fn each_fault_ends_in_its_sentence() {
    let _limit = limit::within(300);
    let set = Set::render();
    let mutations: &[Mutation<'_>] = &[
        (
            "other classes",
            &|c| renamed(c, |name| format!("class of {}", name.len())),
            &[],
            5,
            &["no class of the labels", "person", "--map"],
        ),
        (
            "one other class",
            &|c| renamed(c, |n| n.replace("person", "human")),
            &[],
            0,
            &["`human`", "--map human=person"],
        ),
        (
            "one other class, strict",
            &|c| renamed(c, |n| n.replace("person", "human")),
            &["--strict"],
            5,
            &["`human`", "strict"],
        ),
        ("another spelling", &|c| renamed(c, |n| format!(" {} ", n.to_uppercase())), &["--strict"], 0, &["AP"]),
        (
            "other pictures",
            &|c| each(c, "images", |at, i| i["file_name"] = format!("IMG_{at}.jpg").into()),
            &[],
            5,
            &["000000.jpg", "IMG_0.jpg"],
        ),
        (
            "some other pictures",
            &|c| {
                each(c, "images", |at, i| {
                    if at > 2 {
                        i["file_name"] = format!("IMG_{at}.jpg").into();
                    }
                });
            },
            &[],
            0,
            &["pictures without labels", "000003.jpg", "not played", "IMG_3.jpg"],
        ),
        ("corners", &|c| boxes(c, |_, [x, y, w, h]| [x, y, x + w, y + h]), &[], 5, &["outside", "second corner"]),
        ("parts", &|c| boxes(c, |_, [x, y, w, h]| [x / 320.0, y / 180.0, w / 320.0, h / 180.0]), &[], 5, &["0 to 1"]),
        (
            "twice the size",
            &|c| {
                boxes(c, |_, b| b.map(|v| v * 2.0));
                each(c, "images", |_, i| (i["width"], i["height"]) = (640.into(), 360.into()));
            },
            &[],
            5,
            &["640x360", "320x180", "--scale-labels"],
        ),
        ("twice the size, not told", &|c| boxes(c, |_, b| b.map(|v| v * 3.0)), &[], 5, &["outside"]),
        ("x and y swapped", &|c| boxes(c, |_, [x, y, w, h]| [y, x * 2.0, h, w]), &[], 5, &["outside"]),
        (
            "one box outside",
            &|c| boxes(c, |at, b| if at == 3 { [310.0, 10.0, 60.0, 40.0] } else { b }),
            &[],
            0,
            &["boxes that reach outside", "[310, 10, 370, 50]"],
        ),
        (
            "a negative width",
            &|c| boxes(c, |at, [x, y, w, h]| if at == 0 { [x + w, y, -w, h] } else { [x, y, w, h] }),
            &[],
            0,
            &["negative size", "annotations[0]"],
        ),
        (
            "no width",
            &|c| boxes(c, |at, [x, y, w, h]| if at == 0 { [x, y, 0.0, h] } else { [x, y, w, h] }),
            &[],
            0,
            &["without width or height", "annotations[0]"],
        ),
        (
            "all twice",
            &|c| {
                let again = c["annotations"].as_array().unwrap().clone();
                c["annotations"].as_array_mut().unwrap().extend(again);
            },
            &[],
            0,
            &["same object twice"],
        ),
        (
            "one id for two pictures",
            &|c| c["images"][1]["id"] = 1.into(),
            &[],
            5,
            &["two pictures have the id 1", "000000.jpg", "000001.jpg"],
        ),
        ("one id for two classes", &|c| c["categories"][1]["id"] = 1.into(), &[], 5, &["two categories have the id 1"]),
        (
            "ids that nothing has",
            &|c| each(c, "annotations", |_, a| a["image_id"] = (a["image_id"].as_u64().unwrap() + 900).into()),
            &[],
            5,
            &["not listed", "image_id"],
        ),
        ("no annotations", &|c| _ = c.as_object_mut().unwrap().remove("annotations"), &[], 0, &["no `annotations`"]),
        ("no categories", &|c| _ = c.as_object_mut().unwrap().remove("categories"), &[], 5, &["no `categories`"]),
        ("results", &|c| *c = c["annotations"].clone(), &[], 5, &["results"]),
        (
            "one for two folders",
            &|c| each(c, "images", |_, i| i["file_name"] = format!("day/{}", i["file_name"].as_str().unwrap()).into()),
            &["--strict"],
            0,
            &["AP"],
        ),
        (
            "labels of the next picture",
            &|c| {
                let names: Vec<Value> =
                    c["images"].as_array().unwrap().iter().map(|i| i["file_name"].clone()).collect();
                each(c, "images", |at, i| i["file_name"] = names[(at + names.len() - 1) % names.len()].clone());
            },
            &[],
            5,
            &["labels of the picture after"],
        ),
        ("nine tenths", &|c| boxes(c, |_, b| b.map(|v| v * 0.9)), &[], 5, &["90 % of the size"]),
        ("upside down", &|c| boxes(c, |_, [x, y, w, h]| [x, 180.0 - y - h, w, h]), &[], 5, &["upside down"]),
        (
            "negative areas",
            &|c| each(c, "annotations", |_, a| a["area"] = (-1).into()),
            &[],
            0,
            &["negative `area`", "does not count"],
        ),
        (
            "mostly crowds",
            &|c| each(c, "annotations", |at, a| a["iscrowd"] = u64::from(at % 4 != 0).into()),
            &[],
            0,
            &["more than half of the labelled objects"],
        ),
        ("nothing found", &|_| (), &["--set", "detect.min_score=0.999"], 0, &["nothing was found in any of 6"]),
        ("two maps of one class", &|_| (), &["--map", "car=car,car=dog"], 2, &["two classes, `car` and `dog`"]),
        ("a map to nothing", &|_| (), &["--map", "person=persn"], 2, &["did you mean `person`"]),
        ("a map of nothing", &|_| (), &["--map", "bird=person"], 0, &["`bird`"]),
    ];
    let folder = set.folder("images", "images");
    let mut wrong = Vec::new();
    for (what, change, more, status, words) in mutations {
        let mut coco = set.coco.clone();
        change(&mut coco);
        write(folder.path(), "labels.json", coco.to_string());
        let given = run(folder.path(), "labels.json", more);
        let missing: Vec<&&str> = words.iter().filter(|word| !given.text.contains(**word)).collect();
        if given.status != *status || !missing.is_empty() {
            wrong.push(format!(
                "{what}: status {}, expected {status}; missing {missing:?}\n{}",
                given.status, given.text
            ));
        }
    }
    // YOLO's own: numbers of another list, from 1, in pixels, without names.
    let yolo = |change: &dyn Fn(usize, &str) -> String, names: Option<&str>, more: &[&str]| {
        let folder = set.folder("images", "images");
        for at in 0..6 {
            let text: String = set.yolo(at).lines().map(|line| change(at, line) + "\n").collect();
            write(folder.path(), &format!("labels/{at:06}.txt"), text);
        }
        names.into_iter().for_each(|names| write(folder.path(), "classes.txt", names));
        run(folder.path(), "labels", more)
    };
    let class = |line: &str, change: &dyn Fn(usize) -> usize| {
        let (class, rest) = line.split_once(' ').unwrap();
        format!("{} {rest}", change(class.parse().unwrap()))
    };
    let names = set.names();
    let other = |_: usize, line: &str| class(line, &|c| [0, 2, 16, 32, 41, 73][c]);
    let pixels = |_: usize, line: &str| {
        let numbers: Vec<f64> = line.split(' ').map(|word| word.parse().unwrap()).collect();
        format!(
            "{} {:.0} {:.0} {:.0} {:.0}",
            numbers[0],
            numbers[1] * 320.0,
            numbers[2] * 180.0,
            numbers[3] * 320.0,
            numbers[4] * 180.0
        )
    };
    let same = |_: usize, line: &str| line.to_owned();
    let sixth = |_: usize, line: &str| format!("{line} 0.9");
    let odd = |at: usize, line: &str| if at == 0 { format!("{line} trailing") } else { line.to_owned() };
    for (what, given, status, words) in [
        ("numbers of COCO's list", yolo(&other, None, &[]), 5, &["beyond", "coco80", "person"][..]),
        ("numbers of COCO's list, said", yolo(&other, None, &["--names", "coco80"]), 0, &["coco80"]),
        ("a short list", yolo(&same, Some("person\n"), &[]), 5, &["has no name among the 1", "classes.txt"]),
        ("pixels", yolo(&pixels, None, &[]), 5, &["above 1"]),
        ("no list", yolo(&same, None, &[]), 0, &["without names", &names[0]]),
        ("no list, strict", yolo(&same, None, &["--strict"]), 5, &["without names"]),
        ("the model's list", yolo(&same, None, &["--names", "model", "--strict"]), 0, &["AP"]),
        ("an odd line", yolo(&odd, Some(&names.join("\n")), &[]), 0, &["000000.txt:1", "left out"]),
        ("a sixth number", yolo(&sixth, Some(&names.join("\n")), &[]), 0, &["sixth number", "AP"]),
        ("no such list", yolo(&same, None, &["--names", "nowhere.txt"]), 2, &["nowhere.txt", "coco80"]),
    ] {
        let missing: Vec<&&str> = words.iter().filter(|word| !given.text.contains(**word)).collect();
        if given.status != status || !missing.is_empty() {
            wrong.push(format!(
                "YOLO, {what}: status {}, expected {status}; missing {missing:?}\n{}",
                given.status, given.text
            ));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// What `ocelli data check` says about a set, and its sheet.
#[test]
fn a_check_of_a_set_shows_what_was_read() {
    let _limit = limit::within(120);
    let set = Set::render();
    let folder = set.folder("images", "images");
    (0..6).for_each(|at| write(folder.path(), &format!("labels/{at:06}.txt"), set.yolo(at)));
    write(folder.path(), "labels/000009.txt", "0 0.5 0.5 0.2 0.2\n0 7 7 7 7\n");
    write(folder.path(), "classes.txt", set.names().join("\n"));
    let given = ocelli(folder.path(), &["data", "check", "labels", "--sheet", "sheet.jpg"]);
    assert_eq!(given.status, 0, "{}", given.text);
    for words in [
        "7 pictures, YOLO",
        "classes.txt",
        "person",
        "6 found, 6 of them labelled",
        "labels without a picture: 1 (000009)",
        "000009.txt:2",
        "sheet.jpg: 6 pictures",
    ] {
        assert!(given.text.contains(words), "{words}: {}", given.text);
    }
    let sheet = std::fs::read(folder.path().join("sheet.jpg")).unwrap();
    assert!(sheet.starts_with(&[0xFF, 0xD8]) && sheet.len() > 20_000);
    let strict = ocelli(folder.path(), &["data", "check", "labels", "--strict"]);
    assert!(strict.status == 5 && strict.text.contains("strict"), "{}", strict.text);
    let masks =
        ocelli(folder.path(), &["scene", "--export", "masks", "--out", "m", "--frames", "2", "--size", "320x180"]);
    assert_eq!(masks.status, 0, "{}", masks.text);
    let given = ocelli(folder.path(), &["data", "check", "m/masks", "--pictures", "m/images", "--sheet", "m.png"]);
    assert!(given.status == 0 && given.text.contains("class maps") && given.text.contains("value"), "{}", given.text);
    assert!(std::fs::read(folder.path().join("m.png")).unwrap().starts_with(b"\x89PNG"));
}

/// Labels of one folder are not those of another, damaged files are named, and `data check` reads what `eval` reads.
#[test]
fn labels_stay_with_their_folder() {
    let _limit = limit::within(120);
    let set = Set::render();
    let folder = set.folder("images/night", "images/night");
    std::fs::create_dir_all(folder.path().join("images/day")).unwrap();
    let names = set.names().join("\n");
    for at in 0..6 {
        write(folder.path(), &format!("labels/day/{at:06}.txt"), set.yolo((at + 3) % 6));
        write(folder.path(), &format!("labels/night/{at:06}.txt"), set.yolo(at));
    }
    write(folder.path(), "classes.txt", names);
    let [day, night] = ["labels/day", "labels/night"].map(|labels| run(folder.path(), labels, &[]));
    assert!(day.status == 5 && day.text.contains("another folder or split"), "{}", day.text);
    assert!(night.status == 0, "{}", night.text);
    // Two files of COCO, of which one is damaged.
    write(folder.path(), "coco/a.json", set.coco.to_string());
    write(folder.path(), "coco/b.json", "// nothing\n");
    let two = run(folder.path(), "coco", &[]);
    assert!(two.status == 0 && two.text.contains("damaged") && two.text.contains("b.json"), "{}", two.text);
    // Class maps among the pictures are no pictures.
    let masks = ["scene", "--export", "masks", "--format", "png", "--out", "m", "--frames", "3", "--size", "320x180"];
    assert_eq!(ocelli(folder.path(), &masks).status, 0);
    let check = ocelli(folder.path(), &["data", "check", "m"]);
    assert!(check.status == 0 && check.text.contains("3 found, 3 of them labelled"), "{}", check.text);
    let check = ocelli(folder.path(), &["data", "check", "m/masks"]);
    assert!(check.status == 0 && check.text.contains("m/images)"), "{}", check.text);
    // Another size than the pictures have.
    let mut other = set.coco.clone();
    each(&mut other, "images", |_, i| (i["width"], i["height"]) = (640.into(), 360.into()));
    write(folder.path(), "other.json", other.to_string());
    let check = ocelli(folder.path(), &["data", "check", "other.json", "--pictures", "images/night"]);
    assert!(check.status == 5 && check.text.contains("640x360"), "{}", check.text);
    let check = ocelli(folder.path(), &["data", "check", "other.json", "--pictures", "nowhere"]);
    assert!(check.status == 2 && check.text.contains("no such folder"), "{}", check.text);
    // Folders of numbers have the names of the list beside them.
    for (class, at) in [("0", 0), ("1", 1)] {
        let name = format!("{at:06}");
        let file = std::fs::read_dir(folder.path().join("images/night")).unwrap().flatten().map(|e| e.path());
        let file = file.into_iter().find(|path| path.file_stem().unwrap().to_string_lossy() == name).unwrap();
        write(folder.path(), &format!("tags/{class}/{at}.jpg"), std::fs::read(file).unwrap());
    }
    let check = ocelli(folder.path(), &["data", "check", "tags"]);
    assert!(check.status == 0 && check.text.contains("classes.txt") && check.text.contains("person"), "{}", check.text);
}
