//! Which labels belong to which picture: by path, then by name, then by name without ending, where that is unique.

use super::keys::{Key, split, without_prefix};
use super::text::shown;
use super::{Format, Labels};
use crate::error::{Error, Result};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

/// A picture that is played.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Played {
    /// The id of its source.
    pub source: String,
    /// Its name within the source.
    pub name: String,
    /// Its path.
    pub path: PathBuf,
}

/// How well labels fit a picture; more is better, the first field first.
#[expect(clippy::struct_excessive_bools, reason = "compared in order")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Score {
    /// The folders do not contradict each other.
    agrees: bool,
    /// By the first name of the labels, not by another one or without a prefix.
    first: bool,
    /// The endings are equal.
    ending: bool,
    /// How many folders are equal, from the innermost.
    folders: usize,
    /// Equal to the letter.
    exact: bool,
}

/// Folders that stand beside each other, one with pictures and one with their labels.
const HALVES: [&str; 10] = [
    "images",
    "labels",
    "annotations",
    "jpegimages",
    "masks",
    "segmentationclass",
    "leftimg8bit",
    "gtfine",
    "img",
    "ann",
];

/// The labels of each picture.
#[derive(Clone, Debug, Default)]
pub struct Matching {
    /// By name without ending.
    index: HashMap<String, Vec<(usize, Key, bool)>>,
    /// By source and name: the place among the pictures of the labels.
    known: HashMap<(String, String), Option<usize>>,
    /// Which picture has taken which labels.
    taken: HashMap<usize, String>,
    /// The labels that were asked for.
    seen: HashSet<usize>,
    /// Labels that lie in other folders than their pictures, and whether the picture's name contradicts them.
    elsewhere: Vec<(String, bool)>,
    /// The names of pictures that were asked for, and have no labels.
    bare: BTreeSet<String>,
    /// Folders of pictures and of labels: whether the labels are those of another folder.
    foreign: RefCell<HashMap<(PathBuf, PathBuf), bool>>,
    /// Pictures that have only the labels of another folder, and whose place.
    strays: RefCell<Vec<(String, usize)>>,
    /// Class maps that are played as if they were pictures.
    maps: Vec<String>,
    /// The names of some labels and of some pictures, for messages.
    some: [Vec<String>; 2],
}

impl Matching {
    /// Prepares the labels.
    #[must_use]
    pub fn new(labels: &Labels) -> Self {
        let mut matching = Self::default();
        let suffix = suffix(labels);
        for (at, picture) in labels.pictures.iter().enumerate() {
            let mut add = |key: Key, first: bool| {
                if !key.stem.is_empty() {
                    matching.index.entry(key.stem.clone()).or_default().push((at, key, first));
                }
            };
            let key = Key::of(&picture.path);
            if let Some(short) = suffix.as_deref().and_then(|suffix| key.stem.strip_suffix(suffix)) {
                add(Key { stem: short.to_owned(), ..key.clone() }, false);
            }
            if let Some(short) = without_prefix(&key.stem) {
                add(Key { stem: short.to_owned(), ..key.clone() }, false);
            }
            if let Some(also) = picture.also.as_deref().map(Key::of).filter(|also| also.stem != key.stem) {
                add(also, false);
            }
            add(key, true);
        }
        matching.some[0] = labels.pictures.iter().take(3).map(|p| shown(&p.path)).collect();
        matching
    }

