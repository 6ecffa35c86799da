//! `ocelli data`: looks at labelled pictures.

use super::console::harmless;
use super::global::say;
use super::labels::HowArgs;
use crate::error::{Error, Result};
use crate::eval::rows::Object;
use crate::eval::{sheet, table::table};
use crate::labels::{BoxFit, ClassName, Labels, Notes, pictures, shown, values};
use crate::media::{jpeg, png};
use crate::trial::write_file;
use crate::types::{BBox, Size};
use clap::{Args, Subcommand};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Look at labelled pictures: what was read, what was skipped, how often each class occurs
#[derive(Debug, Subcommand)]
pub enum DataVerb {
    Check(DataCheckArgs),
}

/// Read labels as `ocelli eval` does, and show what was understood
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ocelli data check photos/                                 a folder in any of the formats below
  ocelli data check data.yaml --sheet sheet.jpg             with the labels drawn on some pictures
  ocelli data check annotations.json --pictures images/     COCO
  ocelli data check VOC2012/ --strict                       exit code 5 if there is any note

Formats: COCO .json; Pascal VOC .xml; YOLO .txt with data.yaml, obj.data or classes.txt; .png class maps; one folder for \
each class. They may be exports of CVAT, Label Studio or Roboflow. docs/eval.md says how each is read.")]
pub struct DataCheckArgs {
    /// A file or folder of labels
    path: PathBuf,
    #[command(flatten)]
    how: HowArgs,
    /// The folder of the pictures, if they are not found without it
    #[arg(long, value_name = "FOLDER")]
    pictures: Option<PathBuf>,
    /// Write a contact sheet: some pictures with their labels drawn (.jpg or .png)
    #[arg(long, value_name = "FILE")]
    sheet: Option<PathBuf>,
    /// Maximum number of pictures on the sheet
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u16).range(1..=400))]
    most: u16,
}

impl DataVerb {
    /// Runs it.
    ///
    /// # Errors
    /// If labels cannot be read, or, with `--strict`, if anything is odd.
    pub fn run(&self) -> Result<()> {
        match self {
            Self::Check(args) => args.run(),
        }
    }
}

impl DataCheckArgs {
    fn run(&self) -> Result<()> {
        let strict = self.how.strict;
        let mut truth = self.how.truth(self.path.clone())?;
        // Everything is shown before the end.
        truth.strict = false;
        let labels = Labels::read(&truth)?;
        let (found, matching) = pictures::find(&labels, self.pictures.as_deref())?;
        let mut notes = labels.notes.clone();
        let mut text = format!("{}: {}\n", self.path.display(), labels.about());
        let (fit, other) = match found.is_empty() {
            true => (BoxFit::over(&labels.pictures), None),
            false => pictures::fit(&labels, &found),
        };
        let unfit = fit.judge(&mut notes).err().or(other);
        if found.is_empty() {
            notes.say("the pictures were not found; give their folder with --pictures".into());
        } else {
            let folder = found[0].0.parent().unwrap_or(Path::new("."));
            let _ = writeln!(
                text,
                "pictures: {} found, {} of them labelled (first in {})",
                found.len(),
                matching.matched(),
                folder.display()
            );
            twins(&labels, &found, &mut notes);
            let bare = matching.bare();
            bare.iter().for_each(|name| notes.add("pictures without labels", || name.clone()));
            let there: BTreeSet<usize> = found.iter().filter_map(|(_, at)| *at).collect();
            for (_, picture) in labels.pictures.iter().enumerate().filter(|(at, _)| !there.contains(at)) {
                notes.add("labels without a picture", || shown(&picture.path));
            }
        }
        text += &histogram(&labels, &mut notes);
        notes.lines().iter().for_each(|line| _ = writeln!(text, "note: {line}"));
        say(&harmless(&text))?;
        if let Some(sheet) = &self.sheet {
            self.write_sheet(sheet, &labels, &found)?;
        }
        if let Some(error) = unfit {
            return Err(error);
        }
        if strict { notes.refuse(&self.path.display().to_string()) } else { Ok(()) }
    }

