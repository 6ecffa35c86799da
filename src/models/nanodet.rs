//! NanoDet (RangiLyu, 2020): FCOS-like heads with Generalized Focal Loss. Li et al. 2020, §3.2.

use super::checks::{check_shape, check_strides};
use super::detector::Detector;
use super::numbers::{best_of, expectation};
use crate::error::Result;
use crate::infer::{Card, Outputs};
use crate::types::{BBox, Detection, Placement, Size};
use serde::Deserialize;

/// `family: { nanodet: {} }`: for each stride one output of class probabilities `[1, cells, classes]`, then for each
/// stride one output `[1, cells, 4 * bins]` with the distributions of the left, top, right and bottom distances, in
/// strides from the middle of the cell's pixels. Decoding gives the same numbers as NanoDet's own.
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NanoDet {
    /// Stride of each level in input pixels, in the order of the outputs.
    #[serde(default = "default_strides")]
    #[schemars(length(min = 1, max = 8), inner(range(min = 4)))]
    pub strides: Vec<u32>,
    /// Number of bins in the distribution of a distance (`reg_max + 1`).
    #[serde(default = "default_bins")]
    #[schemars(range(min = 2, max = 64))]
    pub bins: usize,
}

fn default_strides() -> Vec<u32> {
    vec![8, 16, 32]
}

const fn default_bins() -> usize {
    8
}

/// Decodes the levels: scans the scores row by row and computes only boxes above the threshold.
pub struct NanoDetDetector {
    spec: NanoDet,
    classes: usize,
    input: Size,
    shape: Vec<usize>,
    scores: Vec<f32>,
    distances: Vec<f32>,
}

impl NanoDetDetector {
    /// Creates a decoder for a card's input size and labels.
    ///
    /// # Errors
    /// [`crate::error::Error::Model`] if the strides or bins are invalid.
    pub fn new(spec: NanoDet, card: &Card) -> Result<Self> {
        check_strides(card, "nanodet", &spec.strides)?;
        if !(2..=64).contains(&spec.bins) {
            let message = format!("family.nanodet.bins: {}; expected 2 to 64", spec.bins);
            return Err(card.error(crate::yaml::Fault::new(card.family.place, message)));
        }
        let (classes, input) = (card.labels.len(), card.fields.input.size);
        Ok(Self { spec, classes, input, shape: Vec::new(), scores: Vec::new(), distances: Vec::new() })
    }
}

impl Detector for NanoDetDetector {
    fn decode(
        &mut self,
        outputs: &dyn Outputs,
        placement: &Placement,
        min_score: f32,
        found: &mut Vec<Detection>,
    ) -> Result<()> {
        let (levels, bins) = (self.spec.strides.len(), self.spec.bins);
        for (level, &stride) in self.spec.strides.iter().enumerate() {
            let (w, h) = (self.input.width.div_ceil(stride) as usize, self.input.height.div_ceil(stride) as usize);
            outputs.read(level, 1.0, 0, &mut self.shape, &mut self.scores)?;
            check_shape(outputs, "scores", &self.shape, &[1, w * h, self.classes])?;
            outputs.read(levels + level, 1.0, 0, &mut self.shape, &mut self.distances)?;
            check_shape(outputs, "distances", &self.shape, &[1, w * h, 4 * bins])?;
            let stride = stride as f32;
            for (cell, row) in self.scores.chunks_exact(self.classes.max(1)).enumerate() {
                let (class, score) = best_of(row);
                if score < min_score || score.is_nan() {
                    continue;
                }
                let logits = &self.distances[cell * 4 * bins..][..4 * bins];
                let [left, top, right, bottom] =
                    [0, 1, 2, 3].map(|side| expectation(logits[side * bins..][..bins].iter().copied()) * stride);
                let (x, y) = ((cell % w) as f32 * stride, (cell / w) as f32 * stride);
                // The middle of the cell's pixels, whose centres lie at 0 to stride - 1.
                let (x, y) = (x + (stride - 1.0) / 2.0, y + (stride - 1.0) / 2.0);
                let bbox = BBox::new(x - left, y - top, x + right, y + bottom).clip(self.input);
                found.push(Detection::new(placement.to_frame(bbox), class as u16, score));
            }
        }
        Ok(())
    }
}
