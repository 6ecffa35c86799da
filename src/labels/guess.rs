//! Which format labels are in, and why it is taken for that.

use super::colors::Colors;
use super::dataset::{DataYaml, is_split};
use super::keys::{Key, is_picture_ending};
use super::masks::FOLDERS;
use super::notes::Notes;
use super::tree::{Entry, Tree};
use super::{Format, coco, masks, voc, yolo};
use crate::error::{Error, Result};
use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};

/// A guess.
#[derive(Clone, Debug)]
pub struct Guess {
    /// The format.
    pub format: Format,
    /// Why.
    pub why: String,
    /// The file that describes the set, if there is one.
    pub set: Option<PathBuf>,
}

/// How many files of a kind are looked into.
const SAMPLE: usize = 60;

/// How many JSON files are looked into: each part of a set has one.
const MOST_JSON: usize = 200;

/// What the files below a folder look like.
#[derive(Clone, Debug, Default)]
struct Votes {
    coco: usize,
    voc: usize,
    yolo: usize,
    masks: usize,
    pictures: usize,
    folders: BTreeSet<String>,
}

/// Looks at what is below a folder.
///
/// # Errors
/// [`Error::Data`] if there are no labels, or labels in two formats.
pub fn guess(root: &Path, tree: &Tree) -> Result<Guess> {
    let found = |format, why: String, set| Ok(Guess { format, why, set });
    let votes = votes(root, tree);
    let top = |entry: &&Entry| !entry.name.contains('/');
    let text = votes.yolo > 0;
    let set = tree.ending(&["yaml", "yml"]).filter(top).find(|e| DataYaml::is_one(&e.path));
    if let Some(yaml) = set.filter(|_| text || votes.voc + votes.coco + votes.masks == 0) {
        let why = format!("{} describes a set", yaml.name);
        return found(Format::Yolo, why, Some(yaml.path.clone()));
    }
    if let Some(data) = tree.ending(&["data"]).filter(top).find(|e| e.file() == "obj.data")
        && text
    {
        return found(Format::Yolo, "obj.data describes a set".into(), Some(data.path.clone()));
    }
    let mut counted = [
        (votes.coco, Format::Coco, "COCO .json files"),
        (votes.voc, Format::Voc, "VOC .xml files"),
        (votes.yolo, Format::Yolo, "YOLO .txt files"),
        (votes.masks, Format::Masks, ".png class maps"),
    ];
    // Stable: of equal numbers, the earlier one.
    counted.sort_by_key(|(count, ..)| std::cmp::Reverse(*count));
    let (most, format, what) = counted[0];
    let others: Vec<String> = counted[1..]
        .iter()
        .filter(|(count, ..)| *count > 0)
        .map(|(count, _, what)| format!("{count} {what}"))
        .collect();
    // One COCO file holds the labels of many pictures.
    if votes.coco > 0 && format != Format::Coco && most < 3 {
        return found(Format::Coco, format!("{} COCO .json files", votes.coco), None);
    }
    if votes.coco > 0 && format != Format::Coco && votes.voc + votes.yolo > 0 {
        return Err(Error::Data(format!(
            "{}: labels in two formats, {} COCO .json files and {most} {what}; say which with --format coco or --format {}",
            root.display(),
            votes.coco,
            format!("{format:?}").to_lowercase()
        )));
    }
    if votes.coco > 0 {
        return found(Format::Coco, format!("{} COCO .json files", votes.coco), None);
    }
    if most > 0 {
        if let Some((count, other, words)) = counted.get(1)
            && *count == most
            && (format, *other) == (Format::Voc, Format::Yolo)
        {
            return Err(Error::Data(format!(
                "{}: labels in two formats, {most} {what} and {count} {words}; say which with --format voc or --format yolo",
                root.display()
            )));
        }
        let beside = if others.is_empty() { String::new() } else { format!(", beside {}", others.join(" and ")) };
        return found(format, format!("{most} {what}{beside}"), None);
    }
    if !votes.folders.is_empty() && votes.pictures > 0 {
        let names: Vec<&str> = votes.folders.iter().take(3).map(String::as_str).collect();
        let more = if votes.folders.len() > 3 { ", …" } else { "" };
        return found(
            Format::Folders,
            format!("pictures in folders ({}{more}) and no label files", names.join(", ")),
            None,
        );
    }
    Err(Error::Data(format!(
        "{}: no labels in it{}; expected a COCO .json file, or a folder of VOC .xml, YOLO .txt, .png class maps, or one folder per class",
        root.display(),
        foreign(tree)
    )))
}