    /// Finds the labels of all pictures before any is played.
    ///
    /// # Errors
    /// [`Error::Data`] if two candidates fit equally well; both are named.
    pub fn resolve(&mut self, labels: &Labels, played: &[Played]) -> Result<()> {
        self.some[1] = played.iter().take(3).map(|p| shown(&p.name)).collect();
        let mut claims: BTreeMap<usize, Vec<(Score, &Played)>> = BTreeMap::new();
        self.elsewhere.clear();
        self.strays.borrow_mut().clear();
        let maps: HashSet<PathBuf> = labels.pictures.iter().filter_map(|p| Some(whole(p.mask.as_deref()?))).collect();
        for picture in played {
            let path = picture.path.to_string_lossy();
            let is_map = maps.contains(&whole(&picture.path));
            if is_map {
                self.maps.push(shown(&picture.name));
            }
            let found = if is_map { None } else { self.best(&path, &picture.name, labels)? };
            match found {
                Some((at, score)) => claims.entry(at).or_default().push((score, picture)),
                None => {
                    self.known.insert((picture.source.clone(), picture.name.clone()), None);
                }
            }
        }
        if let Some((name, at)) = self.strays.borrow().first().filter(|_| !claims.is_empty()) {
            let own = claims.get(at).and_then(|claims| claims.first());
            let own =
                own.map_or(String::new(), |(_, picture)| format!(", which are those of `{}`", shown(&picture.name)));
            return Err(Error::Data(format!(
                "`{}` has no labels but those of another folder, {}{own}; give the labels of all folders, or play only the one that is labelled",
                shown(name),
                labels.pictures[*at].file.display()
            )));
        }
        for (at, mut claims) in claims {
            claims.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
            if let [(first, one), (second, other), ..] = claims.as_slice()
                && first == second
                && one.path != other.path
            {
                let file = &labels.pictures[at];
                return Err(Error::Data(format!(
                    "two pictures, `{}` and `{}`, would have the same labels, `{}` in {}; give each its own labels, with the picture's name, or in a folder with the name of its folder",
                    shown(&one.name),
                    shown(&other.name),
                    shown(&file.path),
                    file.file.display()
                )));
            }
            for (place, (_, picture)) in claims.iter().enumerate() {
                // Two lines may show one file.
                let found = (place == 0 || picture.path == claims[0].1.path).then_some(at);
                self.known.insert((picture.source.clone(), picture.name.clone()), found);
            }
            let (score, picture) = &claims[0];
            if !score.agrees && score.folders == 0 {
                let place = format!("{} for {}", shown(&labels.pictures[at].path), shown(&picture.name));
                // A path of another machine says little; a folder that the picture's own name contradicts does.
                self.elsewhere.push((place, !Key::of(&picture.name).folders.is_empty()));
            }
            self.taken.insert(at, picture.name.clone());
        }
        Ok(())
    }

    /// Returns the place of a picture's labels.
    ///
    /// # Errors
    /// [`Error::Data`] if two candidates fit equally well; both are named.
    pub fn find(&mut self, source: &str, name: &str, labels: &Labels) -> Result<Option<usize>> {
        let key = (source.to_owned(), name.to_owned());
        if let Some(known) = self.known.get(&key).copied() {
            self.note(known, name);
            return Ok(known);
        }
        let found = self.best(name, name, labels)?.map(|(at, _)| at);
        if let Some(at) = found
            && let Some(other) = self.taken.insert(at, name.to_owned())
            && other != name
        {
            return Err(Error::Data(format!(
                "two pictures, `{}` and `{}`, would have the same labels, `{}`; give each its own",
                shown(&other),
                shown(name),
                shown(&labels.pictures[at].path)
            )));
        }
        if self.some[1].len() < 3 {
            self.some[1].push(shown(name));
        }
        self.known.insert(key, found);
        self.note(found, name);
        Ok(found)
    }

    fn note(&mut self, found: Option<usize>, name: &str) {
        match found {
            Some(at) => _ = self.seen.insert(at),
            None => _ = self.bare.insert(name.to_owned()),
        }
    }

    /// The places of the labels of all pictures that are known.
    pub fn places(&self) -> impl Iterator<Item = usize> {
        self.known.values().flatten().copied()
    }

