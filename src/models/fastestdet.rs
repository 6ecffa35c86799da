//! FastestDet (dog-qiuqiu, 2022): a single map with one column of values per cell.

use super::checks::check_shape;
use super::detector::Detector;
use super::numbers::sigmoid;
use crate::error::Result;
use crate::infer::{Card, Outputs};
use crate::ops::iou::from_cxcywh;
use crate::types::{Detection, Placement, Size};
use serde::Deserialize;

/// `family: { fastestdet: {} }`: one output `[1, 5 + classes, H, W]`. Its planes are objectness (0–1), centre offsets
/// x and y (Ocelli applies a tanh), width and height (Ocelli applies a sigmoid; fractions of the input) and class
/// probabilities. Decoding gives the same numbers as FastestDet's own `onnx-runtime/runtime.cpp`.
#[derive(Clone, Debug, Default, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FastestDet {
    /// The output of the graph to use, counted from 0.
    #[serde(default)]
    pub output: usize,
}

/// Decodes the map: looks only at cells whose objectness can reach the threshold.
pub struct FastestDetDetector {
    spec: FastestDet,
    classes: usize,
    input: Size,
    shape: Vec<usize>,
    values: Vec<f32>,
}

impl FastestDetDetector {
    /// Creates a decoder for a card's input size and labels.
    #[must_use]
    pub fn new(spec: FastestDet, card: &Card) -> Self {
        let (classes, input) = (card.labels.len(), card.fields.input.size);
        Self { spec, classes, input, shape: Vec::new(), values: Vec::new() }
    }
}

impl Detector for FastestDetDetector {
    fn decode(
        &mut self,
        outputs: &dyn Outputs,
        placement: &Placement,
        min_score: f32,
        found: &mut Vec<Detection>,
    ) -> Result<()> {
        outputs.read(self.spec.output, 1.0, 0, &mut self.shape, &mut self.values)?;
        let (h, w) = match self.shape.as_slice() {
            [_, _, h, w] => (*h, *w),
            _ => (0, 0),
        };
        check_shape(outputs, "map", &self.shape, &[1, 5 + self.classes, h, w])?;
        let plane = h * w;
        let value = |field: usize, cell: usize| self.values[field * plane + cell];
        // score = objectness^0.6 * class^0.4, and no class score is above 1.
        let least = min_score.powf(1.0 / 0.6);
        for cell in 0..plane {
            let objectness = value(0, cell);
            if objectness < least || objectness.is_nan() {
                continue;
            }
            let mut best = (0, f32::NEG_INFINITY);
            for class in 0..self.classes {
                let score = value(5 + class, cell);
                if score > best.1 {
                    best = (class, score);
                }
            }
            let score = objectness.powf(0.6) * best.1.powf(0.4);
            if score >= min_score {
                let (iw, ih) = (self.input.width as f32, self.input.height as f32);
                let cx = ((cell % w) as f32 + value(1, cell).tanh()) / w as f32 * iw;
                let cy = ((cell / w) as f32 + value(2, cell).tanh()) / h as f32 * ih;
                let bbox = from_cxcywh([cx, cy, sigmoid(value(3, cell)) * iw, sigmoid(value(4, cell)) * ih]);
                found.push(Detection::new(placement.to_frame(bbox), best.0 as u16, score));
            }
        }
        Ok(())
    }
}
