//! A recipe, and where it was read.

use super::augment::{Augment, Cache};
use super::freeze::Freeze;
use super::schedule::Curve;
use super::settings::{Heads, Recipe};
use crate::error::{Error, Result};
use crate::pipeline::set;
use crate::yaml::{self, Document, Fault};
use std::path::{Path, PathBuf};

/// A recipe, and where it was read.
#[derive(Clone, Debug)]
pub struct Written {
    /// What it says.
    pub recipe: Recipe,
    /// Its file.
    pub file: PathBuf,
    /// Its text, with what was changed by `--set` behind it.
    pub text: String,
    document: Document,
}

impl Written {
    /// Reads a recipe; each of `settings` changes it: `schedule.epochs=3`.
    ///
    /// # Errors
    /// [`Error::File`] with the place of the fault, [`Error::Config`] if a setting has another form.
    pub fn read(path: &Path, settings: &[String]) -> Result<Self> {
        let mut document = Document::read(path)?;
        let mut text = document.text.clone();
        for setting in settings {
            let form = || Error::Config(format!("--set {setting}: write SETTING=VALUE, such as schedule.epochs=10"));
            let (name, value) = setting.split_once('=').ok_or_else(form)?;
            let names: Vec<String> = name.split('.').map(|part| part.trim().to_owned()).collect();
            if names.iter().any(String::is_empty) {
                return Err(form());
            }
            let value =
                yaml::parse(value).map_err(|fault| Error::Config(format!("--set {setting}: {}", fault.message)))?;
            set(&mut document.root, &names, &value);
            text.push_str(&format!("# --set {setting}\n"));
        }
        let recipe: Recipe = yaml::read(&document.root).map_err(|fault| document.error(&[fault]))?;
        let written = Self { recipe, file: path.to_path_buf(), text, document };
        let faults = written.out_of_range();
        if faults.is_empty() { Ok(written) } else { Err(written.document.error(&faults)) }
    }

    /// Changes the recipe so that a few pictures are learnt by heart: as they are, until nothing is wrong.
    pub fn for_dry_run(&mut self) {
        self.recipe.augment = Augment { flip: false, crop: 1.0, color: 0.0, cache: Cache::Variants(1) };
        let s = &mut self.recipe.schedule;
        (s.epochs, s.unfrozen, s.batch, s.measure, s.patience) = (300, 0, 8, Some(100), 0);
        s.rate *= 3.0;
        (s.curve, s.decay, s.ema, s.accumulate) = (Curve::Constant, 0.0, 0.0, 1);
        self.recipe.freeze.get_or_insert(Freeze::Backbone);
        self.recipe.heads = Heads { smoothing: 0.0, balance: false, ..self.recipe.heads.clone() };
    }

    /// An error at a place of the recipe.
    #[must_use]
    pub fn error(&self, path: &[&str], message: impl Into<String>) -> Error {
        let place = self.document.root.find(path).unwrap_or(&self.document.root).place;
        self.document.error(&[Fault::new(place, message)])
    }

    /// A path of the recipe.
    #[must_use]
    pub fn beside(&self, path: &Path) -> PathBuf {
        self.file.parent().unwrap_or(Path::new("")).join(path)
    }

    fn out_of_range(&self) -> Vec<Fault> {
        let (r, mut faults) = (&self.recipe, Vec::new());
        let mut within = |path: [&str; 2], value: f64, least: f64, most: f64| {
            if !(least..=most).contains(&value) {
                let place = self.document.root.find(&path).unwrap_or(&self.document.root).place;
                let message = format!("{}: {value} is out of range; expected {least} to {most}", path.join("."));
                faults.push(Fault::new(place, message));
            }
        };
        let s = &r.schedule;
        within(["data", "held_out"], r.data.held_out, 0.01, 0.9);
        within(["heads", "smoothing"], f64::from(r.heads.smoothing), 0.0, 0.9);
        within(["augment", "crop"], r.augment.crop, 0.05, 1.0);
        within(["augment", "color"], r.augment.color, 0.0, 1.0);
        within(["schedule", "epochs"], s.epochs as f64, 1.0, 1e5);
        within(["schedule", "unfrozen"], s.unfrozen as f64, 0.0, 1e5);
        within(["schedule", "batch"], s.batch as f64, 1.0, 4096.0);
        within(["schedule", "accumulate"], s.accumulate as f64, 1.0, 4096.0);
        within(["schedule", "rate"], s.rate, 0.0, 100.0);
        within(["schedule", "warmup"], s.warmup, 0.0, 1000.0);
        within(["schedule", "momentum"], s.momentum, 0.0, 0.9999);
        within(["schedule", "decay"], s.decay, 0.0, 1.0);
        within(["schedule", "clip"], s.clip, 0.0, 1e9);
        within(["schedule", "ema"], s.ema, 0.0, 0.99999);
        within(["schedule", "measure"], s.measure.unwrap_or(1) as f64, 1.0, 1e5);
        faults
    }
}
