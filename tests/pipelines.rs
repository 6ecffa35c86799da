//! Every pipeline that we ship is valid, every part is used in one of them, and the documents match the code.
// The shipped pipelines use every part.
#![cfg(all(feature = "camera", feature = "h264", feature = "http", feature = "rtsp"))]
#![allow(clippy::unwrap_used)]

#[path = "support/limit.rs"]
mod limit;
mod support;

use ocelli::internals::infer::zoo::Zoo;
use ocelli::internals::pipeline::{Checked, Parts, Pipeline};
use ocelli::internals::yaml::Document;
use std::path::{Path, PathBuf};
use support::pipe;

fn shipped() -> Vec<PathBuf> {
    let entries = ["pipelines", "pipelines/live", "pipelines/zoo"]
        .into_iter()
        .flat_map(|folder| std::fs::read_dir(folder).unwrap());
    let mut files: Vec<PathBuf> =
        entries.map(|e| e.unwrap().path()).filter(|p| p.extension().is_some_and(|e| e == "yaml")).collect();
    files.sort();
    files
}

/// The cards of the zoo, as `ocelli models pull` installs them; a check needs no weights.
fn zoo() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for (name, entry) in Zoo::built_in().unwrap().entries {
        let home = root.path().join(name);
        std::fs::create_dir(&home).unwrap();
        std::fs::write(home.join("card.yaml"), entry.card.replace("SHA256", &"a".repeat(64))).unwrap();
        std::fs::write(home.join("labels.txt"), "one\ntwo\n").unwrap();
    }
    root
}

fn check(path: &Path) -> Checked {
    // Every environment variable has a value here.
    let text = std::fs::read_to_string(path).unwrap();
    let given = |_: &str| Ok("given".to_owned());
    let document = Document::parse(&path.display().to_string(), text, given).unwrap_or_else(|e| panic!("{e}"));
    let pipeline = Pipeline::of(document, &Parts::builtin()).unwrap_or_else(|e| panic!("{e}"));
    let zoo = zoo();
    let models = pipe::env(&[zoo.path().to_path_buf()]);
    let mut env = models;
    env.base_dir = path.parent().unwrap().to_path_buf();
    pipeline.check(&env).unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn every_pipeline_is_sound_and_says_what_it_does() {
    let _limit = limit::within(120);
    for path in shipped() {
        let checked = check(&path);
        assert!(checked.document().text.starts_with("# "), "{}: say what and where in the first line", path.display());
        assert!(!checked.lines().is_empty() && checked.notes().is_empty(), "{}: {:?}", path.display(), checked.notes());
    }
}

#[test]
fn every_pipeline_is_in_the_gallery_and_every_picture_is_there() {
    let _limit = limit::within(120);
    let gallery = std::fs::read_to_string("docs/pipelines.md").unwrap();
    for path in shipped() {
        assert!(gallery.contains(&format!("(../{})", path.display())), "docs/pipelines.md lacks {}", path.display());
    }
    for picture in gallery.split("](pictures/").skip(1).filter_map(|rest| rest.split(')').next()) {
        assert!(Path::new("docs/pictures").join(picture).is_file(), "docs/pictures/{picture} is missing");
    }
}

/// Cards of public models are read completely, and their families are valid.
#[test]
fn every_card_of_the_zoo_is_sound() {
    let _limit = limit::within(120);
    let zoo = zoo();
    let store = ocelli::internals::infer::ModelStore::new(&[zoo.path().to_path_buf()], Path::new("/"));
    let names = store.names();
    assert!(names.len() >= 10);
    for name in names {
        let card = store.card(&name).unwrap_or_else(|e| panic!("{e}"));
        ocelli::internals::models::family(&card).unwrap_or_else(|e| panic!("{e}"));
    }
}

#[test]
fn every_part_is_shown_in_a_pipeline() {
    let _limit = limit::within(120);
    let shown: Vec<&str> = shipped()
        .iter()
        .flat_map(|path| check(path).lines().iter().map(|line| line.word).collect::<Vec<_>>())
        .collect();
    let sources = ocelli::internals::sources::SOURCES.iter().map(|part| part.name);
    let stages = ocelli::internals::stages::STAGES.iter().map(|part| part.name);
    let sinks = ocelli::internals::sinks::SINKS.iter().map(|part| part.name);
    let missing: Vec<&str> = sources.chain(stages).chain(sinks).filter(|word| !shown.contains(word)).collect();
    assert!(missing.is_empty(), "no pipeline in pipelines/ uses {missing:?}");
}

#[test]
fn the_manual_is_what_the_code_says() {
    let _limit = limit::within(120);
    let manuals = [
        ("docs/yaml.md", "--reference", ocelli::internals::pipeline::reference()),
        ("docs/model-card.md", "card --reference", ocelli::internals::pipeline::card_reference()),
        #[cfg(feature = "train")]
        ("docs/recipe.md", "recipe --reference", ocelli::internals::train::manual::reference()),
    ];
    for (path, option, found) in manuals {
        if std::env::var_os("OCELLI_BLESS").is_some() {
            std::fs::write(path, &found).unwrap();
        }
        assert!(
            std::fs::read_to_string(path).unwrap_or_default() == found,
            "{path} is out of date: ocelli schema {option} > {path}"
        );
    }
}

/// The YAML blocks in our documents that are complete pipelines are read and checked.
#[test]
fn the_yaml_in_the_documents_is_sound() {
    let _limit = limit::within(120);
    let mut count = 0;
    for file in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"] {
        let text = std::fs::read_to_string(file).unwrap();
        for block in text.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()) {
            if !block.contains("pipeline:") {
                continue;
            }
            let document = Document::parse(file, block.to_owned(), |name| Err(format!("no {name}")))
                .unwrap_or_else(|e| panic!("{e}"));
            let pipeline = Pipeline::of(document, &Parts::builtin()).unwrap_or_else(|e| panic!("{e}"));
            pipeline.check(&pipe::env(&[])).unwrap_or_else(|e| panic!("{e}"));
            count += 1;
        }
    }
    assert!(count > 0, "no YAML was found");
}

/// The schema accepts what we ship and rejects what is wrong; editors rely on it.
#[test]
fn the_schema_names_every_part() {
    let _limit = limit::within(120);
    let schema = ocelli::internals::pipeline::schema().to_string();
    for part in ["video", "images", "scene", "resize", "detect", "nms", "annotate", "jsonl", "record", "snapshot"] {
        assert!(schema.contains(&format!("\"required\":[\"{part}\"]")), "{part}");
    }
}
