//! Files that describe a set: Ultralytics' `data.yaml`, Darknet's `obj.data`, VOC's `ImageSets`.

use super::keys::Key;
use super::notes::Notes;
use super::text;
use crate::error::{Error, Result};
use crate::yaml::{self, Node, Value};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A set as Ultralytics' `data.yaml` or Darknet's `obj.data` describes it.
#[derive(Clone, Debug, Default)]
pub struct DataYaml {
    /// Names by number.
    pub names: BTreeMap<u32, Arc<str>>,
    /// A file with the names.
    pub list: Option<PathBuf>,
    /// How many classes it says there are.
    pub count: Option<u64>,
    /// The folders of pictures, or files that list pictures, by part of the set.
    pub splits: Vec<(Arc<str>, PathBuf)>,
    /// Parts whose path does not exist, with it.
    pub absent: Vec<(String, String)>,
    /// How many keypoints follow a box, and how many numbers each has, if the labels hold keypoints.
    pub key_points: Option<(usize, usize)>,
}

/// The parts of a set, as tools call them.
pub const SPLITS: [&str; 12] = [
    "train",
    "val",
    "valid",
    "validation",
    "test",
    "minival",
    "dev",
    "training",
    "testing",
    "train2017",
    "val2017",
    "eval",
];

/// Returns whether this is the name of a part of a set.
#[must_use]
pub fn is_split(name: &str) -> bool {
    SPLITS.iter().any(|known| known.eq_ignore_ascii_case(name))
}

impl DataYaml {
    /// Returns whether a YAML file describes a set.
    #[must_use]
    pub fn is_one(path: &Path) -> bool {
        let Ok(text) = text::read(path, &mut Notes::default()) else { return false };
        let Ok(node) = yaml::parse(&text) else { return false };
        let has = |key: &str| node.find(&[key]).is_some();
        has("names") && (has("train") || has("val") || has("test") || has("nc") || has("path"))
    }

    /// Reads a YAML file.
    ///
    /// # Errors
    /// [`Error::Data`] with the place, [`Error::Io`].
    pub fn read(path: &Path, notes: &mut Notes) -> Result<Self> {
        let text = text::read(path, notes)?;
        let bad = |at: &Node, what: &str| {
            let place = at.place;
            Error::Data(format!("{}:{}:{}: {what}", path.display(), place.line, place.column))
        };
        let root = yaml::parse(&text).map_err(|fault| {
            let place = fault.place;
            Error::Data(format!("{}:{}:{}: {}", path.display(), place.line, place.column, fault.message))
        })?;
        let mut set = Self::default();
        if let Some(names) = root.find(&["names"]) {
            match &names.value {
                Value::List(list) => {
                    // A number without a name keeps its place in the list.
                    for (at, name) in list.iter().enumerate().filter(|(_, name)| name.value != Value::Null) {
                        let name = word(name).ok_or_else(|| bad(name, "expected the name of a class"))?;
                        set.names.insert(at as u32, name.into());
                    }
                }
                Value::Map(map) => {
                    for (key, name) in map {
                        let number = word(key).and_then(|key| key.trim().parse().ok());
                        let number = number.ok_or_else(|| bad(key, "expected the number of a class"))?;
                        let name = word(name).ok_or_else(|| bad(name, "expected the name of a class"))?;
                        set.names.insert(number, name.into());
                    }
                }
                _ => return Err(bad(names, "expected a list of names, or a map of numbers to names")),
            }
        }
        set.count = root.find(&["nc"]).and_then(word).and_then(|count| count.parse().ok());
        if let Some(count) = set.count.filter(|count| *count != set.names.len() as u64 && !set.names.is_empty()) {
            notes.say(format!(
                "{}: `nc` is {count}, but there are {} names; `nc` is ignored",
                path.display(),
                set.names.len()
            ));
        }
        if let Some(Value::List(list)) = root.find(&["kpt_shape"]).map(|node| &node.value) {
            let side = |at: usize| list.get(at).and_then(word).and_then(|word| word.parse().ok());
            set.key_points = side(0).zip(side(1));
        }
        let folder = path.parent().unwrap_or(Path::new(""));
        let base = root.find(&["path"]).and_then(word).filter(|base| !base.is_empty());
        for part in ["train", "val", "valid", "test", "minival"] {
            let Some(node) = root.find(&[part]) else { continue };
            let values: Vec<String> = match &node.value {
                Value::List(list) => list.iter().filter_map(word).collect(),
                _ => word(node).into_iter().collect(),
            };
            for value in values.iter().filter(|value| !value.is_empty()) {
                set.add(part, value, folder, base.as_deref());
            }
        }
        Ok(set)
    }

