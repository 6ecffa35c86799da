//! Class maps: a PNG for each picture, whose values are class numbers.
//!
//! Palette indices and grey levels are read as Pillow and torchvision's `VOCSegmentation` read them. Colours need a
//! table; other ways to write a map are recognised by their values, and refused with them or understood with a note.

use super::classes::{Counts, same_name};
use super::colors::Colors;
use super::names::Names;
use super::notes::Notes;
use super::text::shown;
use super::tree::{Entry, Tree};
use super::{ClassFit, ClassName, Format, Labels, Picture, Truth};
use crate::error::{Error, Result};
use crate::media::png::{self, Values};
use crate::types::Size;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// How the class maps of some labels are read for a model.
#[derive(Clone, Debug)]
pub struct MaskRules {
    /// Colours and the values they stand for.
    colors: Option<Arc<Colors>>,
    /// What each value of the maps means for the model.
    meaning: Box<[Meaning; 256]>,
}

/// What a value of a class map means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    /// A class of the model.
    Class(u8),
    /// Not labelled.
    Ignored,
    /// Nothing that the model knows.
    Unknown,
}

/// The value, in a map that was read, of pixels that are not labelled.
pub const UNLABELLED: u8 = 255;

/// How often each value is there.
#[derive(Clone, Debug)]
struct Survey {
    counts: [u64; 256],
}

/// At most this many maps are looked at before the run.
const SURVEYED: usize = 100;

impl Survey {
    /// The values that are there.
    fn values(&self) -> Vec<u8> {
        (0..=255).filter(|value| self.counts[usize::from(*value)] > 0).collect()
    }

    /// The values with their shares of the pixels, most first.
    fn histogram(&self) -> String {
        let all = self.counts.iter().sum::<u64>().max(1) as f64;
        let mut values = self.values();
        let total = values.len();
        values.truncate(16);
        let shown: Vec<String> = values
            .iter()
            .map(|v| format!("{v} ({:.1} %)", 100.0 * self.counts[usize::from(*v)] as f64 / all))
            .collect();
        format!("{}{}", shown.join(", "), if total > 16 { ", …" } else { "" })
    }
}

/// Returns whether a file may be a class map: a grey or palette PNG, judged by its header.
#[must_use]
pub fn may_be_one(head: &[u8]) -> bool {
    // Signature, length, IHDR, width, height, depth, colour type.
    head.starts_with(b"\x89PNG\r\n\x1a\n") && matches!(head.get(25), Some(0 | 3 | 4))
}

/// Words in the paths of class maps.
pub const FOLDERS: [&str; 12] = [
    "mask",
    "masks",
    "segmentationclass",
    "segmentationclassaug",
    "segmentation",
    "annotations",
    "annotation",
    "labels",
    "gtfine",
    "gt",
    "labelstr",
    "labelsts",
];

/// Lists the class maps below a folder.
///
/// # Errors
/// [`Error::Data`] if there are none.
pub fn read(root: &Path, tree: &Tree, labels: &mut Labels) -> Result<()> {
    labels.format = Format::Masks;
    // Beside their class maps, some sets have maps of instances and coloured ones.
    let other = |e: &&Entry| {
        let name = e.name.to_lowercase();
        ["segmentationobject", "instanceids", "instancetrainids", "_color.png", "_colored.png"]
            .iter()
            .any(|w| name.contains(w))
    };
    let all: Vec<&Entry> = tree.ending(&["png"]).filter(|e| !other(e)).collect();
    let inside = |e: &&&Entry| e.folders().any(|folder| FOLDERS.contains(&folder.to_lowercase().as_str()));
    let train_ids = |e: &&&Entry| e.name.to_lowercase().ends_with("labeltrainids.png");
    let marked = |e: &&&Entry| e.name.to_lowercase().ends_with("_mask.png");
    let mut maps: Vec<&Entry> = all.iter().filter(train_ids).copied().collect();
    for chosen in [&marked as &dyn Fn(&&&Entry) -> bool, &inside] {
        if maps.is_empty() && all.iter().any(|e| !chosen(&e)) {
            maps = all.iter().filter(chosen).copied().collect();
        }
    }
    if maps.is_empty() {
        maps = all;
    }
    if maps.is_empty() {
        let lossy = tree.ending(&["jpg", "jpeg"]).next().is_some();
        let hint = if lossy { "; JPEG changes values, so it cannot hold a class map: write PNG" } else { "" };
        return Err(Error::Data(format!("{}: no .png class maps{hint}", root.display())));
    }
    labels.colors = Colors::near(root, &mut labels.notes)?.map(Arc::new);
    for entry in maps {
        let stem = entry.name.rsplit_once('.').map_or(entry.name.as_str(), |(front, _)| front);
        let split = entry.folders().find(|folder| super::dataset::is_split(folder)).map(Into::into);
        let (path, file) = (stem.to_owned(), entry.path.clone());
        labels.pictures.push(Picture { path, file, split, mask: Some(entry.path.clone()), ..Picture::default() });
    }
    if let Some(colors) = &labels.colors {
        labels.named_by.clone_from(&colors.from);
    }
    Ok(())
}

