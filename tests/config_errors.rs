//! Faulty pipelines, cards and test files, and their exact error messages: each `.yaml` of `tests/bad`, `tests/bad_cards`
//! and `tests/bad_tests` must give the `.txt` next to it.
//! `OCELLI_BLESS=1` rewrites the messages; read them before committing.
#![allow(clippy::unwrap_used)]

#[path = "support/limit.rs"]
mod limit;
mod support;

use ocelli::internals::error::{Error, Result};
use ocelli::internals::infer::Card;
use ocelli::internals::models::reconstruction::Reconstructor;
use ocelli::internals::models::segmentation::Segmenter;
use ocelli::internals::models::{self, Family};
use ocelli::internals::pipeline::Pipeline;
use ocelli::internals::trial::TestFile;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use support::pipe;

fn read_pipeline(path: &Path) -> Result<()> {
    Pipeline::read(path).and_then(|pipeline| Ok(pipeline.check(&pipe::env(&[])).map(|_| ())?))
}

fn read_test(path: &Path) -> Result<()> {
    TestFile::read(path).map(|_| ())
}

/// Reads a card as far as it can be read without its weights.
fn read_card(path: &Path) -> Result<()> {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("m");
    std::fs::create_dir(&home).unwrap();
    std::fs::copy(path, home.join("card.yaml")).unwrap();
    let read = || {
        let card = Card::read(&home)?;
        match models::family(&card)? {
            Family::Classifier(_) => Ok(()),
            Family::Segmentation(spec) => Segmenter::new(spec, &card).map(|_| ()),
            Family::Reconstruction(spec) => Reconstructor::new(spec, &card).map(|_| ()),
            _ => models::detector(&card).map(|_| ()),
        }
    };
    read().map_err(|e| Error::Model(e.to_string().replace(&home.display().to_string(), "m")))
}

fn message(path: &Path, read: fn(&Path) -> Result<()>, code: u8) -> String {
    match read(path) {
        Ok(()) => panic!("{}: no fault was found", path.display()),
        Err(error) => {
            assert_eq!(error.exit_code(), code, "{}: {error}", path.display());
            format!("{error}\n").replace(env!("CARGO_MANIFEST_DIR"), ".")
        }
    }
}

fn complaint(path: &Path) -> String {
    message(path, read_pipeline, 2)
}

#[test]
fn every_bad_file_gets_its_message() {
    let _limit = limit::within(120);
    compare("tests/bad", 90, complaint);
    compare("tests/bad_cards", 50, |path| message(path, read_card, 3));
    compare("tests/bad_tests", 35, |path| message(path, read_test, 2));
}

fn compare(folder: &str, least: usize, complaint: impl Fn(&Path) -> String) {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut files: Vec<PathBuf> =
        entries.map(|e| e.unwrap().path()).filter(|p| p.extension().is_some_and(|e| e == "yaml")).collect();
    files.sort();
    assert!(files.len() >= least, "{folder}: {}", files.len());
    let mut wrong = Vec::new();
    for file in files {
        let found = complaint(&file);
        let text = file.with_extension("txt");
        if std::env::var_os("OCELLI_BLESS").is_some() {
            std::fs::write(&text, &found).unwrap();
        }
        let expect = std::fs::read_to_string(&text).unwrap_or_default();
        if found != expect {
            wrong.push(format!("--- {}: expected\n{expect}+++ found\n{found}", file.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Writes a hostile file and returns the message that refuses it. The message must be short and come within a second.
fn refuse(name: &str, content: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, content).unwrap();
    let start = Instant::now();
    let message = complaint(&path);
    assert!(start.elapsed() < Duration::from_secs(1), "{name} took {:?}", start.elapsed());
    assert!(message.len() < 2000, "{name}: the message itself is {} bytes long", message.len());
    message.replace(&folder.path().display().to_string(), "")
}

#[test]
fn hostile_files_are_refused_at_once() {
    let _limit = limit::within(120);
    let nested = "pipeline: ".to_owned() + &"[".repeat(10_000);
    assert!(refuse("nested.yaml", nested.as_bytes()).contains("not valid YAML"));
    let indented: String = (0..10_000).map(|depth| " ".repeat(depth.min(90)) + "- \n").collect();
    refuse("dashes.yaml", format!("pipeline:\n{indented}").as_bytes());
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let inner = vec![format!("*a{}", level - 1); 9].join(", ");
        bomb += &format!("a{level}: &a{level} [{inner}]\n");
    }
    assert!(refuse("bomb.yaml", (bomb + "pipeline: *a11\n").as_bytes()).contains("not valid YAML"));
    let large = "# filler\n".repeat(1_200_000);
    assert!(refuse("large.yaml", large.as_bytes()).contains("at most 1048576"));
    assert!(refuse("latin1.yaml", b"pipeline:\n - video: { path: caf\xe9.mp4 }\n").contains("is not UTF-8"));
    refuse("zeros.yaml", &[0; 4096]);
    let many = "pipeline:\n".to_owned() + &"- jsonl\n".repeat(40_000);
    refuse("many.yaml", many.as_bytes());
}

/// The value of a `${…}` is never shown, whatever is wrong with it.
#[test]
fn a_password_never_appears_in_a_message() {
    let _limit = limit::within(120);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("secret.txt"), "hunter2\n").unwrap();
    for line in [
        "scene: { size: '${file:secret.txt}' }",
        "scene: { setting: '${file:secret.txt}' }",
        "scene: { seed: '${file:secret.txt}' }",
        "scene: { start: '${file:secret.txt}' }",
        "scene: {}\n    every: '${file:secret.txt}'",
        "'${file:secret.txt}'",
        "scene: {}\n  - record: { path: '${file:secret.txt}' }",
        "scene: {}\n  - resize: { for: '${file:secret.txt}' }",
        "video: { path: '${file:secret.txt}' }",
        "images: { path: '${file:secret.txt}' }",
        "{ scene: {}, id: '${file:secret.txt} x' }",
        "scene: {}\n  - { from: '${file:secret.txt}', nms: {} }",
        "scene: {}\n  - { from: ['${file:secret.txt}'], nms: {} }",
    ] {
        let path = folder.path().join("p.yaml");
        std::fs::write(&path, format!("pipeline:\n  - {line}\n  - jsonl\n")).unwrap();
        let message = complaint(&path);
        assert!(!message.contains("hunter2"), "{line}: {message}");
    }
}
