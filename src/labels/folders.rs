//! A folder of pictures for each class, as torchvision's `ImageFolder` reads it, with the parts of the set around them.

use super::dataset::is_split;
use super::keys::is_picture_ending;
use super::names::Names;
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
            "{}: {} are splits, not classes, and contain no class folders; expected {}/CLASS/PICTURE",
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

/// Gives folders that are numbers their names, if a list of names lies near them and has all of them.
///
/// # Errors
/// As [`Names::near`].
pub fn name_numbers(root: &Path, labels: &mut Labels) -> Result<()> {
    let classes: BTreeSet<Arc<str>> = labels.pictures.iter().filter_map(|picture| picture.class.clone()).collect();
    let numbers: Option<BTreeMap<Arc<str>, u32>> =
        classes.into_iter().map(|class| class.parse().ok().map(|number| (class, number))).collect();
    let Some(numbers) = numbers.filter(|numbers| labels.truth.names.is_none() && !numbers.is_empty()) else {
        return Ok(());
    };
    let Some(names) = Names::near(root, numbers.values().max().copied(), &mut labels.notes)? else { return Ok(()) };
    if numbers.values().any(|number| !names.by_number.contains_key(number)) {
        labels.notes.say(format!("{} has no name for some of the folders, and is not used", names.from));
        return Ok(());
    }
    for picture in &mut labels.pictures {
        let name = picture.class.as_ref().and_then(|class| names.by_number.get(&numbers[class]));
        picture.class = name.cloned();
    }
    labels.named_by = names.from;
    Ok(())
}
