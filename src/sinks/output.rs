//! Files that sinks write.

use crate::error::{Error, Result};
use std::path::Path;

/// Creates the folder of a file to be written.
pub fn make_parent(path: &Path) -> Result<()> {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => {
            std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, e))
        }
        _ => Ok(()),
    }
}

/// Writes a whole file so that readers see either the old one or the new one, never half of it.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".part");
    let part = path.with_file_name(name);
    std::fs::write(&part, bytes).map_err(|e| Error::io(&part, e))?;
    std::fs::rename(&part, path).map_err(|e| Error::io(path, e))
}
