//! Result files.

use crate::error::{Error, Result};
use crate::host::make_parent;
use std::path::Path;

/// Writes a result file; its folder is created if missing.
///
/// # Errors
/// [`Error::Io`] if it cannot be written.
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<()> {
    make_parent(path)?;
    std::fs::write(path, bytes).map_err(|e| Error::io(path, e))
}
