//! Turns an 8-bit picture into the numbers a model expects.

use crate::types::{Image, PixelFormat};

/// Order of the colour channels in the tensor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChannelOrder {
    /// Red first.
    #[default]
    Rgb,
    /// Blue first, as OpenCV reads pictures.
    Bgr,
    /// One channel: brightness.
    Gray,
}

/// Order of the tensor's axes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// `[1, channels, height, width]`.
    #[default]
    Nchw,
    /// `[1, height, width, channels]`.
    Nhwc,
}

/// `(value - mean) / std` for each of the 256 levels of each tensor channel, computed once: the result is
/// bit-identical to computing it pixel by pixel, at a fraction of the cost.
#[derive(Clone, Debug)]
pub struct Normalizer {
    order: ChannelOrder,
    layout: Layout,
    tables: Vec<[f32; 256]>,
    bytes: Vec<[u8; 256]>,
}

impl Normalizer {
    /// Creates a normaliser. `mean` and `std` are on the scale 0–255 and in the order of the tensor's channels.
    #[must_use]
    pub fn new(order: ChannelOrder, layout: Layout, mean: [f32; 3], std: [f32; 3]) -> Self {
        let channels = if order == ChannelOrder::Gray { 1 } else { 3 };
        let table = |channel: usize| std::array::from_fn(|level| (level as f32 - mean[channel]) / std[channel]);
        let levels = std::array::from_fn(|level| level as u8);
        Self { order, layout, tables: (0..channels).map(table).collect(), bytes: vec![levels; channels] }
    }

    /// Sets the byte that an 8-bit tensor gets for each level; `byte` receives the level and its normalised
    /// value. Without this, the tensor gets the levels unchanged.
    #[must_use]
    pub fn with_bytes(mut self, byte: impl Fn(u8, f32) -> u8) -> Self {
        for (bytes, table) in self.bytes.iter_mut().zip(&self.tables) {
            *bytes = std::array::from_fn(|level| byte(level as u8, table[level]));
        }
        self
    }

    /// The number of channels of the tensor.
    #[must_use]
    pub const fn channels(&self) -> usize {
        self.tables.len()
    }

    /// Fills a float tensor from an RGB picture. `tensor.len()` must be pixels times channels.
    pub fn fill_f32(&self, image: &Image, tensor: &mut [f32]) {
        self.spread_f32(image, tensor, &self.places(image));
    }

    /// Fills an 8-bit tensor (signed ones as two's complement).
    pub fn fill_u8(&self, image: &Image, tensor: &mut [u8]) {
        self.spread_u8(image, tensor, &self.places(image), 0);
    }

    /// Writes floats to their places.
    pub fn spread_f32(&self, image: &Image, values: &mut [f32], places: &Places) {
        self.walk(image, values, places, |channel, level| self.tables[channel][usize::from(level)]);
    }

    /// Writes bytes to their places, each changed by `flip`.
    pub fn spread_u8(&self, image: &Image, values: &mut [u8], places: &Places, flip: u8) {
        self.walk(image, values, places, |channel, level| self.bytes[channel][usize::from(level)] ^ flip);
    }

    /// The places of a tensor of its own.
    fn places(&self, image: &Image) -> Places {
        let (width, channels) = (image.size.width as usize, self.channels());
        match self.layout {
            Layout::Nchw => Places { first: 0, channel: image.size.pixels(), row: width, pixel: 1 },
            Layout::Nhwc => Places { first: 0, channel: 1, row: width * channels, pixel: channels },
        }
    }

    /// Places by the strides of a tensor's four sides; `None` if there are not four.
    #[must_use]
    pub fn places_by(&self, first: usize, strides: &[usize]) -> Option<Places> {
        let &[_, a, b, c] = strides else { return None };
        Some(match self.layout {
            Layout::Nchw => Places { first, channel: a, row: b, pixel: c },
            Layout::Nhwc => Places { first, channel: c, row: a, pixel: b },
        })
    }

    /// Changes each number of a tensor; `change` receives it and the value of its pixel in `mask`, `[H, W]`.
    pub fn mask<T: Copy>(&self, mask: &[f32], tensor: &mut [T], change: impl Fn(T, f32) -> T) {
        let channels = self.channels();
        for (at, value) in tensor.iter_mut().enumerate() {
            let pixel = match self.layout {
                Layout::Nchw => at % mask.len().max(1),
                Layout::Nhwc => at / channels,
            };
            *value = change(*value, mask.get(pixel).copied().unwrap_or(0.0));
        }
    }

    fn walk<T>(&self, image: &Image, values: &mut [T], places: &Places, value: impl Fn(usize, u8) -> T) {
        let source = if self.order == ChannelOrder::Bgr { [2, 1, 0] } else { [0, 1, 2] };
        let (channels, stride) = (self.channels(), image.stride());
        for (y, row) in image.data.chunks_exact(stride.max(1)).enumerate() {
            let values = &mut values[places.first + y * places.row..];
            match (image.format, self.order) {
                (PixelFormat::Gray8, _) => {
                    for (x, &level) in row.iter().enumerate() {
                        for channel in 0..channels {
                            values[x * places.pixel + channel * places.channel] = value(channel, level);
                        }
                    }
                }
                (PixelFormat::Rgb8, ChannelOrder::Gray) => {
                    for (x, pixel) in row.as_chunks::<3>().0.iter().enumerate() {
                        values[x * places.pixel] = value(0, super::color::luma(*pixel));
                    }
                }
                // In the order of the picture.
                (PixelFormat::Rgb8, _) if (places.channel, places.pixel) == (1, 3) => {
                    for (to, pixel) in values.as_chunks_mut::<3>().0.iter_mut().zip(row.as_chunks::<3>().0) {
                        *to = [value(0, pixel[source[0]]), value(1, pixel[source[1]]), value(2, pixel[source[2]])];
                    }
                }
                (PixelFormat::Rgb8, _) => {
                    for (channel, from) in source.into_iter().enumerate() {
                        let values = values[channel * places.channel..].iter_mut().step_by(places.pixel.max(1));
                        for (to, pixel) in values.zip(row.as_chunks::<3>().0) {
                            *to = value(channel, pixel[from]);
                        }
                    }
                }
            }
        }
    }
}

/// Where the numbers of a picture go: the first one, and the distances of channels, rows and pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Places {
    first: usize,
    channel: usize,
    row: usize,
    pixel: usize,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Size;

    fn two_pixels() -> Image {
        Image { size: Size::new(2, 1), format: PixelFormat::Rgb8, data: vec![0, 10, 20, 30, 40, 50] }
    }

    #[test]
    fn planes_come_one_after_the_other_and_blue_may_come_first() {
        let normalizer = Normalizer::new(ChannelOrder::Bgr, Layout::Nchw, [0.0; 3], [1.0; 3]);
        let mut tensor = [0.0; 6];
        normalizer.fill_f32(&two_pixels(), &mut tensor);
        assert_eq!(tensor, [20.0, 50.0, 10.0, 40.0, 0.0, 30.0]);
    }

    #[test]
    fn signed_models_get_levels_shifted_by_128() {
        let normalizer = Normalizer::new(ChannelOrder::Rgb, Layout::Nhwc, [0.0; 3], [1.0; 3])
            .with_bytes(|level, _| level.wrapping_sub(128));
        let mut tensor = [0; 6];
        normalizer.fill_u8(&two_pixels(), &mut tensor);
        assert_eq!(tensor[0].cast_signed(), -128);
        assert_eq!(tensor[5].cast_signed(), -78);
    }
}
