//! Do the classes of labels and model have the same names? Where they have not, what is measured is not the model.

use super::names::Names;
use super::notes::Notes;
use super::text::shown;
use super::{ClassName, Labels, Picture};
use crate::error::{Error, Result};
use crate::yaml::nearest;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::sync::Arc;
use unicode_normalization::UnicodeNormalization;

/// Names in a model's list that stand for no class.
const GAPS: [&str; 9] = ["none", "n/a", "na", "-", "", "background", "__background__", "unlabeled", "???"];

/// Names of one thing in the lists of different data sets; only proposed, never taken.
const SYNONYMS: [(&str, &str); 22] = [
    ("human", "person"),
    ("pedestrian", "person"),
    ("people", "person"),
    ("man", "person"),
    ("woman", "person"),
    ("rider", "person"),
    ("automobile", "car"),
    ("auto", "car"),
    ("van", "car"),
    ("vehicle", "car"),
    ("motorbike", "motorcycle"),
    ("aeroplane", "airplane"),
    ("plane", "airplane"),
    ("bike", "bicycle"),
    ("sofa", "couch"),
    ("tvmonitor", "tv"),
    ("diningtable", "dining table"),
    ("pottedplant", "potted plant"),
    ("cellphone", "cell phone"),
    ("puppy", "dog"),
    ("hound", "dog"),
    ("kitten", "cat"),
];

/// The classes of the labels in the words of the model.
#[derive(Clone, Debug, Default)]
pub struct ClassFit {
    by_name: HashMap<Arc<str>, Option<Arc<str>>>,
    by_number: HashMap<u16, Arc<str>>,
    unknown: Vec<(String, u64)>,
}

/// How often each class is labelled.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    names: BTreeMap<Arc<str>, u64>,
    numbers: BTreeMap<u16, u64>,
}

impl Counts {
    /// Counts the objects and pictures of labels.
    #[must_use]
    pub fn of(labels: &Labels) -> Self {
        Self::over(&labels.pictures)
    }

    /// Counts the objects of some pictures.
    #[must_use]
    pub fn over<'a>(pictures: impl IntoIterator<Item = &'a Picture>) -> Self {
        let mut counts = Self::default();
        for picture in pictures {
            if let Some(class) = &picture.class {
                counts.name(class, 1);
            }
            picture.boxes.iter().for_each(|labelled| counts.add(&labelled.class));
        }
        counts
    }

    /// Counts an object.
    pub fn add(&mut self, class: &ClassName) {
        match class {
            ClassName::Name(name) => self.name(name, 1),
            ClassName::Number(number) => *self.numbers.entry(*number).or_default() += 1,
        }
    }

    /// Counts a class by its name.
    pub fn name(&mut self, name: &Arc<str>, count: u64) {
        *self.names.entry(Arc::clone(name)).or_default() += count;
    }
}

/// A name in the form in which names are compared: without case, spaces, `-` and `_`.
fn folded(name: &str) -> String {
    name.nfc().flat_map(char::to_lowercase).filter(|c| !c.is_whitespace() && !matches!(c, '-' | '_')).collect()
}

/// Splits `n02123045 tabby, tabby cat` into the id of the synset and the rest.
fn synset(name: &str) -> Option<(&str, &str)> {
    let name = name.trim();
    let (id, rest) = name.split_at_checked(9)?;
    let digits = id.strip_prefix(['n', 'N'])?;
    let apart = rest.chars().next().is_none_or(|c| !c.is_alphanumeric());
    (digits.bytes().all(|b| b.is_ascii_digit()) && apart).then(|| (id, rest.trim_matches([' ', '_', '-', ':', ','])))
}

/// Returns whether people would call two names one.
#[must_use]
pub fn same_name(a: &str, b: &str) -> bool {
    if folded(a) == folded(b) {
        return true;
    }
    let (sa, sb) = (synset(a), synset(b));
    match (sa, sb) {
        (Some((a, _)), Some((b, _))) => a.eq_ignore_ascii_case(b),
        (Some((_, rest)), None) => !rest.is_empty() && folded(rest) == folded(b),
        (None, Some((_, rest))) => !rest.is_empty() && folded(a) == folded(rest),
        (None, None) => false,
    }
}