    /// Finds the labels that fit best.
    fn best(&self, path: &str, name: &str, labels: &Labels) -> Result<Option<(usize, Score)>> {
        let key = Key::of(path);
        let short = without_prefix(&key.stem);
        let stripped = key.stem.strip_suffix("_leftimg8bit");
        // A prefix is dropped on one side only: two dates in front of one name are two pictures.
        let whole = |stem: &str| self.index.get(stem).map(|list| list.iter().collect::<Vec<_>>());
        let firsts = |stem: &str| {
            let list: Vec<_> = self.index.get(stem)?.iter().filter(|(.., first)| *first).collect();
            (!list.is_empty()).then_some(list)
        };
        let found = whole(&key.stem).or_else(|| firsts(short?)).or_else(|| whole(stripped?));
        let Some(mut candidates) = found else { return Ok(None) };
        // Labels of `train` are not those of a picture of `val`.
        let part = split_of(&key.folders);
        let first = candidates.first().map(|(at, ..)| *at);
        candidates.retain(|(at, ..)| !self.is_foreign(Path::new(path), &labels.pictures[*at], labels.format));
        if let Some(at) = first.filter(|_| candidates.is_empty()) {
            self.strays.borrow_mut().push((name.to_owned(), at));
            return Ok(None);
        }
        candidates.retain(|(at, own, _)| {
            let named = labels.pictures[*at].split.as_deref().and_then(part_of).filter(|_| own.folders.is_empty());
            let theirs = named
                .or_else(|| split_of(&own.folders))
                .or_else(|| split_of(&Key::of(&labels.pictures[*at].file.to_string_lossy()).folders));
            part.is_none() || theirs.is_none() || part == theirs
        });
        let of_files = labels.format != Format::Coco && labels.format != Format::Folders;
        // `val/images/1.jpg` has its labels in `val/labels/1.txt`.
        let same = |(a, b): &(&String, &String)| a == b || [a, b].iter().all(|word| HALVES.contains(&word.as_str()));
        let score = |(at, own, first): &(usize, Key, bool)| {
            let equal = own.folders.iter().rev().zip(key.folders.iter().rev()).take_while(same).count();
            let agrees = equal == own.folders.len() || equal == key.folders.len();
            let ending = own.ending == key.ending || own.ending.is_empty() || of_files && *first;
            let written = |path: &str| split(path.rsplit(['/', '\\']).next().unwrap_or(path)).0.to_owned();
            let exact = labels.pictures[*at].path == name || written(&labels.pictures[*at].path) == written(name);
            (Score { agrees, first: *first, ending, folders: equal, exact }, *at)
        };
        let mut scored: Vec<(Score, usize)> = candidates.into_iter().map(score).collect();
        scored.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
        scored.dedup_by_key(|(_, at)| *at);
        match scored.as_slice() {
            [(first, one), (second, other), ..] if first == second && one != other => {
                let [one, other] = [one, other].map(|at| &labels.pictures[*at]);
                Err(Error::Data(format!(
                    "`{}` matches two sets of labels, `{}` in {} and `{}` in {}; remove one, or give only the folder of the right one",
                    shown(name),
                    shown(&one.path),
                    one.file.display(),
                    shown(&other.path),
                    other.file.display()
                )))
            }
            [(score, at), ..] => Ok(Some((*at, *score))),
            [] => Ok(None),
        }
    }

    /// Whether a label file lies in a folder of labels for another folder of pictures: `labels/day` beside `labels/night`,
    /// or `images/day` beside `images/night`.
    fn is_foreign(&self, picture: &Path, labelled: &super::Picture, format: Format) -> bool {
        if !matches!(format, Format::Yolo | Format::Voc | Format::Masks) {
            return false;
        }
        let file = labelled.mask.as_deref().unwrap_or(&labelled.file);
        let (Some(own), Some(theirs)) =
            (whole(picture).parent().map(Path::to_path_buf), whole(file).parent().map(Path::to_path_buf))
        else {
            return false;
        };
        *self.foreign.borrow_mut().entry((own, theirs)).or_insert_with_key(|(own, theirs)| {
            let (Some(name), Some(other)) = (own.file_name(), theirs.file_name()) else { return false };
            let half = |name: &std::ffi::OsStr| HALVES.contains(&name.to_string_lossy().to_lowercase().as_str());
            if name == other || own.parent() == theirs.parent() || half(name) || half(other) {
                return false;
            }
            let beside = |folder: &Path, name| folder.parent().is_some_and(|above| above.join(name).is_dir());
            beside(theirs, name) || beside(own, other)
        })
    }

