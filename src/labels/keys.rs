//! Names of pictures as people and tools write them, made comparable.

use percent_encoding::percent_decode_str;
use unicode_normalization::UnicodeNormalization;

/// Endings of pictures, which labels may leave out or replace.
const PICTURES: [&str; 16] = [
    "jpg", "jpeg", "jpe", "jfif", "png", "bmp", "dib", "webp", "gif", "tif", "tiff", "heic", "heif", "avif", "jxl",
    "ppm",
];

/// A path in comparable parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Key {
    /// Folders, from the outermost.
    pub folders: Vec<String>,
    /// The name without the ending of a picture.
    pub stem: String,
    /// The ending; empty if it is not that of a picture.
    pub ending: String,
}

impl Key {
    /// Takes a path apart. Separators of both kinds, percent forms, upper case, decomposed letters, drives, `.` and `..`
    /// make no difference.
    #[must_use]
    pub fn of(path: &str) -> Self {
        let decoded = percent_decode_str(path).decode_utf8();
        let decoded = decoded.as_deref().unwrap_or(path);
        // Label Studio's links to local files, and addresses with a query.
        let local = decoded.split_once("?d=").map_or(decoded, |(_, rest)| rest);
        let local = if local.contains("://") { local.split(['?', '#']).next().unwrap_or(local) } else { local };
        let plain: String = local.trim().nfc().flat_map(char::to_lowercase).collect();
        let mut parts: Vec<String> = plain
            .split(['/', '\\'])
            .filter(|part| !part.is_empty() && !matches!(*part, "." | "..") && !part.ends_with(':'))
            .map(str::to_owned)
            .collect();
        let name = parts.pop().unwrap_or_default();
        let (stem, ending) = split(&name);
        Self { folders: parts, stem: stem.to_owned(), ending: ending.to_owned() }
    }

    /// Drops the end of a label file in front of which the picture's own ending may stand: `a.jpg.txt`.
    #[must_use]
    pub fn of_label_file(path: &str) -> Self {
        let cut = path.rsplit_once('.').filter(|(_, ending)| !ending.contains(['/', '\\']));
        Self::of(cut.map_or(path, |(front, _)| front))
    }
}

/// Splits off the ending of a picture.
#[must_use]
pub fn split(name: &str) -> (&str, &str) {
    match name.rsplit_once('.') {
        Some((stem, ending)) if !stem.is_empty() && is_picture_ending(ending) => (stem, ending),
        _ => (name, ""),
    }
}

/// Whether files with this ending are pictures.
#[must_use]
pub fn is_picture_ending(ending: &str) -> bool {
    PICTURES.iter().any(|known| known.eq_ignore_ascii_case(ending))
}

/// The name without the eight hexadecimal digits and the dash that Label Studio puts in front of it.
#[must_use]
pub fn without_prefix(stem: &str) -> Option<&str> {
    let (front, rest) = stem.split_at_checked(8)?;
    let rest = rest.strip_prefix('-').filter(|rest| !rest.is_empty())?;
    front.bytes().all(|byte| byte.is_ascii_hexdigit()).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_only_in_writing_is_equal() {
        let plain = Key::of("images/hörsaal 1.jpg");
        for other in [
            "images\\hörsaal 1.JPG",
            "images/ho\u{308}rsaal 1.jpg",
            "./images/h%C3%B6rsaal%201.jpg",
            "..\\images\\Hörsaal 1.jpg",
        ] {
            assert_eq!(Key::of(other), plain, "{other}");
        }
        let far = Key::of("C:\\data\\images\\hörsaal 1.jpg");
        assert_eq!((far.folders.join("/"), far.stem.as_str()), ("data/images".to_owned(), "hörsaal 1"));
        assert_eq!(Key::of("/data/local-files/?d=images/a.png").folders, ["images"]);
        assert_eq!(Key::of("http://host/a/b.png?token=1/2").stem, "b");
    }

    #[test]
    fn dots_belong_to_the_name_unless_the_ending_is_a_picture_s() {
        assert_eq!(Key::of("cam.1").stem, "cam.1");
        assert_eq!((Key::of("cam.1.jpg").stem.as_str(), Key::of(".jpg").stem.as_str()), ("cam.1", ".jpg"));
        assert_eq!(Key::of_label_file("a/cam.1.txt").stem, "cam.1");
        assert_eq!(Key::of_label_file("a/road.jpg.txt").stem, "road");
        assert_eq!(Key::of("50%.jpg").stem, "50%");
        assert_eq!((without_prefix("1a2b3c4d-yard"), without_prefix("yard-1a2b")), (Some("yard"), None));
    }
}
