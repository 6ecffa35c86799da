//! The interface of every reader of recorded video.

use super::jpeg::{self, Damage};
use crate::error::{Error, Result};
use crate::ops::color::{Colorimetry, Planes, planar_to_rgb};
use crate::types::{Image, PixelFormat, Size};
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
    /// 8-bit RGB.
    Rgb(&'a [u8], Size),
    /// A whole JPEG file.
    Jpeg(&'a [u8]),
    /// Two JPEG files: the even rows, counted from 0, and the odd ones.
    Fields([&'a [u8]; 2]),
}

impl Pixels<'_> {
    /// Converts or decodes into `image`'s buffer. If a JPEG is damaged, it is filled up, and the answer says what was
    /// wrong.
    ///
    /// # Errors
    /// [`crate::error::Error::Data`] if the picture cannot be decoded.
    pub fn to_rgb(&self, image: &mut Image) -> Result<Option<Damage>> {
        match self {
            Self::Yuv(planes, how) => planar_to_rgb(planes, *how, image).map(|()| None),
            Self::Rgb(bytes, size) => {
                image.reshape(*size, PixelFormat::Rgb8);
                if bytes.len() != image.data.len() {
                    return Err(Error::Data(format!("{} bytes for a picture of {size}", bytes.len())));
                }
                image.data.copy_from_slice(bytes);
                Ok(None)
            }
            Self::Jpeg(bytes) => jpeg::decode(bytes, image),
            Self::Fields(fields) => weave(fields, image),
        }
    }
}

/// Decodes two fields into one picture.
fn weave(fields: &[&[u8]; 2], image: &mut Image) -> Result<Option<Damage>> {
    let (mut even, mut odd) = (Image::default(), Image::default());
    let mut damage = jpeg::decode(fields[0], &mut even)?;
    match jpeg::decode(fields[1], &mut odd) {
        Ok(second) => damage = damage.or(second),
        // Its rows are those of the other.
        Err(error) => {
            odd.clone_from(&even);
            damage = damage.or(Some(format!("{error} (second field)")));
        }
    }
    if even.size.width != odd.size.width || even.size.height.abs_diff(odd.size.height) > 1 {
        return Err(Error::Data(format!("JPEG: two fields of {} and {}", even.size, odd.size)));
    }
    image.reshape(Size::new(even.size.width, even.size.height + odd.size.height), PixelFormat::Rgb8);
    let stride = image.stride();
    for (y, row) in image.data.chunks_exact_mut(stride).enumerate() {
        let field = if y % 2 == 0 { &even } else { &odd };
        let line = ((y / 2) as u32).min(field.size.height - 1);
        row.copy_from_slice(field.row(line));
    }
    Ok(damage)
}

/// Reads the pictures of a recording in display order.
pub trait VideoReader: Send {
    /// Returns the next picture; `None` at the end.
    ///
    /// # Errors
    /// [`crate::error::Error::Data`] if the recording is damaged, [`crate::error::Error::Io`] if it cannot be read.
    fn next_picture(&mut self) -> Result<Option<Picture<'_>>>;
    /// Does the work of [`Self::next_picture`] that can fail, so that another reader can go on if it does.
    ///
    /// # Errors
    /// Those of [`Self::next_picture`].
    fn prepare(&mut self) -> Result<()> {
        Ok(())
    }
    /// Returns what people should know about the file, such as that it was cut; complete at the end.
    fn remark(&self) -> Option<&str> {
        None
    }
    /// Returns the width and height in the container.
    fn size(&self) -> Size;
    /// Returns the number of pictures, if the container states it.
    fn count(&self) -> Option<u64>;
}
