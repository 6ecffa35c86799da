//! Where models are found.

use super::zoo::Zoo;
use super::{Card, Extra, Plan, Session, bundle, selfcheck};
use crate::error::{Error, Result};
use crate::host::data_folder;
use crate::yaml::nearest;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

type Plans = Arc<Mutex<HashMap<(PathBuf, Extra), Weak<Plan>>>>;

/// The folders that are searched for a model's folder, in order, and the plans in use, so that lines with the same
/// model share its weights.
#[derive(Clone, Default)]
pub struct ModelStore {
    roots: Vec<PathBuf>,
    /// Folders that would be searched, too, but do not exist.
    missing: Vec<PathBuf>,
    plans: Plans,
}

impl ModelStore {
    /// Creates a store that searches the given folders (`--models`), those in `OCELLI_MODELS`, `models` in or beside
    /// the pipeline's folder, `models` in the current directory, `ocelli/models` in the user's data folder,
    /// `/usr/share/ocelli/models`, and last the models that are built into the program.
    #[must_use]
    pub fn new(given: &[PathBuf], base_dir: &Path) -> Self {
        let mut roots = given.to_vec();
        if let Some(paths) = std::env::var_os("OCELLI_MODELS") {
            roots.extend(std::env::split_paths(&paths));
        }
        roots.extend([base_dir.join("models"), base_dir.join("../models"), PathBuf::from("models")]);
        roots.extend(data_folder().map(|folder| folder.join("models")));
        roots.push(PathBuf::from("/usr/share/ocelli/models"));
        let (mut roots, missing): (Vec<_>, Vec<_>) = roots.into_iter().partition(|root| root.is_dir());
        let mut seen = Vec::new();
        roots.retain(|root| {
            let whole = root.canonicalize().unwrap_or_else(|_| root.clone());
            let new = !seen.contains(&whole);
            seen.push(whole);
            new
        });
        Self { roots, missing, plans: Arc::default() }
    }

    /// Creates a session of a model. It shares its plan with every other session of the same model and outputs. A model
    /// that takes less time than waking a thread gets one.
    ///
    /// # Errors
    /// [`Error::Model`] as for [`Plan::load`] and [`selfcheck::ensure`].
    pub fn session(&self, card: &Card, extra: &Extra, threads: usize) -> Result<Session> {
        let key = (card.folder.clone(), extra.clone());
        // A panic elsewhere leaves the table intact: entries are only ever added.
        let mut plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        let plan = match plans.get(&key).and_then(Weak::upgrade) {
            Some(plan) => plan,
            None => {
                let plan = Arc::new(Plan::load(card, extra)?);
                selfcheck::ensure(card, &plan)?;
                plans.insert(key, Arc::downgrade(&plan));
                plan
            }
        };
        drop(plans);
        let threads = if plan.is_tiny() { 1 } else { threads };
        Session::of(card, plan, threads)
    }

    /// Returns the folder for new models: the first one that is searched, or else the user's own.
    #[must_use]
    pub fn home(&self) -> PathBuf {
        let own = || data_folder().map(|folder| folder.join("models"));
        self.roots.first().cloned().or_else(own).unwrap_or_else(|| PathBuf::from("models"))
    }

    /// Reads the card of a model.
    ///
    /// # Errors
    /// [`Error::Model`] if no folder has it (the message suggests the nearest name), or if its card is faulty.
    pub fn card(&self, name: &str) -> Result<Card> {
        let plain = !name.is_empty() && !name.contains(['/', '\\']) && name != ".." && name != ".";
        let found =
            self.roots.iter().map(|root| root.join(name)).find(|folder| plain && folder.join("card.yaml").is_file());
        if let Some(folder) = found {
            return Card::read(&folder);
        }
        if let Some(folder) = bundle::model(name)? {
            return Card::read(&folder);
        }
        let names = self.names();
        let known = Zoo::built_in()?.entries.iter().any(|(entry, _)| entry == name);
        let hint = match nearest(name, names.iter().map(String::as_str)) {
            _ if known => format!("`ocelli models pull {name}` gets it"),
            Some(near) => format!("did you mean `{near}`?"),
            None => "see `ocelli models list`".to_owned(),
        };
        let list = |folders: &[PathBuf]| {
            folders.iter().map(|folder| folder.display().to_string()).collect::<Vec<_>>().join(", ")
        };
        let places = if self.roots.is_empty() {
            format!("there is no folder of models, neither {}", list(&self.missing).replace(", ", " nor "))
        } else {
            format!("looked in {}", list(&self.roots))
        };
        Err(Error::Model(format!("no model `{name}`: {places} (add folders with --models or OCELLI_MODELS); {hint}")))
    }

    /// Returns the names of all models, sorted.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let folders = self.roots.iter().filter_map(|root| std::fs::read_dir(root).ok()).flatten().flatten();
        let mut names: Vec<String> = folders
            .filter(|entry| entry.path().join("card.yaml").is_file())
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .chain(bundle::models().map(str::to_owned))
            .collect();
        names.sort();
        names.dedup();
        names
    }
}
