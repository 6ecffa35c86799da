//! Single-shot detectors. Liu et al. 2016, SSD, §2.

mod anchors;

pub use anchors::{Anchors, Order};

use super::checks::check_shape;
use super::detector::Detector;
pub use super::numbers::Scores;
use super::numbers::{logit, sigmoid, softmax};
use crate::error::Result;
use crate::infer::{Card, Outputs};
use crate::ops::box_coder::BoxCoder;
use crate::types::{BBox, Detection, Placement, Size};
use crate::yaml::Fault;
use serde::Deserialize;

/// `family: { ssd: { anchors: …, scores: … } }`: one output of offsets `[1, N, 4]` and one of scores
/// `[1, N, classes]`, where N is the number of anchors. RetinaNet fits too: sigmoid scores, no background, weights 1.
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ssd {
    /// The boxes that the offsets are relative to; leave out if the graph returns finished corners.
    #[serde(default)]
    pub anchors: Option<Anchors>,
    /// Weights of the offsets x, y, w, h. The offsets are divided by them.
    #[serde(default = "default_weights")]
    #[schemars(extend("items" = { "type": "number", "not": { "const": 0 } }))]
    pub weights: [f32; 4],
    /// Order of the offsets.
    #[serde(default)]
    pub order: Order,
    /// What the score columns hold.
    #[serde(default)]
    pub scores: Scores,
    /// Column for "nothing here", which is not a class; `null` if there is none.
    #[serde(default = "default_background")]
    pub background: Option<usize>,
    /// How many answers an anchor may give.
    #[serde(default)]
    pub answers: Answers,
    /// For `answers: all`: keep only this many best answers per class (with a background) or per level (without), like
    /// `topk_candidates` of torchvision's SSD and RetinaNet.
    #[serde(default)]
    pub candidates: Option<usize>,
    /// Number of the output with the offsets, counted from 0, and how its 8-bit values are read.
    #[serde(default)]
    pub boxes_output: Quantized,
    /// The same for the output with the scores.
    #[serde(default = "default_scores_output")]
    pub scores_output: Quantized,
}

/// An output, and how its 8-bit values become real numbers: `(q - zero_point) * scale`.
#[derive(Clone, Copy, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Quantized {
    /// Number of the output, counted from 0.
    pub index: usize,
    /// Scale of an 8-bit output; unused for floats.
    #[serde(default = "one")]
    pub scale: f32,
    /// Zero point of an 8-bit output; unused for floats.
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

/// How many answers an anchor may give.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Answers {
    /// Only its best class (TFLite's `TFLite_Detection_PostProcess`).
    #[default]
    Best,
    /// Every class above the threshold (torchvision).
    All,
}

/// Decodes SSD outputs: scans the scores row by row, and decodes only boxes whose score is above the threshold.
pub struct SsdDetector {
    spec: Ssd,
    coder: BoxCoder,
    /// `[cx, cy, w, h]` in input pixels; empty if the graph returns corners.
    anchors: Vec<[f32; 4]>,
    /// Where each level begins, for `candidates`.
    levels: Vec<usize>,
    columns: usize,
    input: Size,
    shape: Vec<usize>,
    offsets: Vec<f32>,
    scores: Vec<f32>,
    /// The anchor of each answer whose box is not decoded yet.
    rows: Vec<u32>,
}

impl SsdDetector {
    /// Creates a decoder for a card's input size and labels.
    ///
    /// # Errors
    /// [`crate::error::Error::Model`] if the anchors, the background or the weights are invalid.
    pub fn new(spec: Ssd, card: &Card) -> Result<Self> {
        let input = card.fields.input.size;
        let (w, h) = (input.width as f32, input.height as f32);
        let bad = |message: String| card.error(Fault::new(card.family.place, format!("family.ssd.anchors: {message}")));
        let (anchors, levels) = match &spec.anchors {
            Some(anchors) => anchors.generate(input, &card.folder).map_err(bad)?,
            None => (Vec::new(), vec![0]),
        };
        let columns = card.labels.len() + usize::from(spec.background.is_some());
        let bad = |message: String| card.error(Fault::new(card.family.place, format!("family.ssd.{message}")));
        if let Some(column) = spec.background.filter(|column| *column >= columns) {
            let message = format!("background: {column}; the scores have the columns 0 to {}", columns - 1);
            return Err(bad(format!("{message}, one for each label and one for the background")));
        }
        if spec.weights.contains(&0.0) {
            return Err(bad(format!("weights: {:?}; offsets are divided by them, so none may be 0", spec.weights)));
        }
        let anchors = anchors.into_iter().map(|a| [a[0] * w, a[1] * h, a[2] * w, a[3] * h]).collect();
        Ok(Self::with_anchors(spec, anchors, levels, columns, input))
    }

