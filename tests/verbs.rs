//! The verbs that evaluate pipelines, as a user sees them: eval, sweep, diff, test, bench.
#![cfg(feature = "h264")]
#![allow(clippy::unwrap_used)]

#[path = "support/limit.rs"]
mod limit;

use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

fn ocelli(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ocelli")).args(args).output().unwrap()
}

/// Runs ocelli and returns its output. The exit code must be `code`.
fn says(args: &[&str], code: i32) -> String {
    let output = ocelli(args);
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
    said
}

fn write(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

fn json(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn every_verb_explains_itself_with_examples() {
    let _limit = limit::within(300);
    for verb in ["record", "replay", "test", "diff", "bench", "sweep", "eval"] {
        let said = says(&[verb, "--help"], 0);
        assert!(said.contains(&format!("Examples:\n  ocelli {verb} ")), "{verb}: {said}");
    }
}

/// One set of pictures, with the scene's own labels in three formats: all give the same numbers.
#[test]
fn labels_of_all_forms_give_the_same_numbers() {
    let _limit = limit::within(300);
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path();
    let data = home.join("data").display().to_string();
    says(
        &[
            "scene", "--export", "coco", "--out", &data, "--frames", "30", "--seed", "901", "--every", "2", "--format",
            "png",
        ],
        0,
    );
    let coco = json(&home.join("data/annotations.json"));
    let names: Vec<&str> = coco["categories"].as_array().unwrap().iter().map(|c| c["name"].as_str().unwrap()).collect();
    write(home, "yolo/classes.txt", &names.join("\n"));
    for image in coco["images"].as_array().unwrap() {
        let (w, h) = (image["width"].as_f64().unwrap(), image["height"].as_f64().unwrap());
        let stem = image["file_name"].as_str().unwrap().trim_end_matches(".png");
        let (mut voc, mut yolo) = (String::new(), String::new());
        for a in coco["annotations"].as_array().unwrap().iter().filter(|a| a["image_id"] == image["id"]) {
            let [x, y, bw, bh]: [f64; 4] = std::array::from_fn(|at| a["bbox"][at].as_f64().unwrap());
            let class = a["category_id"].as_u64().unwrap() as usize - 1;
            voc += &format!(
                "<object><name>{}</name><bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox></object>",
                names[class],
                x + 1.0,
                y + 1.0,
                x + bw,
                y + bh
            );
            yolo += &format!("{class} {} {} {} {}\n", (x + bw / 2.0) / w, (y + bh / 2.0) / h, bw / w, bh / h);
        }
        write(
            home,
            &format!("voc/{stem}.xml"),
            &format!("<annotation><filename>{stem}.jpg</filename>{voc}</annotation>"),
        );
        write(home, &format!("yolo/{stem}.txt"), &yolo);
    }
    let yaml = format!(
        "pipeline:\n- images: {{ path: '{data}/images' }}\n- resize: {{ for: scene }}\n- detect: {{ model: scene, min_score: 0.05 }}\n- nms\n- jsonl\n"
    );
    let yaml = write(home, "photos.yaml", &yaml);
    let mut all = Vec::new();
    for labels in ["data/annotations.json", "voc", "yolo"] {
        let (labels, out) = (home.join(labels).display().to_string(), home.join("out.json"));
        let html = home.join("report.html").display().to_string();
        let said =
            says(&["eval", &yaml, "--labels", &labels, "--json", &out.display().to_string(), "--html", &html], 0);
        assert!(said.starts_with("30 frames\n") && said.contains("mAP, IoU 0.50:0.95"), "{said}");
        let page = std::fs::read_to_string(html).unwrap();
        assert!(page.contains("<svg") && (12..=30).contains(&page.matches("data:image/jpeg").count()));
        all.push(json(&out));
    }
    eprintln!("{:#}", all[0]["coco"]);
    assert!(all[0]["coco"]["AP50"].as_f64().unwrap() > 0.85);
    for other in &all[1..] {
        // COCO's areas are those of the outlines, so what is small differs.
        for metric in ["AP", "AP50", "AR100"] {
            let far = all[0]["coco"][metric].as_f64().unwrap() - other["coco"][metric].as_f64().unwrap();
            assert!(far.abs() < 1e-6, "{metric}: {far}");
        }
    }
    let said = says(
        &["eval", &yaml, "--labels", &home.join("voc").display().to_string(), "--set", "images.path=examples/faces"],
        5,
    );
    assert!(said.contains("none of the pictures has labels"), "{said}");
    assert!(says(&["eval", &yaml], 2).contains("give --labels"));
    assert!(says(&["eval", "pipelines/live/street.yaml"], 2).contains("--from FOLDER-OR-CLIP"));
}

#[test]
fn class_maps_and_classes_are_measured() {
    let _limit = limit::within(300);
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path();
    let data = home.join("data").display().to_string();
    says(
        &[
            "scene", "--export", "masks", "--out", &data, "--frames", "12", "--seed", "903", "--every", "3",
            "--format", "png",
        ],
        0,
    );
    let yaml = format!(
        "pipeline:\n- images: {{ path: '{data}/images' }}\n- resize: {{ for: scene_mask }}\n- segment: {{ model: scene_mask }}\n- jsonl\n"
    );
    let yaml = write(home, "masks.yaml", &yaml);
    let out = home.join("out.json");
    says(
        &[
            "eval",
            &yaml,
            "--labels",
            &home.join("data/masks").display().to_string(),
            "--json",
            &out.display().to_string(),
        ],
        0,
    );
    let found = json(&out);
    let (miou, accuracy) =
        (found["segmentation"]["miou"].as_f64().unwrap(), found["segmentation"]["pixel_accuracy"].as_f64().unwrap());
    eprintln!("mIoU {miou:.3}, pixel accuracy {accuracy:.3}");
    assert!(miou > 0.3 && accuracy > 0.9);
    // Each picture's folder is its class: the one that the model ranks first.
    let tags = home.join("tags.yaml").display().to_string();
    std::fs::write(&tags, "pipeline:\n- images: { path: 'examples/table' }\n- resize: { for: scene_tags }\n- classify: { model: scene_tags }\n- jsonl\n").unwrap();
    let rows = ocelli(&["run", "-q", &tags]).stdout;
    let mut count = 0;
    for row in String::from_utf8(rows).unwrap().lines() {
        let row: Value = serde_json::from_str(row).unwrap();
        let (name, label) = (row["name"].as_str().unwrap(), row["classes"][0]["label"].as_str().unwrap());
        // One of them is put into the wrong folder.
        let class = if count == 0 { "something-else" } else { label };
        write(home, &format!("classes/{class}/{name}"), "");
        count += 1;
    }
    says(
        &["eval", &tags, "--labels", &home.join("classes").display().to_string(), "--json", &out.display().to_string()],
        0,
    );
    let top = &json(&out)["classification"];
    assert_eq!(
        (top["pictures"].as_u64(), top["top1"].as_f64()),
        (Some(count), Some((count - 1) as f64 / count as f64))
    );
}

#[test]
fn a_sweep_is_a_table_and_a_plot() {
    let _limit = limit::within(300);
    let folder = tempfile::tempdir().unwrap();
    let html = folder.path().join("sweep.html").display().to_string();
    let args = [
        "sweep",
        "pipelines/live/street.yaml",
        "--from",
        "examples/flight",
        "--set",
        "detect.min_score=0.3..0.7:0.2",
        "--set",
        "nms.iou=0.4,0.6",
        "--html",
        &html,
    ];
    let said = says(&args, 0);
    let rows: Vec<Vec<&str>> = said.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0][..2], ["detect.min_score", "nms.iou"]);
    assert_eq!(rows[1..].iter().map(|row| row[0]).collect::<Vec<_>>(), ["0.3", "0.3", "0.5", "0.5", "0.7", "0.7"]);
    // A higher threshold raises precision and lowers recall.
    let column = |name: &str| rows[0].iter().position(|head| *head == name).unwrap();
    let number = |row: usize, name: &str| rows[row][column(name)].parse::<f64>().unwrap();
    assert!(number(1, "precision") < number(5, "precision") && number(1, "recall") > number(5, "recall"), "{said}");
    assert!(std::fs::read_to_string(html).unwrap().matches("<svg").count() == 2);
    let bad = ["sweep", "pipelines/live/street.yaml", "--from", "examples/flight", "--set", "detect.min_score=2"];
    assert!(says(&bad, 2).contains("with detect.min_score=2"));
}

