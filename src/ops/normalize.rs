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
        self.walk(image, tensor, |channel, level| self.tables[channel][usize::from(level)]);
    }

    /// Fills an 8-bit tensor (signed ones as two's complement).
    pub fn fill_u8(&self, image: &Image, tensor: &mut [u8]) {
        self.walk(image, tensor, |channel, level| self.bytes[channel][usize::from(level)]);
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

    fn walk<T>(&self, image: &Image, tensor: &mut [T], value: impl Fn(usize, u8) -> T) {
        let plane = image.size.pixels();
        let channels = self.channels();
        let step = |at: usize, channel: usize| match self.layout {
            Layout::Nchw => channel * plane + at,
            Layout::Nhwc => at * channels + channel,
        };
        match (image.format, self.order) {
            (PixelFormat::Gray8, _) => {
                for (at, &level) in image.data.iter().enumerate() {
                    for channel in 0..channels {
                        tensor[step(at, channel)] = value(channel, level);
                    }
                }
            }
            (PixelFormat::Rgb8, ChannelOrder::Gray) => {
                for (at, pixel) in image.data.as_chunks::<3>().0.iter().enumerate() {
                    tensor[at] = value(0, super::color::luma(*pixel));
                }
            }
            (PixelFormat::Rgb8, order) => {
                let source = if order == ChannelOrder::Rgb { [0, 1, 2] } else { [2, 1, 0] };
                for (channel, from) in source.into_iter().enumerate() {
                    for (at, pixel) in image.data.as_chunks::<3>().0.iter().enumerate() {
                        tensor[step(at, channel)] = value(channel, pixel[from]);
                    }
                }
            }
        }
    }
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
