//! Finished boxes: whatever a detector is, if its graph ends in boxes, this family reads them. YOLOv10 and later, exports
//! with NMS inside, DETR and its kin, YOLO-NAS, PP-YOLOE, TensorFlow's and torchvision's detectors.

mod extras;
mod spec;

pub use spec::Boxes;

use super::detector::Detector;
use super::numbers::{Scores, logit, sigmoid, softmax};
use crate::error::{Error, Result};
use crate::infer::{Card, Outputs};
use crate::ops::iou::from_cxcywh;
use crate::types::{BBox, Details, Detection, Placement, Size};
use crate::yaml::Fault;
use extras::Extras;
use spec::{Axis, Background, Column, First, Form, Parts, Units};

/// Reads finished boxes.
pub struct BoxesDetector {
    spec: Boxes,
    input: Size,
    classes: usize,
    shape: Vec<usize>,
    values: Vec<f32>,
    scores: Vec<f32>,
    numbers: Vec<f32>,
    row: Vec<f32>,
    extras: Extras,
}

impl BoxesDetector {
    /// Creates a reader for a card's input size and labels.
    ///
    /// # Errors
    /// [`Error::Model`] if the card does not say where boxes and classes are.
    pub fn new(spec: Boxes, card: &Card) -> Result<Self> {
        let bad = |message: &str| card.error(Fault::new(card.family.place, format!("family.boxes: {message}")));
        let count = |column: Column| spec.columns.iter().filter(|c| **c == column).count();
        if spec.columns.is_empty() == spec.outputs.is_none() {
            return Err(bad(
                "give either `columns` (one output) or `outputs` (several), for example `columns: [box, score, class]`",
            ));
        }
        if spec.outputs.is_some() && (spec.points.is_some() || spec.masks.is_some() || spec.axis != Axis::Rows) {
            return Err(bad("`points`, `masks` and `axis` go with `columns`, not with `outputs`"));
        }
        if spec.outputs.is_none() {
            let once = spec::ONCE.iter().all(|c| count(*c) <= 1);
            if count(Column::Box) != 1 || !once {
                return Err(bad("`columns` must hold `box` once and each other part at most once, except `skip`"));
            }
            if count(Column::Rest) > usize::from(spec.columns.last() == Some(&Column::Rest)) {
                return Err(bad("`rest` in `columns` is all that is left, so it comes last"));
            }
            for (column, is_given, word) in [
                (Column::Points, spec.points.is_some(), "points: { count: 17, scores: true }"),
                (Column::Masks, spec.masks.is_some(), "masks: { output: 1, count: 32 }"),
            ] {
                if (count(column) > 0) != is_given {
                    let name = word.split(':').next().unwrap_or_default();
                    return Err(bad(&format!("`{name}` in `columns` and `{word}` beside it belong together")));
                }
            }
            if spec.points.is_some() && (spec.units != Units::Pixels || spec.first != First::X) {
                return Err(bad(
                    "`points` are in pixels of the input, x before y: `units` and `first` do not go with them",
                ));
            }
            let counts = [spec.points.as_ref().map(|points| points.count), spec.masks.map(|masks| masks.count)];
            if counts.into_iter().flatten().any(|count| !(1..=1000).contains(&count)) {
                return Err(bad("`count` of `points` and `masks` must lie between 1 and 1000"));
            }
            if count(Column::Angle) > 0 && spec.form != Form::Centre {
                return Err(bad("a box with an `angle` turns about its centre: write `form: centre`"));
            }
            if count(Column::Class) + count(Column::Scores) != 1 {
                return Err(bad("`columns` needs either `class` or `scores`, so that each box has a class"));
            }
        }
        if card.labels.is_empty() {
            return Err(bad("it needs `labels`, one for each class"));
        }
        Ok(Self::for_input(spec, card.fields.input.size, card.labels.len()))
    }

    /// Creates a reader for an input size and a number of classes.
    #[must_use]
    pub fn for_input(spec: Boxes, input: Size, classes: usize) -> Self {
        let (shape, values, scores) = (Vec::new(), Vec::new(), Vec::new());
        let extras = Extras::new(&spec, input);
        Self { spec, input, classes, shape, values, scores, numbers: Vec::new(), row: Vec::new(), extras }
    }

    const fn score_columns(&self) -> usize {
        self.classes + matches!(self.spec.background, Background::First | Background::Last) as usize
    }

    fn width(&self, column: Column) -> usize {
        match column {
            Column::Box => 4,
            Column::Scores => self.score_columns(),
            Column::Points => {
                self.spec.points.as_ref().map_or(0, |points| points.count * (2 + usize::from(points.scores)))
            }
            Column::Masks => self.spec.masks.map_or(0, |masks| masks.count),
            Column::Rest => 0,
            _ => 1,
        }
    }

