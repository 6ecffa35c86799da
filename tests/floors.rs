//! The floors (layers) of the code: a lower floor never imports an upper one, and files do not import each other in
//! cycles. No file is over 600 lines. Imports are read from the syntax trees, so that none is missed, however it is
//! written.
#![allow(clippy::unwrap_used)]

#[path = "support/imports.rs"]
mod imports;
#[path = "support/limit.rs"]
mod limit;

use imports::{Sources, circles};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Modules and their floors. Modules of floors 2 to 4 do not import each other; those of the others may, but never in a
/// cycle.
const FLOORS: [(&str, u32); 20] = [
    ("error", 0),
    ("types", 0),
    ("host", 1),
    ("ops", 1),
    ("kernels", 1),
    ("onnx", 1),
    ("yaml", 1),
    ("media", 2),
    ("infer", 2),
    ("stage", 3),
    ("models", 3),
    ("labels", 3),
    ("sources", 4),
    ("stages", 4),
    ("sinks", 4),
    ("pipeline", 5),
    ("eval", 6),
    ("trial", 6),
    ("train", 6),
    ("cli", 7),
];

fn floor(module: &str) -> u32 {
    let found = FLOORS.iter().find(|(name, _)| *name == module);
    found.unwrap_or_else(|| panic!("module {module} has no floor: add it to FLOORS")).1
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

/// Reads all files below `src` except the two at its root, which only declare the others.
fn house() -> Sources {
    let mut all = Vec::new();
    files(Path::new("src"), &mut all);
    assert!(all.len() > 30, "the files were not found");
    all.retain(|path| !path.ends_with("src/lib.rs") && !path.ends_with("src/main.rs"));
    let text =
        |path: &PathBuf| (path.strip_prefix("src").unwrap().to_path_buf(), std::fs::read_to_string(path).unwrap());
    Sources::read(all.iter().map(text))
}

#[test]
fn no_floor_imports_a_floor_above() {
    let _limit = limit::within(120);
    let house = house();
    let mut wrong = BTreeSet::new();
    for (file, imports) in house.imports() {
        let module = |file: &str| file.split("::").next().unwrap().to_owned();
        let (own, at) = (module(&file), floor(&module(&file)));
        for other in imports {
            let theirs = floor(&module(&other));
            let sideways = theirs == at && module(&other) != own && (2..=4).contains(&at);
            if theirs > at || sideways {
                wrong.insert(format!("{file} imports {other}: floor {at} may not import floor {theirs}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.into_iter().collect::<Vec<_>>().join("\n"));
}

#[test]
fn no_file_imports_itself_by_way_of_others() {
    let _limit = limit::within(120);
    let found = circles(&house().imports());
    let words: Vec<String> = found.iter().map(|circle| circle.join(" → ")).collect();
    assert!(words.is_empty(), "{} import cycles:\n{}", words.len(), words.join("\n"));
}

#[test]
fn every_floor_is_lived_on() {
    let _limit = limit::within(120);
    let house = house();
    let modules: BTreeSet<String> =
        house.imports().keys().map(|file| file.split("::").next().unwrap().to_owned()).collect();
    let unused: Vec<&str> = FLOORS.iter().map(|(name, _)| *name).filter(|name| !modules.contains(*name)).collect();
    assert!(unused.is_empty(), "FLOORS names modules that do not exist: {unused:?}");
}

/// The import reader sees all kinds of imports; each one that it missed would be a hole in the tests above.
#[test]
fn imports_are_seen_however_they_are_written() {
    let _limit = limit::within(120);
    let text = |name: &str, text: &str| (PathBuf::from(name), text.to_owned());
    let house = Sources::read([
        text("low/mod.rs", "mod inner; pub use inner::Thing; pub fn own() {}"),
        text("low/inner.rs", "pub struct Thing; #[cfg(test)] mod tests { use crate::high::Nothing; }"),
        text("high.rs", "pub struct Roof;"),
        text("a.rs", "use crate::{error::Error, low::{self, Thing}}; mod nested { use super::super::high::Roof; }"),
        text("b.rs", "fn f() -> crate::low::Thing { let _ = crate::high::Roof; }"),
        text("c.rs", "fn f() { println!(\"{}\", crate::high::Roof); }"),
        text("d/mod.rs", "mod e; table! { e => e::Part }"),
        text("d/e.rs", "use super::f::X; pub struct Part;"),
        text("d/f.rs", "pub struct X; impl X { fn y(&self, _: super::e::Part) {} }"),
        text("error.rs", "pub struct Error;"),
    ]);
    let imports = house.imports();
    let of = |file: &str| imports[file].iter().map(String::as_str).collect::<Vec<_>>();
    assert_eq!(of("a"), ["error", "high", "low", "low::inner"]);
    assert_eq!((of("b"), of("c")), (vec!["high", "low::inner"], vec!["high"]));
    assert_eq!((of("low"), of("low::inner")), (vec![], vec![]), "re-exports of own items and tests do not count");
    assert_eq!((of("d"), of("d::e"), of("d::f")), (vec!["d::e"], vec!["d::f"], vec!["d::e"]));
    assert_eq!(circles(&imports), [["d::e", "d::f", "d::e"]]);
    let none: BTreeMap<String, BTreeSet<String>> = [("x".to_owned(), BTreeSet::new())].into();
    assert!(circles(&none).is_empty());
}

/// Each test sets a time limit; inline tests only need one if they loop, wait or use threads.
#[test]
fn no_test_can_hang() {
    let _limit = limit::within(120);
    use quote::ToTokens as _;
    let mut all = Vec::new();
    ["src", "tests"].iter().for_each(|folder| files(Path::new(folder), &mut all));
    let (mut count, mut wrong) = (0, Vec::new());
    for path in &all {
        let inline = path.starts_with("src");
        let tree = syn::parse_file(&std::fs::read_to_string(path).unwrap()).unwrap();
        let inner = tree.items.iter().filter_map(|item| match item {
            syn::Item::Mod(module) => module.content.as_ref().map(|(_, items)| items.as_slice()),
            _ => None,
        });
        for item in std::iter::once(tree.items.as_slice()).chain(inner).flatten() {
            let syn::Item::Fn(function) = item else { continue };
            if !function.attrs.iter().any(|attribute| attribute.path().is_ident("test")) {
                continue;
            }
            count += 1;
            let first = function.block.stmts.first().map(|statement| statement.to_token_stream().to_string());
            let guarded = first.is_some_and(|first| first.starts_with("let _limit = ") && first.contains("within"));
            let text = function.block.to_token_stream().to_string();
            let waits =
                ["loop {", "while ", "spawn", "recv", "thread ::", "join ()"].iter().any(|word| text.contains(word));
            if !guarded && (waits || !inline) {
                wrong.push(format!("{}: {}", path.display(), function.sig.ident));
            }
        }
    }
    assert!(count > 200, "{count} tests were found");
    assert!(wrong.is_empty(), "begin these with `let _limit = limit::within(60);`:\n{}", wrong.join("\n"));
}

#[test]
fn no_file_is_over_600_lines() {
    let _limit = limit::within(120);
    let mut all = Vec::new();
    ["src", "tests", "benches", "examples", "fuzz"].iter().for_each(|folder| files(Path::new(folder), &mut all));
    for path in all.iter().filter(|path| !path.starts_with("fuzz/target")) {
        let lines = std::fs::read_to_string(path).unwrap().lines().count();
        assert!(lines <= 600, "{} has {lines} lines", path.display());
    }
}

#[test]
fn the_words_we_do_not_use_for_files() {
    let _limit = limit::within(120);
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