/// Reads Roboflow's `_classes.csv`: `Pixel Value, Class`.
fn values_near(root: &Path) -> Option<Names> {
    let path = root.ancestors().take(3).map(|level| level.join("_classes.csv")).find(|path| path.is_file())?;
    let text = std::fs::read_to_string(&path).ok()?;
    let line = |line: &str| {
        let (value, name) = line.split_once(',')?;
        Some((value.trim().parse().ok()?, Arc::from(name.trim())))
    };
    let by_number: BTreeMap<u32, Arc<str>> = text.lines().filter_map(line).collect();
    (!by_number.is_empty()).then(|| Names { by_number, from: path.display().to_string() })
}

/// The colour of the borders of objects in VOC's class maps, which are not labelled.
const BORDER: [u8; 3] = [224, 224, 192];

/// Reads a class map as it is: class numbers, or places in the table of its colours.
fn numbers(path: &Path, colors: Option<&Colors>) -> Result<(Size, Vec<u8>)> {
    let bytes = std::fs::read(path).map_err(|e| Error::io(path, e))?;
    let (size, values) = png::decode_values(&bytes).map_err(|e| e.at(path.display()))?;
    let pixels = match (values, colors) {
        (Values::Numbers(numbers), _) | (Values::Indices(numbers, _), None) => return Ok((size, numbers)),
        (Values::Indices(numbers, palette), Some(colors)) => {
            // Where a palette has the colours of the table, they decide: programs put palettes in any order.
            let color = |number: &u8| palette.get(usize::from(*number)).copied();
            let mut used = [false; 256];
            numbers.iter().for_each(|number| used[usize::from(*number)] = true);
            let known = |number: usize| color(&(number as u8)).is_some_and(|c| colors.find(c).is_some() || c == BORDER);
            if !(0..256).filter(|number| used[*number]).all(known) {
                return Ok((size, numbers));
            }
            (numbers.iter().map(|number| color(number).unwrap_or_default()).collect(), colors)
        }
        (Values::Colors(pixels), Some(colors)) => (pixels, colors),
        // Grey stored as a colour is grey.
        (Values::Colors(pixels), None) if pixels.iter().all(|[r, g, b]| r == g && g == b) => {
            return Ok((size, pixels.into_iter().map(|[r, ..]| r).collect()));
        }
        (Values::Colors(pixels), None) => {
            let mut seen: Vec<[u8; 3]> = Vec::new();
            for color in &pixels {
                if !seen.contains(color) && seen.len() < 4 {
                    seen.push(*color);
                }
            }
            let seen: Vec<String> = seen.iter().map(|[r, g, b]| format!("{r},{g},{b}")).collect();
            return Err(Error::Data(format!(
                "{}: a class map in colours ({}, …), and no table says what they mean; put labelmap.txt beside it with lines such as `person:{}::`, or write class numbers as grey levels",
                path.display(),
                seen.join("  "),
                seen.last().map_or("128,0,0", String::as_str)
            )));
        }
    };
    let (pixels, table) = pixels;
    let mut numbers = Vec::with_capacity(pixels.len());
    let mut last = ([0; 3], table.find([0; 3]));
    for color in pixels {
        if color != last.0 {
            last = (color, table.find(color));
        }
        // Borders of objects are drawn in a colour of their own in VOC.
        let Some(number) = last.1.or((color == BORDER).then_some(UNLABELLED)) else {
            let [r, g, b] = color;
            let message =
                format!("{}: the colour {r},{g},{b} is not in {}; add a line for it there", path.display(), table.from);
            return Err(Error::Data(message));
        };
        numbers.push(number);
    }
    Ok((size, numbers))
}