#[test]
fn diff_has_its_exit_codes_and_a_page() {
    let _limit = limit::within(300);
    let folder = tempfile::tempdir().unwrap();
    let replay = |name: &str, set: &str| {
        let output = ocelli(&["replay", "-q", "pipelines/live/street.yaml", "--from", "examples/flight", "--set", set]);
        assert!(output.status.success());
        write(folder.path(), name, &String::from_utf8(output.stdout).unwrap())
    };
    let (a, b) = (replay("a.jsonl", "nms.iou=0.5"), replay("b.jsonl", "nms.iou=0.2"));
    assert!(says(&["diff", &a, &a], 0).contains("60 frames in both runs, 0 changed"));
    let html = folder.path().join("d.html").display().to_string();
    let said = says(&["diff", &a, &b, "--from", "examples/flight", "--html", &html], 1);
    assert!(said.contains("vanished: ") && said.contains("differ"), "{said}");
    assert!(std::fs::read_to_string(&html).unwrap().matches("data:image/jpeg").count() >= 10);
    let check = ["replay", "-q", "pipelines/live/street.yaml", "--from", "examples/flight", "--check"];
    assert!(says(&[&check[..], &[&a]].concat(), 0).contains("60 rows, equal byte for byte"));
    assert!(says(&[&check[..], &[&b]].concat(), 1).contains("first difference in frame"));
    assert!(
        says(&[&check[..], &[&a, "--set", "detect.min_score=0.41", "--tolerance", "score=0.01,objects=3"]].concat(), 0)
            .contains("within")
    );
    says(&["diff", &a, "nowhere.jsonl"], 74);
    says(&["diff", &a, "README.md"], 5);
}

