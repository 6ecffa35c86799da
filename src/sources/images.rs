//! Pictures in files, one after another.

use super::start::Start;
use crate::error::{Error, Result};
use crate::media::still;
use crate::stage::{Env, LineEnv, Source, SourceConfig};
use crate::types::{Frame, Packet, Pool};
use serde::Deserialize;
use std::cmp::Ordering;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Pictures in a folder, or those that match a pattern, in natural order (`2.jpg` before `10.jpg`): JPEG, PNG, BMP.
///
/// `- images: { path: "shots/*.jpg" }`
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Images {
    /// A folder, a file, or a pattern with `*`, `?` and `**`.
    pub path: String,
    /// Pictures per second of media time.
    #[serde(default = "default_fps")]
    #[schemars(range(min = 1e-6, max = 1e6))]
    pub fps: f64,
    /// When the first picture was taken; 1970 if not given.
    #[serde(default)]
    pub start: Start,
}

const fn default_fps() -> f64 {
    1.0
}

impl Images {
    /// The files, in natural order.
    fn files(&self, env: &Env) -> Result<Vec<PathBuf>> {
        if !(1e-6..=1e6).contains(&self.fps) {
            return Err(Error::Config(format!("`fps` is {}; it must lie between 0.000001 and 1000000", self.fps)));
        }
        let path = env.input_path(&self.path);
        let mut files = if path.is_dir() {
            let entries = std::fs::read_dir(&path).map_err(|e| Error::io(&path, e))?;
            entries.flatten().map(|entry| entry.path()).filter(|path| is_picture(path)).collect()
        } else if path.is_file() {
            vec![path]
        } else {
            if !self.path.contains(['*', '?', '[']) {
                env.existing_input(&self.path)?;
            }
            let matched = matches(&env.base_dir.join(&self.path).to_string_lossy())?;
            if matched.is_empty() { matches(&self.path)? } else { matched }
        };
        if files.is_empty() {
            return Err(Error::Data(format!("{}: no pictures found (JPEG, PNG or BMP)", self.path)));
        }
        files.sort_by(|a, b| natural(&a.to_string_lossy(), &b.to_string_lossy()));
        Ok(files)
    }
}

fn matches(pattern: &str) -> Result<Vec<PathBuf>> {
    let found = glob::glob(pattern).map_err(|e| Error::Config(format!("pattern `{pattern}`: {e}")))?;
    Ok(found.flatten().filter(|path| path.is_file() && is_picture(path)).collect())
}

fn is_picture(path: &Path) -> bool {
    let extension = path.extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default();
    matches!(extension.as_str(), "jpg" | "jpeg" | "png" | "bmp")
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
        self.files(env).map(|_| ())
    }

    fn open(&self, env: &LineEnv) -> Result<Box<dyn Source>> {
        let files = self.files(env)?;
        Ok(Box::new(Showing {
            settings: self.clone(),
            files,
            id: Arc::clone(env.id()),
            seq: 0,
            frames: Pool::new(),
            bytes: Vec::new(),
        }))
    }
}

struct Showing {
    settings: Images,
    files: Vec<PathBuf>,
    id: Arc<str>,
    seq: u64,
    frames: Pool<Frame>,
    bytes: Vec<u8>,
}

impl Source for Showing {
    fn next(&mut self) -> Result<Option<Packet>> {
        let Some(path) = self.files.get(self.seq as usize) else { return Ok(None) };
        self.bytes.clear();
        let read = std::fs::File::open(path).and_then(|mut file| file.read_to_end(&mut self.bytes));
        read.map_err(|e| Error::io(path, e))?;
        let frame = self.frames.fill(|frame| {
            frame.source = Arc::clone(&self.id);
            frame.seq = self.seq;
            frame.pts = Duration::from_secs_f64(self.seq as f64 / self.settings.fps);
            frame.wall = self.settings.start.0 + frame.pts;
            frame.name.clear();
            frame.name.push_str(&path.file_name().unwrap_or_default().to_string_lossy());
            still::decode(&self.bytes, &mut frame.image)
        });
        self.seq += 1;
        Ok(Some(Packet::new(frame.map_err(|e| e.at(path.display()))?)))
    }

    fn count(&self) -> Option<u64> {
        Some(self.files.len() as u64)
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