    /// Creates a decoder from anchors `[cx, cy, w, h]` in input pixels, the first anchor of each level, and the number
    /// of score columns.
    #[must_use]
    pub fn with_anchors(spec: Ssd, anchors: Vec<[f32; 4]>, levels: Vec<usize>, columns: usize, input: Size) -> Self {
        let coder = BoxCoder::new(spec.weights);
        let (shape, offsets, scores, rows) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { spec, coder, anchors, levels, columns, input, shape, offsets, scores, rows }
    }

    fn bbox(&self, index: usize, placement: &Placement) -> BBox {
        let o = &self.offsets[index * 4..index * 4 + 4];
        let found = match self.anchors.get(index) {
            None => {
                let (w, h) = (self.input.width as f32, self.input.height as f32);
                match self.spec.order {
                    Order::Xywh => BBox::new(o[0] * w, o[1] * h, o[2] * w, o[3] * h),
                    Order::Yxhw => BBox::new(o[1] * w, o[0] * h, o[3] * w, o[2] * h),
                }
            }
            Some(anchor) => {
                let offsets = match self.spec.order {
                    Order::Xywh => [o[0], o[1], o[2], o[3]],
                    Order::Yxhw => [o[1], o[0], o[3], o[2]],
                };
                self.coder.decode(offsets, *anchor)
            }
        };
        placement.to_frame(found.clip(self.input))
    }

    /// Returns the group in which `candidates` counts: the class, or the level if there is no background.
    fn group(&self, row: u32, class: u16) -> usize {
        if self.spec.background.is_some() {
            return usize::from(class);
        }
        self.levels.partition_point(|&first| first <= row as usize)
    }

    /// Keeps only the best `limit` answers of each group, ordered by group and score.
    fn cut(&mut self, limit: usize, found: &mut Vec<Detection>, first: usize) {
        let mut order: Vec<(usize, usize)> =
            (first..found.len()).map(|at| (self.group(self.rows[at - first], found[at].class), at)).collect();
        order.sort_by(|a, b| a.0.cmp(&b.0).then(found[b.1].score.total_cmp(&found[a.1].score)).then(a.1.cmp(&b.1)));
        let mut kept = Vec::with_capacity(order.len());
        let (mut group, mut taken) = (usize::MAX, 0);
        for (of, at) in order {
            taken = if of == group { taken + 1 } else { 1 };
            group = of;
            if taken <= limit {
                kept.push((found[at].clone(), self.rows[at - first]));
            }
        }
        found.truncate(first);
        self.rows.clear();
        for (detection, row) in kept {
            found.push(detection);
            self.rows.push(row);
        }
    }
}

impl Detector for SsdDetector {
    fn decode(
        &mut self,
        outputs: &dyn Outputs,
        placement: &Placement,
        min_score: f32,
        found: &mut Vec<Detection>,
    ) -> Result<()> {
        let (b, s) = (self.spec.boxes_output, self.spec.scores_output);
        outputs.read(b.index, b.scale, b.zero_point, &mut self.shape, &mut self.offsets)?;
        let count = if self.anchors.is_empty() { self.offsets.len() / 4 } else { self.anchors.len() };
        check_shape(outputs, "boxes", &self.shape, &[1, count, 4])?;
        outputs.read(s.index, s.scale, s.zero_point, &mut self.shape, &mut self.scores)?;
        check_shape(outputs, "scores", &self.shape, &[1, count, self.columns])?;
        let raw = self.spec.scores == Scores::Sigmoid;
        let least = if raw { logit(min_score) } else { min_score };
        if self.spec.scores == Scores::Softmax {
            self.scores.chunks_exact_mut(self.columns).for_each(softmax);
        }
        let begin = found.len();
        self.rows.clear();
        for (index, row) in self.scores.chunks_exact(self.columns).enumerate() {
            let mut best = least;
            let first = found.len();
            for (column, &value) in row.iter().enumerate() {
                // `NaN` is not an answer either.
                let low = value.partial_cmp(&best).is_none_or(std::cmp::Ordering::is_lt);
                if low || Some(column) == self.spec.background {
                    continue;
                }
                if self.spec.answers == Answers::Best {
                    // A later class must be better, not equal: the first one wins a tie.
                    if found.len() > first && value == best {
                        continue;
                    }
                    best = value;
                    found.truncate(first);
                }
                let class = column - usize::from(self.spec.background.is_some_and(|b| b < column));
                let score = if raw { sigmoid(value) } else { value };
                found.push(Detection::new(BBox::default(), class as u16, score));
            }
            self.rows.resize(found.len() - begin, index as u32);
        }
        if let Some(limit) = self.spec.candidates {
            self.cut(limit, found, begin);
        }
        for (detection, &row) in found[begin..].iter_mut().zip(&self.rows) {
            detection.bbox = self.bbox(row as usize, placement);
        }
        Ok(())
    }
}
