//! The interface of every reader of recorded video.

use super::jpeg;
use crate::error::Result;
use crate::ops::color::{Colorimetry, Planes, planar_to_rgb};
use crate::types::{Image, Size};
use std::time::Duration;

/// One picture as its format stores it, borrowed from the reader.
#[derive(Clone, Copy, Debug)]
pub struct Picture<'a> {
    /// Media time; the first picture of a file is at 0.
    pub pts: Duration,
    /// The pixels.
    pub pixels: Pixels<'a>,
}

/// Pixels before they become RGB.
#[derive(Clone, Copy, Debug)]
pub enum Pixels<'a> {
    /// 8-bit planes.
    Yuv(Planes<'a>, Colorimetry),
    /// A whole JPEG file.
    Jpeg(&'a [u8]),
}

impl Pixels<'_> {
    /// Converts or decodes into `image`'s buffer.
    ///
    /// # Errors
    /// [`crate::error::Error::Data`] if the picture is damaged.
    pub fn to_rgb(&self, image: &mut Image) -> Result<()> {
        match self {
            Self::Yuv(planes, how) => planar_to_rgb(planes, *how, image),
            Self::Jpeg(bytes) => jpeg::decode(bytes, image),
        }
    }
}

/// Reads the pictures of a recording in display order.
pub trait VideoReader: Send {
    /// Returns the next picture; `None` at the end.
    ///
    /// # Errors
    /// [`crate::error::Error::Data`] if the recording is damaged, [`crate::error::Error::Io`] if it cannot be read.
    fn next_picture(&mut self) -> Result<Option<Picture<'_>>>;
    /// Returns the width and height in the container.
    fn size(&self) -> Size;
    /// Returns the number of pictures, if the container states it.
    fn count(&self) -> Option<u64>;
}
