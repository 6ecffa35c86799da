//! A file that has been read and parsed.

use super::fault::{Fault, Faults};
use super::node::{self, Node, Value};
use super::place::Place;
use super::substitute;
use super::wording;
use crate::error::{Error, Result};
use std::fmt::Write as _;
use std::io::Read;
use std::path::Path;

/// The maximum length of a file; longer files are not read.
pub const MAX_FILE_BYTES: u64 = 1 << 20;

/// A file that has been read and parsed.
#[derive(Clone, Debug)]
pub struct Document {
    /// The name to show in messages.
    pub file: String,
    /// The text as read.
    pub text: String,
    /// The root of the tree.
    pub root: Node,
    /// The values of the `${…}`; must never be shown.
    pub secrets: Vec<String>,
}

impl Document {
    /// Reads a file, or standard input for `-`, and parses it. `${NAME}` and `${file:PATH}` are substituted; PATH is relative to the file's folder.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read, [`Error::Config`] with all faults if it is not valid YAML.
    pub fn read(path: &Path) -> Result<Self> {
        let input = path == Path::new("-");
        let file = if input { "standard input".to_owned() } else { path.display().to_string() };
        let io = |e| Error::io(&file, e);
        let mut bytes = Vec::new();
        let most = MAX_FILE_BYTES + 1;
        if input {
            std::io::stdin().take(most).read_to_end(&mut bytes).map_err(io)?;
        } else {
            std::fs::File::open(path).and_then(|opened| opened.take(most).read_to_end(&mut bytes)).map_err(io)?;
        }
        if bytes.len() as u64 > MAX_FILE_BYTES {
            return Err(Error::Config(format!(
                "{file}: a YAML file may have at most {MAX_FILE_BYTES} bytes; is it the right file?"
            )));
        }
        let text = String::from_utf8(bytes).map_err(|e| {
            let at = e.utf8_error().valid_up_to();
            Error::Config(format!("{file}: byte {at} is not UTF-8; save the file as UTF-8"))
        })?;
        let folder = path.parent().unwrap_or(Path::new("")).to_path_buf();
        let lookup = |name: &str| substitute::from_process(name, &folder);
        Self::parse(&file, text, lookup)
    }

    /// Parses a text that is not in a file, as [`Document::read`] does, with PATH relative to the working directory.
    ///
    /// # Errors
    /// As [`Document::parse`].
    pub fn from_text(name: &str, text: String) -> Result<Self> {
        Self::parse(name, text, |name| substitute::from_process(name, Path::new("")))
    }

    /// Parses a text; `lookup` returns the value of a `${…}`, or why there is none.
    ///
    /// # Errors
    /// [`Error::Config`] with all faults.
    pub fn parse(file: &str, text: String, lookup: impl Fn(&str) -> Result<String, String>) -> Result<Self> {
        let parsed = node::parse(&text);
        let mut document = Self { file: file.into(), text, root: Node::null(), secrets: Vec::new() };
        match parsed {
            Err(fault) => Err(document.error(&[fault])),
            Ok(root) => {
                document.root = root;
                let mut faults = Vec::new();
                document.find_curly(&document.root, &mut faults);
                let secrets = std::cell::RefCell::new(Vec::new());
                let noted = |name: &str| lookup(name).inspect(|value| secrets.borrow_mut().push(value.clone()));
                substitute::apply(&mut document.root, &noted, &mut faults);
                document.secrets = secrets.into_inner();
                if faults.is_empty() { Ok(document) } else { Err(document.error(&faults)) }
            }
        }
    }

    /// Finds texts in typographic quotes, unless these are in quotes themselves.
    fn find_curly(&self, node: &Node, faults: &mut Vec<Fault>) {
        match &node.value {
            Value::List(list) => list.iter().for_each(|item| self.find_curly(item, faults)),
            Value::Map(entries) => entries.iter().for_each(|(_, value)| self.find_curly(value, faults)),
            Value::Text(text) if wording::curly(text) => {
                let Place { line, column, .. } = node.place;
                let begins = self.text.lines().nth((line as usize).wrapping_sub(1));
                let begins = begins.and_then(|line| line.chars().nth((column as usize).wrapping_sub(1)));
                if begins == text.chars().next() {
                    let message = "typographic quotes, which YAML takes for part of the text; write \"…\" or '…'";
                    faults.push(Fault::new(node.place, message));
                }
            }
            _ => {}
        }
    }

    /// All faults as one error: each with file, line, column and the line it is in.
    #[must_use]
    pub fn error(&self, faults: &[Fault]) -> Error {
        self.faults(faults.to_vec()).into()
    }

    /// All faults, in the order of the text.
    #[must_use]
    pub fn faults(&self, mut list: Vec<Fault>) -> Faults {
        list.sort_by_key(|fault| (fault.place.line, fault.place.column));
        let mut message = String::new();
        for fault in &list {
            if !message.is_empty() {
                message.push('\n');
            }
            let Place { line, column, .. } = fault.place;
            let _ = write!(message, "{}:{line}:{column}: {}", self.file, fault.message);
            self.excerpt(fault.place, &mut message);
        }
        Faults { list, file: self.file.clone(), message }
    }

    /// Appends the line of a place, with a caret under it.
    fn excerpt(&self, place: Place, message: &mut String) {
        let Some(line) = self.text.lines().nth((place.line as usize).wrapping_sub(1)) else { return };
        let column = (place.column as usize).max(1);
        // A long line is cut to the part around the place.
        let start = column.saturating_sub(61);
        let shown: String = line.chars().skip(start).take(100).map(|c| if c == '\t' { ' ' } else { c }).collect();
        let width = place.width.clamp(1, shown.chars().count().saturating_sub(column - 1 - start).max(1));
        let number = place.line.to_string();
        let _ = write!(message, "\n {number} | {shown}\n {} | ", " ".repeat(number.len()));
        let _ = write!(message, "{}{}", " ".repeat(column - 1 - start), "^".repeat(width));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typographic_quotes_are_refused_unless_they_are_meant() {
        let parse = |text: &str| Document::parse("t.yaml", text.into(), |_| Err("none".into())).map(|_| ());
        assert!(parse("a: “door”").unwrap_err().to_string().starts_with("t.yaml:1:4: typographic quotes"));
        parse("a: '“door”'\nb: \"«Tür»\"").unwrap();
    }
}
