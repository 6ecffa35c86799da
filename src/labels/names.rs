//! Lists of class names, which give the numbers in labels their meaning.

use super::dataset::DataYaml;
use super::notes::Notes;
use super::text::{self, shown};
use super::truth::no_names;
use crate::error::{Error, Result};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Names by number, and where they come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// The names; not every number need have one.
    pub by_number: BTreeMap<u32, Arc<str>>,
    /// The file, or the name of the list.
    pub from: String,
}

/// How far above the labels a list of names is looked for: `data/labels/val` and `data/classes.txt`.
const LEVELS: usize = 4;

/// Files that are lists of names, by their own names.
const LISTS: [&str; 5] = ["classes.txt", "obj.names", "_darknet.labels", "predefined_classes.txt", "classes.names"];

/// The 80 classes of COCO in the order of YOLO's numbers, from 0.
const COCO: &str = "person,bicycle,car,motorcycle,airplane,bus,train,truck,boat,traffic light,fire hydrant,stop sign,\
parking meter,bench,bird,cat,dog,horse,sheep,cow,elephant,bear,zebra,giraffe,backpack,umbrella,handbag,tie,suitcase,\
frisbee,skis,snowboard,sports ball,kite,baseball bat,baseball glove,skateboard,surfboard,tennis racket,bottle,\
wine glass,cup,fork,knife,spoon,bowl,banana,apple,sandwich,orange,broccoli,carrot,hot dog,pizza,donut,cake,chair,couch,\
potted plant,bed,dining table,toilet,tv,laptop,mouse,remote,keyboard,cell phone,microwave,oven,toaster,sink,\
refrigerator,book,clock,vase,scissors,teddy bear,hair drier,toothbrush";

/// The numbers of the first list that the second one, of COCO's own ids from 1 to 90, leaves out.
const GAPS: [u32; 10] = [12, 26, 29, 30, 45, 66, 68, 69, 71, 83];

impl Names {
    /// Returns a list that comes with the program: `coco80` (YOLO's numbers, from 0) or `coco91` (COCO's own ids, from 1).
    #[must_use]
    pub fn known(word: &str) -> Option<Self> {
        let numbers: Vec<u32> = match word {
            "coco80" => (0..80).collect(),
            "coco91" => (1..=90).filter(|id| !GAPS.contains(id)).collect(),
            _ => return None,
        };
        let by_number = numbers.into_iter().zip(COCO.split(',').map(Arc::from)).collect();
        Some(Self { by_number, from: format!("the list `{word}`") })
    }

    /// Reads the list that the user names: a file, or one that comes with the program.
    ///
    /// # Errors
    /// [`Error::Config`] if there is none of this name, or as [`Self::read`].
    pub fn said(list: &str, highest: Option<u32>, notes: &mut Notes) -> Result<Self> {
        if let Some(known) = Self::known(list) {
            return Ok(known);
        }
        if Path::new(list).is_file() {
            return Self::read(Path::new(list), highest, notes);
        }
        Err(no_names(list))
    }

    /// Takes names in order, from 0.
    #[must_use]
    pub fn in_order<T: AsRef<str>>(names: &[T], from: String) -> Self {
        let named = names.iter().enumerate().filter(|(_, name)| !name.as_ref().is_empty());
        Self { by_number: named.map(|(at, name)| (at as u32, Arc::from(name.as_ref()))).collect(), from }
    }

    /// Reads a file of names: one in each line, or a YAML with `names`.
    ///
    /// # Errors
    /// [`Error::Data`] if there is none in it, [`Error::Io`].
    pub fn read(path: &Path, highest: Option<u32>, notes: &mut Notes) -> Result<Self> {
        let ending = path.extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default();
        let names = if matches!(ending.as_str(), "yaml" | "yml") {
            DataYaml::read(path, notes)?.names
        } else {
            let text = text::read(path, notes)?;
            if ending == "json" { from_notes(&text) } else { from_lines(&text, highest, path, notes) }
        };
        if names.is_empty() {
            return Err(Error::Data(format!("{}: no names in it; write one class in each line", path.display())));
        }
        Ok(Self { by_number: names, from: path.display().to_string() })
    }

