//! Pictures in files, one after another.

use super::start::Start;
use crate::error::{Error, Result};
use crate::media::still;
use crate::stage::{Env, LineEnv, Source, SourceConfig};
use crate::types::{Frame, Packet, Pool};
use glob::MatchOptions;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::fs::DirEntry;
use std::io::Read;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Pictures in a folder, or those that match a pattern, in natural order (`2.jpg` before `10.jpg`): JPEG, PNG, BMP.
/// They are turned upright as their EXIF data asks. Hidden files, folders and broken links are left out.
///
/// A picture is called by its path below the folder, or below the part of the pattern in front of the first wildcard.
///
/// `- images: { path: "shots/*.jpg" }`
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Images {
    /// A folder, a file, or a pattern with `*`, `?`, `[ab]` and `**`: `data/**` means every picture below `data`.
    pub path: String,
    /// Pictures per second of media time.
    #[serde(default = "default_fps")]
    #[schemars(range(min = 1e-6, max = 1e6))]
    pub fps: f64,
    /// When the first picture was taken; 1970 if not given.
    #[serde(default)]
    pub start: Start,
    /// What happens at a picture that cannot be read.
    #[serde(default)]
    pub on_bad: OnBad,
}

/// What happens at a picture that cannot be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnBad {
    /// The run ends with an error.
    #[default]
    Stop,
    /// It is told and left out; the numbers of the others stay the same.
    Skip,
}

const fn default_fps() -> f64 {
    1.0
}

/// The pictures to show.
struct Listing {
    /// In natural order.
    files: Vec<PathBuf>,
    /// What their names are relative to.
    root: PathBuf,
}

impl Listing {
    /// The path of a picture below the root.
    fn name<'a>(&self, path: &'a Path) -> Cow<'a, str> {
        let below = path.strip_prefix(&self.root).ok();
        below.or(path.file_name().map(Path::new)).unwrap_or(path).to_string_lossy()
    }
}

impl Images {
    fn list(&self, env: &Env) -> Result<Listing> {
        if !(1e-6..=1e6).contains(&self.fps) {
            return Err(Error::Config(format!("`fps` is {}; it must lie between 0.000001 and 1000000", self.fps)));
        }
        let path = env.input_path(&self.path);
        // A file that is named is read whatever its ending; its first bytes say what it is.
        let named = path.is_file();
        let (root, found) = if path.is_dir() {
            let entries = std::fs::read_dir(&path).map_err(|e| Error::io(&path, e))?;
            let shown = |entry: &DirEntry| !entry.file_name().to_string_lossy().starts_with('.');
            let found = entries.flatten().filter(shown).map(|entry| entry.path()).collect();
            (path, found)
        } else if named {
            (path.parent().unwrap_or(Path::new("")).to_path_buf(), vec![path])
        } else {
            if !self.path.contains(['*', '?', '[']) {
                env.existing_input(&self.path)?;
            }
            let near = matching(&env.base_dir.join(&self.path))?;
            if near.1.is_empty() { matching(Path::new(&self.path))? } else { near }
        };
        let (mut files, others): (Vec<PathBuf>, Vec<PathBuf>) =
            found.into_iter().filter(|path| path.is_file()).partition(|path| named || has_extension(path, &READ));
        let unread: BTreeSet<String> =
            others.iter().filter(|path| has_extension(path, &NOT_READ)).map(|p| ending(p)).collect();
        let unread = if unread.is_empty() {
            String::new()
        } else {
            let endings = unread.into_iter().collect::<Vec<_>>().join(", .");
            format!("; left out: .{endings} (convert them to JPEG or PNG)")
        };
        if files.is_empty() {
            return Err(Error::Data(format!("{}: no pictures found (JPEG, PNG or BMP){unread}", self.path)));
        }
        if !unread.is_empty() {
            tracing::debug!("{}: {} pictures{unread}", self.path, files.len());
        }
        files.sort_by(|a, b| natural(&a.to_string_lossy(), &b.to_string_lossy()));
        Ok(Listing { files, root })
    }
}

/// Endings of files that are shown.
const READ: [&str; 7] = ["jpg", "jpeg", "jpe", "jfif", "png", "bmp", "dib"];
/// Endings of pictures that cannot be shown.
const NOT_READ: [&str; 8] = ["webp", "gif", "tif", "tiff", "heic", "heif", "avif", "jxl"];

fn ending(path: &Path) -> String {
    path.extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default()
}

fn has_extension(path: &Path, known: &[&str]) -> bool {
    known.contains(&ending(path).as_str())
}

