//! Finds out which file of a crate imports which, from the syntax trees.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use syn::visit::Visit;
use syn::{Attribute, Item, ItemMod, ItemUse, UseTree, Visibility};

/// Files and the files they import, each named by its module, such as `media::mp4`.
pub type Imports = BTreeMap<String, BTreeSet<String>>;

/// The files of a crate.
pub struct Sources {
    files: BTreeMap<Vec<String>, File>,
}

#[derive(Default)]
struct File {
    /// Every path that is named, as written, except that `self` and `super` are resolved.
    paths: Vec<Vec<String>>,
    /// What is re-exported: the name, and where it comes from. A star stands for all names.
    exports: Vec<(String, Vec<String>)>,
}

/// `media/mp4.rs` is `media::mp4`, and `media/mod.rs` is `media`.
fn module(path: &Path) -> Vec<String> {
    let mut parts: Vec<String> =
        path.with_extension("").components().map(|c| c.as_os_str().to_string_lossy().into_owned()).collect();
    if parts.last().is_some_and(|last| last == "mod") {
        parts.pop();
    }
    parts
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.meta.require_list().is_ok_and(|list| list.tokens.to_string() == "test")
    })
}

struct Reader<'a> {
    /// The module that is being read, including inline modules.
    at: Vec<String>,
    modules: &'a BTreeSet<Vec<String>>,
    file: File,
}

impl Reader<'_> {
    /// Returns the path from the crate's root, or `None` if it does not lead to one of our modules.
    fn whole(&self, path: &[String]) -> Option<Vec<String>> {
        let (first, rest) = path.split_first()?;
        let mut at = match first.as_str() {
            "crate" => Vec::new(),
            "self" => self.at.clone(),
            "super" => self.at[..self.at.len().checked_sub(1)?].to_vec(),
            name => {
                // A module below this one, or none of ours.
                let inside = [&self.at[..], &[name.to_owned()]].concat();
                self.modules.contains(&inside).then_some(inside)?
            }
        };
        for part in rest {
            if part == "super" {
                at.pop()?;
            } else {
                at.push(part.clone());
            }
        }
        Some(at)
    }

    fn named(&mut self, path: &[String]) {
        if let Some(whole) = self.whole(path) {
            self.file.paths.push(whole);
        }
    }

    /// Finds paths in the input of a macro: names with `::` between them.
    fn tokens(&mut self, tokens: &proc_macro2::TokenStream) {
        use proc_macro2::TokenTree;
        let (mut path, mut colons) = (Vec::<String>::new(), 0);
        for token in tokens.clone() {
            match token {
                TokenTree::Ident(name) if colons == 2 || path.is_empty() => path.push(name.to_string()),
                TokenTree::Punct(mark) if mark.as_char() == ':' && !path.is_empty() => {
                    colons += 1;
                    continue;
                }
                other => {
                    self.named(&std::mem::take(&mut path));
                    match other {
                        TokenTree::Ident(name) => path.push(name.to_string()),
                        TokenTree::Group(group) => self.tokens(&group.stream()),
                        _ => {}
                    }
                }
            }
            colons = 0;
        }
        self.named(&path);
    }

    fn used(&mut self, tree: &UseTree, before: &[String], public: bool) {
        let with = |name: &syn::Ident| [before, &[name.to_string()]].concat();
        let (path, name) = match tree {
            UseTree::Path(path) => return self.used(&path.tree, &with(&path.ident), public),
            UseTree::Group(group) => return group.items.iter().for_each(|tree| self.used(tree, before, public)),
            UseTree::Name(name) if name.ident == "self" => {
                (before.to_vec(), before.last().cloned().unwrap_or_default())
            }
            UseTree::Name(name) => (with(&name.ident), name.ident.to_string()),
            UseTree::Rename(name) => (with(&name.ident), name.rename.to_string()),
            UseTree::Glob(_) => (before.to_vec(), "*".to_owned()),
        };
        let Some(whole) = self.whole(&path) else { return };
        let own = whole.len() > self.at.len() && whole.starts_with(&self.at);
        if public {
            self.file.exports.push((name, whole.clone()));
        }
        // A `mod.rs` that re-exports what is in its folder does not depend on it.
        if !(public && own) {
            self.file.paths.push(whole);
        }
    }
}