    /// The names of class maps that are played as if they were pictures.
    #[must_use]
    pub fn maps(&self) -> &[String] {
        &self.maps
    }

    /// Labels that lie in other folders than their pictures, and were matched by name alone; and whether the picture's name
    /// contradicts them.
    #[must_use]
    pub fn elsewhere(&self) -> &[(String, bool)] {
        &self.elsewhere
    }

    /// How many pictures have labels.
    #[must_use]
    pub fn matched(&self) -> usize {
        self.known.values().flatten().count()
    }

    /// The names of pictures that were played, and have no labels.
    #[must_use]
    pub fn bare(&self) -> Vec<String> {
        self.bare.iter().map(|name| shown(name)).collect()
    }

    /// The names of labelled pictures that were not played, without those of parts of the set of which none was.
    #[must_use]
    pub fn unseen(&self, labels: &Labels) -> Vec<String> {
        let parts: HashSet<_> = self.seen.iter().map(|at| labels.pictures[*at].split.clone()).collect();
        let missing =
            |(at, picture): &(usize, &super::Picture)| !self.seen.contains(at) && parts.contains(&picture.split);
        labels.pictures.iter().enumerate().filter(missing).map(|(_, picture)| shown(&picture.path)).collect()
    }

    /// The error when no picture has labels: the first names of both sides.
    #[must_use]
    pub fn nothing(&self, labels: &Labels) -> Error {
        let elsewhere = self.some[1].iter().find_map(|name| self.index.get(&Key::of(name).stem)?.first());
        let elsewhere = elsewhere.map_or(String::new(), |(at, ..)| {
            let file = labels.pictures[*at].file.display();
            format!("\nThere are labels of these names in another folder or split ({file}), but labels of `train` are never used for pictures of `val`, nor those of one folder for another.")
        });
        let list = |names: &[String]| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        Error::Data(format!(
            "none of the pictures has labels\n  pictures: {}\n  labels ({}): {}\nGive the labels of these pictures, or rename one side; `ocelli data check PATH` shows what the labels contain{elsewhere}",
            list(&self.some[1]),
            labels.format.name(),
            list(&self.some[0])
        ))
    }
}

fn whole(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
}

/// The part of a set that folders name: the innermost one, or the one around `images` and the like.
fn split_of(folders: &[String]) -> Option<&'static str> {
    let inner = folders.iter().rev().find(|folder| !HALVES.contains(&folder.as_str()))?;
    part_of(inner)
}

/// The part of a set that a word names.
fn part_of(word: &str) -> Option<&'static str> {
    match word {
        "train" | "training" | "train2017" => Some("train"),
        "val" | "valid" | "validation" | "val2017" => Some("val"),
        "test" | "testing" => Some("test"),
        _ => None,
    }
}

