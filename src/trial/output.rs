//! Result files.

use crate::error::{Error, Result};
use std::path::Path;

/// Writes a result file; its folder is created if missing.
///
/// # Errors
/// [`Error::Io`] if it cannot be written.
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<()> {
    let io = |e| Error::io(path, e);
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(io)?;
    }
    std::fs::write(path, bytes).map_err(io)
}
