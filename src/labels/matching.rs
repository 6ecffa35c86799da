//! Which labels belong to which picture: by path, then by name, then by name without ending, where that is unique.

use super::keys::{Key, without_prefix};
use super::text::shown;
use super::{Format, Labels};
use crate::error::{Error, Result};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::PathBuf;

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
        for picture in played {
            let path = picture.path.to_string_lossy();
            match self.best(&path, &picture.name, labels)? {
                Some((at, score)) => {
                    if !score.agrees && score.folders == 0 {
                        let place = format!("{} for {}", shown(&labels.pictures[at].path), shown(&picture.name));
                        // A path of another machine says little; a folder that the picture's own name contradicts does.
                        self.elsewhere.push((place, !Key::of(&picture.name).folders.is_empty()));
                    }
                    claims.entry(at).or_default().push((score, picture));
                }
                None => {
                    self.known.insert((picture.source.clone(), picture.name.clone()), None);
                }
            }
        }
        for (at, mut claims) in claims {
            claims.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
            if let [(first, one), (second, other), ..] = claims.as_slice()
                && first == second
                && one.path != other.path
            {
                let file = &labels.pictures[at];
                return Err(Error::Data(format!(
                    "two pictures, `{}` and `{}`, would have the same labels, `{}` in {}; give each its own labels, named like the picture or in a folder like its folder",
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
            self.taken.insert(at, claims[0].1.name.clone());
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
            None => _ = self.bare.insert(shown(name)),
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
        candidates.retain(|(at, own, _)| {
            let theirs = split_of(&own.folders)
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
            let exact = labels.pictures[*at].path == name;
            (Score { agrees, first: *first, ending, folders: equal, exact }, *at)
        };
        let mut scored: Vec<(Score, usize)> = candidates.into_iter().map(score).collect();
        scored.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
        scored.dedup_by_key(|(_, at)| *at);
        match scored.as_slice() {
            [(first, one), (second, other), ..] if first == second && one != other => {
                let [one, other] = [one, other].map(|at| &labels.pictures[*at]);
                Err(Error::Data(format!(
                    "`{}` would have two labels, `{}` in {} and `{}` in {}; leave one out, or give the folder of one",
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
        self.bare.iter().cloned().collect()
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
            format!("\nThere are labels of these names in another part of the set ({file}), but labels of `train` are never used for pictures of `val`.")
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

/// The part of a set that folders name: the innermost one, or the one around `images` and the like.
fn split_of(folders: &[String]) -> Option<&'static str> {
    let inner = folders.iter().rev().find(|folder| !HALVES.contains(&folder.as_str()))?;
    match inner.as_str() {
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
