//! The public API is one page: docs/api.md, written from `src/lib.rs` and the comments in the code. `OCELLI_BLESS=1`
//! rewrites it.
#![allow(clippy::unwrap_used)]

#[path = "support/limit.rs"]
mod limit;

use std::path::{Path, PathBuf};

/// The maximum number of public names: as many as fit on a page.
const MOST: usize = 60;

fn files(folder: &Path, all: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, all) } else { all.push(path) }
    }
}

/// Returns the names that `src/lib.rs` makes public, by module.
fn public() -> Vec<(String, String)> {
    let tree = syn::parse_file(&std::fs::read_to_string("src/lib.rs").unwrap()).unwrap();
    let mut names = Vec::new();
    for item in &tree.items {
        match item {
            syn::Item::Use(used) if matches!(used.vis, syn::Visibility::Public(_)) => {
                let syn::UseTree::Path(path) = &used.tree else { panic!("a whole module is public") };
                let mut add = |tree: &syn::UseTree| match tree {
                    syn::UseTree::Name(name) => names.push((path.ident.to_string(), name.ident.to_string())),
                    _ => panic!("src/lib.rs: write public names one by one"),
                };
                match &*path.tree {
                    syn::UseTree::Group(group) => group.items.iter().for_each(add),
                    tree => add(tree),
                }
            }
            syn::Item::Mod(module) if matches!(module.vis, syn::Visibility::Public(_)) => {
                assert_eq!(module.ident, "internals", "`internals`, which is hidden, must be the only public module");
            }
            _ => {}
        }
    }
    names.sort();
    names
}

/// Returns the first sentence of a type's comment.
fn about(name: &str, texts: &[String]) -> String {
    let heads = ["struct", "enum", "trait", "type"].map(|kind| format!("pub {kind} {name}"));
    let is_head = |line: &str| {
        let found = heads.iter().find_map(|head| line.trim_start().strip_prefix(head.as_str()));
        found.is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
    };
    let mut lines = texts.iter().map(|text| text.lines().collect::<Vec<_>>());
    let (lines, at) = lines.find_map(|l| l.iter().position(|line| is_head(line)).map(|at| (l, at))).unwrap();
    let above = lines[..at].iter().rev().map(|line| line.trim());
    let above = above.skip_while(|line| line.starts_with("#[")).take_while(|line| line.starts_with("///"));
    let mut words: Vec<&str> = above.map(|line| line.trim_start_matches("///").trim()).collect();
    words.reverse();
    let text = words.split(|line| line.is_empty()).next().unwrap_or_default().join(" ");
    let end = text.find(". ").map_or(text.len(), |end| end + 1);
    // Rustdoc links do not work here.
    text[..end].replace("[`", "`").replace("`]", "`")
}

#[test]
fn the_public_api_is_one_page() {
    let _limit = limit::within(120);
    let mut paths = Vec::new();
    files(Path::new("src"), &mut paths);
    paths.sort();
    let texts_of = |module: &str| -> Vec<String> {
        let own = paths.iter().filter(|path| {
            let inside = path.strip_prefix("src").unwrap().with_extension("");
            inside.components().next().is_some_and(|first| first.as_os_str() == module)
        });
        own.map(|path| std::fs::read_to_string(path).unwrap()).collect()
    };
    let names = public();
    assert!(names.len() <= MOST, "{} public names are more than fit on a page", names.len());
    let groups = [
        ("From text to threads", &["pipeline", "yaml", "error", "host"][..]),
        ("Parts of your own", &["stage"]),
        ("What flows", &["types"]),
    ];
    let mut page = format!(
        "# The public API\n\nWritten from `src/lib.rs` and the comments in the code; a test checks it. {} names; everything\n\
         else is internal and may change at any time. `cargo doc --open` has the details, [examples](../examples) three programs.\n",
        names.len()
    );
    let mut shown = 0;
    for (title, modules) in groups {
        page.push_str(&format!("\n## {title}\n\n| name | what it is |\n|---|---|\n"));
        for module in modules {
            for (_, name) in names.iter().filter(|(from, _)| from == module) {
                page.push_str(&format!("| `{name}` | {} |\n", about(name, &texts_of(module))));
                shown += 1;
            }
        }
    }
    assert_eq!(shown, names.len(), "some names are in a module that no group shows");
    if std::env::var_os("OCELLI_BLESS").is_some() {
        std::fs::write("docs/api.md", &page).unwrap();
    }
    let written = std::fs::read_to_string("docs/api.md").unwrap_or_default();
    assert!(written == page, "docs/api.md is out of date; OCELLI_BLESS=1 rewrites it");
}
