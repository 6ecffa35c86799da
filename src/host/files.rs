//! Files that are written.

use crate::error::{Error, Result};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Creates the folder of a file to be written.
///
/// # Errors
/// [`Error::Io`].
pub fn make_parent(path: &Path) -> Result<()> {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => {
            std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, e))
        }
        _ => Ok(()),
    }
}

/// Finds out whether a file could be written, without creating anything. `adds`: data is added to a file that exists, so
/// its folder does not matter.
///
/// # Errors
/// [`Error::Io`] names the file or the folder that is in the way.
pub fn can_write(path: &Path, adds: bool) -> Result<()> {
    let allowed =
        |path: &Path| rustix::fs::access(path, rustix::fs::Access::WRITE_OK).map_err(|e| Error::io(path, e.into()));
    if path.is_dir() {
        return Err(Error::io(path, std::io::ErrorKind::IsADirectory.into()));
    }
    if path.exists() {
        allowed(path)?;
        // A device needs no file beside it.
        if adds || !path.is_file() {
            return Ok(());
        }
    }
    let nearest = path.ancestors().skip(1).find(|folder| folder.exists() && !folder.as_os_str().is_empty());
    let folder = nearest.unwrap_or(Path::new("."));
    if !folder.is_dir() {
        return Err(Error::io(folder, std::io::ErrorKind::NotADirectory.into()));
    }
    allowed(folder)
}

/// Writes a whole file so that readers see either the old one or the new one, never half of it, even if several
/// processes do so at once.
///
/// # Errors
/// [`Error::Io`]; the old file then stays, and nothing else is left behind.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    // Several lines of one process may write the same file, too.
    static COUNT: AtomicU64 = AtomicU64::new(0);
    name.push(format!(".part-{}-{}", std::process::id(), COUNT.fetch_add(1, Relaxed)));
    let part = path.with_file_name(name);
    let written = std::fs::write(&part, bytes)
        .map_err(|e| Error::io(&part, e))
        .and_then(|()| std::fs::rename(&part, path).map_err(|e| Error::io(path, e)));
    if written.is_err() {
        // The error above says what is wrong; this one would say the same.
        let _ = std::fs::remove_file(&part);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_written_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b.txt");
        make_parent(&path).unwrap();
        replace(&path, b"one").unwrap();
        replace(&path, b"two").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        can_write(&folder.path().join("new/folder/c.txt"), false).unwrap();
        can_write(Path::new("/dev/null"), false).unwrap();
        assert!(can_write(folder.path(), true).is_err() && can_write(&path.join("c.txt"), false).is_err());
        // A folder is in the way of the new file.
        let taken = folder.path().join("a");
        assert!(replace(&taken, b"three").is_err());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