/// The end that the names of all class maps share, such as `_mask`.
fn suffix(labels: &Labels) -> Option<String> {
    if labels.format != Format::Masks {
        return None;
    }
    let mut stems = labels.pictures.iter().map(|picture| Key::of(&picture.path).stem);
    let first = stems.next()?;
    let mut shared: Vec<char> = first.chars().rev().collect();
    for stem in stems {
        let equal = stem.chars().rev().zip(&shared).take_while(|(a, b)| a == *b).count();
        shared.truncate(equal);
    }
    let end: String = shared.into_iter().rev().collect();
    // From the first separator on: digits before it belong to the names.
    let at = ["_gtfine", "_mask", "_seg", "_label", "_gt", "-mask", "_lbl"]
        .iter()
        .filter_map(|mark| end.find(mark))
        .min()?;
    Some(end[at..].to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::Picture;
    use super::*;

    fn labels(format: Format, paths: &[&str]) -> Labels {
        let picture = |path: &&str| Picture { path: (*path).to_owned(), ..Picture::default() };
        Labels { format, pictures: paths.iter().map(picture).collect(), ..Labels::default() }
    }

    fn resolved(format: Format, paths: &[&str], played: &[&str]) -> Result<Vec<Option<usize>>> {
        let labels = labels(format, paths);
        let mut matching = Matching::new(&labels);
        let played: Vec<Played> = played
            .iter()
            .map(|path| Played {
                source: "s".into(),
                name: (*path).to_owned(),
                path: PathBuf::from("/d/images").join(path),
            })
            .collect();
        matching.resolve(&labels, &played)?;
        played.iter().map(|p| matching.find("s", &p.name, &labels)).collect()
    }

    #[test]
    fn path_comes_before_name_and_name_before_stem() {
        let coco = |paths: &[&str], played: &[&str]| resolved(Format::Coco, paths, played).unwrap();
        assert_eq!(coco(&["day/1.jpg", "night/1.jpg"], &["night/1.jpg", "day/1.jpg"]), [Some(1), Some(0)]);
        assert_eq!(coco(&["shot.png", "shot.jpg"], &["shot.jpg", "shot.png"]), [Some(1), Some(0)]);
        assert_eq!(coco(&["c:\\x\\A.JPG"], &["a.jpg"]), [Some(0)]);
        assert_eq!(coco(&["yard.jpg"], &["yard.png"]), [Some(0)]);
        assert_eq!(coco(&["Yard.jpg", "yard.jpg"], &["yard.jpg", "Yard.jpg"]), [Some(1), Some(0)]);
        assert_eq!(coco(&["1a2b3c4d-yard.jpg"], &["yard.jpg"]), [Some(0)]);
        assert_eq!(coco(&["yard.jpg"], &["1a2b3c4d-yard.jpg"]), [Some(0)]);
        assert_eq!(coco(&["20240101-cam.jpg", "20240102-cam.jpg"], &["20240103-cam.jpg"]), [None]);
        assert_eq!(coco(&["train/1.jpg"], &["val/1.jpg"]), [None]);
        let yolo = |paths: &[&str], played: &[&str]| resolved(Format::Yolo, paths, played).unwrap();
        assert_eq!(yolo(&["labels/val/1", "labels/train/1"], &["val/1.jpg"]), [Some(0)]);
        // One that fits better takes them.
        assert_eq!(yolo(&["day/1"], &["day/1.jpg", "night/1.jpg"]), [Some(0), None]);
        let masks = |paths: &[&str], played: &[&str]| resolved(Format::Masks, paths, played).unwrap();
        assert_eq!(masks(&["a_mask", "b_mask"], &["b.jpg", "a.jpg"]), [Some(1), Some(0)]);
        assert_eq!(masks(&["x_1_gtFine_labelIds"], &["x_1_leftImg8bit.png"]), [Some(0)]);
    }

    #[test]
    fn two_candidates_are_both_named() {
        let told = |format, paths: &[&str], played: &[&str]| resolved(format, paths, played).unwrap_err().to_string();
        let flat = told(Format::Yolo, &["1"], &["day/1.jpg", "night/1.jpg"]);
        assert!(flat.contains("`day/1.jpg` and `night/1.jpg`"), "{flat}");
        let endings = told(Format::Yolo, &["shot"], &["shot.jpg", "shot.png"]);
        assert!(endings.contains("`shot.jpg` and `shot.png`"), "{endings}");
        let two = told(Format::Coco, &["a/1.jpg", "b/1.jpg"], &["1.jpg"]);
        assert!(two.contains("`a/1.jpg`") && two.contains("`b/1.jpg`"), "{two}");
    }
}