#[test]
fn test_tells_what_failed_and_what_is_faulty() {
    let _limit = limit::within(300);
    let folder = tempfile::tempdir().unwrap();
    let root = std::env::current_dir().unwrap();
    let base =
        format!("pipeline: {0}/pipelines/live/street.yaml\nfrom: {0}/examples/flight\nframes: 20\n", root.display());
    let test = |name: &str, rest: &str| write(folder.path(), &format!("{name}.test.yaml"), &format!("{base}{rest}"));
    let out = folder.path().join("out").display().to_string();
    let good = test(
        "good",
        "expect: { golden: good.jsonl, rows: 20, counts: { person: 1.., cup: 0 }, allocations: { nms: 2 }, memory: 2GB }\n",
    );
    let junit = folder.path().join("junit.xml").display().to_string();
    assert!(says(&["test", &good, "--out", &out], 1).contains("`--bless` writes it"));
    assert!(says(&["test", &good, "--bless"], 0).contains("20 only in the second"));
    says(&["test", &good], 0);
    // Each expectation that is not met fails with its own message.
    for (name, expect, words) in [
        ("rows", "rows: 19", "20 rows; expected 19"),
        ("counts", "counts: { cup: 1.. }", "`cup` was found 0 times; expected 1 or more"),
        ("allocations", "allocations: { detect: 0.01 }", "`detect` allocates"),
        ("memory", "memory: 1MB", "memory: "),
        ("accuracy", "accuracy: { AP50: 0.99 }", "AP50 is 0."),
        ("error", "error: unplugged", "the run ended without an error; expected"),
    ] {
        let path = test(name, &format!("expect: {{ {expect} }}\n"));
        let said = says(&["test", &path, "--out", &out], 1);
        assert!(said.contains(words) && said.contains("0 passed, 1 failed"), "{name}: {said}");
    }
    // The accuracy is that of the run with the test's faults.
    let damaged = test("damaged", "faults: { corrupt: 0.9 }\nexpect: { accuracy: { AP50: 0.8 } }\n");
    assert!(says(&["test", &damaged, "--out", &out], 1).contains("AP50 is 0."));
    let changed = test("changed", "set: [detect.min_score=0.8]\nexpect: { golden: good.jsonl }\n");
    let said = says(&["test", &good, &changed, "--out", &out, "--junit", &junit], 1);
    assert!(said.contains("1 passed, 1 failed") && said.contains("of `nms`"), "{said}");
    for ending in ["png", "html", "jsonl"] {
        assert!(folder.path().join(format!("out/changed.{ending}")).is_file(), "{ending}");
    }
    assert!(std::fs::read_to_string(junit).unwrap().contains("<failure message="));
    // A faulty file does not stop the next test from running.
    let faulty = test("faulty", "expext: {}\n");
    let said = says(&["test", &faulty, &good], 2);
    assert!(
        said.contains("ERROR faulty") && said.contains("ok    good") && said.contains("did you mean `expect`?"),
        "{said}"
    );
    let live = write(
        folder.path(),
        "live.test.yaml",
        &format!("pipeline: {}/pipelines/live/street.yaml\nexpect: {{ rows: 1 }}\n", root.display()),
    );
    assert!(says(&["test", &live], 2).contains("`from:` in a test"));
}