    /// Looks for a list in the folder of the labels and above it.
    ///
    /// # Errors
    /// If a list is there, but cannot be read.
    pub fn near(folder: &Path, highest: Option<u32>, notes: &mut Notes) -> Result<Option<Self>> {
        let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.into());
        let mut chosen: Option<Self> = None;
        for level in folder.ancestors().take(LEVELS) {
            // Label Studio's numbers are those of its notes; its list of names may be in another order.
            let mut found: Vec<PathBuf> = Vec::new();
            found.extend(Some(level.join("notes.json")).filter(|path| from_file(path).is_some()));
            found.extend(LISTS.iter().map(|name| level.join(name)).filter(|path| path.is_file()));
            let entries = std::fs::read_dir(level).into_iter().flatten().flatten().map(|entry| entry.path());
            let mut others: Vec<PathBuf> = entries.filter(|path| path.is_file() && !hidden(path)).collect();
            others.sort();
            let ending = |path: &PathBuf, wanted: &[&str]| {
                path.extension().is_some_and(|e| wanted.iter().any(|wanted| e.eq_ignore_ascii_case(wanted)))
            };
            found
                .extend(others.iter().filter(|p| ending(p, &["names"]) && !LISTS.contains(&file(p).as_str())).cloned());
            let yaml = |path: &&PathBuf| ending(path, &["yaml", "yml"]) && DataYaml::is_one(path);
            found.extend(others.iter().filter(yaml).cloned());
            let mut lists = Vec::new();
            for path in &found {
                match Self::read(path, highest, notes) {
                    Ok(names) => lists.push(names),
                    Err(error) if chosen.is_none() && lists.is_empty() && path == &found[0] => return Err(error),
                    Err(_) => {}
                }
            }
            if let Some(other) = lists.get(1..).into_iter().flatten().find(|o| o.by_number != lists[0].by_number) {
                notes.say(format!("{} and {} name different classes; the first counts", lists[0].from, other.from));
            }
            if chosen.is_none() && !lists.is_empty() {
                chosen = Some(lists.swap_remove(0));
            } else if let (Some(own), Some(other)) = (&chosen, lists.first())
                && own.by_number != other.by_number
            {
                notes.say(format!("{} and {} name different classes; the first counts", own.from, other.from));
            }
        }
        Ok(chosen)
    }

    /// The first names, for a message.
    #[must_use]
    pub fn shown(&self) -> String {
        let first: Vec<String> =
            self.by_number.iter().take(6).map(|(n, name)| format!("{n} {}", shown(name))).collect();
        let more = if self.by_number.len() > 6 { ", …" } else { "" };
        format!("{}{more}", first.join(", "))
    }
}

fn file(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().to_lowercase()
}

fn hidden(path: &Path) -> bool {
    file(path).starts_with('.')
}

/// Reads names from lines: without a byte-order mark, quotes, commas at the end, or the numbers in front of them.
fn from_lines(text: &str, highest: Option<u32>, path: &Path, notes: &mut Notes) -> BTreeMap<u32, Arc<str>> {
    let text = text.trim_start_matches('\u{feff}');
    let all: Vec<&str> = text.trim_end().lines().map(clean).collect();
    let full = all.iter().filter(|line| !line.is_empty()).count();
    if full < all.len() {
        // Darknet counts empty lines, too. Whether the writer did is seen only if the numbers need them.
        let counted = highest.is_some_and(|highest| highest as usize >= full && (highest as usize) < all.len());
        let how = if counted { "they count, since a number needs them" } else { "they do not count" };
        notes.say(format!("{}: empty lines between the names; {how}", path.display()));
        if counted {
            return Names::in_order(&all, String::new()).by_number;
        }
    }
    let lines: Vec<&str> = all.into_iter().filter(|line| !line.is_empty()).collect();
    let numbered: Option<Vec<(u32, &str)>> = lines.iter().map(|line| numbered(line)).collect();
    // Numbers in front count only if all of them run on from 0 or 1.
    let runs = |list: &[(u32, &str)]| {
        let first = list.first().map_or(9, |(number, _)| *number);
        first <= 1 && list.iter().enumerate().all(|(at, (number, _))| *number == at as u32 + first)
    };
    match numbered.filter(|list| list.len() > 1 && runs(list)) {
        Some(list) => list.into_iter().map(|(number, name)| (number, name.into())).collect(),
        None => Names::in_order(&lines, String::new()).by_number,
    }
}

