//! What is wrong in a file, and where; and helpers for useful messages.

use super::place::Place;
use crate::error::{Error, FileFault};

/// Something wrong in a file, and where.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// Where in the text.
    pub place: Place,
    /// What was found, what was expected, and how to fix it.
    pub message: String,
}

impl Fault {
    /// Creates a fault at a place.
    #[must_use]
    pub fn new(place: Place, message: impl Into<String>) -> Self {
        Self { place, message: message.into() }
    }

    /// Puts `part: ` in front of the message.
    #[must_use]
    pub fn within(mut self, part: &str) -> Self {
        self.message = format!("{part}: {}", self.message);
        self
    }
}

/// Everything that is wrong in a file. When displayed, each fault has its file, line and column, and the line's text.
#[derive(Clone, Debug)]
pub struct Faults {
    /// The faults, from the top of the file to its end.
    pub list: Vec<Fault>,
    pub(super) file: String,
    pub(super) message: String,
}

impl std::fmt::Display for Faults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Faults {}

impl From<Faults> for Error {
    fn from(faults: Faults) -> Self {
        let file = |fault: Fault| FileFault {
            file: faults.file.clone(),
            line: fault.place.line,
            column: fault.place.column,
            message: fault.message,
        };
        Self::File { faults: faults.list.into_iter().map(file).collect(), text: faults.message }
    }
}

/// The name in `names` that is closest to `word`, if one is close enough.
#[must_use]
pub fn nearest<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let best = names.into_iter().map(|name| (strsim::damerau_levenshtein(word, name), name)).min()?;
    (best.0 <= 1 + word.chars().count() / 4).then_some(best.1)
}

/// Joins names as `a`, `b` or `c`.
#[must_use]
pub fn one_of<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let quoted: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    match quoted.split_last() {
        None => "nothing".into(),
        Some((only, [])) => only.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
    }
}
