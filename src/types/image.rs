//! A picture in memory.

use super::Size;

/// How the bytes of a picture are laid out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PixelFormat {
    /// Three bytes per pixel: red, green, blue.
    #[default]
    Rgb8,
    /// One byte per pixel.
    Gray8,
}

impl PixelFormat {
    /// Bytes per pixel.
    #[must_use]
    pub const fn channels(self) -> usize {
        match self {
            Self::Rgb8 => 3,
            Self::Gray8 => 1,
        }
    }
}

/// Interleaved rows without padding: `data.len() == width * height * channels`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    /// Width and height in pixels.
    pub size: Size,
    /// Layout of `data`.
    pub format: PixelFormat,
    /// The pixels.
    pub data: Vec<u8>,
}

impl Image {
    /// Creates a black picture.
    #[must_use]
    pub fn new(size: Size, format: PixelFormat) -> Self {
        Self { size, format, data: vec![0; size.pixels() * format.channels()] }
    }

    /// Changes the size and layout of the picture but keeps its buffer. The pixels are unspecified afterwards.
    pub fn reshape(&mut self, size: Size, format: PixelFormat) {
        self.size = size;
        self.format = format;
        self.data.resize(size.pixels() * format.channels(), 0);
    }

    /// Copies another picture into this one's buffer.
    pub fn copy_from(&mut self, other: &Self) {
        self.size = other.size;
        self.format = other.format;
        self.data.clear();
        self.data.extend_from_slice(&other.data);
    }

    /// Bytes from one row to the next.
    #[must_use]
    pub const fn stride(&self) -> usize {
        self.size.width as usize * self.format.channels()
    }

    /// The bytes of row `y`.
    #[must_use]
    pub fn row(&self, y: u32) -> &[u8] {
        let start = y as usize * self.stride();
        &self.data[start..start + self.stride()]
    }
}
