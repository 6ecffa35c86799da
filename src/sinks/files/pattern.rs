//! Paths with fields: `out/{date}/door-{time}.mp4`.

use crate::error::{Error, Result};
use regex_lite::Regex;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// A field of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// `2026-11-26`, in UTC.
    Date,
    /// `14-03-59`, in UTC.
    Time,
    /// `20261126T140359Z`.
    Start,
    /// A number of six digits or more.
    Seq,
    /// The id of the source.
    Source,
    /// Media time in milliseconds.
    PtsMs,
    /// The name of the picture that was read, without its extension.
    Name,
}

impl Field {
    const ALL: [Self; 7] = [Self::Date, Self::Time, Self::Start, Self::Seq, Self::Source, Self::PtsMs, Self::Name];

    const fn word(self) -> &'static str {
        match self {
            Self::Date => "date",
            Self::Time => "time",
            Self::Start => "start",
            Self::Seq => "seq",
            Self::Source => "source",
            Self::PtsMs => "pts_ms",
            Self::Name => "name",
        }
    }

    /// What its values look like.
    const fn shape(self) -> &'static str {
        match self {
            Self::Date => r"\d{4}-\d\d-\d\d",
            Self::Time => r"\d\d-\d\d-\d\d",
            Self::Start => r"\d{8}T\d{6}Z",
            Self::Seq => r"\d{6,}",
            Self::PtsMs => r"\d+",
            Self::Source | Self::Name => r"[^/]+",
        }
    }
}

/// What the fields of a path are filled with.
#[derive(Clone, Copy, Debug)]
pub struct Values<'a> {
    /// The time of day of the frame, or of the first one of the file.
    pub wall: SystemTime,
    /// The time of `{start}`.
    pub start: SystemTime,
    /// The number of the frame or of the file.
    pub seq: u64,
    /// The frame's time.
    pub pts: Duration,
    /// The frame's source.
    pub source: &'a str,
    /// The name of the picture that was read.
    pub name: &'a str,
}

impl Values<'_> {
    /// The values of a file that begins at this time, the `seq`th of its run.
    #[must_use]
    pub const fn file(wall: SystemTime, seq: u64) -> Self {
        Self { wall, start: wall, seq, pts: Duration::ZERO, source: "", name: "" }
    }
}

/// A path with fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Field(Field),
}

impl Pattern {
    /// Reads a path in which the given fields may occur.
    ///
    /// # Errors
    /// [`Error::Config`] names a field that is not known.
    pub fn parse(path: &str, known: &[Field]) -> Result<Self> {
        // As `glob` returns it.
        let mut parts = path.trim_start_matches("./").split('{');
        let mut pieces = vec![Piece::Text(parts.next().unwrap_or_default().to_owned())];
        for part in parts {
            let (name, text) = part.split_once('}').unwrap_or((part, ""));
            let Some(field) = known.iter().find(|field| field.word() == name && part.contains('}')) else {
                let known = crate::yaml::one_of(known.iter().map(|field| field.word()));
                return Err(Error::Config(format!(
                    "`path`: unknown field `{{{name}}}`; the known fields are {known}, each in braces"
                )));
            };
            pieces.extend([Piece::Field(*field), Piece::Text(text.to_owned())]);
        }
        Ok(Self(pieces))
    }

    /// Whether a field occurs.
    #[must_use]
    pub fn has(&self, field: Field) -> bool {
        self.0.contains(&Piece::Field(field))
    }

    /// Whether any field occurs, so that it stands for many files.
    #[must_use]
    pub fn is_many(&self) -> bool {
        Field::ALL.into_iter().any(|field| self.has(field))
    }

    /// Puts `-{start}` in front of the extension.
    #[must_use]
    pub fn with_start(mut self) -> Self {
        let Some(Piece::Text(last)) = self.0.pop() else { return self };
        let (stem, extension) = split_extension(&last);
        let rest = [Piece::Text(format!("{stem}-")), Piece::Field(Field::Start), Piece::Text(extension.to_owned())];
        self.0.extend(rest);
        self
    }

