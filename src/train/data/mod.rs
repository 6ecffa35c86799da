//! The pictures of a training, with what is to be learnt from each.

mod sample;
mod target;
mod view;

pub use sample::Sample;
pub use target::Target;
pub use view::View;

use super::random::Random;
use super::recipe::Written;
use crate::error::{Error, Result};
use crate::labels::{
    ClassFit, ClassName, Counts, Labelled, Labels, MaskRules, Notes, Picture, Played, Truth, pictures, same_name, shown,
};
use crate::media::still;
use crate::types::Size;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The pictures of a training.
#[derive(Debug)]
pub struct Set {
    /// The training pictures.
    pub train: Vec<Sample>,
    /// The validation pictures.
    pub val: Vec<Sample>,
    /// The labels of the latter.
    pub labels: Arc<Labels>,
    /// The names of the classes, in the order of their numbers.
    pub classes: Vec<String>,
    /// What is worth knowing.
    pub notes: Vec<String>,
}

impl Set {
    /// Reads the set of a recipe. `model` has the names of the model's classes.
    ///
    /// # Errors
    /// [`Error::Data`] if labels or pictures are bad, or there are no training or no validation pictures.
    pub fn read(written: &Written, model: &[String]) -> Result<Self> {
        let data = &written.recipe.data;
        let at = |truth: &Truth| truth.clone().below(written.file.parent().unwrap_or(Path::new("")));
        let folder = data.pictures.as_ref().map(|path| written.beside(path));
        let folder = folder.as_deref();
        let labels = Labels::read(&at(&data.train))?;
        let mut notes = labels.notes.lines();
        let (train, val, val_labels) = match &data.val {
            Some(truth) => {
                let other = Labels::read(&at(truth))?;
                notes.extend(other.notes.lines());
                let (train, val) = (found(&labels, folder, &mut notes)?, found(&other, folder, &mut notes)?);
                (train, val, other)
            }
            None => {
                let all = found(&labels, folder, &mut notes)?;
                let (train, val) = divide(all, data.held_out, written.recipe.schedule.seed);
                (train, val, labels.clone())
            }
        };
        let names = names_of(&labels, train.iter().map(|(_, picture)| picture));
        let classes = classes(written, &names, model)?;
        if let Some(odd) = classes.iter().find(|name| name.trim().is_empty() || name.contains(char::is_control)) {
            return Err(Error::Data(format!("a class cannot be called {odd:?}; give it a name in one line")));
        }
        let counts = Counts::over(train.iter().chain(&val).map(|(_, picture)| picture));
        let mut fit_notes = Notes::default();
        let fit = ClassFit::new(&labels, &counts, &classes, &mut fit_notes)?;
        let has_maps = |pictures: &Found| pictures.iter().any(|(_, picture)| picture.mask.is_some());
        let rules = |labels: &Labels, pictures: &Found, notes: &mut Notes| {
            let found = has_maps(pictures).then(|| MaskRules::find(labels, &classes, notes)).transpose();
            found.map(|rules| rules.map(Arc::new))
        };
        let train_rules = rules(&labels, &train, &mut fit_notes)?;
        let val_rules = rules(&val_labels, &val, &mut fit_notes)?;
        notes.extend(fit_notes.lines());
        let number = |class: &ClassName| {
            let name = fit.name(class)?;
            classes.iter().position(|known| **known == *name)
        };
        let mut strangers: BTreeMap<String, u64> = BTreeMap::new();
        let mut samples = |pictures: Found, rules: Option<Arc<MaskRules>>| -> Result<Vec<Sample>> {
            let mut samples = Vec::with_capacity(pictures.len());
            for (path, picture) in pictures {
                let class = picture.class.as_ref().map(|class| ClassName::Name(Arc::clone(class)));
                let known = class.as_ref().and_then(number);
                if let (Some(ClassName::Name(name)), None) = (&class, known) {
                    *strangers.entry(shown(name)).or_default() += 1;
                    continue;
                }
                let bytes = std::fs::read(&path).map_err(|e| Error::io(&path, e))?;
                let (stored, sideways) = still::stored_size(&path).ok_or_else(|| {
                    Error::Data(format!("{}: it is no JPEG, PNG or BMP, or its header is damaged", path.display()))
                })?;
                let size = if sideways { Size::new(stored.height, stored.width) } else { stored };
                let objects = objects(&picture, size, labels.truth.scale, &number);
                let (name, hash, rules) = (picture.path.clone(), Sha256::digest(&bytes).into(), rules.clone());
                samples.push(Sample { path, size, name, picture, class: known, objects, rules, hash });
            }
            Ok(samples)
        };
        let (train, val) = (samples(train, train_rules)?, samples(val, val_rules)?);
        for (name, count) in strangers {
            notes.push(format!("{count} pictures of `{name}`, which is not among the classes, are left out"));
        }
        if train.is_empty() || val.is_empty() {
            let (what, how) = if train.is_empty() { ("training", "train") } else { ("validation", "val") };
            return Err(
                written.error(&["data"], format!("no labelled {what} pictures; give `{how}` a set that has some"))
            );
        }
        doubles(&train, &val, &mut notes);
        let judged = |class: usize| val.iter().any(|sample| sample.class == Some(class));
        let learnt = |class: usize| train.iter().any(|sample| sample.class == Some(class));
        let unjudged = (0..classes.len()).filter(|class| learnt(*class) && !judged(*class));
        let unjudged: Vec<String> = unjudged.map(|class| shown(&classes[class])).collect();
        if !unjudged.is_empty() {
            notes.push(format!("no validation picture of {}: the numbers say nothing about it", unjudged.join(", ")));
        }
        let own: BTreeSet<&str> = val.iter().map(|sample| sample.name.as_str()).collect();
        let mut judged = val_labels.clone();
        judged.pictures.retain(|picture| own.contains(picture.path.as_str()));
        Ok(Self { train, val, labels: Arc::new(judged), classes, notes })
    }