fn clean(line: &str) -> &str {
    let line = line.trim().trim_end_matches(',').trim_end();
    let line = line.strip_prefix("- ").unwrap_or(line).trim();
    for quote in ['"', '\''] {
        if let Some(inner) = line.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)) {
            return inner.trim();
        }
    }
    line
}

/// Splits `3 dog`, `3: dog`, `3,dog` and `3. dog`.
fn numbered(line: &str) -> Option<(u32, &str)> {
    let digits = line.bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = line.split_at(digits);
    let name = rest.trim_start_matches([':', ',', '.', ')', '\t', ' ', ';', '=']);
    (name.len() < rest.len() && !name.is_empty()).then(|| Some((number.parse().ok()?, clean(name))))?
}

fn from_file(path: &Path) -> Option<BTreeMap<u32, Arc<str>>> {
    let names = from_notes(&text::read(path, &mut Notes::default()).ok()?);
    (!names.is_empty()).then_some(names)
}

/// Reads the classes of Label Studio's `notes.json`.
fn from_notes(text: &str) -> BTreeMap<u32, Arc<str>> {
    #[derive(serde::Deserialize)]
    struct Notes {
        categories: Vec<Category>,
    }
    #[derive(serde::Deserialize)]
    struct Category {
        id: u32,
        name: String,
    }
    let notes: Result<Notes, _> = serde_json::from_str(text);
    notes.map(|notes| notes.categories.into_iter().map(|c| (c.id, c.name.into())).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str, highest: Option<u32>) -> (Vec<(u32, String)>, usize) {
        let mut notes = Notes::default();
        let names = from_lines(text, highest, Path::new("classes.txt"), &mut notes);
        (names.into_iter().map(|(n, name)| (n, name.to_string())).collect(), notes.lines().len())
    }

    #[test]
    fn lists_are_read_in_all_forms() {
        let plain = vec![(0, "person".to_owned()), (1, "traffic light".to_owned())];
        for text in [
            "person\ntraffic light\n",
            "\u{feff}person\r\n traffic light \r\n\r\n",
            "\"person\",\n'traffic light'",
            "0 person\n1 traffic light",
            "0: person\n1: 'traffic light'",
            "- person\n- traffic light",
        ] {
            assert_eq!(lines(text, None), (plain.clone(), 0), "{text:?}");
        }
        assert_eq!(lines("\nperson\n\ntraffic light", Some(1)), (plain, 1));
        assert_eq!(lines("\nperson\n\ndog", Some(3)).0[1], (3, "dog".into()));
        assert_eq!(lines("1 person\n2 dog", None).0[0], (1, "person".into()));
        // Names that begin with digits.
        assert_eq!(lines("3d printer\n5 euro", None).0, [(0, "3d printer".into()), (1, "5 euro".into())]);
    }

    #[test]
    fn coco_has_two_ways_to_count() {
        let (yolo, own) = (Names::known("coco80").unwrap(), Names::known("coco91").unwrap());
        assert_eq!((&*yolo.by_number[&16], &*own.by_number[&18], own.by_number.len()), ("dog", "dog", 80));
        assert_eq!((&*own.by_number[&90], &*yolo.by_number[&79]), ("toothbrush", "toothbrush"));
        assert_eq!(from_notes(r#"{"categories":[{"id":0,"name":"Car"}],"info":{}}"#).len(), 1);
    }
}
