//! Single shot detectors. Liu et al. 2016, SSD, §2.

use super::{Detector, check_shape, logit, sigmoid};
use crate::error::Result;
use crate::infer::{Card, Session};
use crate::ops::anchors::{self, TfSsd};
use crate::ops::box_coder::BoxCoder;
use crate::types::{BBox, Detection, Placement, Size};
use crate::yaml::Fault;
use serde::Deserialize;

/// `family: { ssd: { anchors: …, scores: … } }`: one output of offsets `[1, N, 4]` and one of scores
/// `[1, N, classes]`, N being the number of anchors.
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ssd {
    /// The boxes that offsets start from.
    pub anchors: Anchors,
    /// Weights of the offsets x, y, w, h: what they are divided by.
    #[serde(default = "default_weights")]
    pub weights: [f32; 4],
    /// Order of the offsets.
    #[serde(default)]
    pub order: Order,
    /// What the score columns hold.
    #[serde(default)]
    pub scores: Scores,
    /// Column of "nothing here", which is no class; `null` if there is none.
    #[serde(default = "default_background")]
    pub background: Option<usize>,
    /// How many answers an anchor may give.
    #[serde(default)]
    pub answers: Answers,
    /// Output of the offsets, counted from 0, and how its 8-bit numbers are read.
    #[serde(default)]
    pub boxes_output: Quantized,
    /// Output of the scores, likewise.
    #[serde(default = "default_scores_output")]
    pub scores_output: Quantized,
}

/// An output, and how its 8-bit numbers become real: `(q - zero_point) * scale`.
#[derive(Clone, Copy, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Quantized {
    /// Number of the output, counted from 0.
    pub index: usize,
    /// Step of an 8-bit output; unused for floats.
    #[serde(default = "one")]
    pub scale: f32,
    /// Zero of an 8-bit output; unused for floats.
    #[serde(default)]
    pub zero_point: i32,
}

impl Default for Quantized {
    fn default() -> Self {
        Self { index: 0, scale: 1.0, zero_point: 0 }
    }
}

const fn one() -> f32 {
    1.0
}

fn default_scores_output() -> Quantized {
    Quantized { index: 1, ..Quantized::default() }
}

const fn default_weights() -> [f32; 4] {
    [10.0, 10.0, 5.0, 5.0]
}

#[expect(clippy::unnecessary_wraps, reason = "serde wants the field's type")]
const fn default_background() -> Option<usize> {
    Some(0)
}

/// Order of the four offsets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// `dx, dy, dw, dh`: torchvision, Caffe.
    #[default]
    Xywh,
    /// `dy, dx, dh, dw`: TensorFlow.
    Yxhw,
}

/// What the score columns hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scores {
    /// 0–1 already.
    #[default]
    Probability,
    /// Raw; a sigmoid each (TensorFlow).
    Sigmoid,
    /// Raw; a softmax over the row (torchvision, Caffe).
    Softmax,
}

/// How many answers an anchor may give.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Answers {
    /// Its best class (TFLite's `TFLite_Detection_PostProcess`).
    #[default]
    Best,
    /// Every class above the threshold (torchvision).
    All,
}

/// Where the anchors come from.
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Anchors {
    /// TensorFlow's object detection SSD.
    Tf(TfAnchors),
    /// torchvision's `DefaultBoxGenerator`.
    DefaultBoxes(DefaultBoxes),
}

/// TensorFlow's `ssd_anchor_generator`.
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TfAnchors {
    /// Cells a side of each square feature map.
    pub maps: Vec<u32>,
    /// Scale of the first level.
    #[serde(default = "default_min_scale")]
    pub min_scale: f32,
    /// Scale of the last level.
    #[serde(default = "default_max_scale")]
    pub max_scale: f32,
    /// Width over height of a cell's boxes.
    #[serde(default = "default_ratios")]
    pub ratios: Vec<f32>,
}

const fn default_min_scale() -> f32 {
    0.2
}

const fn default_max_scale() -> f32 {
    0.95
}

fn default_ratios() -> Vec<f32> {
    vec![1.0, 2.0, 0.5, 3.0, 1.0 / 3.0]
}

/// torchvision's `DefaultBoxGenerator`.
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DefaultBoxes {
    /// Cells a side of each square feature map.
    pub maps: Vec<u32>,
    /// Scale of each level relative to the input, and one more at the end.
    pub scales: Vec<f64>,
    /// Ratios of each level, beside the squares.
    pub ratios: Vec<Vec<f64>>,
    /// Stride of each level in pixels, if the cells are no equal parts of the input.
    #[serde(default)]
    pub steps_px: Option<Vec<f64>>,
}

impl Anchors {
    /// Number of cells of all maps.
    fn cells(&self) -> u64 {
        let (Self::Tf(TfAnchors { maps, .. }) | Self::DefaultBoxes(DefaultBoxes { maps, .. })) = self;
        maps.iter().map(|&side| u64::from(side) * u64::from(side)).fold(0, u64::saturating_add)
    }