    /// Keeps so many training pictures, of all classes in turn, and validates on the same.
    pub fn only(&mut self, count: usize) {
        let mut of_class = BTreeMap::new();
        let mut turn = |sample: &Sample| {
            let seen: &mut usize = of_class.entry(sample.class).or_default();
            *seen += 1;
            *seen
        };
        let mut order: Vec<(usize, usize)> = self.train.iter().map(&mut turn).zip(0..).collect();
        order.sort_unstable();
        self.train = order.into_iter().take(count).map(|(_, at)| self.train[at].clone()).collect();
        self.val = self.train.clone();
        let pictures = self.train.iter().map(|sample| sample.picture.clone()).collect();
        self.labels = Arc::new(Labels { pictures, ..(*self.labels).clone() });
    }

    /// The held-out pictures as a source plays them.
    #[must_use]
    pub fn played(&self) -> Vec<Played> {
        let played = |s: &Sample| Played { source: String::new(), name: s.name.clone(), path: s.path.clone() };
        self.val.iter().map(played).collect()
    }

    /// How many training pictures of each class there are.
    #[must_use]
    pub fn counts(&self) -> Vec<u64> {
        let mut counts = vec![0; self.classes.len()];
        self.train.iter().filter_map(|sample| sample.class).for_each(|class| counts[class] += 1);
        counts
    }
}

type Found = Vec<(PathBuf, Picture)>;

/// The pictures of labels, in the order of their names.
fn found(labels: &Labels, folder: Option<&Path>, notes: &mut Vec<String>) -> Result<Found> {
    let (found, matching) = pictures::find(labels, folder)?;
    let (fit, other) = pictures::fit(labels, &found);
    if let Some(error) = other {
        return Err(error);
    }
    fit.judge(&mut Notes::default()).map_err(|e| e.at(labels.truth.path.display()))?;
    let mut all: Found = Vec::new();
    for (path, at) in found {
        match at {
            Some(at) => all.push((path, labels.pictures[at].clone())),
            None if labels.background() => {
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                if !labels.is_unread(&name) {
                    all.push((path, Picture { path: name, ..Picture::default() }));
                }
            }
            None => {}
        }
    }
    let missing = matching.unseen(labels);
    if all.is_empty() {
        return Err(matching.nothing(labels));
    }
    if let Some(first) = missing.first() {
        let (count, path) = (missing.len(), labels.truth.path.display());
        notes.push(format!("{path}: {count} labelled pictures are not there, such as {}", shown(first)));
    }
    all.sort_by(|a, b| a.1.path.cmp(&b.1.path));
    Ok(all)
}

