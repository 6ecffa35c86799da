//! Where a user's files lie.

use std::path::PathBuf;

/// Returns `ocelli` in the user's data folder: below `XDG_DATA_HOME`, or else `~/.local/share` (XDG Base Directory
/// Specification). `None` if neither is known. The folder may not exist.
#[must_use]
pub fn data_folder() -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let data = absolute("XDG_DATA_HOME").or_else(|| Some(absolute("HOME")?.join(".local/share")))?;
    Some(data.join("ocelli"))
}