/// Reads a class map for people: its values, and their names if a table of colours has them.
///
/// # Errors
/// As [`MaskRules::read`].
pub fn values(labels: &Labels, path: &Path) -> Result<(Vec<u8>, Vec<String>)> {
    let (_, numbers) = numbers(path, labels.colors.as_deref())?;
    let names = labels
        .colors
        .as_ref()
        .map_or(Vec::new(), |colors| colors.classes.iter().map(|(name, _)| name.clone()).collect());
    Ok((numbers, names))
}

impl MaskRules {
    /// Looks at class maps before the run, and finds out what their values mean for a model.
    ///
    /// # Errors
    /// [`Error::Data`] with the values that are there, if they cannot be what they should.
    pub fn find(labels: &Labels, model: &[String], notes: &mut Notes) -> Result<Self> {
        let masks: Vec<&Path> = labels.pictures.iter().filter_map(|picture| picture.mask.as_deref()).collect();
        let step = masks.len().div_ceil(SURVEYED).max(1);
        let mut survey = Survey { counts: [0; 256] };
        for path in masks.iter().step_by(step) {
            let (_, numbers) = numbers(path, labels.colors.as_deref())?;
            numbers.iter().for_each(|value| survey.counts[usize::from(*value)] += 1);
        }
        let near = || masks.first().and_then(|path| values_near(path.parent().unwrap_or(Path::new(""))));
        let highest = survey.values().into_iter().filter(|value| *value != UNLABELLED).max().map(u32::from);
        let named = match (labels.truth.names.as_deref(), &labels.colors) {
            (Some("model"), _) => None,
            (Some(list), _) => Some(Names::said(list, highest, notes)?),
            (None, Some(colors)) => {
                let names: Vec<&str> = colors.classes.iter().map(|(name, _)| name.as_str()).collect();
                Some(Names::in_order(&names, colors.from.clone()))
            }
            // A map of classes speaks of the model's names.
            (None, None) if !labels.truth.map.is_empty() => Some(Names::in_order(model, "the model".into())),
            (None, None) => near(),
        };
        let mut meaning = match named {
            Some(names) => {
                let meaning = by_names(&names, &survey, labels, model, notes)?;
                all_known(&names, &meaning, &survey, labels.truth.offset)?;
                meaning
            }
            None => by_values(&survey, &labels.truth, model, notes)?,
        };
        let folder = masks.first().and_then(|path| path.parent());
        let list = |folder: &Path| Names::near(folder, highest, &mut Notes::default()).ok().flatten();
        let unasked = labels.truth.names.is_none() && labels.colors.is_none() && labels.truth.map.is_empty();
        // A list in the order of the model says nothing new.
        let other = |names: &Names| {
            names.by_number.iter().any(|(at, name)| model.get(*at as usize).is_none_or(|own| !same_name(own, name)))
        };
        if let Some(list) = folder.filter(|_| unasked && near().is_none()).and_then(list).filter(other) {
            let list = list.from;
            notes
                .say(format!("values are taken as the model's class numbers; {list} is used only if --names gives it"));
        }
        if labels.colors.is_some() {
            meaning[usize::from(UNLABELLED)] = Meaning::Ignored;
        }
        Ok(Self { colors: labels.colors.clone(), meaning: Box::new(meaning) })
    }