    /// Draws pictures from all over the set; those with the most kinds of objects first would hide the common ones.
    fn write_sheet(&self, path: &Path, labels: &Labels, found: &[(PathBuf, Option<usize>)]) -> Result<()> {
        let labelled: Vec<(&PathBuf, usize)> = found.iter().filter_map(|(path, at)| Some((path, (*at)?))).collect();
        if labelled.is_empty() {
            let message = "no labelled picture was found for the sheet; give the pictures' folder with --pictures";
            return Err(Error::Data(message.into()));
        }
        let step = labelled.len().div_ceil(usize::from(self.most)).max(1);
        let names = numbers(labels);
        let mut cells = Vec::new();
        for (file, at) in labelled.into_iter().step_by(step) {
            let picture = &labels.pictures[at];
            let objects = |size: Size| {
                let object = |labelled: &crate::labels::Labelled| {
                    let label = name(&labelled.class);
                    let class = names.get(&label).copied().unwrap_or_default();
                    let [x1, y1, x2, y2] = labelled.place.corners(size).map(|v| v as f32);
                    Object { label, class, score: 1.0, bbox: BBox::new(x1, y1, x2, y2) }
                };
                picture.boxes.iter().map(object).collect()
            };
            let mask = picture.mask.as_deref().and_then(|path| values(labels, path).ok()).map(|(values, _)| values);
            let class = picture.class.as_deref().map_or(String::new(), |class| format!("{class}: "));
            let title = format!("{class}{}", file.file_name().unwrap_or_default().to_string_lossy());
            match sheet::cell(file, &title, objects, mask.as_deref()) {
                Ok(cell) => cells.push(cell),
                Err(error) => tracing::warn!("left out of the sheet: {error}"),
            }
        }
        let (image, mut bytes) = (sheet::sheet(&cells), Vec::new());
        if path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("png")) {
            png::encode(&image, &mut bytes)?;
        } else {
            jpeg::encode(&image, 88, &mut bytes)?;
        }
        write_file(path, &bytes)?;
        say(&format!("{}: {} pictures\n", path.display(), cells.len()))
    }
}

fn name(class: &ClassName) -> String {
    match class {
        ClassName::Name(name) => name.to_string(),
        ClassName::Number(number) => number.to_string(),
    }
}

/// Numbers the classes, for their colours.
fn numbers(labels: &Labels) -> BTreeMap<String, u16> {
    let names: BTreeSet<String> = labels.pictures.iter().flat_map(|p| &p.boxes).map(|l| name(&l.class)).collect();
    names.into_iter().enumerate().map(|(at, name)| (name, at as u16)).collect()
}

/// How often each class is there, most first.
/// Below this number, a class is hardly learnt.
const RARE: u64 = 10;

/// Looks for pictures that are there twice: what is learnt from must not be judged by.
fn twins(labels: &Labels, found: &[(PathBuf, Option<usize>)], notes: &mut Notes) {
    let mut by_length: BTreeMap<u64, Vec<&(PathBuf, Option<usize>)>> = BTreeMap::new();
    for picture in found {
        let length = std::fs::metadata(&picture.0).map_or(0, |data| data.len());
        by_length.entry(length).or_default().push(picture);
    }
    for same in by_length.into_values().filter(|same| same.len() > 1) {
        let mut by_hash: BTreeMap<Vec<u8>, &(PathBuf, Option<usize>)> = BTreeMap::new();
        for picture in same {
            let Ok(bytes) = std::fs::read(&picture.0) else { continue };
            let Some(first) = by_hash.insert(Sha256::digest(&bytes).to_vec(), picture) else { continue };
            let [one, other] = [first, picture].map(|(_, at)| at.map(|at| &labels.pictures[at]));
            let split = |picture: Option<&crate::labels::Picture>| picture.and_then(|p| p.split.clone());
            let class = |picture: Option<&crate::labels::Picture>| picture.and_then(|p| p.class.clone());
            let kind = match (split(one) == split(other), class(one) == class(other)) {
                (false, _) => "pictures that are in two splits",
                (true, false) => "pictures that are in two classes",
                (true, true) => continue,
            };
            notes.add(kind, || format!("{} and {}", first.0.display(), picture.0.display()));
        }
    }
}

