//! Files that grow while a pipeline runs.

use super::files::make_parent;
use super::lock::lock;
use crate::error::{Error, Result};
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// How a file is begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// What the file holds stays, and new data follows it.
    Append,
    /// The file must not exist yet.
    New,
    /// The data goes to `NAME.part`, which replaces the file once it is complete.
    Replace,
}

/// A file that grows piece by piece: a piece is written as a whole or not at all, even if the disk is full. Only one
/// process may write to it. What is no regular file, such as a pipe or `/dev/null`, is written to as it is.
#[derive(Debug)]
pub struct OutFile {
    path: PathBuf,
    /// Where the data goes until the file is complete, if not to `path`.
    part: Option<PathBuf>,
    file: File,
    /// The number of bytes in it that are whole pieces.
    len: u64,
    regular: bool,
    /// Whether a piece that was cut short could not be removed.
    torn: bool,
}

impl OutFile {
    /// Opens a file and its folder, and locks it.
    ///
    /// # Errors
    /// [`Error::Io`], also if another process writes to the file. With [`Begin::New`] and a file that exists, its kind
    /// is [`std::io::ErrorKind::AlreadyExists`].
    pub fn open(path: &Path, begin: Begin) -> Result<Self> {
        make_parent(path)?;
        // A link stays a link: what it points to is written.
        let open_already = is_descriptor(path);
        let path = if path.is_symlink() && !open_already {
            path.canonicalize().unwrap_or_else(|_| path.into())
        } else {
            path.into()
        };
        if let Some(file) = special(&path, open_already)? {
            return Ok(Self { path, part: None, file, len: 0, regular: false, torn: false });
        }
        if path.is_dir() {
            return Err(Error::io(path, std::io::ErrorKind::IsADirectory.into()));
        }
        let part = (begin == Begin::Replace).then(|| part_of(&path));
        let real = part.as_deref().unwrap_or(&path);
        let mut options = OpenOptions::new();
        match begin {
            Begin::Append => options.read(true).append(true).create(true),
            Begin::New => options.write(true).create_new(true),
            // Emptied only once it is locked.
            Begin::Replace => options.write(true).create(true).truncate(false).custom_flags(NO_LINKS),
        };
        // Until we have the lock, its owner may have renamed the file that we opened.
        for _ in 0..10 {
            let file = options.open(real).map_err(|e| Error::io(real, e))?;
            lock(&file, real)?;
            let same = identity(real).is_some_and(|found| found == of(&file));
            if !same && begin != Begin::New {
                continue;
            }
            if begin == Begin::Replace {
                file.set_len(0).map_err(|e| Error::io(real, e))?;
            }
            let len = file.metadata().map_err(|e| Error::io(real, e))?.len();
            return Ok(Self { path, part, file, len, regular: true, torn: false });
        }
        Err(Error::io(real, std::io::Error::other("it is renamed again and again while it is opened")))
    }

    /// Where the file is, or will be once it is complete.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The number of bytes in it.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.len
    }

    /// Whether it is a regular file, and not a pipe or a device.
    #[must_use]
    pub const fn is_regular(&self) -> bool {
        self.regular
    }

    /// Whether nothing is in it.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Appends a piece.
    ///
    /// # Errors
    /// [`Error::Io`]; nothing of the piece is in the file then.
    pub fn append(&mut self, piece: &[u8]) -> Result<()> {
        if self.torn {
            self.cut(0).map_err(|e| Error::io(&self.path, e))?;
        }
        let mut done = 0;
        while done < piece.len() {
            match self.file.write(&piece[done..]) {
                Ok(0) => return self.give_up(done, std::io::ErrorKind::WriteZero.into()),
                Ok(more) => done += more,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => return self.give_up(done, e),
            }
        }
        self.len += piece.len() as u64;
        Ok(())
    }

    fn give_up(&mut self, done: usize, error: std::io::Error) -> Result<()> {
        self.torn = self.regular && self.cut(done as u64).is_err();
        Err(Error::io(&self.path, error))
    }

    /// Removes the last bytes, or what is left of a piece that could not be removed before. Somebody else may have
    /// emptied the file meanwhile, so its real length counts.
    fn cut(&mut self, bytes: u64) -> std::io::Result<()> {
        if self.regular {
            let real = self.file.metadata()?.len();
            self.len = if self.torn { self.len.min(real) } else { real.saturating_sub(bytes) };
            self.file.set_len(self.len)?;
            self.file.seek(SeekFrom::Start(self.len))?;
        }
        self.torn = false;
        Ok(())
    }

    /// Writes over the start of the file, where as many bytes must exist.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn overwrite_start(&mut self, bytes: &[u8]) -> Result<()> {
        if !self.regular {
            return Ok(());
        }
        let mut write = || {
            self.file.seek(SeekFrom::Start(0))?;
            self.file.write_all(bytes)?;
            self.file.seek(SeekFrom::Start(self.len)).map(|_| ())
        };
        write().map_err(|e| Error::io(&self.path, e))
    }

    /// Whether its name now stands for another file, or for none: somebody renamed or deleted it or its folder.
    #[must_use]
    pub fn is_moved(&self) -> bool {
        let real = self.part.as_deref().unwrap_or(&self.path);
        self.regular && identity(real) != Some(of(&self.file))
    }

    /// Reads at most `most` bytes from a place of a file opened with [`Begin::Append`].
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn read_at(&self, at: u64, most: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut read = || {
            let mut file = &self.file;
            file.seek(SeekFrom::Start(at))?;
            file.take(most).read_to_end(&mut bytes)
        };
        if self.regular {
            read().map_err(|e| Error::io(&self.path, e))?;
        }
        Ok(bytes)
    }

    /// Removes the last bytes.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn drop_last(&mut self, bytes: u64) -> Result<()> {
        self.cut(bytes).map_err(|e| Error::io(&self.path, e))
    }

    /// Completes the file: gives it its name, or removes it if nothing was written.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn finish(mut self, keep_empty: bool) -> Result<()> {
        if self.torn {
            self.cut(0).map_err(|e| Error::io(&self.path, e))?;
        }
        let real = self.part.as_deref().unwrap_or(&self.path);
        if self.regular && self.len == 0 && !keep_empty {
            return if self.is_moved() { Ok(()) } else { std::fs::remove_file(real).map_err(|e| Error::io(real, e)) };
        }
        match &self.part {
            Some(part) => std::fs::rename(part, &self.path).map_err(|e| Error::io(part, e)),
            None => Ok(()),
        }
    }
}

