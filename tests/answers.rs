//! Answers keep their own labels, inputs fit their models, and faults can be read by programs.
#![allow(clippy::unwrap_used)]

#[path = "support/limit.rs"]
mod limit;
mod support;

use std::collections::HashMap;
use std::path::Path;
use support::pipe;

/// Copies a bundled model under another name and changes its card.
fn model(folder: &Path, name: &str, of: &str, change: &[(&str, &str)]) {
    let (from, home) = (Path::new("models").join(of), folder.join(name));
    std::fs::create_dir(&home).unwrap();
    for file in std::fs::read_dir(from).unwrap().map(|file| file.unwrap().path()) {
        std::fs::copy(&file, home.join(file.file_name().unwrap())).unwrap();
    }
    let card = std::fs::read_to_string(home.join("card.yaml")).unwrap();
    let changed = change.iter().fold(card.clone(), |card, (from, to)| {
        assert!(card.contains(from), "{name}: the card has no `{from}`");
        card.replace(from, to)
    });
    std::fs::write(home.join("card.yaml"), changed).unwrap();
}

#[test]
fn two_classifiers_on_boxes_both_stay_and_no_labels_are_mixed_up() {
    let _limit = limit::within(120);
    let folder = tempfile::tempdir().unwrap();
    let labels = "labels: [";
    let card = std::fs::read_to_string("models/scene_tags/card.yaml").unwrap();
    assert!(card.contains(labels), "{card}");
    let own: Vec<&str> = card.split(labels).nth(1).unwrap().split(']').next().unwrap().split(", ").collect();
    let other: Vec<String> = own.iter().map(|label| format!("other-{label}")).collect();
    model(folder.path(), "tags_b", "scene_tags", &[(&own.join(", "), &other.join(", "))]);
    let out = folder.path().join("rows.jsonl");
    let text = format!(
        "pipeline:\n- scene: {{ frames: 6 }}\n- resize: {{ for: scene }}\n- detect: {{ model: scene }}\n- nms\n\
         - classify: {{ model: scene_tags, each: box }}\n- classify: {{ model: tags_b, each: box }}\n\
         - resize: {{ for: scene_tags }}\n- cam: {{ model: scene_tags }}\n\
         - classify: {{ model: tags_b }}\n- jsonl: {{ path: '{}' }}\n",
        out.display()
    );
    pipe::play(&text, &pipe::env(&[folder.path().into()])).result.unwrap();
    let rows = std::fs::read_to_string(&out).unwrap();
    let mut boxes = 0;
    for row in rows.lines().map(|row| serde_json::from_str::<serde_json::Value>(row).unwrap()) {
        for object in row["detections"].as_array().unwrap() {
            let [a, b] = object["kinds"].as_array().unwrap().as_slice() else { panic!("{object}") };
            assert_eq!((&a["by"], &b["by"]), (&"scene_tags".into(), &"tags_b".into()));
            assert_eq!(format!("other-{}", a["label"].as_str().unwrap()), b["label"].as_str().unwrap());
            assert!(["person", "car", "dog"].contains(&object["label"].as_str().unwrap()));
            boxes += 1;
        }
        // The weights are the same, so the class is too; each answer has the name that its own model uses.
        let (heat, best) = (&row["heatmap"], &row["classes"][0]);
        assert_eq!(heat["class"], best["class"]);
        assert_eq!(format!("other-{}", heat["label"].as_str().unwrap()), best["label"].as_str().unwrap());
    }
    assert!(boxes > 6, "{boxes}");
}

#[test]
fn a_resize_for_another_model_is_refused_by_whatever_of_the_input_differs() {
    let _limit = limit::within(120);
    let folder = tempfile::tempdir().unwrap();
    let differ = [
        ("fit", "fit: letterbox_top_left", "fit: stretch"),
        ("filter", "filter: bilinear", "filter: cv_nearest"),
        ("pad", "pad: 114", "pad: 0"),
        ("color", "color: rgb", "color: bgr"),
    ];
    for (name, from, to) in differ {
        model(folder.path(), name, "scene", &[(from, to)]);
    }
    model(folder.path(), "same", "scene", &[]);
    let env = pipe::env(&[folder.path().into()]);
    let check = |name: &str| {
        let text = format!(
            "pipeline:\n- scene: {{ frames: 3 }}\n- resize: {{ for: {name} }}\n- detect: {{ model: scene }}\n- jsonl\n"
        );
        pipe::parse(&text).check(&env).map(|_| ()).map_err(|faults| faults.list[0].message.clone())
    };
    check("same").unwrap();
    let words = |of: &str| of.replace(": ", " ");
    for (name, from, to) in differ {
        let said = check(name).unwrap_err();
        let expect = format!(
            "`detect` model `scene` takes {}, but `resize` produces {}; write `resize: {{ for: scene }}`",
            words(from),
            words(to)
        );
        assert_eq!(said, expect);
    }
}

#[test]
fn faults_can_be_read_by_programs_and_become_errors() {
    let _limit = limit::within(120);
    let text = "pipeline:\n- scene: { frames: 3 }\n- nms\n- jsonl: { truth: true }\n- snapshot: { path: a.gif }\n";
    let faults = pipe::parse(text).check(&pipe::env(&[])).map(|_| ()).unwrap_err();
    let places: HashMap<u32, &str> = faults.list.iter().map(|f| (f.place.line, f.message.as_str())).collect();
    assert!(places[&3].starts_with("`nms` needs detections") && places[&5].contains(".jpg or .png"), "{places:?}");
    assert_eq!(ocelli::Error::from(faults).exit_code(), 2);
}