    /// Reads the rows of a single output.
    fn rows(&mut self, outputs: &dyn Outputs, take: &mut Take<'_>) -> Result<()> {
        self.extras.begin();
        let before = take.found.len();
        outputs.read(self.spec.output, 1.0, 0, &mut self.shape, &mut self.values)?;
        let width: usize = self.spec.columns.iter().map(|column| self.width(*column)).sum();
        let (n, found) = match (trimmed(&self.shape), self.spec.axis) {
            ([n, width], Axis::Rows) | ([width, n], Axis::Columns) => (*n, *width),
            ([width], Axis::Rows) => (1, *width),
            _ => (0, 0),
        };
        let n = if self.values.is_empty() { 0 } else { n };
        let fits = found == width || (found > width && self.spec.columns.last() == Some(&Column::Rest));
        // No row at all is an answer, too.
        if !fits && !self.values.is_empty() {
            let (model, shape, labels) = (outputs.model(), &self.shape, self.classes);
            return Err(Error::Model(format!(
                "model `{model}`: the output has shape {shape:?}, but `columns` and {labels} labels make {width} numbers per box"
            )));
        }
        let mut row = std::mem::take(&mut self.row);
        for at in 0..n {
            row.clear();
            match self.spec.axis {
                Axis::Rows => row.extend_from_slice(&self.values[at * found..][..width]),
                Axis::Columns => row.extend((0..width).map(|column| self.values[column * n + at])),
            }
            let done = self.row(&mut row, take).map_err(|e| e.at(format_args!("model `{}`", outputs.model())));
            if done.is_err() {
                self.row = row;
                return done;
            }
        }
        self.row = row;
        if take.found.len() > before { self.extras.prototypes(outputs, take.placement) } else { Ok(()) }
    }

    fn row(&mut self, row: &mut [f32], take: &mut Take<'_>) -> Result<()> {
        let before = take.found.len();
        let (mut angle, mut points, mut masks) = (None, 0..0, 0..0);
        let (mut bbox, mut score, mut class, mut objectness, mut scores) = ([0.0; 4], None, None, 1.0, 0..0);
        let mut at = 0;
        for column in &self.spec.columns {
            let width = self.width(*column);
            match column {
                Column::Box => bbox = [row[at], row[at + 1], row[at + 2], row[at + 3]],
                Column::Score => score = Some(row[at]),
                Column::Class => class = Some(row[at]),
                Column::Objectness => objectness = row[at],
                Column::Scores => scores = at..at + width,
                Column::Angle => angle = Some(row[at]),
                Column::Points => points = at..at + width,
                Column::Masks => masks = at..at + width,
                Column::Skip | Column::Rest => {}
            }
            at += width;
        }
        match class {
            Some(class) => self.one(bbox, score, class, objectness, take)?,
            None => self.several(bbox, &mut row[scores], objectness * score.unwrap_or(1.0), take),
        }
        if take.found.len() > before {
            let (points, masks) = (&row[points], &row[masks]);
            let new = &mut take.found[before..];
            if !self.extras.add(self.sides(bbox), angle, points, masks, take.placement, new) {
                take.found.truncate(before);
            }
        }
        Ok(())
    }

    /// A box's numbers in input pixels, x before y.
    fn sides(&self, [a, b, c, d]: [f32; 4]) -> [f32; 4] {
        let [a, b, c, d] = if self.spec.first == First::Y { [b, a, d, c] } else { [a, b, c, d] };
        let (w, h) = match self.spec.units {
            Units::Pixels => (1.0, 1.0),
            Units::Relative => (self.input.width as f32, self.input.height as f32),
        };
        [a * w, b * h, c * w, d * h]
    }

    /// Reads the boxes of several outputs.
    fn parts(&mut self, parts: Parts, outputs: &dyn Outputs, take: &mut Take<'_>) -> Result<()> {
        let wrong = |what: &str, shape: &[usize], expected: String| {
            let model = outputs.model();
            Error::Model(format!(
                "model `{model}`: the output with the {what} has shape {shape:?}; expected {expected}"
            ))
        };
        outputs.read(parts.boxes, 1.0, 0, &mut self.shape, &mut self.values)?;
        let n = self.values.len() / 4;
        if self.shape.last() != Some(&4) && n > 0 {
            return Err(wrong("boxes", &self.shape, "[1, N, 4]".into()));
        }
        outputs.read(parts.scores, 1.0, 0, &mut self.shape, &mut self.scores)?;
        let width = if parts.classes.is_some() { 1 } else { self.score_columns() };
        if self.scores.len() != n * width || (width > 1 && n > 0 && self.shape.last() != Some(&width)) {
            let expected = if parts.classes.is_some() { format!("[1, {n}]") } else { format!("[1, {n}, {width}]") };
            return Err(wrong("scores", &self.shape, format!("{expected}, for {} labels", self.classes)));
        }
        let mut count = n;
        if let Some(classes) = parts.classes {
            outputs.read(classes, 1.0, 0, &mut self.shape, &mut self.numbers)?;
            if self.numbers.len() != n {
                return Err(wrong("classes", &self.shape, format!("[1, {n}]")));
            }
        }
        if let Some(output) = parts.count {
            outputs.read(output, 1.0, 0, &mut self.shape, &mut self.row)?;
            let [said] = self.row[..] else { return Err(wrong("count", &self.shape, "[1]".into())) };
            count = (said.max(0.0) as usize).min(n);
        }
        let mut scores = std::mem::take(&mut self.scores);
        let mut done = Ok(());
        for at in 0..count {
            let bbox = [0, 1, 2, 3].map(|side| self.values[at * 4 + side]);
            let row = &mut scores[at * width..][..width];
            match parts.classes {
                Some(_) => done = self.one(bbox, Some(row[0]), self.numbers[at], 1.0, take),
                None => self.several(bbox, row, 1.0, take),
            }
            if done.is_err() {
                break;
            }
        }
        self.scores = scores;
        done.map_err(|e| e.at(format_args!("model `{}`", outputs.model())))
    }

