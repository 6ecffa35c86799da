//! The pixel layouts that cameras send, and their conversion to RGB.

use crate::error::{Error, Result};
use crate::media::{jpeg::LiveJpeg, mjpeg};
use crate::ops::color::{Colorimetry, Raw, raw_to_rgb};
use crate::types::{Image, PixelFormat, Size};
use nokhwa::utils::FrameFormat;
use serde::Deserialize;

/// A layout of pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Pixel {
    /// Y U Y V, 16 bits per pixel: the uncompressed format of webcams.
    Yuyv,
    /// One plane of brightness and one of colour, 12 bits per pixel.
    Nv12,
    /// One JPEG per frame: needs a tenth of the bus bandwidth, but time to decode.
    Mjpeg,
    /// Red, green, blue.
    Rgb,
    /// Blue, green, red.
    Bgr,
}

impl Pixel {
    /// All layouts, the cheapest first.
    pub const ALL: [Self; 5] = [Self::Yuyv, Self::Nv12, Self::Mjpeg, Self::Rgb, Self::Bgr];

    /// The layout for a code of the kernel, if it is supported.
    #[must_use]
    pub fn of(fourcc: [u8; 4]) -> Option<Self> {
        Self::ALL.into_iter().find(|pixel| pixel.fourcc() == fourcc)
    }

    /// The kernel's code.
    #[must_use]
    pub const fn fourcc(self) -> [u8; 4] {
        *match self {
            Self::Yuyv => b"YUYV",
            Self::Nv12 => b"NV12",
            Self::Mjpeg => b"MJPG",
            Self::Rgb => b"RGB3",
            Self::Bgr => b"BGR3",
        }
    }

    /// nokhwa's name for it.
    #[must_use]
    pub const fn nokhwa(self) -> FrameFormat {
        match self {
            Self::Yuyv => FrameFormat::YUYV,
            Self::Nv12 => FrameFormat::NV12,
            Self::Mjpeg => FrameFormat::MJPEG,
            Self::Rgb => FrameFormat::RAWRGB,
            Self::Bgr => FrameFormat::RAWBGR,
        }
    }

    /// Bytes of a row without padding; 0 if there are no rows.
    const fn row_bytes(self, size: Size) -> usize {
        match self {
            Self::Yuyv => size.width.div_ceil(2) as usize * 4,
            Self::Nv12 => size.width.div_ceil(2) as usize * 2,
            Self::Mjpeg => 0,
            Self::Rgb | Self::Bgr => size.width as usize * 3,
        }
    }
}

/// Converts a camera's buffers into RGB; keeps its working memory from frame to frame.
#[derive(Debug)]
pub struct Converter {
    pixel: Pixel,
    size: Size,
    /// Bytes from the start of one row to the next, as set by the driver.
    stride: usize,
    rows: Vec<u8>,
    scratch: Vec<u8>,
    jpegs: LiveJpeg,
}

impl Converter {
    /// Creates a converter for frames of a layout, a size, and a row stride (0: no padding).
    #[must_use]
    pub fn new(pixel: Pixel, size: Size, stride: usize) -> Self {
        let stride = stride.max(pixel.row_bytes(size));
        Self { pixel, size, stride, rows: Vec::new(), scratch: Vec::new(), jpegs: LiveJpeg::default() }
    }

    /// Converts a buffer, which may be longer than the frame.
    ///
    /// # Errors
    /// Returns [`Error::Data`] if it is shorter, or if it is not a JPEG but should be one.
    pub fn to_rgb(&mut self, buffer: &[u8], image: &mut Image) -> Result<()> {
        let Self { pixel, size, stride, .. } = *self;
        if pixel == Pixel::Mjpeg {
            return self.jpegs.decode(mjpeg::cut(buffer)?, image);
        }
        let row = pixel.row_bytes(size);
        let rows = size.height as usize + if pixel == Pixel::Nv12 { size.height.div_ceil(2) as usize } else { 0 };
        let need = stride * (rows - 1) + row;
        if buffer.len() < need {
            let message = format!("a {size} frame of {} bytes; {need} are needed, the rest is missing", buffer.len());
            return Err(Error::Data(message));
        }
        let packed = if stride == row {
            &buffer[..need]
        } else {
            self.rows.clear();
            (0..rows).for_each(|y| self.rows.extend_from_slice(&buffer[y * stride..y * stride + row]));
            &self.rows
        };
        match pixel {
            Pixel::Yuyv => raw_to_rgb(packed, Raw::Yuyv, size, Colorimetry::BT601, &mut self.scratch, image),
            Pixel::Nv12 => nv12(packed, size, &mut self.scratch, image),
            _ => {
                image.reshape(size, PixelFormat::Rgb8);
                image.data.copy_from_slice(packed);
                if pixel == Pixel::Bgr {
                    image.data.as_chunks_mut::<3>().0.iter_mut().for_each(|p| p.swap(0, 2));
                }
                Ok(())
            }
        }
    }
}

/// Rows of both planes have an even number of bytes, even if the width is odd: the brightness rows are packed first.
fn nv12(packed: &[u8], size: Size, scratch: &mut Vec<u8>, image: &mut Image) -> Result<()> {
    let (width, row) = (size.width as usize, size.width.div_ceil(2) as usize * 2);
    if row == width {
        return raw_to_rgb(packed, Raw::Nv12, size, Colorimetry::BT601, scratch, image);
    }
    scratch.clear();
    let (bright, colour) = packed.split_at(row * size.height as usize);
    bright.chunks_exact(row).for_each(|line| scratch.extend_from_slice(&line[..width]));
    scratch.extend_from_slice(colour);
    raw_to_rgb(scratch, Raw::Nv12, size, Colorimetry::BT601, &mut Vec::new(), image)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padded_rows_and_long_buffers_give_the_same_picture() {
        let size = Size::new(4, 2);
        let plain: Vec<u8> = (0..16).map(|i| 60 + i * 5).collect();
        let mut padded = Vec::new();
        plain.chunks(8).for_each(|row| padded.extend([row, &[9; 6]].concat()));
        padded.extend([7; 100]);
        let (mut a, mut b) = (Image::default(), Image::default());
        Converter::new(Pixel::Yuyv, size, 0).to_rgb(&plain, &mut a).unwrap();
        Converter::new(Pixel::Yuyv, size, 14).to_rgb(&padded, &mut b).unwrap();
        assert_eq!(a, b);
        assert!(Converter::new(Pixel::Yuyv, size, 0).to_rgb(&plain[..15], &mut a).is_err());
    }

    #[test]
    fn red_is_red_in_every_layout() {
        let size = Size::new(2, 2);
        // BT.601, 16–235: red is (81, 90, 240).
        let red = [
            (Pixel::Yuyv, vec![81, 90, 81, 240, 81, 90, 81, 240]),
            (Pixel::Nv12, vec![81, 81, 81, 81, 90, 240]),
            (Pixel::Rgb, [255, 0, 0].repeat(4)),
            (Pixel::Bgr, [0, 0, 255].repeat(4)),
        ];
        for (pixel, bytes) in red {
            let mut image = Image::default();
            Converter::new(pixel, size, 0).to_rgb(&bytes, &mut image).unwrap();
            assert!(
                image.data.as_chunks::<3>().0.iter().all(|p| p[0] >= 253 && p[1] <= 2 && p[2] <= 2),
                "{pixel:?} {image:?}"
            );
        }
    }
}