/// A model's list of names, prepared for looking names up in all their spellings.
struct Known<'a> {
    model: &'a [String],
    /// By spelling: the place of the only class that has it; `None` if there are several.
    exact: HashMap<&'a str, usize>,
    folded: HashMap<String, Option<usize>>,
    /// By the id of a synset, and by the name behind it.
    synsets: HashMap<String, Option<usize>>,
    /// By each of several words for one class.
    words: HashMap<String, Option<usize>>,
}

impl<'a> Known<'a> {
    fn new(model: &'a [String]) -> Self {
        let mut known = Self {
            model,
            exact: HashMap::new(),
            folded: HashMap::new(),
            synsets: HashMap::new(),
            words: HashMap::new(),
        };
        let add = |map: &mut HashMap<String, Option<usize>>, key: String, at: usize| {
            map.entry(key).and_modify(|place| *place = place.filter(|own| *own == at)).or_insert(Some(at));
        };
        for (at, name) in model.iter().enumerate() {
            known.exact.entry(name).or_insert(at);
            add(&mut known.folded, folded(name), at);
            if let Some((id, rest)) = synset(name) {
                add(&mut known.synsets, folded(id), at);
                if !rest.is_empty() {
                    add(&mut known.synsets, folded(rest), at);
                }
            }
            let behind = synset(name).map_or(name.as_str(), |(_, rest)| rest);
            if behind.contains(',') {
                behind.split(',').for_each(|word| add(&mut known.words, folded(word), at));
            }
        }
        known
    }

    /// Finds a name: to the letter, as people write it, as a synset, then among several words for one class, if only one
    /// class has it.
    fn find(&self, name: &str) -> Option<&'a String> {
        let own = folded(name);
        let as_synset = || {
            let (id, rest) = synset(name)?;
            let found = self.synsets.get(&folded(id)).copied().flatten();
            let by_rest = || self.folded.get(&folded(rest)).copied().flatten().filter(|_| !rest.is_empty());
            found.or_else(by_rest)
        };
        let place = self
            .exact
            .get(name)
            .or_else(|| self.exact.get(name.trim()))
            .copied()
            .or_else(|| self.folded.get(&own).copied().flatten())
            .or_else(|| self.synsets.get(&own).copied().flatten())
            .or_else(as_synset)
            .or_else(|| self.words.get(&own).copied().flatten());
        place.and_then(|at| self.model.get(at))
    }
}

