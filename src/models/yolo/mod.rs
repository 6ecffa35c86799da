//! YOLO heads: v3, v5, v7 (anchors), v8 and v11 (distributions), X. The formulas are in [`decode`].

pub mod decode;

pub use decode::{Cell, cells};

use super::checks::{check_shape, check_strides};
use super::detector::Detector;
use super::numbers::{best_of, expectation, logit, sigmoid};
use crate::error::{Error, Result};
use crate::infer::{Card, Outputs};
use crate::ops::iou::from_cxcywh;
use crate::types::{BBox, Detection, Placement, Size};
use crate::yaml::Fault;
use serde::Deserialize;

/// The formulas that turn a row into a box.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Sigmoid centre within the cell, exponential size times the anchor (Redmon and Farhadi 2018, §2.1).
    V3,
    /// Sigmoid centre and squared sigmoid size (Ultralytics).
    V5,
    /// Same as v5 (Wang et al. 2022).
    V7,
    /// Distances to the four sides as distributions, no objectness (Ultralytics); also for v9 and v11.
    V8,
    /// Same as v8.
    V11,
    /// Centre offset and exponential size relative to the cell, without anchors (Ge et al. 2021, YOLOX, §2.1).
    X,
}

impl Kind {
    const fn has_anchors(self) -> bool {
        matches!(self, Self::V3 | Self::V5 | Self::V7)
    }

    const fn has_objectness(self) -> bool {
        !matches!(self, Self::V8 | Self::V11)
    }
}

/// How much of the decoding the graph does itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// None. v3, v5 and v7 have one map `[1, anchors * (5 + classes), H, W]` per stride, v8 and v11 one map
    /// `[1, 4 * bins + classes, H, W]` per stride, X has rows `[1, N, 5 + classes]`. This is the fastest form: Ocelli
    /// decodes only boxes above the threshold.
    #[default]
    Heads,
    /// All of it. The output is `[1, N, 5 + classes]`, for v8 and v11 `[1, 4 + classes, N]`, with centre, width and
    /// height in input pixels, and probabilities. This is what Ultralytics' `export` writes.
    Decoded,
}

/// What the score columns of rows hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scores {
    /// 0–1: the graph ends in a sigmoid.
    #[default]
    Probability,
    /// Raw values; Ocelli applies the sigmoid, and only to those above the threshold.
    Logit,
}

/// `family: { yolo: { kind: v8 } }`
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Yolo {
    /// The YOLO version.
    pub kind: Kind,
    /// How much of the decoding the graph does itself.
    #[serde(default)]
    pub form: Form,
    /// Stride of each level in input pixels, in the order of the outputs or rows.
    #[serde(default = "default_strides")]
    #[schemars(length(min = 1, max = 8), inner(range(min = 4)))]
    pub strides: Vec<u32>,
    /// For v3, v5, v7 with `form: heads`: width and height of each level's anchors in input pixels.
    #[serde(default)]
    pub anchors: Vec<Vec<[f32; 2]>>,
    /// For X: what the score columns hold.
    #[serde(default)]
    pub scores: Scores,
    /// For v8, v11 with `form: heads`: number of bins in the distribution of a distance (`reg_max`).
    #[serde(default = "default_bins")]
    #[schemars(range(min = 2, max = 64))]
    pub bins: usize,
    /// The first output of the graph to use, counted from 0.
    #[serde(default)]
    pub output: usize,
    /// Whether every class above the threshold is an answer, or only the best class of each box (`multi_label`).
    #[serde(default)]
    pub all_classes: bool,
}

fn default_strides() -> Vec<u32> {
    vec![8, 16, 32]
}

const fn default_bins() -> usize {
    16
}

/// Decodes YOLO outputs: compares raw values with the logit of the threshold and decodes only those that pass.
pub struct YoloDetector {
    spec: Yolo,
    cells: Vec<Cell>,
    maps: Vec<Size>,
    classes: usize,
    shape: Vec<usize>,
    values: Vec<f32>,
    best: Vec<(f32, u16)>,
}

