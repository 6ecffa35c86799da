//! How large a picture may be.

use crate::error::{Error, Result};

/// No picture may take more memory than this, whatever its header claims.
pub const MAX_PICTURE_BYTES: usize = 512 << 20;

/// Refuses sizes that are zero or that no camera makes, before memory is asked for.
///
/// # Errors
/// [`Error::Data`].
pub fn check_size(width: u32, height: u32, what: &str) -> Result<()> {
    let sane = 1..=16_384;
    let fits = || u64::from(width) * u64::from(height) * 3 <= MAX_PICTURE_BYTES as u64;
    if sane.contains(&width) && sane.contains(&height) && fits() {
        return Ok(());
    }
    Err(Error::Data(format!(
        "{what}: a picture of {width}x{height}; each side must lie between 1 and 16384, all of it below 179 million pixels"
    )))
}