impl ClassFit {
    /// Compares the classes of the labels with a model's.
    ///
    /// # Errors
    /// [`Error::Data`] with both lists if no class is shared, or if numbers have no sure meaning; [`Error::Config`] if
    /// the user's map names what is not there.
    pub fn new(labels: &Labels, counts: &Counts, model: &[String], notes: &mut Notes) -> Result<Self> {
        let mut fit = Self::default();
        let list_of = Known::new(model);
        let truth = &labels.truth;
        for (from, to) in &truth.map {
            let known = |name: &Arc<str>| same_name(name, from);
            if !counts.names.is_empty() && !counts.names.keys().any(known) {
                let names = counts.names.keys().map(|name| &**name);
                let hint = nearest(from, names).map_or(String::new(), |near| format!("; did you mean `{near}`?"));
                notes.say(format!("`map` renames `{}`, but no label has that class{hint}", shown(from)));
            }
            if let Some(to) = to
                && !model.is_empty()
                && list_of.find(to).is_none()
            {
                let hint = nearest(to, model.iter().map(String::as_str));
                let hint = hint.map_or_else(
                    || format!("its classes are {}", list(model)),
                    |near| format!("did you mean `{near}`?"),
                );
                return Err(Error::Config(format!(
                    "`map` turns `{from}` into `{to}`, which is not a class of the model; {hint}"
                )));
            }
        }
        fit.numbers(labels, counts, model, notes)?;
        let numeric = counts.names.keys().all(|name| name.trim().parse::<u16>().is_ok());
        let (mut shared, mut unknown, mut spelt) = (0, Vec::new(), Vec::new());
        let mut taken: HashMap<&str, &Arc<str>> = HashMap::new();
        for (name, count) in &counts.names {
            let mapped = truth.map.iter().find(|(from, _)| same_name(from, name)).map(|(_, to)| to.clone());
            let wanted = match mapped {
                Some(None) => {
                    fit.by_name.insert(Arc::clone(name), None);
                    shared += 1;
                    continue;
                }
                Some(Some(to)) => to,
                None => name.to_string(),
            };
            let found = list_of.find(&wanted).map(String::as_str);
            // Folders called by the number of the class.
            let by_number = || {
                let number = wanted.trim().parse::<usize>().ok().filter(|_| numeric)?;
                model.get(number).map(String::as_str)
            };
            match found.or_else(by_number) {
                Some(known) => {
                    shared += 1;
                    if known != &**name {
                        spelt.push(format!("`{}` is `{known}`", shown(name)));
                    }
                    if let Some(other) = taken.insert(known, name)
                        && !truth.map.keys().any(|from| same_name(from, name) || same_name(from, other))
                    {
                        notes.say(format!("`{}` and `{}` both count as `{known}`", shown(other), shown(name)));
                    }
                    fit.by_name.insert(Arc::clone(name), Some(known.into()));
                }
                None => {
                    fit.by_name.insert(Arc::clone(name), Some(wanted.as_str().into()));
                    unknown.push((name, *count));
                }
            }
        }
        if numeric && !spelt.is_empty() {
            notes.say(format!(
                "the classes are numbers and were read in the order of the model's names: {}; if that is wrong, give their names with --names",
                spelt.iter().take(4).cloned().collect::<Vec<_>>().join(", ")
            ));
        }
        if !unknown.is_empty() && shared == 0 && counts.numbers.is_empty() {
            return Err(Error::Data(nothing_shared(labels, &unknown, model)));
        }
        fit.unknown = unknown.iter().map(|(name, count)| (name.to_string(), *count)).collect();
        if !unknown.is_empty() && !model.is_empty() {
            let list: Vec<String> =
                unknown.iter().take(6).map(|(name, count)| format!("`{}` ({count})", shown(name))).collect();
            let more = if unknown.len() > 6 { ", …" } else { "" };
            notes.say(format!(
                "classes that the model does not know, whose objects count as missed: {}{more}; {}",
                list.join(", "),
                proposal(&unknown, model)
            ));
        }
        Ok(fit)
    }

    /// Gives numbers without names the names of the model, if they can mean these.
    fn numbers(&mut self, labels: &Labels, counts: &Counts, model: &[String], notes: &mut Notes) -> Result<()> {
        let (Some((first, _)), Some((last, _))) = (counts.numbers.first_key_value(), counts.numbers.last_key_value())
        else {
            return Ok(());
        };
        if model.is_empty() {
            return Ok(());
        }
        let gap = |number: &&u16| {
            model.get(usize::from(**number)).is_none_or(|name| GAPS.contains(&name.trim().to_lowercase().as_str()))
        };
        let said = labels.truth.names.as_deref() == Some("model");
        let beyond = |number: &&u16| usize::from(**number) >= model.len();
        let odd = counts.numbers.keys().find(|number| if said { beyond(number) } else { gap(number) });
        let coco = Names::known("coco80").unwrap_or_default();
        let elsewhere = |number: u16| {
            let name =
                coco.by_number.get(&u32::from(number)).map(|name| format!("; of COCO's 80 names it is `{name}`"));
            name.unwrap_or_default()
        };
        let how = "give their names with --names: a file, coco80, coco91 or model";
        let mine = format!("the model's {} names ({})", model.len(), list(model));
        if let Some(odd) = odd {
            let meaning = model.get(usize::from(*odd)).map_or_else(
                || format!("{odd} is beyond {mine}"),
                |name| format!("{odd} would be `{}` in {mine}", shown(name)),
            );
            return Err(Error::Data(format!(
                "the labels are numbers from {first} to {last}, and there is no list of names near them (classes.txt, data.yaml, obj.names): {meaning}{}; {how}",
                elsewhere(*odd)
            )));
        }
        let named = |n: &u16| Some((*n, model.get(usize::from(*n))?.as_str().into()));
        self.by_number = counts.numbers.keys().filter_map(named).collect();
        if said {
            return Ok(());
        }
        let examples: Vec<String> = self.by_number_shown(counts.numbers.keys().take(5));
        // A list with gaps is numbered in another way than the labels of most tools.
        let gaps = model.iter().filter(|name| GAPS.contains(&name.trim().to_lowercase().as_str())).count();
        let doubt = if gaps > 1 { elsewhere(*last) } else { String::new() };
        notes.say(format!(
            "the labels are numbers without names, and were read in the order of {mine}: {}{doubt}; if that is wrong, {how}",
            examples.join(", ")
        ));
        Ok(())
    }