impl YoloDetector {
    /// Creates a decoder for a card's input size and labels.
    ///
    /// # Errors
    /// [`crate::error::Error::Model`] if strides, anchors or bins are invalid.
    pub fn new(spec: Yolo, card: &Card) -> Result<Self> {
        let bad = |message: String| card.error(Fault::new(card.family.place, format!("family.yolo.{message}")));
        check_strides(card, "yolo", &spec.strides)?;
        if spec.kind.has_anchors() && spec.form == Form::Heads {
            let (levels, strides) = (spec.anchors.len(), spec.strides.len());
            if levels != strides || spec.anchors.iter().any(|level| level.is_empty() || level.len() > 16) {
                return Err(bad(format!(
                    "anchors: {levels} lists for {strides} strides; give 1 to 16 `[w, h]` for each"
                )));
            }
        }
        if spec.scores == Scores::Logit && (spec.kind != Kind::X || spec.form == Form::Decoded) {
            return Err(bad("scores: `logit` is only for `kind: x` with `form: heads`; remove it".into()));
        }
        if !(2..=64).contains(&spec.bins) {
            return Err(bad(format!("bins: {}; expected 2 to 64", spec.bins)));
        }
        Ok(Self::for_input(spec, card.fields.input.size, card.labels.len()))
    }

    /// Creates a decoder for an input size and a number of classes.
    #[must_use]
    pub fn for_input(spec: Yolo, input: Size, classes: usize) -> Self {
        let cells = cells(input, &spec.strides);
        let maps = spec.strides.iter().map(|&stride| decode::grid(input, stride)).collect();
        Self { spec, cells, maps, classes, shape: Vec::new(), values: Vec::new(), best: Vec::new() }
    }

    /// Decodes rows with objectness: X, and rows that the graph has already decoded.
    fn rows(&mut self, outputs: &dyn Outputs, take: &mut Take<'_>) -> Result<()> {
        outputs.read(self.spec.output, 1.0, 0, &mut self.shape, &mut self.values)?;
        let width = 5 + self.classes;
        let decoded = self.spec.form == Form::Decoded;
        let count = if decoded { self.values.len() / width } else { self.cells.len() };
        check_shape(outputs, "rows", &self.shape, &[1, count, width])?;
        let raw = self.spec.scores == Scores::Logit && !decoded;
        let least = if raw { logit(take.min_score) } else { take.min_score };
        let real = |v: f32| if raw { sigmoid(v) } else { v };
        for (at, row) in self.values.chunks_exact(width).enumerate() {
            // A class score is at most 1, so a product never exceeds the objectness. `NaN` is not an answer.
            if row[4] < least || row[4].is_nan() {
                continue;
            }
            let middle = [row[0], row[1], row[2], row[3]];
            let bbox = || from_cxcywh(if decoded { middle } else { decode::x(middle, &self.cells[at]) });
            take.classes(&row[5..], self.spec.all_classes, |v| real(row[4]) * real(v), bbox);
        }
        Ok(())
    }

    /// Reads columns without objectness: v8 and v11 with `form: decoded`, `[1, 4 + classes, N]`.
    fn columns(&mut self, outputs: &dyn Outputs, take: &mut Take<'_>) -> Result<()> {
        outputs.read(self.spec.output, 1.0, 0, &mut self.shape, &mut self.values)?;
        let height = 4 + self.classes;
        let count = self.values.len() / height;
        check_shape(outputs, "columns", &self.shape, &[1, height, count])?;
        let at = |row: usize, column: usize| self.values[row * count + column];
        let boxes = |column: usize| from_cxcywh([0, 1, 2, 3].map(|row| at(row, column)));
        if self.spec.all_classes {
            for column in 0..count {
                for class in 0..self.classes {
                    let score = at(4 + class, column);
                    if score >= take.min_score {
                        take.push(boxes(column), class, score);
                    }
                }
            }
            return Ok(());
        }
        best_planes(&self.values[4 * count..], count, &mut self.best);
        for (column, &(score, class)) in self.best.iter().enumerate() {
            if score >= take.min_score {
                take.push(boxes(column), usize::from(class), score);
            }
        }
        Ok(())
    }

