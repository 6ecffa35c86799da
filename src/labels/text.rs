//! Text files of other people's tools: with byte-order marks, in UTF-16, in encodings of long ago.

use super::notes::Notes;
use crate::error::{Error, Result};
use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};
use std::path::Path;

/// Reads a text file. Bytes that are neither UTF-8 nor in an encoding that the file declares are taken for
/// Windows-1252, of which Latin-1 is a part, and a note tells so.
///
/// # Errors
/// [`Error::Io`], or [`Error::Data`] if it is not text.
pub fn read(path: &Path, notes: &mut Notes) -> Result<String> {
    if std::fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir()) {
        // A pipe or a device may never end.
        return Err(Error::Data(format!("{}: a pipe or a device; give a file", path.display())));
    }
    let bytes = std::fs::read(path).map_err(|e| Error::io(path, e))?;
    // Nearly always UTF-8, which need not be copied.
    let plain = !bytes.starts_with(&[0xEF, 0xBB, 0xBF])
        && !bytes.starts_with(b"<?xml")
        && !bytes.iter().take(64).any(|b| *b == 0);
    let bytes = if plain {
        match String::from_utf8(bytes) {
            Ok(text) => return Ok(text),
            Err(error) => error.into_bytes(),
        }
    } else {
        bytes
    };
    decode(&bytes, notes, &|| path.display().to_string()).map_err(|e| e.at(path.display()))
}

/// Decodes text; `place` says where it stands.
///
/// # Errors
/// [`Error::Data`] if it contains the bytes of something other than text.
pub fn decode(bytes: &[u8], notes: &mut Notes, place: &dyn Fn() -> String) -> Result<String> {
    if let Some((encoding, mark)) = Encoding::for_bom(bytes) {
        return Ok(encoding.decode_without_bom_handling(&bytes[mark..]).0.into_owned());
    }
    if bytes.len() > 3 && bytes.iter().take(64).filter(|byte| **byte == 0).count() * 4 > bytes.len().min(64) {
        return Err(Error::Data("not a text file, or UTF-16 without a byte-order mark; save it as UTF-8".into()));
    }
    // Text that can be read so far is no UTF-16, whatever it declares.
    if let Some(encoding) = declared(bytes).filter(|e| *e != UTF_8 && e.is_ascii_compatible()) {
        let (text, _, bad) = encoding.decode(bytes);
        if !bad {
            return Ok(text.into_owned());
        }
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.to_owned()),
        Err(_) => {
            notes.add("not UTF-8, read as Latin-1", place);
            Ok(WINDOWS_1252.decode(bytes).0.into_owned())
        }
    }
}

/// The encoding in an XML declaration.
fn declared(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = bytes.get(..bytes.len().min(200))?;
    let head = head.strip_prefix(b"<?xml")?;
    let head = &head[..head.windows(2).position(|two| two == b"?>")?];
    let text = String::from_utf8_lossy(head);
    let (_, rest) = text.split_once("encoding")?;
    let name = rest.trim_start().strip_prefix('=')?.trim_start();
    let name = name.trim_start_matches(['"', '\'']).split(['"', '\'']).next()?;
    Encoding::for_label(name.as_bytes())
}

/// Characters that are not seen, or turn the direction of writing.
#[must_use]
pub fn is_unseen(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// Replaces control characters, and cuts what is long: text of a file that goes into a message.
#[must_use]
pub fn shown(text: &str) -> String {
    const MOST: usize = 80;
    let plain: String = text
        .chars()
        .take(MOST)
        .map(|c| if c.is_control() || is_unseen(c) { c.escape_default().to_string() } else { c.to_string() })
        .collect();
    if text.chars().count() > MOST { plain + "…" } else { plain }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8]) -> (String, usize) {
        let mut notes = Notes::default();
        let text = decode(bytes, &mut notes, &String::new).unwrap();
        (text, notes.lines().len())
    }

    #[test]
    fn marks_and_encodings_are_understood() {
        assert_eq!(text(b"\xEF\xBB\xBFa"), ("a".into(), 0));
        assert_eq!(text(b"\xFF\xFEa\0\xE9\0"), ("aé".into(), 0));
        let latin = b"<?xml version='1.0' encoding='ISO-8859-1'?><a>\xE9</a>";
        assert!(text(latin).0.ends_with("<a>é</a>") && text(latin).1 == 0);
        assert_eq!(text(b"caf\xE9"), ("café".into(), 1));
        assert!(decode(b"a\0b\0c\0", &mut Notes::default(), &String::new).is_err());
        assert_eq!(shown("a\u{202e}b"), "a\\u{202e}b");
        assert_eq!(shown("a\u{1b}[2J\nb"), "a\\u{1b}[2J\\nb");
    }
}
