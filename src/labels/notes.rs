//! What was odd about labels: each kind once, with its count and its first places.

use crate::error::{Error, Result};
use std::fmt;

/// A kind of oddity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// What was found, and what became of it.
    pub kind: String,
    /// How often.
    pub count: u64,
    /// The first places.
    pub first: Vec<String>,
    /// Whether it cost annotations.
    pub lost: bool,
}

/// How many places are named.
const NAMED: usize = 3;

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first.is_empty() {
            return f.write_str(&self.kind);
        }
        let more = if self.count > self.first.len() as u64 { ", …" } else { "" };
        write!(f, "{}: {} ({}{more})", self.kind, self.count, self.first.join(", "))
    }
}

/// All oddities, in the order in which they were met first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notes(Vec<Note>);

impl Notes {
    /// Counts one; its place is worked out only if it is shown.
    pub fn add(&mut self, kind: &str, place: impl FnOnce() -> String) {
        self.count(kind, false, 1, place);
    }

    /// Counts an annotation that is left out.
    pub fn left_out(&mut self, kind: &str, place: impl FnOnce() -> String) {
        self.count(kind, true, 1, place);
    }

    /// Adds a sentence that stands for itself.
    pub fn say(&mut self, sentence: String) {
        if !self.0.iter().any(|note| note.kind == sentence) {
            self.0.push(Note { kind: sentence, count: 1, first: Vec::new(), lost: false });
        }
    }

    fn count(&mut self, kind: &str, lost: bool, count: u64, place: impl FnOnce() -> String) {
        let at = self.0.iter().position(|note| note.kind == kind).unwrap_or_else(|| {
            self.0.push(Note { kind: kind.to_owned(), count: 0, first: Vec::new(), lost });
            self.0.len() - 1
        });
        let note = &mut self.0[at];
        note.count += count;
        if note.first.len() < NAMED {
            note.first.push(place());
        }
    }

    /// Adds those of another list.
    pub fn extend(&mut self, other: Self) {
        for note in other.0 {
            match self.0.iter_mut().find(|known| known.kind == note.kind) {
                Some(known) => {
                    known.count += note.count;
                    known.first.extend(note.first);
                    known.first.truncate(NAMED);
                }
                None => self.0.push(note),
            }
        }
    }

    /// The notes.
    pub fn iter(&self) -> impl Iterator<Item = &Note> {
        self.0.iter()
    }

    /// Whether nothing was odd.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many annotations were left out.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.0.iter().filter(|note| note.lost).map(|note| note.count).sum()
    }

    /// The notes as lines of text.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.0.iter().map(ToString::to_string).collect()
    }

    /// Turns what is odd into an error, if there is anything.
    ///
    /// # Errors
    /// [`Error::Data`] that lists everything.
    pub fn refuse(&self, what: &str) -> Result<()> {
        if self.is_empty() {
            return Ok(());
        }
        Err(Error::Data(format!("{what}: refused because of `strict`:\n  {}", self.lines().join("\n  "))))
    }

    /// Refuses a file in which more annotations were left out than read: then it is the file that is odd.
    ///
    /// # Errors
    /// [`Error::Data`] that lists what was left out.
    pub fn most_are_sound(&self, what: &str, read: u64) -> Result<()> {
        if self.lost() <= read {
            return Ok(());
        }
        let lost: Vec<String> = self.0.iter().filter(|note| note.lost).map(ToString::to_string).collect();
        let all = self.lost() + read;
        Err(Error::Data(format!(
            "{what}: {} of {all} annotations cannot be used:\n  {}",
            self.lost(),
            lost.join("\n  ")
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_told_once_with_its_first_places() {
        let mut notes = Notes::default();
        (0..5).for_each(|at| notes.left_out("no box, left out", || format!("annotations[{at}]")));
        notes.say("the labels have no names".into());
        let lines = notes.lines();
        assert_eq!(lines[0], "no box, left out: 5 (annotations[0], annotations[1], annotations[2], …)");
        assert_eq!((lines[1].as_str(), notes.lost()), ("the labels have no names", 5));
        assert!(notes.most_are_sound("x", 5).is_ok() && notes.most_are_sound("x", 4).is_err());
    }
}