    /// Reads a class map: the classes of the model, with [`UNLABELLED`] for pixels that are not labelled.
    ///
    /// # Errors
    /// [`Error::Data`] if it cannot be read, or if it holds what the model does not know.
    pub fn read(&self, path: &Path) -> Result<(Size, Vec<u8>)> {
        let (size, mut numbers) = numbers(path, self.colors.as_deref())?;
        for value in &mut numbers {
            *value = match self.meaning[usize::from(*value)] {
                Meaning::Class(class) => class,
                Meaning::Ignored => UNLABELLED,
                Meaning::Unknown => {
                    return Err(Error::Data(format!(
                        "{}: the class map contains {value}, which is not a class of the model; say what it means with --map, --ignore or --offset",
                        path.display()
                    )));
                }
            };
        }
        Ok((size, numbers))
    }
}

/// Gives each value of a list with names the class of the model with that name.
fn by_names(
    names: &Names,
    survey: &Survey,
    labels: &Labels,
    model: &[String],
    notes: &mut Notes,
) -> Result<[Meaning; 256]> {
    let offset = u32::from(labels.truth.offset);
    let mut counts = Counts::default();
    for (value, name) in &names.by_number {
        let count = survey.counts.get(value.saturating_add(offset) as usize).copied().unwrap_or(0);
        if count > 0 {
            counts.name(name, count);
        }
    }
    let fit = ClassFit::new(labels, &counts, model, notes)?;
    let mut meaning = [Meaning::Unknown; 256];
    meaning[..usize::from(labels.truth.offset)].fill(Meaning::Ignored);
    for (value, name) in &names.by_number {
        let class = fit.name(&ClassName::Name(Arc::clone(name)));
        let Some(place) = meaning.get_mut(value.saturating_add(offset) as usize) else { continue };
        *place = match class {
            None => Meaning::Ignored,
            Some(class) => {
                let at = model.iter().position(|known| **known == *class).and_then(|at| u8::try_from(at).ok());
                at.map_or(Meaning::Unknown, Meaning::Class)
            }
        };
    }
    meaning[usize::from(labels.truth.ignore.unwrap_or(UNLABELLED))] = Meaning::Ignored;
    Ok(meaning)
}

/// Refuses maps that hold what the model does not know, before any is measured.
fn all_known(names: &Names, meaning: &[Meaning; 256], survey: &Survey, offset: u8) -> Result<()> {
    let unknown = |value: &u8| meaning[usize::from(*value)] == Meaning::Unknown;
    let list: Vec<String> = survey
        .values()
        .into_iter()
        .filter(unknown)
        .map(|value| {
            let name = value.checked_sub(offset).and_then(|number| names.by_number.get(&u32::from(number)));
            name.map_or_else(
                || format!("{value} (no name in {})", names.from),
                |name| format!("{value} `{}`", shown(name)),
            )
        })
        .collect();
    if list.is_empty() {
        return Ok(());
    }
    let more = if list.len() > 8 { ", …" } else { "" };
    Err(Error::Data(format!(
        "the class maps contain values that are not classes of the model: {}{more}; say what they are with --map NAME=CLASS, leave them out with --map NAME=, or give the value that means \"not labelled\" with --ignore; all values in the maps: {}",
        list.iter().take(8).cloned().collect::<Vec<_>>().join(", "),
        survey.histogram()
    )))
}