/// The name of a file that is not complete yet.
fn part_of(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".part");
    path.with_file_name(name)
}

/// Nobody shall lead us to another file by a link that is called `NAME.part`.
const NO_LINKS: i32 = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();

/// What tells a file from all others.
fn of(file: &File) -> (u64, u64) {
    file.metadata().map_or((0, 0), |found| (found.dev(), found.ino()))
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    path.metadata().ok().map(|found| (found.dev(), found.ino()))
}

/// Whether a path stands for a file that the process has open already.
fn is_descriptor(path: &Path) -> bool {
    let known = ["/dev/stdout", "/dev/stderr", "/dev/fd/", "/proc/self/fd/"];
    path.to_str().is_some_and(|path| known.iter().any(|known| path.starts_with(known)))
}

/// Opens a pipe or a device; `None` if there is none of this name.
fn special(path: &Path, open_already: bool) -> Result<Option<File>> {
    let Ok(found) = path.metadata() else { return Ok(None) };
    let kind = found.file_type();
    let special = kind.is_fifo() || kind.is_char_device() || kind.is_block_device() || kind.is_socket();
    if !special && !open_already {
        return Ok(None);
    }
    // What a shell has redirected may be a file that others add to.
    OpenOptions::new().append(true).open(path).map(Some).map_err(|e| Error::io(path, e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_one_writer_and_is_replaced_when_complete() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/rows.jsonl");
        let mut first = OutFile::open(&path, Begin::Replace).unwrap();
        first.append(b"one\n").unwrap();
        let error = OutFile::open(&path, Begin::Replace).unwrap_err().to_string();
        assert!(error.contains("rows.jsonl.part") && error.contains(&format!("process {}", std::process::id())));
        assert!(!path.exists());
        first.finish(true).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"one\n");
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        assert!(OutFile::open(&path, Begin::New).is_err());
    }

    #[test]
    fn what_was_there_stays_and_a_piece_can_be_taken_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.jsonl");
        std::fs::write(&path, "one\ntw").unwrap();
        let mut file = OutFile::open(&path, Begin::Append).unwrap();
        assert_eq!(file.read_at(3, 9).unwrap(), b"\ntw");
        file.drop_last(2).unwrap();
        file.append(b"two\n").unwrap();
        assert!(!file.is_moved());
        std::fs::rename(&path, folder.path().join("rows.1")).unwrap();
        assert!(file.is_moved());
        file.append(b"three\n").unwrap();
        file.finish(true).unwrap();
        assert_eq!(std::fs::read(folder.path().join("rows.1")).unwrap(), b"one\ntwo\nthree\n");
    }

    #[test]
    fn an_empty_file_leaves_nothing_and_a_device_is_just_written_to() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("v.mp4");
        OutFile::open(&path, Begin::New).unwrap().finish(false).unwrap();
        assert!(!path.exists());
        let mut null = OutFile::open(Path::new("/dev/null"), Begin::Replace).unwrap();
        null.append(b"x").unwrap();
        assert!(!null.is_moved());
        null.finish(false).unwrap();
    }
}