/// The objects of a picture that are learnt: not crowds, nor other classes.
fn objects(
    picture: &Picture,
    size: Size,
    scale: bool,
    number: &dyn Fn(&ClassName) -> Option<usize>,
) -> Vec<([f64; 4], usize)> {
    let said = picture.size.filter(|said| scale && *said != size).unwrap_or(size);
    let factor = [f64::from(size.width) / f64::from(said.width), f64::from(size.height) / f64::from(said.height)];
    let object = |labelled: &Labelled| {
        let [x1, y1, x2, y2] = labelled.place.corners(said);
        let corners = [x1 * factor[0], y1 * factor[1], x2 * factor[0], y2 * factor[1]];
        Some((corners, number(&labelled.class)?)).filter(|_| !labelled.crowd)
    };
    picture.boxes.iter().filter_map(object).collect()
}

/// Divides pictures into training and validation: as the set says, else a share of each class.
fn divide(all: Found, share: f64, seed: u64) -> (Found, Found) {
    let is = |picture: &Picture, names: &[&str]| picture.split.as_deref().is_some_and(|split| names.contains(&split));
    let held = ["val", "valid", "validation", "minival", "val2017"];
    if all.iter().any(|(_, picture)| is(picture, &held)) {
        let others = ["test", "testing"];
        let (val, rest): (Found, Found) = all.into_iter().partition(|(_, picture)| is(picture, &held));
        return (rest.into_iter().filter(|(_, picture)| !is(picture, &others)).collect(), val);
    }
    let mut groups: BTreeMap<Option<Arc<str>>, Vec<(u64, usize)>> = BTreeMap::new();
    for (at, (_, picture)) in all.iter().enumerate() {
        let key = picture.path.bytes().map(u64::from).collect::<Vec<_>>();
        let rank = Random::of(&key).bits(seed);
        groups.entry(picture.class.clone()).or_default().push((rank, at));
    }
    let mut chosen = BTreeSet::new();
    for group in groups.values_mut() {
        group.sort_unstable();
        let count = ((group.len() as f64 * share).round() as usize).clamp(usize::from(group.len() > 1), group.len());
        chosen.extend(group.iter().take(count).map(|(_, at)| *at));
    }
    let (mut train, mut val) = (Vec::new(), Vec::new());
    for (at, pair) in all.into_iter().enumerate() {
        if chosen.contains(&at) { val.push(pair) } else { train.push(pair) }
    }
    (train, val)
}

/// The names of the classes that are labelled, after the user's map, in the order of the alphabet.
fn names_of<'a>(labels: &Labels, pictures: impl Iterator<Item = &'a Picture>) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut add = |name: &str| {
        let mapped = labels.truth.map.iter().find(|(from, _)| same_name(from, name));
        match mapped {
            Some((_, Some(to))) => names.insert(to.clone()),
            Some((_, None)) => false,
            None => names.insert(name.to_owned()),
        };
    };
    for name in labels.colors.iter().flat_map(|colors| &colors.classes).map(|(name, _)| name) {
        add(name);
    }
    for picture in pictures {
        picture.class.iter().for_each(|class| add(class));
        for labelled in &picture.boxes {
            match &labelled.class {
                ClassName::Name(name) => add(name),
                ClassName::Number(number) => add(&number.to_string()),
            }
        }
    }
    names
}

/// The classes to learn.
fn classes(written: &Written, labelled: &BTreeSet<String>, model: &[String]) -> Result<Vec<String>> {
    let said = &written.recipe.data.classes;
    if !said.is_empty() {
        let twice = said.iter().enumerate().find(|(at, name)| said[..*at].contains(name));
        if let Some((_, name)) = twice {
            return Err(written.error(&["data", "classes"], format!("`{name}` is there twice")));
        }
        return Ok(said.clone());
    }
    if labelled.is_empty() {
        // Class maps without names speak of the model's classes.
        return Ok(model.to_vec());
    }
    let known = |name: &String| model.iter().any(|own| same_name(own, name));
    if labelled.len() == model.len() && labelled.iter().all(known) {
        return Ok(model.to_vec());
    }
    Ok(labelled.iter().cloned().collect())
}

/// Looks for pictures that are there twice.
fn doubles(train: &[Sample], val: &[Sample], notes: &mut Vec<String>) {
    let known: BTreeMap<[u8; 32], &Sample> = train.iter().map(|sample| (sample.hash, sample)).collect();
    let both: Vec<(&Sample, &Sample)> = val.iter().filter_map(|s| Some((*known.get(&s.hash)?, s))).collect();
    if let Some((one, other)) = both.first() {
        notes.push(format!(
            "{} of {} validation pictures are also training pictures, such as {} and {}: the numbers will be too good",
            both.len(),
            val.len(),
            shown(&one.name),
            shown(&other.name)
        ));
    }
}