/// Looks at the files, at some of each kind.
fn votes(root: &Path, tree: &Tree) -> Votes {
    let mut votes = Votes::default();
    let share = |entries: &[&Entry], is_one: &dyn Fn(&Entry) -> bool| {
        let step = entries.len().div_ceil(SAMPLE).max(1);
        let looked: Vec<bool> = entries.iter().step_by(step).map(|entry| is_one(entry)).collect();
        let good = looked.iter().filter(|good| **good).count();
        if looked.is_empty() { 0 } else { (good * entries.len()).div_ceil(looked.len()) }
    };
    let words = |entry: &Entry, most: usize| {
        let head = entry.head(most);
        if head.starts_with(&[0xFF, 0xFE]) || head.starts_with(&[0xFE, 0xFF]) {
            return encoding_rs::Encoding::for_bom(&head)
                .map_or(String::new(), |(e, _)| e.decode(&head).0.into_owned());
        }
        String::from_utf8_lossy(&head).into_owned()
    };
    let list = |ending: &'static str| tree.files.iter().filter(|e| e.ending == ending).collect::<Vec<&Entry>>();
    votes.coco = coco_files(tree).len();
    votes.voc = share(&list("xml"), &|e| voc::is_one(&words(e, 2000)));
    let texts: Vec<&Entry> = list("txt").into_iter().filter(|e| !is_list(e)).collect();
    votes.yolo = share(&texts, &|e| {
        let text = words(e, 400);
        !text.trim().is_empty() && yolo::is_one(&text)
    });
    if votes.yolo == 0 && !texts.is_empty() && texts.iter().all(|e| words(e, 4).trim().is_empty()) {
        // All of them say that there is nothing.
        votes.yolo = texts.len();
    }
    let pictures: Vec<&Entry> = tree.files.iter().filter(|e| is_picture_ending(&e.ending)).collect();
    votes.pictures = pictures.len();
    let labelled: HashSet<String> = texts.iter().map(|e| Key::of_label_file(&e.name).stem).collect();
    let own = std::path::absolute(root).unwrap_or_else(|_| root.into());
    let inside = |word: &str| FOLDERS.contains(&word.to_lowercase().as_str());
    // The folder that was given may itself be called `masks`, or lie in `gtFine`.
    let within = own.components().rev().take(3).any(|part| inside(&part.as_os_str().to_string_lossy()));
    let table = Colors::near(root, &mut Notes::default()).ok().flatten().is_some();
    let class_map = |e: &Entry| {
        let outer: Vec<&str> = e.folders().filter(|f| !is_split(f)).collect();
        let named = within || e.folders().any(inside) || e.name.to_lowercase().ends_with("_mask.png");
        // Grey pictures in folders of classes, or beside their text files, are pictures.
        let alone = outer.is_empty() && !labelled.contains(&Key::of(&e.name).stem);
        let head = e.head(26);
        (named || alone) && (masks::may_be_one(&head) || (named || table) && head.starts_with(b"\x89PNG"))
    };
    votes.masks = share(&list("png"), &class_map);
    votes.folders = pictures.iter().filter_map(|e| e.folders().next()).map(str::to_owned).collect();
    votes
}

/// The COCO files below a folder.
pub fn coco_files(tree: &Tree) -> Vec<&Entry> {
    let labels = |entry: &&Entry| {
        let head = entry.head(1 << 16);
        let utf16 = head.starts_with(&[0xFF, 0xFE]) || head.starts_with(&[0xFE, 0xFF]);
        let text: String = String::from_utf8_lossy(&head).chars().filter(|c| !utf16 || *c != '\0').collect();
        entry.file() != "notes.json"
            && coco::is_one(&text)
            && (text.contains("\"images\"") || text.contains("\"annotations\""))
    };
    // A folder of thousands of JSON files is not COCO's; the first ones show it.
    tree.ending(&["json"]).take(MOST_JSON).filter(labels).collect()
}

/// Whether a text file is one of those that lie beside labels: lists of names and of pictures.
pub fn is_list(entry: &Entry) -> bool {
    let name = entry.file().to_lowercase();
    let stem = name.strip_suffix(".txt").unwrap_or(&name);
    matches!(stem, "classes" | "labels" | "predefined_classes" | "labelmap" | "label_colors" | "readme" | "license")
        || stem.starts_with("readme")
        || is_split(stem)
}

/// What other tools' files are there.
fn foreign(tree: &Tree) -> String {
    let known =
        |word: &str| tree.ending(&["json", "xml"]).find(|e| String::from_utf8_lossy(&e.head(1 << 14)).contains(word));
    let tools = [
        ("\"shapes\"", "labelme"),
        ("\"regions\"", "VIA"),
        ("<annotations", "CVAT for images"),
        ("\"completed_by\"", "Label Studio"),
    ];
    let found = tools.iter().find_map(|(word, tool)| known(word).map(|entry| (entry, tool)));
    if let Some((entry, tool)) = found {
        return format!(" ({} is in {tool}'s own format: export COCO, VOC or YOLO from it)", entry.name);
    }
    match tree.ending(&["png"]).next() {
        Some(_) => ", only pictures (if the .png files are coloured class maps, put labelmap.txt beside them, with lines such as `person:128,0,0::`, or write class numbers as grey levels)".into(),
        None if tree.ending(&["jpg", "jpeg", "bmp", "tif", "tiff"]).next().is_some() => {
            ", only pictures (a class map is a .png: JPEG changes its values, and BMP and TIFF are not read)".into()
        }
        None => String::new(),
    }
}
