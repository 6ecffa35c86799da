//! Tests what docs/determinism.md promises: every bundled pipeline writes the same bytes to each of its files, whatever
//! the number of threads and however its lines are delayed.
#![cfg(feature = "h264")]
#![allow(clippy::unwrap_used)]

#[path = "support/limit.rs"]
mod limit;
mod support;

use ocelli::internals::pipeline::{Options, Origin, Pipeline, Playback};
use ocelli::internals::stage::Outputs;
use ocelli::internals::types::Products;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use support::pipe;

/// Enough for queues to fill up and run dry many times.
const FRAMES: u64 = 40;

fn files(folder: &Path, found: &mut BTreeMap<PathBuf, String>, root: &Path) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found, root);
        } else {
            let hash = Sha256::digest(std::fs::read(&path).unwrap());
            found.insert(path.strip_prefix(root).unwrap().to_path_buf(), format!("{hash:x?}"));
        }
    }
}

/// Plays a pipeline and returns the hash of every file it wrote.
fn play(path: &Path, from: Option<&str>, threads: usize, shake: Option<u64>) -> BTreeMap<PathBuf, String> {
    let out = tempfile::tempdir().unwrap();
    let base_dir = path.parent().unwrap().to_path_buf();
    let mut env = pipe::env(&[]);
    env.base_dir = base_dir;
    env.outputs = Outputs::Folder(out.path().to_path_buf());
    let mut pipeline = Pipeline::read(path).unwrap_or_else(|e| panic!("{e}"));
    let from = from.map(|path| Origin { source: None, path: path.into(), recorded: None });
    let playback = Playback {
        from: from.into_iter().collect(),
        threads: Some(threads),
        frames: Some(FRAMES),
        ..Playback::default()
    };
    let (options, _) = playback.apply(&mut pipeline, &mut env).unwrap();
    let checked = pipeline.check(&env).unwrap_or_else(|e| panic!("{e}"));
    let finds = Products::all().difference(Products::TRUTH | Products::INPUT);
    let answers = checked.graph().nodes.iter().any(|node| node.carries.intersects(finds));
    let run = checked.start_with(&Options { shake, ..options }).unwrap();
    run.wait().result.unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut found = BTreeMap::new();
    files(out.path(), &mut found, out.path());
    assert!(!found.is_empty() && (answers || path.ends_with("make-clip.yaml")), "{}: wrote nothing", path.display());
    found
}

#[test]
fn every_bundled_pipeline_gives_the_same_bytes_at_any_timing() {
    let _limit = limit::within(300);
    let entries = std::fs::read_dir("pipelines").unwrap().map(|entry| entry.unwrap().path());
    let mut all: Vec<(PathBuf, Option<&str>)> =
        entries.filter(|path| path.extension().is_some_and(|e| e == "yaml")).map(|path| (path, None)).collect();
    all.push(("pipelines/live/street.yaml".into(), Some("examples/flight")));
    all.sort();
    assert!(all.len() >= 8);
    for (path, from) in all {
        let first = play(&path, from, 1, None);
        for round in 1..=5 {
            let threads = 1 + round % 2;
            let again = play(&path, from, threads, Some(round as u64));
            let other: Vec<_> = first.iter().filter(|(name, hash)| again.get(*name) != Some(*hash)).collect();
            assert!(
                other.is_empty() && first.len() == again.len(),
                "{}: round {round}, {threads} threads: {other:?} differ",
                path.display()
            );
        }
        eprintln!("{}: {} files, identical in all 6 runs", path.display(), first.len());
    }
}