    /// Fills in the fields. `number` tells apart files whose names would be the same: `door-2.mp4` for 2.
    ///
    /// # Errors
    /// [`Error::Data`] if the time of day is after the year 9999.
    pub fn fill(&self, values: &Values<'_>, number: u32) -> Result<PathBuf> {
        let mut path = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => path.push_str(text),
                Piece::Field(field) => fill_field(&mut path, *field, values)
                    .map_err(|_| Error::Data(format!("frame {}: its time is after the year 9999", values.seq)))?,
            }
        }
        if number > 1 {
            let (stem, extension) = split_extension(&path);
            path = format!("{stem}-{number}{extension}");
        }
        Ok(path.into())
    }

    /// Finds the files that have such a name, with their number of bytes and the time of their last change; the oldest
    /// first. `sources` are the ids that `{source}` can stand for.
    #[must_use]
    pub fn existing(&self, sources: &[&str]) -> Vec<(PathBuf, u64, SystemTime)> {
        let sources: Vec<String> = sources.iter().map(|id| regex_lite::escape(id)).collect();
        let sources = format!("({})", sources.join("|"));
        let (mut wide, mut strict) = (String::new(), String::from("^"));
        for (at, piece) in self.0.iter().enumerate() {
            match piece {
                Piece::Text(text) if at + 1 == self.0.len() => {
                    let (stem, extension) = split_extension(text);
                    let (stem_glob, extension_glob) = (glob::Pattern::escape(stem), glob::Pattern::escape(extension));
                    wide.push_str(&stem_glob);
                    // Two in a row would mean any folder below.
                    if !wide.ends_with('*') {
                        wide.push('*');
                    }
                    wide.push_str(&extension_glob);
                    let (stem, extension) = (regex_lite::escape(stem), regex_lite::escape(extension));
                    let _ = write!(strict, r"{stem}(-\d+)?{extension}$");
                }
                Piece::Text(text) => {
                    wide.push_str(&glob::Pattern::escape(text));
                    strict.push_str(&regex_lite::escape(text));
                }
                Piece::Field(field) => {
                    if !wide.ends_with('*') {
                        wide.push('*');
                    }
                    strict.push_str(if *field == Field::Source { &sources } else { field.shape() });
                }
            }
        }
        let (Ok(found), Ok(strict)) = (glob::glob(&wide), Regex::new(&strict)) else { return Vec::new() };
        let strict = |path: &Path| strict.is_match(&path.to_string_lossy());
        let facts = |path: PathBuf| {
            let found = path.symlink_metadata().ok().filter(std::fs::Metadata::is_file)?;
            Some((path, found.len(), found.modified().ok()?))
        };
        let mut files: Vec<_> = found.flatten().filter(|path| strict(path)).filter_map(facts).collect();
        files.sort_by(|a, b| (a.2, &a.0).cmp(&(b.2, &b.0)));
        files
    }
}

/// Splits the extension, with its dot, from a path or from the end of one.
fn split_extension(path: &str) -> (&str, &str) {
    let name = path.rfind('/').map_or(0, |slash| slash + 1);
    path.split_at(path[name..].rfind('.').map_or(path.len(), |dot| name + dot))
}

fn fill_field(path: &mut String, field: Field, values: &Values<'_>) -> std::fmt::Result {
    match field {
        Field::Date => path.push_str(&moment(values.wall)?[..10]),
        Field::Time => path.push_str(&moment(values.wall)?[11..19].replace(':', "-")),
        Field::Start => path.push_str(&moment(values.start)?.replace(['-', ':'], "")),
        Field::Seq => write!(path, "{:06}", values.seq)?,
        Field::Source => path.push_str(values.source),
        Field::PtsMs => write!(path, "{}", values.pts.as_millis())?,
        Field::Name => {
            path.push_str(&Path::new(values.name).with_extension("").to_string_lossy());
        }
    }
    Ok(())
}

/// `2026-11-26T14:03:59Z`
fn moment(time: SystemTime) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    write!(text, "{}", humantime::format_rfc3339_seconds(time.max(SystemTime::UNIX_EPOCH)))?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_filled_in_and_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = format!("{}/[a] {{date}}/v-{{time}}_{{seq}}.mp4", folder.path().display());
        let pattern = Pattern::parse(&path, &Field::ALL).unwrap();
        let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_701_839);
        let values = Values::file(wall, 7);
        let name = pattern.fill(&values, 2).unwrap();
        assert!(name.ends_with("[a] 2026-11-26/v-14-03-59_000007-2.mp4"), "{}", name.display());
        std::fs::create_dir(name.parent().unwrap()).unwrap();
        for other in ["v-14-03-59_000007-2.mp4", "v-14-03-59_000006.mp4", "v-14-03-59_x.mp4", "holiday.mp4"] {
            std::fs::write(name.with_file_name(other), other).unwrap();
        }
        assert_eq!(pattern.existing(&[]).len(), 2);
        let start = Pattern::parse("out/door.mp4", &[]).unwrap().with_start();
        assert_eq!(start.fill(&values, 1).unwrap(), Path::new("out/door-20261126T140359Z.mp4"));
    }

    #[test]
    fn only_pictures_of_our_sources_are_ours() {
        let folder = tempfile::tempdir().unwrap();
        let path = format!("{}/{{source}}-{{seq}}.jpg", folder.path().display());
        let pattern = Pattern::parse(&path, &Field::ALL).unwrap();
        for name in ["Tür-000001.jpg", "IMG-20240101.jpg", "yard-000001.jpg", "Tür-000002-2.jpg"] {
            std::fs::write(folder.path().join(name), name).unwrap();
        }
        let found = pattern.existing(&["Tür", "a.b"]);
        assert_eq!(found.len(), 2, "{found:?}");
    }

    #[test]
    fn unknown_fields_are_named() {
        for path in ["{hour}.jpg", "{date", "{date}{"] {
            assert!(Pattern::parse(path, &[Field::Date]).is_err(), "{path}");
        }
    }
}
