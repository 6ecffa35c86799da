//! A folder of pictures for each class, as torchvision's `ImageFolder` reads it, with the parts of the set around them.

use super::dataset::is_split;
use super::keys::is_picture_ending;
use super::tree::{Entry, Tree};
use super::{Format, Labels, Picture};
use crate::error::{Error, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

/// Reads the pictures' classes from the folders they lie in.
///
/// # Errors
/// [`Error::Data`] if there are no such folders, or if they are parts of a set.
pub fn read(root: &Path, tree: &Tree, labels: &mut Labels) -> Result<()> {
    labels.format = Format::Folders;
    let pictures: Vec<&Entry> =
        tree.files.iter().filter(|e| is_picture_ending(&e.ending) && e.folders().next().is_some()).collect();
    if pictures.is_empty() {
        let message = "no folders with pictures in it; expected one folder for each class";
        return Err(Error::Data(format!("{}: {message}", root.display())));
    }
    let outer: BTreeSet<&str> = pictures.iter().filter_map(|e| e.folders().next()).collect();
    // A class may be called `train`, but not all of them are parts of a set by chance.
    let splits = outer.iter().all(|name| is_split(name));
    let wrapped = !splits && outer.len() == 1 && outer.iter().all(|name| name.eq_ignore_ascii_case("images"));
    let skip = usize::from(splits || wrapped);
    let mut known: BTreeMap<&str, Arc<str>> = BTreeMap::new();
    let mut flat = Vec::new();
    for entry in pictures {
        let Some(class) = entry.folders().nth(skip) else {
            flat.push(entry);
            continue;
        };
        let class = Arc::clone(known.entry(class).or_insert_with(|| class.into()));
        let split = entry.folders().next().filter(|_| splits).map(Into::into);
        let (path, file) = (entry.name.clone(), entry.path.clone());
        labels.pictures.push(Picture { path, file, split, class: Some(class), ..Picture::default() });
    }
    if labels.pictures.is_empty() {
        let names: Vec<String> = outer.iter().map(|name| format!("`{name}`")).collect();
        return Err(Error::Data(format!(
            "{}: {} are parts of a set, not classes, and there are no folders of classes in them; expected {}/CLASS/PICTURE",
            root.display(),
            names.join(" and "),
            outer.first().copied().unwrap_or("train")
        )));
    }
    for entry in flat {
        labels.notes.add("pictures beside the folders of classes, left out", || entry.name.clone());
    }
    Ok(())
}