    /// Decodes raw maps with anchors: v3, v5, v7.
    fn anchor_maps(&mut self, outputs: &dyn Outputs, take: &mut Take<'_>) -> Result<()> {
        let least = logit(take.min_score);
        let width = 5 + self.classes;
        for level in 0..self.maps.len() {
            outputs.read(self.spec.output.saturating_add(level), 1.0, 0, &mut self.shape, &mut self.values)?;
            let (map, anchors, stride) = (self.maps[level], &self.spec.anchors[level], self.spec.strides[level] as f32);
            let (w, h) = (map.width as usize, map.height as usize);
            // Some exports have the anchors as a separate axis and the map as rows: [1, A, H, W, 5 + classes].
            let rows = self.shape == [1, anchors.len(), h, w, width];
            if !rows {
                check_shape(outputs, "map", &self.shape, &[1, anchors.len() * width, h, w])?;
            }
            let plane = w * h;
            for (number, anchor) in anchors.iter().enumerate() {
                let value = |field: usize, cell: usize| {
                    let at = if rows {
                        (number * plane + cell) * width + field
                    } else {
                        (number * width + field) * plane + cell
                    };
                    self.values[at]
                };
                for cell in 0..plane {
                    let objectness = value(4, cell);
                    if objectness < least || objectness.is_nan() {
                        continue;
                    }
                    let place = Cell { x: (cell % w) as f32, y: (cell / w) as f32, stride };
                    let raw = [0, 1, 2, 3].map(|field| value(field, cell));
                    let bbox = || {
                        from_cxcywh(match self.spec.kind {
                            Kind::V3 => decode::v3(raw, &place, *anchor),
                            _ => decode::v5(raw, &place, *anchor),
                        })
                    };
                    let scores = (0..self.classes).map(|class| value(5 + class, cell));
                    take.classes_of(scores, self.spec.all_classes, |v| sigmoid(objectness) * sigmoid(v), bbox);
                }
            }
        }
        Ok(())
    }

    /// Decodes raw maps with distributions: v8, v11.
    fn distribution_maps(&mut self, outputs: &dyn Outputs, take: &mut Take<'_>) -> Result<()> {
        let least = logit(take.min_score);
        let bins = self.spec.bins;
        for level in 0..self.maps.len() {
            outputs.read(self.spec.output.saturating_add(level), 1.0, 0, &mut self.shape, &mut self.values)?;
            let (map, stride) = (self.maps[level], self.spec.strides[level] as f32);
            let (w, h) = (map.width as usize, map.height as usize);
            check_shape(outputs, "map", &self.shape, &[1, 4 * bins + self.classes, h, w])?;
            let plane = w * h;
            let scores = &self.values[4 * bins * plane..];
            let bbox = |cell: usize| {
                let side = |s: usize| {
                    expectation((0..bins).map(move |b| s * bins + b).map(|row| self.values[row * plane + cell]))
                };
                let place = Cell { x: (cell % w) as f32, y: (cell / w) as f32, stride };
                decode::v8([0, 1, 2, 3].map(side), &place)
            };
            if self.spec.all_classes {
                for (at, &value) in scores.iter().enumerate().filter(|(_, value)| **value >= least) {
                    take.push(bbox(at % plane), at / plane, sigmoid(value));
                }
                continue;
            }
            best_planes(scores, plane, &mut self.best);
            for (cell, &(value, class)) in self.best.iter().enumerate() {
                if value >= least {
                    take.push(bbox(cell), usize::from(class), sigmoid(value));
                }
            }
        }
        Ok(())
    }
}

/// Finds the largest value over all planes and its plane for each place; the first plane if several are equal. Goes
/// plane by plane, in memory order.
fn best_planes(planes: &[f32], plane: usize, best: &mut Vec<(f32, u16)>) {
    best.clear();
    best.resize(plane, (f32::NEG_INFINITY, 0));
    for (class, values) in planes.chunks_exact(plane.max(1)).enumerate() {
        for (best, &value) in best.iter_mut().zip(values) {
            if value > best.0 {
                *best = (value, class as u16);
            }
        }
    }
}

/// Collects answers.
struct Take<'a> {
    min_score: f32,
    placement: &'a Placement,
    found: &'a mut Vec<Detection>,
}

