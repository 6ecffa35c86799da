//! The files below a folder, without those that no person put there.

use crate::error::{Error, Result};
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// A file below a folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// Its path below the folder, with `/`.
    pub name: String,
    /// Its path.
    pub path: PathBuf,
    /// Its ending in lower case.
    pub ending: String,
}

impl Entry {
    /// The folders of its path below the root.
    pub fn folders(&self) -> impl DoubleEndedIterator<Item = &str> {
        let front = self.name.rsplit_once('/').map_or("", |(front, _)| front);
        front.split('/').filter(|part| !part.is_empty())
    }

    /// Its own name.
    #[must_use]
    pub fn file(&self) -> &str {
        self.name.rsplit('/').next().unwrap_or(&self.name)
    }

    /// Its first bytes.
    #[must_use]
    pub fn head(&self, most: usize) -> Vec<u8> {
        use std::io::Read;
        let mut bytes = Vec::new();
        let file = std::fs::File::open(&self.path);
        let _ = file.and_then(|file| file.take(most as u64).read_to_end(&mut bytes));
        bytes
    }
}

/// All files below a folder.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    /// In order of their paths.
    pub files: Vec<Entry>,
    /// Folders that could not be read, or lie too deep.
    pub unread: Vec<String>,
    /// Links to files that are not there.
    pub dangling: Vec<String>,
}

/// Deeper folders are not looked into.
const DEEPEST: usize = 10;

/// Files and folders that systems and tools leave behind, in lower case.
const STRAY: [&str; 7] =
    ["thumbs.db", "desktop.ini", "__macosx", "@eadir", "$recycle.bin", "__pycache__", "node_modules"];

impl Tree {
    /// Lists the files below a folder.
    ///
    /// # Errors
    /// [`Error::Io`] if the folder cannot be read.
    pub fn of(root: &Path) -> Result<Self> {
        let mut tree = Self::default();
        let mut seen = HashSet::new();
        tree.add(root, "", 0, &mut seen)?;
        tree.files.sort();
        Ok(tree)
    }

    fn add(&mut self, folder: &Path, below: &str, depth: usize, seen: &mut HashSet<PathBuf>) -> Result<()> {
        // A link may lead back to a folder above.
        let real = folder.canonicalize().map_err(|e| Error::io(folder, e))?;
        if !seen.insert(real) {
            return Ok(());
        }
        if depth > DEEPEST {
            self.unread.push(format!("{below}: more than {DEEPEST} folders deep"));
            return Ok(());
        }
        for entry in std::fs::read_dir(folder).map_err(|e| Error::io(folder, e))? {
            let entry = entry.map_err(|e| Error::io(folder, e))?;
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            if name.starts_with('.')
                || STRAY.contains(&name.to_lowercase().as_str())
                || Path::new(&name).extension().is_some_and(|e| e == "cache")
            {
                continue;
            }
            let kind = entry.file_type().map_err(|e| Error::io(&path, e))?;
            let is_folder = kind.is_dir() || kind.is_symlink() && path.is_dir();
            let name = if below.is_empty() { name } else { format!("{below}/{name}") };
            if is_folder {
                // A folder that may not be read costs only itself.
                if let Err(error) = self.add(&path, &name, depth + 1, seen) {
                    self.unread.push(error.to_string());
                }
            } else if path.is_file() {
                let ending = path.extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default();
                self.files.push(Entry { name, path, ending });
            } else if kind.is_symlink() {
                self.dangling.push(name);
            }
        }
        Ok(())
    }

    /// The files with one of these endings.
    pub fn ending<'a>(&'a self, endings: &'a [&str]) -> impl Iterator<Item = &'a Entry> {
        self.files.iter().filter(|entry| endings.contains(&entry.ending.as_str()))
    }
}