/// Takes values for class numbers, if they can be.
fn by_values(survey: &Survey, truth: &Truth, model: &[String], notes: &mut Notes) -> Result<[Meaning; 256]> {
    let (ignore, offset) = (truth.ignore.unwrap_or(UNLABELLED), truth.offset);
    let values: Vec<u8> = survey.values().into_iter().filter(|value| *value != ignore).collect();
    let binary = survey.values() == [0, 255] || survey.values() == [255];
    let flags = values == [0, 1] && truth.names.is_none();
    let count = if model.is_empty() { 256 } else { model.len() };
    let mut meaning = [Meaning::Unknown; 256];
    let said = truth.ignore.is_some() || offset > 0;
    if binary && !said {
        if count != 2 {
            let names: Vec<&str> = model.iter().take(8).map(String::as_str).collect();
            return Err(Error::Data(format!(
                "the class maps contain only 0 and 255 ({}), where 255 means \"not labelled\", while the model has {count} classes ({}); write class numbers into the maps, 1 for the first class after the background",
                survey.histogram(),
                names.join(", ")
            )));
        }
        notes.say(format!("the class maps contain only 0 and 255; 255 is taken for `{}`", shown(&model[1])));
        (meaning[0], meaning[255]) = (Meaning::Class(0), Meaning::Class(1));
        return Ok(meaning);
    }
    if flags && count > 2 && !said && !model.is_empty() {
        return Err(Error::Data(format!(
            "the class maps contain only 0 and 1 ({}), as in binary masks, while the model has {count} classes; if 1 is `{}`, say so with --names model",
            survey.histogram(),
            shown(&model[1])
        )));
    }
    let highest = count.min(256) - 1 + usize::from(offset);
    let beyond: Vec<u8> = values.iter().copied().filter(|value| usize::from(*value) > highest).collect();
    if !beyond.is_empty() {
        let shown: Vec<String> = beyond.iter().take(8).map(u8::to_string).collect();
        return Err(Error::Data(format!(
            "the class maps contain {}, beyond the {count} classes of the model (0 to {}); their values are {}{}",
            shown.join(", "),
            count - 1,
            survey.histogram(),
            hint(&values, count, offset)
        )));
    }
    if values == [offset] && count > 1 {
        notes.say(format!("the class maps contain nothing but {offset}: no object is labelled in them"));
    }
    for (value, place) in meaning.iter_mut().enumerate() {
        *place = match value.checked_sub(usize::from(offset)) {
            None => Meaning::Ignored,
            Some(class) if class < count.min(255) => Meaning::Class(class as u8),
            Some(_) => Meaning::Unknown,
        };
    }
    meaning[usize::from(ignore)] = Meaning::Ignored;
    Ok(meaning)
}

/// Guesses what other values mean.
fn hint(values: &[u8], count: usize, offset: u8) -> String {
    let steps = |step: u8| values.iter().all(|value| value % step == 0 && usize::from(value / step) < count);
    let last = values.last().copied().unwrap_or(0);
    if offset == 0 && usize::from(last) == count {
        return "; every value is one too high, as where 0 means \"not labelled\" (ADE20K): if so, --offset 1".into();
    }
    match (2..=127).rev().find(|step| steps(*step)) {
        Some(step) => format!(
            "; they look like class numbers times {step}, as some tools write them to be visible; divide them by {step}"
        ),
        None => {
            "; write class numbers into the maps, or give the value that means \"not labelled\" with --ignore".into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn survey(values: &[u8]) -> Survey {
        let mut counts = [0; 256];
        values.iter().for_each(|value| counts[usize::from(*value)] += 10);
        Survey { counts }
    }

    fn meaning(values: &[u8], classes: usize, offset: u8) -> Result<([Meaning; 256], usize), String> {
        let model: Vec<String> = (0..classes).map(|at| format!("class {at}")).collect();
        let (truth, mut notes) = (Truth { offset, ..Truth::default() }, Notes::default());
        let found = by_values(&survey(values), &truth, &model, &mut notes).map_err(|e| e.to_string())?;
        Ok((found, notes.lines().len()))
    }

    #[test]
    fn values_are_numbers_or_refused_with_what_is_there() {
        let (plain, _) = meaning(&[0, 2, 255], 3, 0).unwrap();
        assert_eq!((plain[2], plain[255], plain[3]), (Meaning::Class(2), Meaning::Ignored, Meaning::Unknown));
        let (binary, notes) = meaning(&[0, 255], 2, 0).unwrap();
        assert_eq!((binary[255], notes), (Meaning::Class(1), 1));
        assert!(meaning(&[0, 255], 7, 0).unwrap_err().contains("255"));
        assert!(meaning(&[0, 40, 80], 7, 0).unwrap_err().contains("times 40"));
        assert!(meaning(&[0, 1, 7], 7, 0).unwrap_err().contains("--offset 1"));
        let (offset, _) = meaning(&[0, 1, 7], 7, 1).unwrap();
        assert_eq!((offset[0], offset[7]), (Meaning::Ignored, Meaning::Class(6)));
        assert!(meaning(&[0, 13, 101], 7, 0).unwrap_err().contains("--ignore"));
    }
}