fn histogram(labels: &Labels, notes: &mut Notes) -> String {
    let mut counts: BTreeMap<String, (u64, u64, u64)> = BTreeMap::new();
    for picture in &labels.pictures {
        let mut here = BTreeSet::new();
        for labelled in &picture.boxes {
            let class = name(&labelled.class);
            let entry = counts.entry(class.clone()).or_default();
            entry.0 += 1;
            entry.2 += u64::from(labelled.crowd || labelled.difficult);
            here.insert(class);
        }
        if let Some(class) = &picture.class {
            counts.entry(class.to_string()).or_default().0 += 1;
            here.insert(class.to_string());
        }
        here.into_iter().for_each(|class| counts.entry(class).or_default().1 += 1);
    }
    let mut text = String::new();
    let mut splits: BTreeMap<&str, u64> = BTreeMap::new();
    labels.pictures.iter().filter_map(|p| p.split.as_deref()).for_each(|split| *splits.entry(split).or_default() += 1);
    if !splits.is_empty() {
        let list: Vec<String> = splits.iter().map(|(split, count)| format!("{split} {count}")).collect();
        let _ = writeln!(text, "splits: {}", list.join(", "));
    }
    if counts.is_empty() {
        return text + &mask_histogram(labels, notes);
    }
    let empty = labels.pictures.iter().filter(|p| p.boxes.is_empty() && p.class.is_none()).count();
    if empty > 0 {
        let _ = writeln!(text, "labelled pictures with nothing in them: {empty}");
    }
    let rare: Vec<String> = counts
        .iter()
        .filter(|(_, (count, ..))| *count < RARE)
        .map(|(class, (count, ..))| format!("{} ({count})", shown(class)))
        .collect();
    if !rare.is_empty() {
        let _ = writeln!(text, "too rare to be learnt well, fewer than {RARE}: {}", rare.join(", "));
    }
    let most = counts.values().map(|(count, ..)| *count).max().unwrap_or(1);
    let mut rows: Vec<(String, (u64, u64, u64))> = counts.into_iter().collect();
    rows.sort_by(|a, b| b.1.0.cmp(&a.1.0).then(a.0.cmp(&b.0)));
    let total = rows.len();
    rows.truncate(100);
    let row = |(class, (count, pictures, special)): (String, (u64, u64, u64))| {
        let bar = format!("{:<30}", "#".repeat((count * 30).div_ceil(most) as usize));
        vec![class, count.to_string(), pictures.to_string(), special.to_string(), bar]
    };
    text += &table(
        &["class", "objects", "pictures", "crowd or difficult", ""],
        &rows.into_iter().map(row).collect::<Vec<_>>(),
    );
    if total > 100 {
        let _ = writeln!(text, "… and {} more classes", total - 100);
    }
    text
}

/// The values of class maps, and their shares of the pixels of at most 200 maps.
fn mask_histogram(labels: &Labels, notes: &mut Notes) -> String {
    let (mut counts, mut names) = (BTreeMap::<u8, u64>::new(), Vec::new());
    let masks: Vec<&PathBuf> = labels.pictures.iter().filter_map(|picture| picture.mask.as_ref()).collect();
    for path in masks.iter().step_by(masks.len().div_ceil(200).max(1)) {
        match values(labels, path) {
            Ok((numbers, known)) => {
                names = known;
                numbers.into_iter().for_each(|value| *counts.entry(value).or_default() += 1);
            }
            Err(error) => notes.add("class maps that cannot be read", || error.to_string()),
        }
    }
    let all = counts.values().sum::<u64>().max(1) as f64;
    let row = |(value, count): (&u8, &u64)| {
        let name = names.get(usize::from(*value)).cloned().unwrap_or_default();
        vec![value.to_string(), format!("{:.2} %", 100.0 * *count as f64 / all), name]
    };
    table(&["value", "pixels", "name"], &counts.iter().map(row).collect::<Vec<_>>())
}