impl Take<'_> {
    fn push(&mut self, bbox: BBox, class: usize, score: f32) {
        let bbox = self.placement.to_frame(bbox);
        self.found.push(Detection::new(bbox, class as u16, score));
    }

    fn classes(&mut self, row: &[f32], all: bool, score: impl Fn(f32) -> f32, bbox: impl Fn() -> BBox) {
        if all {
            return self.classes_of(row.iter().copied(), true, score, bbox);
        }
        let (class, value) = best_of(row);
        let score = score(value);
        if score >= self.min_score {
            self.push(bbox(), class, score);
        }
    }

    fn classes_of(
        &mut self,
        row: impl Iterator<Item = f32>,
        all: bool,
        score: impl Fn(f32) -> f32,
        bbox: impl Fn() -> BBox,
    ) {
        let mut best = (0, f32::NEG_INFINITY);
        for (class, value) in row.enumerate() {
            if all {
                let score = score(value);
                if score >= self.min_score {
                    self.push(bbox(), class, score);
                }
            } else if value > best.1 {
                best = (class, value);
            }
        }
        let score = score(best.1);
        if !all && score >= self.min_score {
            self.push(bbox(), best.0, score);
        }
    }
}

impl Detector for YoloDetector {
    fn decode(
        &mut self,
        outputs: &dyn Outputs,
        placement: &Placement,
        min_score: f32,
        found: &mut Vec<Detection>,
    ) -> Result<()> {
        if self.classes == 0 {
            return Err(Error::Model(format!("model `{}`: its card has no labels", outputs.model())));
        }
        let mut take = Take { min_score, placement, found };
        match (self.spec.kind, self.spec.form) {
            (Kind::X, Form::Heads) => self.rows(outputs, &mut take),
            (kind, Form::Decoded) if kind.has_objectness() => self.rows(outputs, &mut take),
            (_, Form::Decoded) => self.columns(outputs, &mut take),
            (kind, Form::Heads) if kind.has_anchors() => self.anchor_maps(outputs, &mut take),
            (_, Form::Heads) => self.distribution_maps(outputs, &mut take),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::infer::Arrays;

    /// The outputs of an 80 by 48 input, as torch makes them, are accepted in every form, and cells of the last column
    /// and row lie where their stride says.
    #[test]
    fn grids_of_sides_that_strides_do_not_divide_are_accepted() {
        let input = Size::new(80, 48);
        let frame = Placement { scale: (1.0, 1.0), offset: (0.0, 0.0), frame: Size::new(200, 200) };
        let maps = [(6, 10), (3, 5), (2, 3)];
        let anchors = "[[[10, 10]], [[20, 20]], [[40, 40]]]";
        for (spec, channels, boxed) in [
            (format!("{{\"kind\": \"v3\", \"anchors\": {anchors}}}"), 6, 40.0),
            (format!("{{\"kind\": \"v5\", \"anchors\": {anchors}}}"), 6, 40.0),
            (format!("{{\"kind\": \"v7\", \"anchors\": {anchors}}}"), 6, 40.0),
            ("{\"kind\": \"v8\", \"bins\": 2}".to_owned(), 9, 32.0),
        ] {
            let output = |(level, (h, w)): (usize, (usize, usize))| {
                let mut values = vec![0.0; channels * h * w];
                // Nothing anywhere but in the last cell of the last level.
                let (plane, first) = (h * w, if channels == 6 { 4 } else { 8 });
                values[first * plane..].fill(-20.0);
                if level == 2 {
                    (first..channels).for_each(|row| values[row * plane + plane - 1] = 20.0);
                }
                (vec![1, channels, h, w], values)
            };
            let outputs = Arrays(maps.into_iter().enumerate().map(output).collect());
            let mut found = Vec::new();
            let mut detector = YoloDetector::for_input(serde_json::from_str(&spec).unwrap(), input, 1);
            detector.decode(&outputs, &frame, 0.5, &mut found).unwrap_or_else(|e| panic!("{spec}: {e}"));
            let half = boxed / 2.0;
            assert_eq!(found.len(), 1, "{spec}");
            assert_eq!(
                found[0].bbox,
                BBox::new(80.0 - half, 48.0 - half, 80.0 + half, 48.0 + half).clip(Size::new(200, 200))
            );
        }
        let mut rows = vec![0.0; 81 * 6];
        rows[80 * 6..].copy_from_slice(&[0.5, 0.5, 0.0, 0.0, 1.0, 1.0]);
        let mut found = Vec::new();
        let mut detector = YoloDetector::for_input(serde_json::from_str("{\"kind\": \"x\"}").unwrap(), input, 1);
        detector.decode(&Arrays(vec![(vec![1, 81, 6], rows)]), &frame, 0.5, &mut found).unwrap();
        assert_eq!(found[0].bbox, BBox::new(64.0, 32.0, 96.0, 64.0));
    }
}
