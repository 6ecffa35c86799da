//! Limits on the size of a picture.

use crate::error::{Error, Result};

/// No picture may take more memory than this, whatever its header claims.
pub const MAX_PICTURE_BYTES: usize = 512 << 20;

/// Rejects sizes that are zero or larger than any camera's before memory is allocated.
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
        "{what}: a picture of {width}x{height}; each side must lie between 1 and 16384, with fewer than 179 million pixels in total"
    )))
}