    fn by_number_shown<'a>(&self, numbers: impl Iterator<Item = &'a u16>) -> Vec<String> {
        numbers.filter_map(|n| Some(format!("{n} {}", shown(self.by_number.get(n)?)))).collect()
    }

    /// The classes that the model does not know, and how often each is labelled.
    #[must_use]
    pub fn unknown(&self) -> &[(String, u64)] {
        &self.unknown
    }

    /// The model's name of a class; `None` if the map leaves it out.
    #[must_use]
    pub fn name(&self, class: &ClassName) -> Option<Arc<str>> {
        match class {
            ClassName::Name(name) => self.by_name.get(name).map_or_else(|| Some(Arc::clone(name)), Clone::clone),
            ClassName::Number(number) => {
                Some(self.by_number.get(number).map_or_else(|| number.to_string().into(), Arc::clone))
            }
        }
    }
}

fn list(model: &[String]) -> String {
    let first: Vec<String> =
        model.iter().take(12).enumerate().map(|(at, name)| format!("{at} {}", shown(name))).collect();
    let more = if model.len() > 12 { ", …" } else { "" };
    format!("{}{more}", first.join(", "))
}

fn proposal(unknown: &[(&Arc<str>, u64)], model: &[String]) -> String {
    let list_of = Known::new(model);
    let propose = |name: &str| {
        let folded_name = folded(name);
        let synonym = SYNONYMS.iter().find(|(from, _)| folded(from) == folded_name).map(|(_, to)| *to);
        let synonym = synonym.filter(|to| model.iter().any(|known| known == to));
        let back = || {
            let (from, _) =
                SYNONYMS.iter().find(|(from, to)| folded(to) == folded_name && list_of.find(from).is_some())?;
            Some(*from)
        };
        let part = || {
            let inside = |known: &&String| {
                known.len() > 2 && (folded_name.contains(&folded(known)) || folded(known).contains(&folded_name))
            };
            model.iter().find(inside).map(String::as_str)
        };
        synonym
            .or_else(back)
            .or_else(|| nearest(name, model.iter().map(String::as_str)))
            .or_else(part)
            .map(str::to_owned)
    };
    let pairs: Vec<String> = unknown
        .iter()
        .take(6)
        .map(|(name, _)| format!("{}={}", shown(name), propose(name).unwrap_or_else(|| "CLASS".into())))
        .collect();
    format!("if the model knows them by other names: --map {}", quoted(&pairs.join(",")))
}

fn quoted(text: &str) -> String {
    if text.contains(' ') { format!("\"{text}\"") } else { text.to_owned() }
}

fn nothing_shared(labels: &Labels, unknown: &[(&Arc<str>, u64)], model: &[String]) -> String {
    let mut text = format!("no class of the labels is known to the model\n  labels ({}): ", labels.format.name());
    let names: Vec<String> = unknown.iter().take(12).map(|(name, n)| format!("{} ({n})", shown(name))).collect();
    let more = if unknown.len() > 12 { ", …" } else { "" };
    let _ = write!(text, "{}{more}\n  model: ", names.join(", "));
    if model.is_empty() {
        text.push_str("it has no names; add them to its card");
        return text;
    }
    let _ = write!(text, "{}\n{}; LABEL= leaves one out", list(model), proposal(unknown, model));
    text
}

