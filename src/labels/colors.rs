//! Tables of colours: which colour, or which value, of a class map means which class.

use super::notes::Notes;
use super::text;
use crate::error::Result;
use std::path::Path;

/// A colour table: the names of classes, and their colours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Colors {
    /// Name and colour of each class, in the order of the file.
    pub classes: Vec<(String, [u8; 3])>,
    /// The file.
    pub from: String,
}

impl Colors {
    /// The place of a colour in the table.
    #[must_use]
    pub fn find(&self, color: [u8; 3]) -> Option<u8> {
        self.classes.iter().position(|(_, known)| *known == color).and_then(|at| u8::try_from(at).ok())
    }

    /// Looks for a table in the folder of the class maps and above it.
    ///
    /// # Errors
    /// If it is there, but cannot be read.
    pub fn near(folder: &Path, notes: &mut Notes) -> Result<Option<Self>> {
        let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.into());
        for level in folder.ancestors().take(3) {
            for name in ["labelmap.txt", "class_dict.csv", "label_colors.txt"] {
                let path = level.join(name);
                if path.is_file() {
                    let classes = parse(&text::read(&path, notes)?);
                    if !classes.is_empty() {
                        return Ok(Some(Self { classes, from: path.display().to_string() }));
                    }
                }
            }
        }
        Ok(None)
    }
}

/// Reads `name:r,g,b:parts:actions` (CVAT, VOC), `name,r,g,b` (`class_dict.csv`) and `r g b name` (CamVid).
fn parse(text: &str) -> Vec<(String, [u8; 3])> {
    let number = |word: &str| word.trim().parse::<u8>().ok();
    let color = |words: &[&str]| Some([number(words.first()?)?, number(words.get(1)?)?, number(words.get(2)?)?]);
    let line = |line: &str| {
        let line = line.trim();
        if let Some((name, rest)) = line.split_once(':') {
            let rest: Vec<&str> = rest.split(':').next()?.split(',').collect();
            return Some((name.trim().to_owned(), color(&rest)?));
        }
        let words: Vec<&str> = line.split(',').collect();
        if words.len() >= 4 {
            return Some((words[0].trim().to_owned(), color(&words[1..])?));
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        Some((words.get(3..)?.join(" "), color(&words)?)).filter(|(name, _)| !name.is_empty())
    };
    text.lines().filter(|line| !line.starts_with('#')).filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_read_in_three_forms() {
        let wanted = vec![("background".to_owned(), [0, 0, 0]), ("traffic light".to_owned(), [128, 0, 64])];
        for text in [
            "# label:color_rgb:parts:actions\nbackground:0,0,0::\ntraffic light:128,0,64::\n",
            "name,r,g,b\nbackground,0,0,0\ntraffic light, 128, 0, 64\n",
            "0 0 0 background\n128 0 64\ttraffic light\n",
        ] {
            assert_eq!(parse(text), wanted, "{text}");
        }
    }
}