impl<'a> Visit<'a> for Reader<'_> {
    fn visit_item(&mut self, item: &'a Item) {
        let attributes = match item {
            Item::Mod(module) => &module.attrs,
            Item::Fn(function) => &function.attrs,
            Item::Use(used) => &used.attrs,
            _ => return syn::visit::visit_item(self, item),
        };
        if !is_test(attributes) {
            syn::visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, module: &'a ItemMod) {
        if module.content.is_some() {
            self.at.push(module.ident.to_string());
            syn::visit::visit_item_mod(self, module);
            self.at.pop();
        }
    }

    fn visit_item_use(&mut self, used: &'a ItemUse) {
        self.used(&used.tree, &[], !matches!(used.vis, Visibility::Inherited));
    }

    fn visit_path(&mut self, path: &'a syn::Path) {
        let names: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.named(&names);
        syn::visit::visit_path(self, path);
    }

    /// The `super` of `pub(super)` is not an import.
    fn visit_visibility(&mut self, _: &'a Visibility) {}

    fn visit_macro(&mut self, called: &'a syn::Macro) {
        self.tokens(&called.tokens);
    }
}

impl Sources {
    /// Reads files, each given by its path below `src` and its text.
    pub fn read(texts: impl IntoIterator<Item = (PathBuf, String)>) -> Self {
        let texts: Vec<(Vec<String>, PathBuf, String)> =
            texts.into_iter().map(|(path, text)| (module(&path), path, text)).collect();
        let modules: BTreeSet<Vec<String>> = texts.iter().map(|(module, ..)| module.clone()).collect();
        let read = |(at, path, text): (Vec<String>, PathBuf, String)| {
            let tree = syn::parse_file(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            let mut reader = Reader { at: at.clone(), modules: &modules, file: File::default() };
            reader.visit_file(&tree);
            (at, reader.file)
        };
        Self { files: texts.into_iter().map(read).collect() }
    }

    /// Returns the file that a path leads to, through re-exports.
    fn target(&self, path: &[String], depth: usize) -> Option<&Vec<String>> {
        let length = (0..=path.len()).rev().find(|length| self.files.contains_key(&path[..*length]))?;
        let (module, file) = self.files.get_key_value(&path[..length])?;
        let Some(name) = path.get(length).filter(|_| depth < 8) else { return Some(module) };
        let exported = file.exports.iter().find(|(export, _)| export == name);
        match exported {
            Some((_, from)) => self.target(&[&from[..], &path[length + 1..]].concat(), depth + 1),
            None => Some(module),
        }
    }

    /// Returns what each file imports.
    pub fn imports(&self) -> Imports {
        let targets = |(at, file): (&Vec<String>, &File)| {
            let others = file.paths.iter().filter_map(|path| self.target(path, 0)).filter(|other| *other != at);
            (at.join("::"), others.map(|other| other.join("::")).collect())
        };
        self.files.iter().map(targets).collect()
    }
}

/// Returns the shortest cycle through each file that is part of one; each cycle appears once.
pub fn circles(imports: &Imports) -> Vec<Vec<String>> {
    let mut found: Vec<Vec<String>> = Vec::new();
    for start in imports.keys() {
        // Breadth-first search that keeps the path to each file.
        let (mut ways, mut seen) = (vec![vec![start.clone()]], BTreeSet::new());
        let circle = loop {
            let mut next = Vec::new();
            let mut closed = None;
            for way in &ways {
                for other in imports.get(&way[way.len() - 1]).into_iter().flatten() {
                    if other == start {
                        closed = Some([&way[..], std::slice::from_ref(other)].concat());
                    } else if seen.insert(other.clone()) {
                        next.push([&way[..], std::slice::from_ref(other)].concat());
                    }
                }
                if closed.is_some() {
                    break;
                }
            }
            if closed.is_some() || next.is_empty() {
                break closed;
            }
            ways = next;
        };
        let members = |circle: &Vec<String>| circle.iter().cloned().collect::<BTreeSet<_>>();
        if let Some(circle) = circle.filter(|circle| !found.iter().any(|known| members(known) == members(circle))) {
            found.push(circle);
        }
    }
    found
}