    /// A box that has one class.
    fn one(&self, bbox: [f32; 4], score: Option<f32>, class: f32, objectness: f32, take: &mut Take<'_>) -> Result<()> {
        let score = objectness
            * match (score, self.spec.scores) {
                (None, _) => 1.0,
                (Some(score), Scores::Probability) => score,
                (Some(score), _) => sigmoid(score),
            };
        // What is not a number is no answer.
        if score.is_nan() || score < take.min_score {
            return Ok(());
        }
        let class = class - f32::from(u8::from(self.spec.background == Background::First));
        // A negative number marks padding, and the background is no answer.
        let nothing = self.spec.background == Background::Last && class == self.classes as f32;
        if class < 0.0 || class.is_nan() || nothing {
            return Ok(());
        }
        if class.fract() != 0.0 || class >= self.classes as f32 {
            let hint = "are `labels`, `background` and the order of `columns` or `outputs` right?";
            return Err(Error::Model(format!(
                "a box has class {class}, but the card has {} labels; {hint}",
                self.classes
            )));
        }
        self.push(bbox, class as usize, score, take);
        Ok(())
    }

    /// A box that has a score for each class.
    fn several(&self, bbox: [f32; 4], row: &mut [f32], factor: f32, take: &mut Take<'_>) {
        if self.spec.scores == Scores::Softmax {
            softmax(row);
        }
        let raw = self.spec.scores == Scores::Sigmoid;
        let skip = usize::from(self.spec.background == Background::First);
        let row = &row[skip..skip + self.classes];
        // A score is at most 1, so this sorts out almost all of them without an exponential.
        let least = if raw { logit(take.min_score) } else { take.min_score };
        let mut best: Option<(usize, f32)> = None;
        for (class, &value) in row.iter().enumerate() {
            if value.is_nan() || value < least {
                continue;
            }
            if self.spec.all_classes {
                self.scored(bbox, class, value, factor, take);
            } else if best.is_none_or(|(_, most)| value > most) {
                best = Some((class, value));
            }
        }
        if let Some((class, value)) = best {
            self.scored(bbox, class, value, factor, take);
        }
    }

    fn scored(&self, bbox: [f32; 4], class: usize, value: f32, factor: f32, take: &mut Take<'_>) {
        let score = factor * if self.spec.scores == Scores::Sigmoid { sigmoid(value) } else { value };
        if score >= take.min_score {
            self.push(bbox, class, score, take);
        }
    }

    fn push(&self, bbox: [f32; 4], class: usize, score: f32, take: &mut Take<'_>) {
        if let Some(bbox) = self.bbox(bbox) {
            take.found.push(Detection::new(take.placement.to_frame(bbox), class as u16, score));
        }
    }

    /// The box in input pixels; `None` if it has no area, as padding has none.
    fn bbox(&self, numbers: [f32; 4]) -> Option<BBox> {
        let [a, b, c, d] = self.sides(numbers);
        let bbox = match self.spec.form {
            Form::Corners => BBox::new(a, b, c, d),
            Form::Centre => from_cxcywh([a, b, c, d]),
            Form::Corner => BBox::new(a, b, a + c, b + d),
        };
        (bbox.x2 > bbox.x1 && bbox.y2 > bbox.y1).then_some(bbox)
    }
}

/// Leading axes of 1, such as the batch, say nothing.
fn trimmed(shape: &[usize]) -> &[usize] {
    let from = shape.iter().take(shape.len().saturating_sub(2)).take_while(|side| **side == 1).count();
    &shape[from..]
}

/// Collects answers.
struct Take<'a> {
    min_score: f32,
    placement: &'a Placement,
    found: &'a mut Vec<Detection>,
}

impl Detector for BoxesDetector {
    fn decode(
        &mut self,
        outputs: &dyn Outputs,
        placement: &Placement,
        min_score: f32,
        found: &mut Vec<Detection>,
    ) -> Result<()> {
        let mut take = Take { min_score, placement, found };
        match self.spec.outputs {
            Some(parts) => self.parts(parts, outputs, &mut take),
            None => self.rows(outputs, &mut take),
        }
    }

    fn details(&mut self) -> Option<&mut Details> {
        self.extras.are_there().then_some(&mut self.extras.details)
    }
}

#[cfg(test)]
mod tests;
