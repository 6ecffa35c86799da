//! Known public models: their addresses, expected hashes and cards.

use crate::error::{Error, Result};
use crate::yaml::{self, Document, Value, nearest};
use serde::Deserialize;
use std::path::Path;

/// A public model.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// What it is for, in a few words.
    pub what: String,
    /// SPDX identifier of the licence of the weights.
    pub license: String,
    /// The files to download. The first is the model, or the file it is converted from.
    pub files: Vec<ZooFile>,
    /// The command that converts the first file to `model.onnx`, if it has another format.
    #[serde(default)]
    pub convert: Option<String>,
    /// The text of the card; `SHA256` in it stands for the hash of a converted model.
    pub card: String,
}

/// One file of a model.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ZooFile {
    /// Its name in the model's folder.
    pub name: String,
    /// Its size, if known.
    #[serde(default)]
    pub bytes: Option<u64>,
    /// Its SHA-256, if known.
    #[serde(default)]
    pub sha256: Option<String>,
    /// Its addresses, tried in order.
    pub urls: Vec<String>,
}

/// The models of a zoo file.
#[derive(Clone, Debug, Default)]
pub struct Zoo {
    /// Names and entries, in the order of the file.
    pub entries: Vec<(String, Entry)>,
}

impl Zoo {
    /// Returns the zoo that is built into this program: `models/zoo.yaml`.
    ///
    /// # Errors
    /// [`Error::Internal`] if that file is faulty.
    pub fn built_in() -> Result<Self> {
        let text = include_str!("../../models/zoo.yaml").to_owned();
        let document = Document::parse("models/zoo.yaml", text, |_| Err("variables are not allowed here".into()))?;
        Self::of(&document).map_err(|e| Error::Internal(e.to_string()))
    }

    /// Reads a user's own zoo file.
    ///
    /// # Errors
    /// [`Error::Config`] with the position of each fault.
    pub fn read(path: &Path) -> Result<Self> {
        Self::of(&Document::read(path)?)
    }

    fn of(document: &Document) -> Result<Self> {
        let Value::Map(entries) = &document.root.value else {
            return Err(Error::Config(format!("{}: expected a map of names to models", document.file)));
        };
        let mut faults = Vec::new();
        let mut zoo = Self::default();
        for (key, node) in entries {
            let name = key.text().unwrap_or_default().to_owned();
            match yaml::read::<Entry>(node) {
                Ok(entry)
                    if is_plain(&name) && entry.files.iter().all(|f| is_plain(&f.name)) && !entry.files.is_empty() =>
                {
                    zoo.entries.push((name, entry));
                }
                Ok(_) => faults.push(yaml::Fault::new(node.place, format!("{name}: names must be plain file names"))),
                Err(fault) => faults.push(fault.within(&name)),
            }
        }
        if faults.is_empty() { Ok(zoo) } else { Err(document.error(&faults)) }
    }

    /// Returns an entry by its name.
    ///
    /// # Errors
    /// [`Error::Config`] if there is no such entry; the message suggests the nearest name.
    pub fn entry(&self, name: &str) -> Result<&Entry> {
        let found = self.entries.iter().find(|(known, _)| known == name).map(|(_, entry)| entry);
        found.ok_or_else(|| {
            let names = self.entries.iter().map(|(name, _)| name.as_str());
            let hint = nearest(name, names.clone())
                .map_or_else(|| format!("expected {}", yaml::one_of(names)), |near| format!("did you mean `{near}`?"));
            Error::Config(format!("the zoo has no model `{name}`; {hint}"))
        })
    }
}

/// Returns whether a name cannot point outside its folder.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_zoo_is_sound_and_every_address_is_public() {
        let zoo = Zoo::built_in().unwrap();
        assert!(zoo.entries.len() >= 10);
        for (name, entry) in &zoo.entries {
            assert!(entry.files.iter().all(|f| f.urls.iter().all(|u| u.starts_with("https://"))), "{name}");
            assert!(entry.card.contains(&format!("license: {}", entry.license)), "{name}");
            assert_eq!(entry.card.contains("SHA256"), entry.convert.is_some(), "{name}");
        }
        assert!(zoo.entry("ultrafase").unwrap_err().to_string().contains("did you mean `ultraface`?"));
    }

    #[test]
    fn a_zoo_cannot_write_outside_its_folder() {
        let text = "evil:\n  what: x\n  license: x\n  files: [{ name: ../../x, urls: [] }]\n  card: x\n";
        let document = Document::parse("zoo.yaml", text.into(), |_| Err(String::new())).unwrap();
        assert!(Zoo::of(&document).is_err());
    }
}
