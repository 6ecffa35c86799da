//! Containers and codecs: one format a file.

pub mod avi;
pub mod ffmpeg;
pub mod flight;
pub mod fmp4;
#[cfg(feature = "h264")]
pub mod h264;
#[cfg(feature = "h264")]
pub mod h264_live;
pub mod jpeg;
pub mod mjpeg;
#[cfg(feature = "mkv")]
pub mod mkv;
#[cfg(feature = "h264")]
pub mod mp4;
pub mod png;
pub mod still;
pub mod video;
pub mod y4m;

use crate::error::{Error, Result};

/// No picture may take more memory than this, whatever its header claims.
pub const MAX_PICTURE_BYTES: usize = 512 << 20;

/// Refuses sizes that are zero or that no camera makes, before memory is asked for.
pub(crate) fn check_size(width: u32, height: u32, what: &str) -> Result<()> {
    let sane = 1..=16_384;
    let fits = || u64::from(width) * u64::from(height) * 3 <= MAX_PICTURE_BYTES as u64;
    if sane.contains(&width) && sane.contains(&height) && fits() {
        return Ok(());
    }
    Err(Error::Data(format!(
        "{what}: a picture of {width}x{height}; each side must lie between 1 and 16384, all of it below 179 million pixels"
    )))
}
