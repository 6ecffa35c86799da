//! The floors of the house: a lower one never imports an upper one. No file is over 600 lines.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

/// Module, its floor, and whether modules of the same floor may import each other.
const FLOORS: [(&str, u32); 19] = [
    ("error", 0),
    ("types", 0),
    ("ops", 1),
    ("onnx", 1),
    ("yaml", 1),
    ("host", 2),
    ("media", 2),
    ("infer", 2),
    ("stage", 3),
    ("models", 3),
    ("sources", 4),
    ("stages", 4),
    ("sinks", 4),
    ("pipeline", 5),
    ("eval", 6),
    ("train", 6),
    ("cli", 7),
    ("main", 8),
    ("lib", 8),
];

fn floor(module: &str) -> u32 {
    FLOORS
        .iter()
        .find(|(name, _)| *name == module)
        .unwrap_or_else(|| panic!("module {module} stands on no floor: add it to FLOORS"))
        .1
}

fn files(folder: &Path, all: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, all);
        } else if path.extension().is_some_and(|e| e == "rs") {
            all.push(path);
        }
    }
}

/// The modules that a file names after `crate::`.
fn imports(text: &str) -> Vec<String> {
    let name = |rest: &str| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    text.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| line.split("crate::").skip(1).map(name).collect::<Vec<_>>())
        // Macros live at the crate's root.
        .filter(|module| module != "registry" && !module.is_empty())
        .collect()
}

#[test]
fn no_floor_imports_a_floor_above() {
    let mut all = Vec::new();
    files(Path::new("src"), &mut all);
    let mut wrong = Vec::new();
    for path in &all {
        let inside = path.strip_prefix("src").unwrap();
        let first = inside.components().next().unwrap().as_os_str().to_string_lossy();
        let module = first.trim_end_matches(".rs").to_owned();
        let own = floor(&module);
        let text = std::fs::read_to_string(path).unwrap();
        for other in imports(&text) {
            let theirs = floor(&other);
            let sideways = theirs == own && other != module && own > 1;
            if theirs > own || sideways {
                wrong.push(format!("{} imports {other}: floor {own} may not import floor {theirs}", inside.display()));
            }
        }
    }
    assert!(all.len() > 30, "the files were not found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_file_is_over_600_lines() {
    let mut all = Vec::new();
    ["src", "tests"].iter().for_each(|folder| files(Path::new(folder), &mut all));
    for path in all {
        let lines = std::fs::read_to_string(&path).unwrap().lines().count();
        assert!(lines <= 600, "{} has {lines} lines", path.display());
    }
}

#[test]
fn the_words_we_do_not_use_for_files() {
    let mut all = Vec::new();
    files(Path::new("src"), &mut all);
    for path in all {
        let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
        assert!(
            !["utils", "util", "helpers", "common", "manager", "base", "misc"].contains(&stem.as_str()),
            "{}",
            path.display()
        );
    }
}
