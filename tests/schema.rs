//! The JSON Schema, as an editor applies it: it finds what `ocelli check` finds without looking at anything but the text,
//! and shows it at the setting. The schema is applied by `boon`, which passes the official JSON Schema test suite.
#![cfg(all(feature = "camera", feature = "http", feature = "rtsp"))]
#![allow(clippy::unwrap_used)]

#[path = "support/limit.rs"]
mod limit;

use boon::{Compiler, SchemaIndex, Schemas, ValidationError};
use ocelli::internals::yaml::{self, Node, Value};
use ocelli::internals::{models, pipeline, trial};
use serde_json::Value as Json;
use std::path::PathBuf;

/// Faulty files whose fault lies outside the text, or in how its lines go together: only `check` can know.
const ONLY_CHECK: &[&str] = &[
    "bad_start",
    "curly",
    "env_name",
    "for_and_size",
    "from_below",
    "from_sink",
    "from_unknown",
    "huge_number",
    "keep_name",
    "keep_nothing",
    "keep_one",
    "keep_small",
    "merged_sizes",
    "missing_file",
    "needs_detections",
    "needs_input",
    "no_pictures",
    "no_sink",
    "open_field",
    "path_field",
    "recordings",
    "relative_url",
    "resize_of_nothing",
    "rotate_nothing",
    "rotate_stdout",
    "same_file",
    "same_id",
    "sink_first",
    "truth_of_a_video",
    "unknown_class",
    "unknown_model",
    "unset_variable",
    "wrong_input_size",
];

/// The same for cards: what depends on several settings or on other files.
const ONLY_CARD: &[&str] = &[
    "anchor_file",
    "anchors_missing",
    "angle_corners",
    "background",
    "crop_from",
    "labels_file",
    "logit_v8",
    "many_cells",
    "masks_alone",
    "one_label",
    "points_alone",
    "strides_large",
];

/// The same for test files.
const ONLY_TEST: &[&str] =
    &["drops_alone", "expects_nothing", "labels_alone", "range_backwards", "set_several", "tolerance_alone"];

fn json(node: &Node) -> Json {
    match &node.value {
        Value::Null => Json::Null,
        Value::Bool(value) => (*value).into(),
        Value::Int(value) => (*value).into(),
        Value::Float(value) => (*value).into(),
        Value::Text(text) => text.as_str().into(),
        Value::List(list) => list.iter().map(json).collect(),
        Value::Map(entries) => {
            let pair = |(key, value): &(Node, Node)| (key.text().unwrap().to_owned(), json(value));
            Json::Object(entries.iter().map(pair).collect())
        }
    }
}

struct Checker(Schemas, SchemaIndex);

impl Checker {
    fn new(schema: Json) -> Self {
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        compiler.add_resource("ocelli.json", schema).unwrap();
        let index = compiler.compile("ocelli.json", &mut schemas).unwrap();
        Self(schemas, index)
    }

    /// Returns where in the text the faults are: `/pipeline/1/nms/iou`.
    fn faults(&self, text: &Json) -> Vec<String> {
        fn places(error: &ValidationError<'_, '_>, found: &mut Vec<String>) {
            if error.causes.is_empty() {
                found.push(error.instance_location.to_string());
            }
            error.causes.iter().for_each(|cause| places(cause, found));
        }
        let mut found = Vec::new();
        if let Err(error) = self.0.validate(text, self.1) {
            places(&error, &mut found);
        }
        found
    }
}

fn files(folder: &str, all: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(path.to_str().unwrap(), all);
        } else if path.extension().is_some_and(|e| e == "yaml") {
            all.push(path);
        }
    }
    all.sort();
}

#[test]
fn the_schema_finds_what_check_finds_in_the_text() {
    let _limit = limit::within(120);
    compare("tests/bad", pipeline::schema(), ONLY_CHECK);
    compare("tests/bad_cards", models::schema(), ONLY_CARD);
    compare("tests/bad_tests", trial::schema(), ONLY_TEST);
}

fn compare(folder: &str, schema: Json, only_check: &[&str]) {
    let (checker, mut bad) = (Checker::new(schema), Vec::new());
    files(folder, &mut bad);
    let (mut found, mut not_yaml, mut missed) = (0, 0, Vec::new());
    for path in bad {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let Ok(root) = yaml::parse(&std::fs::read_to_string(&path).unwrap()) else {
            not_yaml += 1;
            continue;
        };
        if checker.faults(&json(&root)).is_empty() { missed.push(name) } else { found += 1 }
    }
    eprintln!(
        "{folder}: {found} files are faulty by the schema, {not_yaml} are not YAML, {} only by `check`",
        missed.len()
    );
    assert_eq!(missed, only_check, "{folder}");
}

#[test]
fn every_pipeline_of_ours_is_valid_and_faults_are_shown_at_the_setting() {
    let _limit = limit::within(120);
    let (checker, mut good) = (Checker::new(pipeline::schema()), Vec::new());
    files("pipelines", &mut good);
    assert!(good.len() > 15);
    for path in good {
        let root = yaml::parse(&std::fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!(checker.faults(&json(&root)), Vec::<String>::new(), "{}", path.display());
    }
    for (name, place) in [
        ("iou", "/pipeline/3/nms/iou"),
        ("threads", "/pipeline/2/detect/threads"),
        ("mov", "/pipeline/1/record/path"),
        ("unknown_field", "/pipeline/2/detect"),
    ] {
        let text = std::fs::read_to_string(format!("tests/bad/{name}.yaml")).unwrap();
        let mut places = checker.faults(&json(&yaml::parse(&text).unwrap()));
        places.dedup();
        assert_eq!(places, [place], "{name}");
    }
}

#[test]
fn every_card_and_test_of_ours_is_valid() {
    let _limit = limit::within(120);
    let valid = |checker: &Checker, path: &PathBuf| {
        let root = yaml::parse(&std::fs::read_to_string(path).unwrap()).unwrap();
        assert_eq!(checker.faults(&json(&root)), Vec::<String>::new(), "{}", path.display());
    };
    let (cards, mut found) = (Checker::new(models::schema()), Vec::new());
    files("tests/cards", &mut found);
    files("models", &mut found);
    assert!(found.len() > 25);
    found
        .iter()
        .filter(|path| path.file_name().is_some_and(|name| name != "zoo.yaml"))
        .for_each(|path| valid(&cards, path));
    let (tests, mut found) = (Checker::new(trial::schema()), Vec::new());
    files("tests/pipelines", &mut found);
    found.retain(|path| path.to_string_lossy().ends_with(".test.yaml"));
    assert!(found.len() > 3);
    found.iter().for_each(|path| valid(&tests, path));
    // A fault is shown at its setting.
    for (name, place) in
        [("bins", "/family/yolo/bins"), ("std_zero", "/input/std/1"), ("two_anchors", "/family/ssd/anchors")]
    {
        let text = std::fs::read_to_string(format!("tests/bad_cards/{name}.yaml")).unwrap();
        let mut places = cards.faults(&json(&yaml::parse(&text).unwrap()));
        places.dedup();
        assert_eq!(places, [place], "{name}");
    }
}