/// Returns the folder in front of the first wildcard, and the files that match. Hidden files match only if the pattern
/// says so.
fn matching(pattern: &Path) -> Result<(PathBuf, Vec<PathBuf>)> {
    let mut root = PathBuf::new();
    let mut rest: Vec<String> = Vec::new();
    // The paths that `glob` returns have no `.` in front.
    for part in pattern.components().filter(|part| *part != Component::CurDir) {
        let text = part.as_os_str().to_string_lossy().into_owned();
        // A folder that is called `[run 1]` is that folder.
        let plain = !text.contains(['*', '?', '[']) || (!text.contains(['*', '?']) && root.join(&text).exists());
        if rest.is_empty() && plain { root.push(part) } else { rest.push(text) }
    }
    if rest.last().is_some_and(|last| last == "**") {
        rest.push("*".into());
    }
    let options = MatchOptions { require_literal_leading_dot: true, ..MatchOptions::new() };
    let start = glob::Pattern::escape(&root.to_string_lossy());
    let whole = Path::new(&start).join(rest.join("/")).to_string_lossy().into_owned();
    let found = glob::glob_with(&whole, options);
    let found = found.map_err(|e| Error::Config(format!("pattern `{}`: {e}", pattern.display())))?;
    let found = found.flatten().collect();
    Ok((root, found))
}

/// Compares texts; digits in them are compared as numbers.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a, b);
    loop {
        let digits = |s: &str| s.len() - s.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (na, nb) = (digits(a), digits(b));
        if na > 0 && nb > 0 {
            let (x, y) = (a[..na].trim_start_matches('0'), b[..nb].trim_start_matches('0'));
            let order = x.len().cmp(&y.len()).then(x.cmp(y)).then(na.cmp(&nb));
            if order.is_ne() {
                return order;
            }
            (a, b) = (&a[na..], &b[nb..]);
            continue;
        }
        match (a.chars().next(), b.chars().next()) {
            (None, None) => return Ordering::Equal,
            (x, y) if x != y => return x.cmp(&y),
            (x, _) => {
                let step = x.map_or(0, char::len_utf8);
                (a, b) = (&a[step..], &b[step..]);
            }
        }
    }
}

impl SourceConfig for Images {
    fn is_live(&self) -> bool {
        false
    }

    fn check(&self, env: &Env) -> Result<()> {
        self.list(env).map(|_| ())
    }

    fn pictures(&self, env: &Env) -> Result<Option<Vec<(String, PathBuf)>>> {
        let list = self.list(env)?;
        let name = |path: &PathBuf| (list.name(path).into_owned(), path.clone());
        Ok(Some(list.files.iter().map(name).collect()))
    }

    fn open(&self, env: &LineEnv) -> Result<Box<dyn Source>> {
        Ok(Box::new(Showing {
            settings: self.clone(),
            list: self.list(env)?,
            id: Arc::clone(env.id()),
            seq: 0,
            skipped: 0,
            frames: Pool::new(),
            bytes: Vec::new(),
        }))
    }
}

struct Showing {
    settings: Images,
    list: Listing,
    id: Arc<str>,
    /// The number of the next file.
    seq: u64,
    /// How many files could not be read.
    skipped: u64,
    frames: Pool<Frame>,
    bytes: Vec<u8>,
}

impl Showing {
    fn picture(&mut self, path: &Path, seq: u64) -> Result<Packet> {
        self.bytes.clear();
        let read = std::fs::File::open(path).and_then(|mut file| file.read_to_end(&mut self.bytes));
        read.map_err(|e| Error::io(path, e))?;
        let frame = self.frames.fill(|frame| {
            frame.source = Arc::clone(&self.id);
            frame.seq = seq;
            frame.pts = Duration::from_secs_f64(seq as f64 / self.settings.fps);
            frame.wall = self.settings.start.0 + frame.pts;
            frame.name.clear();
            frame.name.push_str(&self.list.name(path));
            let (damage, sideways) = still::decode_upright(&self.bytes, &mut frame.image)?;
            frame.sideways = sideways;
            if let Some(damage) = damage {
                tracing::warn!("{}: it is damaged, and what is missing was filled up: {damage}", path.display());
            }
            Ok::<_, Error>(())
        });
        Ok(Packet::new(frame.map_err(|e| e.at(path.display()))?))
    }
}

impl Source for Showing {
    fn next(&mut self) -> Result<Option<Packet>> {
        loop {
            let Some(path) = self.list.files.get(self.seq as usize).cloned() else {
                if self.skipped > 0 && self.skipped == self.seq {
                    return Err(Error::Data(format!("{}: none of its pictures can be read", self.settings.path)));
                }
                return Ok(None);
            };
            let seq = self.seq;
            self.seq += 1;
            match self.picture(&path, seq) {
                Err(error) if self.settings.on_bad == OnBad::Skip => {
                    self.skipped += 1;
                    tracing::warn!("left out: {error}");
                }
                Err(error @ Error::Data(_)) => {
                    return Err(Error::Data(format!("{error}; `on_bad: skip` leaves such pictures out")));
                }
                done => return done.map(Some),
            }
        }
    }

    fn count(&self) -> Option<u64> {
        Some(self.list.files.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_names_count_as_numbers() {
        let mut names = ["b2", "a10.jpg", "a9.jpg", "a09.jpg", "a", "ä1"];
        names.sort_by(|a, b| natural(a, b));
        assert_eq!(names, ["a", "a9.jpg", "a09.jpg", "a10.jpg", "b2", "ä1"]);
    }
}