    /// Reads Darknet's `KEY = VALUE` lines.
    ///
    /// # Errors
    /// [`Error::Data`] if its list of names cannot be read, [`Error::Io`].
    pub fn read_darknet(path: &Path, notes: &mut Notes) -> Result<Self> {
        let text = text::read(path, notes)?;
        let fields: HashMap<&str, &str> = text
            .lines()
            .filter_map(|line| line.split_once('='))
            .map(|(key, value)| (key.trim(), value.trim()))
            .collect();
        let folder = path.parent().unwrap_or(Path::new(""));
        let mut set = Self { count: fields.get("classes").and_then(|count| count.parse().ok()), ..Self::default() };
        if let Some(list) = fields.get("names") {
            let list = found(folder, None, list).ok_or_else(|| {
                Error::Data(format!("{}: its list of names, {list}, does not exist; correct `names`", path.display()))
            })?;
            set.list = Some(list);
        }
        for (part, key) in [("train", "train"), ("val", "valid"), ("test", "test")] {
            if let Some(value) = fields.get(key) {
                set.add(part, value, folder, None);
            }
        }
        Ok(set)
    }

    fn add(&mut self, part: &str, value: &str, folder: &Path, base: Option<&str>) {
        let part = if part == "valid" { "val" } else { part };
        match found(folder, base, value) {
            Some(path) => self.splits.push((part.into(), path)),
            None => self.absent.push((part.to_owned(), value.to_owned())),
        }
    }
}

/// A number, a flag or a text as it is written.
fn word(node: &Node) -> Option<String> {
    match &node.value {
        Value::Text(text) => Some(text.clone()),
        Value::Int(value) => Some(value.to_string()),
        Value::Float(value) => Some(value.to_string()),
        Value::Bool(value) => Some(value.to_string()),
        Value::Null | Value::List(_) | Value::Map(_) => None,
    }
}

/// Finds what a description calls by a path of another machine or folder: below its `path`, below its own folder, one
/// above (Roboflow's `../train/images`), or by the last parts of the path.
fn found(folder: &Path, base: Option<&str>, value: &str) -> Option<PathBuf> {
    let value = value.replace('\\', "/");
    let parts: Vec<&str> = value.split('/').filter(|part| !part.is_empty() && !matches!(*part, "." | "..")).collect();
    let mut tried: Vec<PathBuf> = Vec::new();
    if let Some(base) = base {
        tried.push(folder.join(base.replace('\\', "/")).join(&value));
    }
    tried.push(folder.join(&value));
    // Fewer and fewer parts of the path, in this folder and in the one above it.
    for from in 0..parts.len() {
        let rest: PathBuf = parts[from..].iter().collect();
        tried.push(folder.join(&rest));
        if from == 0 {
            tried.extend(folder.parent().map(|above| above.join(&rest)));
        }
    }
    tried.into_iter().find(|path| path.exists() && (parts.is_empty() || !path.as_os_str().is_empty()))
}

/// Returns the folder or file of labels that belongs to a folder of pictures or to a picture: the last `images` in the
/// path becomes `labels`.
#[must_use]
pub fn labels_of(path: &Path) -> Option<PathBuf> {
    let parts: Vec<_> = path.components().collect();
    let at = parts.iter().rposition(|part| part.as_os_str().eq_ignore_ascii_case("images"))?;
    Some(parts.iter().enumerate().map(|(i, part)| if i == at { "labels".as_ref() } else { part.as_os_str() }).collect())
}

/// Reads the lists in VOC's `ImageSets/Main`: the part of the set that each picture belongs to.
///
/// # Errors
/// [`Error::Io`].
pub fn image_sets(root: &Path, notes: &mut Notes) -> Result<HashMap<String, Arc<str>>> {
    let mut parts = HashMap::new();
    for folder in ["Main", "Segmentation", ""] {
        for part in ["train", "val", "test"] {
            let path = root.join("ImageSets").join(folder).join(format!("{part}.txt"));
            if !path.is_file() {
                continue;
            }
            let name: Arc<str> = part.into();
            for line in text::read(&path, notes)?.lines() {
                if let Some(picture) = line.split_whitespace().next() {
                    parts.entry(Key::of(picture).stem).or_insert_with(|| Arc::clone(&name));
                }
            }
        }
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_become_labels_in_the_last_place() {
        let of = |path: &str| labels_of(Path::new(path)).map(|path| path.display().to_string());
        assert_eq!(of("images/a/images/val").as_deref(), Some("images/a/labels/val"));
        assert_eq!(of("data/pictures"), None);
    }

    #[test]
    fn paths_of_other_machines_are_found_here() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("set/train/images")).unwrap();
        let set = root.path().join("set");
        for value in ["../train/images", "train\\images", "/data/ann/set/train/images", "set/train/images"] {
            let path = found(&set, None, value).unwrap();
            assert!(path.ends_with("train/images") || path.ends_with("train\\images"), "{value}: {}", path.display());
        }
        assert_eq!(found(&set, None, "valid/images"), None);
        let yaml = "path: /nowhere\ntrain: ../train/images\nval: [valid/images]\nnc: 3\nnames: {0: person, 1: yes}\n";
        std::fs::write(set.join("data.yaml"), yaml).unwrap();
        let mut notes = Notes::default();
        let read = DataYaml::read(&set.join("data.yaml"), &mut notes).unwrap();
        assert_eq!((read.splits.len(), read.absent.len(), &*read.names[&1]), (1, 1, "yes"));
        assert!(notes.lines()[0].contains("`nc` is 3"));
        assert!(DataYaml::is_one(&set.join("data.yaml")));
    }
}