    /// `[N]` of `[cx, cy, w, h]` relative to the input.
    #[must_use]
    pub fn generate(&self, input: Size) -> Vec<[f32; 4]> {
        let square = |maps: &[u32]| -> Vec<Size> { maps.iter().map(|&side| Size::new(side, side)).collect() };
        match self {
            Self::Tf(tf) => anchors::tf_ssd(&TfSsd {
                maps: square(&tf.maps),
                min_scale: tf.min_scale,
                max_scale: tf.max_scale,
                ratios: tf.ratios.clone(),
                interpolated: true,
                reduce_lowest: true,
            }),
            Self::DefaultBoxes(d) => {
                anchors::default_boxes(&square(&d.maps), &d.scales, &d.ratios, d.steps_px.as_deref(), input)
            }
        }
    }
}

/// Decodes SSD outputs: scans the scores row by row, and decodes only boxes of scores above the threshold.
pub struct SsdDetector {
    spec: Ssd,
    coder: BoxCoder,
    anchors: Vec<[f32; 4]>,
    columns: usize,
    input: Size,
    offsets: Vec<f32>,
    scores: Vec<f32>,
}

impl SsdDetector {
    /// A decoder for a card's input size and labels.
    ///
    /// # Errors
    /// [`crate::error::Error::Model`] if the anchors make no sense.
    pub fn new(spec: Ssd, card: &Card) -> Result<Self> {
        let input = card.fields.input.size;
        let cells = spec.anchors.cells();
        if !(1..=200_000).contains(&cells) {
            let message = format!("family.ssd.anchors: the maps have {cells} cells; 1 to 200000 make sense");
            return Err(card.error(Fault::new(card.family.place, message)));
        }
        let mut anchors = spec.anchors.generate(input);
        let (w, h) = (input.width as f32, input.height as f32);
        for anchor in &mut anchors {
            *anchor = [anchor[0] * w, anchor[1] * h, anchor[2] * w, anchor[3] * h];
        }
        let columns = card.labels.len() + usize::from(spec.background.is_some());
        let coder = BoxCoder::new(spec.weights);
        Ok(Self { spec, coder, anchors, columns, input, offsets: Vec::new(), scores: Vec::new() })
    }

    fn bbox(&self, index: usize, placement: &Placement) -> BBox {
        let o = &self.offsets[index * 4..index * 4 + 4];
        let offsets = match self.spec.order {
            Order::Xywh => [o[0], o[1], o[2], o[3]],
            Order::Yxhw => [o[1], o[0], o[3], o[2]],
        };
        let found = self.coder.decode(offsets, self.anchors[index]).clip(self.input);
        placement.to_frame(found)
    }
}

impl Detector for SsdDetector {
    fn decode(
        &mut self,
        session: &Session,
        placement: &Placement,
        min_score: f32,
        found: &mut Vec<Detection>,
    ) -> Result<()> {
        let (b, s) = (self.spec.boxes_output, self.spec.scores_output);
        let (boxes, scores) = (session.output(b.index)?, session.output(s.index)?);
        check_shape(session.name(), "boxes", boxes.shape(), &[1, self.anchors.len(), 4])?;
        check_shape(session.name(), "scores", scores.shape(), &[1, self.anchors.len(), self.columns])?;
        boxes.read(b.scale, b.zero_point, &mut self.offsets)?;
        scores.read(s.scale, s.zero_point, &mut self.scores)?;
        let least = if self.spec.scores == Scores::Sigmoid { logit(min_score) } else { min_score };
        if self.spec.scores == Scores::Softmax {
            self.scores.chunks_exact_mut(self.columns).for_each(softmax);
        }
        for (index, row) in self.scores.chunks_exact(self.columns).enumerate() {
            let mut best = least;
            let first = found.len();
            for (column, &value) in row.iter().enumerate() {
                // `NaN` is no answer either.
                let low = value.partial_cmp(&best).is_none_or(std::cmp::Ordering::is_lt);
                if low || Some(column) == self.spec.background {
                    continue;
                }
                if self.spec.answers == Answers::Best {
                    // A later class must be better, not equal: the first of equals is the best.
                    if found.len() > first && value == best {
                        continue;
                    }
                    best = value;
                    found.truncate(first);
                }
                let class = column - usize::from(self.spec.background.is_some_and(|b| b < column));
                let score = if self.spec.scores == Scores::Sigmoid { sigmoid(value) } else { value };
                found.push(Detection { bbox: BBox::default(), class: class as u16, score });
            }
            if found.len() > first {
                let bbox = self.bbox(index, placement);
                found[first..].iter_mut().for_each(|detection| detection.bbox = bbox);
            }
        }
        Ok(())
    }
}

fn softmax(row: &mut [f32]) {
    let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    row.iter_mut().for_each(|v| *v = (*v - max).exp());
    let sum: f32 = row.iter().sum();
    row.iter_mut().for_each(|v| *v /= sum);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn softmax_sums_to_one_for_large_numbers_too() {
        let mut row = [1000.0, 1000.0, -1000.0];
        softmax(&mut row);
        assert_eq!(row, [0.5, 0.5, 0.0]);
    }
}