#[test]
fn bench_names_the_bottleneck_and_compares() {
    let _limit = limit::within(300);
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("bench.json");
    let path = out.display().to_string();
    let bench = ["bench", "pipelines/live/street.yaml", "--from", "examples/flight", "--rounds", "1"];
    let said = says(&[&bench[..], &["--json", &path]].concat(), 0);
    assert!(said.contains("the bottleneck is `detect`"), "{said}");
    let found = json(&out);
    assert_eq!((found["bottleneck"].as_str(), found["frames"].as_u64()), (Some("detect"), Some(60)));
    let line = |id: &str| found["lines"].as_array().unwrap().iter().find(|line| line["id"] == id).unwrap().clone();
    assert!(
        line("detect")["p50"].as_f64() > line("nms")["p50"].as_f64()
            && line("nms")["allocations"].as_f64().unwrap() < 1.0
    );
    assert!(line("resize")["wait_p50"].as_f64().unwrap() >= 0.0 && found["machine"]["cores"].as_u64().unwrap() >= 1);
    let said = says(&[&bench[..], &["--frames", "20", "--rate", "20", "--compare", &path]].concat(), 0);
    assert!(said.contains("20 frames/s") && said.contains("faster p50"), "{said}");
    assert!(says(&["bench", "pipelines/live/street.yaml"], 2).contains("--from FOLDER-OR-CLIP"));
    assert!(says(&[&bench[..], &["--compare", "README.md"]].concat(), 5).contains("not written by `ocelli bench`"));
}

/// The program accepts every word of the example in docs/testing.md. It fails only because the pipeline does not exist.
#[test]
fn the_manual_of_test_files_is_true() {
    let _limit = limit::within(300);
    let folder = tempfile::tempdir().unwrap();
    let manual = std::fs::read_to_string("docs/testing.md").unwrap();
    let block = manual.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let path = write(folder.path(), "tests/door.test.yaml", block);
    let said = says(&["test", &path], 74);
    assert!(said.contains("door.yaml: No such file"), "{said}");
    for word in ["repeat", "faulty_source", "allocations", "labels", "failed"] {
        assert!(block.contains(word), "docs/testing.md lacks `{word}`");
    }
}