/// Gives numbers their names, from the list that the user names or from one near the labels.
pub(super) fn name_numbers(labels: &mut Labels, found: Option<Names>) -> Result<()> {
    let numbers = || {
        let boxes = labels.pictures.iter().flat_map(|picture| &picture.boxes);
        boxes.filter_map(|labelled| match labelled.class {
            ClassName::Number(number) => Some(u32::from(number)),
            ClassName::Name(_) => None,
        })
    };
    let names = match labels.truth.names.as_deref() {
        Some("model") => return Ok(()),
        Some(list) => {
            let highest = numbers().max();
            Some(Names::said(list, highest, &mut labels.notes)?)
        }
        None => found,
    };
    let Some(names) = names else { return Ok(()) };
    let mut beyond: BTreeMap<u32, u64> = BTreeMap::new();
    numbers().filter(|n| !names.by_number.contains_key(n)).for_each(|n| *beyond.entry(n).or_default() += 1);
    let mut twice: HashMap<&Arc<str>, u32> = HashMap::new();
    for (number, name) in &names.by_number {
        if let Some(other) = twice.insert(name, *number) {
            labels.notes.say(format!(
                "{}: the numbers {other} and {number} are both called `{}`",
                names.from,
                shown(name)
            ));
        }
    }
    // A few are odd annotations; many mean that the list is another one, or short.
    let lost: u64 = beyond.values().sum();
    let all = numbers().count() as u64;
    if let Some((number, count)) = beyond.first_key_value().filter(|_| lost * 20 > all) {
        let place =
            labels.pictures.iter().find(|p| p.boxes.iter().any(|b| b.class == ClassName::Number(*number as u16)));
        let place = place.map_or(String::new(), |p| format!(", first in {}", p.file.display()));
        return Err(Error::Data(format!(
            "number {number} has no name among the {} of {} ({count} objects{place}); add its name there, or give another list with --names (this one has {})",
            names.by_number.len(),
            names.from,
            names.shown()
        )));
    }
    for picture in &mut labels.pictures {
        let place = &picture.path;
        picture.boxes.retain(|labelled| {
            let ClassName::Number(number) = labelled.class else { return true };
            let known = names.by_number.contains_key(&u32::from(number));
            if !known {
                let kind = "numbers without a name in the list of classes, left out";
                labels.notes.left_out(kind, || format!("{place}: {number}"));
            }
            known
        });
    }
    for labelled in labels.pictures.iter_mut().flat_map(|picture| &mut picture.boxes) {
        if let ClassName::Number(number) = labelled.class
            && let Some(name) = names.by_number.get(&u32::from(number))
        {
            labelled.class = ClassName::Name(Arc::clone(name));
        }
    }
    // Folders called by numbers, too.
    for class in labels.pictures.iter_mut().filter_map(|picture| picture.class.as_mut()) {
        if labels.truth.names.is_some()
            && let Some(name) = class.trim().parse().ok().and_then(|number: u32| names.by_number.get(&number))
        {
            *class = Arc::clone(name);
        }
    }
    labels.named_by = names.from;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::{Labelled, Place, Truth};
    use super::*;

    fn labels(classes: &[ClassName]) -> Labels {
        let object = |class: &ClassName| Labelled {
            class: class.clone(),
            place: Place::Parts([0.5; 4]),
            area: None,
            crowd: false,
            difficult: false,
        };
        let picture = Picture { boxes: classes.iter().map(object).collect(), ..Picture::default() };
        Labels { pictures: vec![picture], ..Labels::default() }
    }

    fn named(names: &[&str]) -> Labels {
        labels(&names.iter().map(|name| ClassName::Name((*name).into())).collect::<Vec<_>>())
    }

    fn numbered(numbers: &[u16]) -> Labels {
        labels(&numbers.iter().map(|number| ClassName::Number(*number)).collect::<Vec<_>>())
    }

    fn fit(labels: &Labels, model: &[&str]) -> Result<(ClassFit, Vec<String>)> {
        let model: Vec<String> = model.iter().map(|name| (*name).to_owned()).collect();
        let mut notes = Notes::default();
        ClassFit::new(labels, &Counts::of(labels), &model, &mut notes).map(|fit| (fit, notes.lines()))
    }

    const MODEL: [&str; 4] = ["background", "person", "traffic light", "car"];

    #[test]
    fn names_are_compared_as_people_write_them() {
        let (fit, notes) = fit(&named(&["Person ", "traffic_light", "TrafficLight", "Car"]), &MODEL).unwrap();
        for (own, model) in
            [("Person ", "person"), ("traffic_light", "traffic light"), ("TrafficLight", "traffic light")]
        {
            assert_eq!(fit.name(&ClassName::Name(own.into())).as_deref(), Some(model));
        }
        assert_eq!(notes, ["`TrafficLight` and `traffic_light` both count as `traffic light`"]);
        let imagenet = ["n02123045 tabby, tabby cat", "n02123159 tiger cat", "crane, bird", "crane, machine"];
        let model: Vec<String> = imagenet.iter().map(|name| (*name).to_owned()).collect();
        let list_of = Known::new(&model);
        assert_eq!(list_of.find("n02123045"), Some(&model[0]));
        assert_eq!(list_of.find("tiger_cat"), Some(&model[1]));
        assert_eq!((list_of.find("crane"), list_of.find("n02123")), (None, None));
        assert!(same_name("n02123045_tabby", "tabby") && !same_name("cat", "cats"));
    }

    #[test]
    fn nothing_shared_shows_both_lists_and_a_map() {
        let error = fit(&named(&["human", "auto", "x"]), &MODEL).unwrap_err().to_string();
        assert!(error.contains("human (1)") && error.contains("1 person"), "{error}");
        assert!(error.contains("--map auto=car,human=person,x=CLASS"), "{error}");
        let (_, notes) = fit(&named(&["person", "automobile"]), &MODEL).unwrap();
        assert!(notes[0].contains("`automobile` (1)") && notes[0].contains("automobile=car"), "{notes:?}");
        let mut mapped = named(&["human", "sign"]);
        mapped.truth.map = [("human".into(), Some("person".into())), ("sign".into(), None)].into();
        let (fit_mapped, notes) = fit(&mapped, &MODEL).unwrap();
        assert_eq!(fit_mapped.name(&ClassName::Name("human".into())).as_deref(), Some("person"));
        assert_eq!((fit_mapped.name(&ClassName::Name("sign".into())), notes.len()), (None, 0));
        mapped.truth.map = [("human".into(), Some("persn".into()))].into();
        assert!(fit(&mapped, &MODEL).unwrap_err().to_string().contains("did you mean `person`"));
    }

    #[test]
    fn numbers_without_names_are_a_guess_or_an_error() {
        let (guess, notes) = fit(&numbered(&[1, 3]), &MODEL).unwrap();
        assert_eq!(guess.name(&ClassName::Number(3)).as_deref(), Some("car"));
        assert!(notes[0].contains("1 person, 3 car"), "{notes:?}");
        for (numbers, word) in [(&[0, 16][..], "background"), (&[1, 16][..], "16 is beyond")] {
            let error = fit(&numbered(numbers), &MODEL).unwrap_err().to_string();
            assert!(error.contains(word) && error.contains("--names"), "{error}");
        }
        let mut said = numbered(&[0, 3]);
        said.truth = Truth { names: Some("model".into()), ..Truth::default() };
        assert!(fit(&said, &MODEL).unwrap().1.is_empty());
        let mut beyond = numbered(&[0, 500]);
        beyond.truth = said.truth.clone();
        assert!(fit(&beyond, &MODEL).unwrap_err().to_string().contains("500 is beyond"));
        let names = Names::in_order(&["dog", "cat"], "classes.txt".into());
        let mut short = numbered(&[0, 2]);
        let error = name_numbers(&mut short, Some(names.clone())).unwrap_err().to_string();
        assert!(error.contains("number 2 has no name among the 2 of classes.txt"), "{error}");
        let mut sound = numbered(&[1]);
        name_numbers(&mut sound, Some(names)).unwrap();
        assert_eq!(sound.pictures[0].boxes[0].class, ClassName::Name("cat".into()));
    }
}
