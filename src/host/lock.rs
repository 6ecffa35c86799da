//! Locks that keep two processes from writing to one file.

use super::redact_addresses;
use crate::error::{Error, Result};
use std::fs::{File, Metadata, TryLockError};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Locks an open file until it is closed.
///
/// # Errors
/// [`Error::Io`] if another process (or another line of this one) has locked it; the message names it.
pub fn lock(file: &File, path: &Path) -> Result<()> {
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => {
            let message = format!("{} is writing to it; stop it, or choose another path", owner(file));
            Err(Error::io(path, std::io::Error::other(message)))
        }
        // Some network file systems have no locks; that must not keep anyone from writing there.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(()),
    }
}

/// Whether some process has locked the file.
#[must_use]
pub fn is_locked(path: &Path) -> bool {
    File::open(path).is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// Names the process that has locked a file: `process 812 (ocelli run door.yaml)`.
fn owner(file: &File) -> String {
    let Ok(found) = file.metadata() else { return "another process".into() };
    let locks = std::fs::read_to_string("/proc/locks").unwrap_or_default();
    let Some(process) =
        locks.lines().filter_map(|line| owner_in(line, found.ino())).find(|process| has_open(*process, &found))
    else {
        return "another process".into();
    };
    let command = std::fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
    let words: Vec<_> = command.split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
    let command: String =
        redact_addresses(words.join(" ").trim()).chars().filter(|c| !c.is_control()).take(100).collect();
    if command.is_empty() { format!("process {process}") } else { format!("process {process} ({command})") }
}

/// Whether a process has the file open: another disk may have a file of the same number.
fn has_open(process: u32, file: &Metadata) -> bool {
    let open = std::fs::read_dir(format!("/proc/{process}/fd")).into_iter().flatten().flatten();
    let mut found = open.filter_map(|entry| entry.path().metadata().ok());
    found.any(|found| (found.dev(), found.ino()) == (file.dev(), file.ino()))
}

/// Reads a line of /proc/locks: `1: FLOCK  ADVISORY  WRITE 812 08:01:393222 0 EOF`.
fn owner_in(line: &str, inode: u64) -> Option<u32> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let ["FLOCK", _, _, process, place, ..] = words.get(1..)? else { return None };
    let found = place.rsplit(':').next()?.parse::<u64>().ok()?;
    // The process may be in another namespace; then its number here is 0 or -1.
    process.parse().ok().filter(|process| found == inode && *process > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_owner_of_a_lock_is_named() {
        let line = "1: FLOCK  ADVISORY  WRITE 812 08:01:393222 0 EOF";
        assert_eq!((owner_in(line, 393_222), owner_in(line, 7), owner_in("", 7)), (Some(812), None, None));
        // A file of the same number, on another disk, that nobody has open here.
        assert!(!has_open(std::process::id(), &Path::new("/proc/self/status").metadata().unwrap()));
    }
}
