//! Models that make a picture from a picture: super-resolution (Dong et al. 2016, FSRCNN), autoencoders.

use crate::error::{Error, Result};
use crate::infer::{Card, Outputs};
use crate::ops::color::{from_ycbcr, to_ycbcr};
use crate::ops::normalize::{ChannelOrder, Layout};
use crate::ops::upsample::{Axis, bilinear};
use crate::types::{Image, PixelFormat, Size};
use crate::yaml::Fault;
use serde::Deserialize;

/// `family: { reconstruction: {} }`: one output, a picture of any size with the input's channels, layout and
/// normalisation. If a model sees only brightness, its picture gets the colours of its input back.
#[derive(Clone, Copy, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reconstruction {
    /// The output of the graph to use, counted from 0.
    #[serde(default)]
    pub output: usize,
    /// Output pixels per input pixel, along each side.
    #[serde(default = "one_times")]
    #[schemars(range(min = 1, max = 8))]
    pub times: u32,
    /// Scale of an 8-bit output, if the graph keeps it in 8 bits.
    #[serde(default = "one")]
    pub scale: f32,
    /// Zero point of an 8-bit output.
    #[serde(default)]
    pub zero_point: i32,
}

const fn one_times() -> u32 {
    1
}

const fn one() -> f32 {
    1.0
}

/// Turns outputs into pictures.
pub struct Reconstructor {
    spec: Reconstruction,
    layout: Layout,
    color: ChannelOrder,
    mean: [f32; 3],
    std: [f32; 3],
    input: Size,
    shape: Vec<usize>,
    /// The output's normalised values.
    pub values: Vec<f32>,
    chroma: [Vec<f32>; 2],
    plane: Vec<f32>,
}

impl Reconstructor {
    /// Creates a reconstructor for a card's input.
    ///
    /// # Errors
    /// [`Error::Model`] if `times` is out of range.
    pub fn new(spec: Reconstruction, card: &Card) -> Result<Self> {
        let input = &card.fields.input;
        if !(1..=8).contains(&spec.times) {
            let message = format!("family.reconstruction.times: {}; expected 1 to 8", spec.times);
            return Err(card.error(Fault::new(card.family.place, message)));
        }
        let (mean, std, color, layout) = (input.mean, input.std, input.color, input.layout);
        let (shape, values, plane) = (Vec::new(), Vec::new(), Vec::new());
        Ok(Self { spec, layout, color, mean, std, input: input.size, shape, values, chroma: Default::default(), plane })
    }

    /// Returns the size of the pictures it makes.
    #[must_use]
    pub const fn size(&self) -> Size {
        Size::new(self.input.width * self.spec.times, self.input.height * self.spec.times)
    }

    /// Reads the output's values.
    ///
    /// # Errors
    /// [`Error::Model`] if the output does not have the size in the card.
    pub fn read(&mut self, outputs: &dyn Outputs) -> Result<()> {
        let Reconstruction { output, scale, zero_point, .. } = self.spec;
        outputs.read(output, scale, zero_point, &mut self.shape, &mut self.values)?;
        let channels = if self.color == ChannelOrder::Gray { 1 } else { 3 };
        if self.values.len() != self.size().pixels() * channels {
            return Err(Error::Model(format!(
                "model `{}`: an output has shape {:?}, but the card says {channels} channels of {}",
                outputs.model(),
                self.shape,
                self.size()
            )));
        }
        Ok(())
    }

    /// Returns the mean squared difference between the output and the input's normalised values, if their sizes match.
    #[must_use]
    pub fn error(&self, input: &[f32]) -> Option<f32> {
        let squares = self.values.iter().zip(input).map(|(a, b)| (a - b) * (a - b));
        (self.values.len() == input.len()).then(|| squares.sum::<f32>() / input.len().max(1) as f32)
    }

    /// Makes a picture from the values that were read; `input` is what the model saw.
    pub fn picture(&mut self, input: &Image, picture: &mut Image) {
        let size = self.size();
        if self.color == ChannelOrder::Gray {
            return self.gray_picture(input, picture);
        }
        picture.reshape(size, PixelFormat::Rgb8);
        let plane = size.pixels();
        for (at, pixel) in picture.data.as_chunks_mut::<3>().0.iter_mut().enumerate() {
            for channel in 0..3 {
                let from = match self.layout {
                    Layout::Nchw => channel * plane + at,
                    Layout::Nhwc => at * 3 + channel,
                };
                let to = if self.color == ChannelOrder::Bgr { 2 - channel } else { channel };
                pixel[to] = level(self.values[from] * self.std[channel] + self.mean[channel]);
            }
        }
    }

    /// Takes brightness from the model, and colour from the input if it has any.
    fn gray_picture(&mut self, input: &Image, picture: &mut Image) {
        let size = self.size();
        let brightness = |value: f32| level(value * self.std[0] + self.mean[0]);
        if input.format == PixelFormat::Gray8 {
            picture.reshape(size, PixelFormat::Gray8);
            picture.data.iter_mut().zip(&self.values).for_each(|(pixel, &value)| *pixel = brightness(value));
            return;
        }
        let (w, h) = (input.size.width as usize, input.size.height as usize);
        let axes = [Axis::half_pixel(h, size.height as usize), Axis::half_pixel(w, size.width as usize)];
        for (part, chroma) in self.chroma.iter_mut().enumerate() {
            self.plane.clear();
            self.plane.extend(input.data.as_chunks::<3>().0.iter().map(|rgb| f32::from(to_ycbcr(*rgb)[part + 1])));
            bilinear(&self.plane, w, &axes[0], &axes[1], chroma);
        }
        picture.reshape(size, PixelFormat::Rgb8);
        for (at, pixel) in picture.data.as_chunks_mut::<3>().0.iter_mut().enumerate() {
            *pixel = from_ycbcr([brightness(self.values[at]), level(self.chroma[0][at]), level(self.chroma[1][at])]);
        }
    }
}

fn level(value: f32) -> u8 {
    value.round().clamp(0.0, 255.0) as u8
}
