//! What the user says about labels, in a command or in a file: where they are, their format, names, and classes.

use super::format::Format;
use crate::error::{Error, Result};
use crate::yaml::{self, Document};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Labels and how to read them: a path, or these settings.
#[derive(Clone, Debug, Default, PartialEq, JsonSchema)]
pub struct Truth {
    /// A file or folder of labels.
    pub path: PathBuf,
    /// Their format, if it is not recognised.
    pub format: Option<Format>,
    /// The names of class numbers: a file, `coco80` (YOLO's numbers, from 0), `coco91` (COCO's own ids, from 1), or
    /// `model` (the order of the model's labels).
    pub names: Option<String>,
    /// Classes of the labels that the model calls by another name; `~` leaves a class out: `{ automobile: car, sign: ~ }`.
    pub map: BTreeMap<String, Option<String>>,
    /// The value of class maps that means "not labelled"; 255 if not given.
    pub ignore: Option<u8>,
    /// The value of the first class in class maps: 1 where 0 means "not labelled", as in ADE20K.
    pub offset: u8,
    /// Scale boxes of pictures of another size; otherwise they are refused.
    pub scale: bool,
    /// Every note about the labels is an error.
    pub strict: bool,
}

/// The form of [`Truth`] with keys.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    path: PathBuf,
    #[serde(default)]
    format: Option<Format>,
    #[serde(default)]
    names: Option<String>,
    #[serde(default)]
    map: BTreeMap<String, Option<String>>,
    #[serde(default)]
    ignore: Option<u8>,
    #[serde(default)]
    offset: u8,
    #[serde(default)]
    scale: bool,
    #[serde(default)]
    strict: bool,
}

impl From<Fields> for Truth {
    fn from(f: Fields) -> Self {
        let Fields { path, format, names, map, ignore, offset, scale, strict } = f;
        Self { path, format, names, map, ignore, offset, scale, strict }
    }
}

impl<'de> Deserialize<'de> for Truth {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Truth;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a path, or a map with `path`")
            }
            fn visit_str<E>(self, path: &str) -> Result<Truth, E> {
                Ok(Truth::at(path))
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<Truth, A::Error> {
                Fields::deserialize(serde::de::value::MapAccessDeserializer::new(map)).map(Truth::from)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl Truth {
    /// Labels at a path, of which nothing else is said.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), ..Self::default() }
    }

    /// Reads a truth file: a YAML with `labels`, a path below its folder or the settings above. `None` if the file is
    /// another YAML.
    ///
    /// # Errors
    /// [`Error::File`] with the place, [`Error::Io`].
    pub fn read(path: &Path) -> Result<Option<Self>> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct File {
            labels: Truth,
        }
        let ending = path.extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default();
        if !matches!(ending.as_str(), "yaml" | "yml") || !path.is_file() {
            return Ok(None);
        }
        let document = Document::read(path)?;
        if document.root.find(&["labels"]).is_none() {
            return Ok(None);
        }
        let file: File = yaml::read(&document.root).map_err(|fault| document.error(&[fault]))?;
        let folder = path.parent().unwrap_or(Path::new(""));
        Ok(Some(file.labels.below(folder)))
    }

    /// The same, with paths below a folder.
    #[must_use]
    pub fn below(mut self, folder: &Path) -> Self {
        self.path = folder.join(&self.path);
        if let Some(names) = &mut self.names
            && !is_word(names)
        {
            *names = folder.join(&*names).display().to_string();
        }
        self
    }

    /// Reads `A=B,C=D,E=`, where nothing behind the sign leaves a class out.
    ///
    /// # Errors
    /// [`Error::Config`] that shows the form.
    pub fn parse_map(text: &str) -> Result<(String, Option<String>), String> {
        let (from, to) =
            text.split_once('=').ok_or_else(|| format!("`{text}`: write LABEL=CLASS, or LABEL= to leave it out"))?;
        let to = to.trim();
        Ok((from.trim().to_owned(), (!to.is_empty() && to != "~").then(|| to.to_owned())))
    }
}

/// Whether `names` is a word rather than a file.
pub(super) fn is_word(names: &str) -> bool {
    matches!(names, "model" | "coco80" | "coco91")
}

/// The error for a word or file of names that is not there.
pub(super) fn no_names(names: &str) -> Error {
    Error::Config(format!("`names`: {names} is neither a file nor one of `model`, `coco80` and `coco91`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_alone_or_with_settings() {
        let read = |text: &str| yaml::read::<Truth>(&yaml::parse(text).unwrap());
        assert_eq!(read("data/").unwrap(), Truth::at("data/"));
        let full = read("{ path: a.json, map: { van: car, sign: ~ }, offset: 1, strict: true }").unwrap();
        assert_eq!((full.map["van"].as_deref(), full.map["sign"].as_deref()), (Some("car"), None));
        assert!(read("{ path: a, formt: coco }").is_err());
        assert_eq!(Truth::parse_map("van=car").unwrap(), ("van".into(), Some("car".into())));
        assert_eq!(Truth::parse_map("sign=").unwrap(), ("sign".into(), None));
    }
}
