//! Finished boxes: whatever a detector is, if its graph ends in boxes, this family reads them. YOLOv10 and later, exports
//! with NMS inside, DETR and its kin, YOLO-NAS, PP-YOLOE, TensorFlow's and torchvision's detectors.

use super::detector::Detector;
use super::numbers::{logit, sigmoid, softmax};
use crate::error::{Error, Result};
use crate::infer::{Card, Outputs};
use crate::ops::iou::from_cxcywh;
use crate::types::{BBox, Detection, Placement, Size};
use crate::yaml::Fault;
use serde::Deserialize;

/// `family: { boxes: { columns: [box, score, class] } }` for one output of rows, or
/// `family: { boxes: { outputs: { boxes: 0, scores: 1 } } }` for several outputs.
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Boxes {
    /// What the four numbers of a box are.
    #[serde(default)]
    pub form: Form,
    /// Which of a pair of coordinates comes first.
    #[serde(default)]
    pub first: First,
    /// What the numbers of a box are measured in.
    #[serde(default)]
    pub units: Units,
    /// For a single output: what each row holds, from left to right.
    #[serde(default)]
    pub columns: Vec<Column>,
    /// For a single output: whether a box is a row, `[1, N, columns]`, or a column, `[1, columns, N]`.
    #[serde(default)]
    pub axis: Axis,
    /// For a single output: its number, counted from 0.
    #[serde(default)]
    pub output: usize,
    /// For several outputs: which output holds what.
    #[serde(default)]
    pub outputs: Option<Parts>,
    /// What scores are.
    #[serde(default)]
    pub scores: Scores,
    /// Where the class "nothing here" stands among the score columns or class numbers, if there is one.
    #[serde(default)]
    pub background: Background,
    /// Whether every class above the threshold is an answer, or only the best class of each box.
    #[serde(default)]
    pub all_classes: bool,
}

/// What the four numbers of a box are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// The left upper and the right lower corner.
    #[default]
    Corners,
    /// The centre, width and height.
    Centre,
    /// The left upper corner, width and height (COCO).
    Corner,
}

/// Which of a pair of coordinates comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum First {
    /// x before y, width before height.
    #[default]
    X,
    /// y before x, height before width (TensorFlow).
    Y,
}

/// What the numbers of a box are measured in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Units {
    /// Pixels of the model input.
    #[default]
    Pixels,
    /// Parts of the model input's width and height, 0–1.
    Relative,
}

/// A part of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Column {
    /// Four numbers: the box.
    Box,
    /// One number: the score of the answer.
    Score,
    /// One number: the number of its class.
    Class,
    /// One number that multiplies the scores of the classes.
    Objectness,
    /// One number for each label, and one for the background if there is one.
    Scores,
    /// One number that is not used, such as the number of the picture in a batch.
    Skip,
    /// All further numbers, which are not used; only at the end.
    Rest,
}

/// Whether a box is a row or a column of the output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Axis {
    /// `[1, N, columns]` or `[N, columns]`.
    #[default]
    Rows,
    /// `[1, columns, N]`.
    Columns,
}

/// What scores are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scores {
    /// 0–1.
    #[default]
    Probability,
    /// Raw values; Ocelli applies a sigmoid to each (RT-DETR, RF-DETR).
    Sigmoid,
    /// Raw values; Ocelli applies a softmax to each row (DETR).
    Softmax,
}

/// Where the class "nothing here" stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Background {
    /// There is none.
    #[default]
    None,
    /// Before the labels: the class numbers of the graph begin with 1.
    First,
    /// Behind the labels.
    Last,
}

/// Numbers of the outputs of a graph that has several, counted from 0.
#[derive(Clone, Copy, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Parts {
    /// The boxes, `[1, N, 4]`, `[1, N, 1, 4]` or `[N, 4]`.
    pub boxes: usize,
    /// The scores: one per box if `classes` is given, else one per box and class.
    pub scores: usize,
    /// The number of each box's class.
    #[serde(default)]
    pub classes: Option<usize>,
    /// How many boxes count; those behind them are padding.
    #[serde(default)]
    pub count: Option<usize>,
}

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
        if spec.outputs.is_none() {
            let once =
                [Column::Score, Column::Class, Column::Objectness, Column::Scores].iter().all(|c| count(*c) <= 1);
            if count(Column::Box) != 1 || !once {
                return Err(bad("`columns` must hold `box` once and each other part at most once, except `skip`"));
            }
            if count(Column::Rest) > usize::from(spec.columns.last() == Some(&Column::Rest)) {
                return Err(bad("`rest` in `columns` is all that is left, so it comes last"));
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
        Self { spec, input, classes, shape, values, scores, numbers: Vec::new(), row: Vec::new() }
    }

    const fn score_columns(&self) -> usize {
        self.classes + matches!(self.spec.background, Background::First | Background::Last) as usize
    }

    fn width(&self, column: Column) -> usize {
        match column {
            Column::Box => 4,
            Column::Scores => self.score_columns(),
            Column::Rest => 0,
            _ => 1,
        }
    }

    /// Reads the rows of a single output.
    fn rows(&mut self, outputs: &dyn Outputs, take: &mut Take<'_>) -> Result<()> {
        outputs.read(self.spec.output, 1.0, 0, &mut self.shape, &mut self.values)?;
        let width: usize = self.spec.columns.iter().map(|column| self.width(*column)).sum();
        let (n, found) = match (trimmed(&self.shape), self.spec.axis) {
            ([n, width], Axis::Rows) | ([width, n], Axis::Columns) => (*n, *width),
            ([width], Axis::Rows) => (1, *width),
            _ => (0, 0),
        };
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
        Ok(())
    }

    fn row(&self, row: &mut [f32], take: &mut Take<'_>) -> Result<()> {
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
                Column::Skip | Column::Rest => {}
            }
            at += width;
        }
        match class {
            Some(class) => self.one(bbox, score, class, objectness, take),
            None => {
                self.several(bbox, &mut row[scores], objectness * score.unwrap_or(1.0), take);
                Ok(())
            }
        }
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
        let [a, b, c, d] = numbers;
        let [a, b, c, d] = if self.spec.first == First::Y { [b, a, d, c] } else { [a, b, c, d] };
        let bbox = match self.spec.form {
            Form::Corners => BBox::new(a, b, c, d),
            Form::Centre => from_cxcywh([a, b, c, d]),
            Form::Corner => BBox::new(a, b, a + c, b + d),
        };
        let (w, h) = match self.spec.units {
            Units::Pixels => (1.0, 1.0),
            Units::Relative => (self.input.width as f32, self.input.height as f32),
        };
        let bbox = BBox::new(bbox.x1 * w, bbox.y1 * h, bbox.x2 * w, bbox.y2 * h);
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::infer::Arrays;

    /// What every layout below says: class 0 with 0.9, class 1 with 0.8; the input has 64 x 64 pixels and three classes.
    const RIGHT: [(u16, f32, [f32; 4]); 2] = [(0, 0.9, [8.0, 16.0, 40.0, 48.0]), (1, 0.8, [20.0, 4.0, 60.0, 30.0])];

    fn read(card: &str, arrays: Vec<(Vec<usize>, Vec<f32>)>) -> Result<Vec<(u16, f32, [f32; 4])>> {
        let spec: Boxes = crate::yaml::read(&crate::yaml::parse(card).unwrap()).unwrap();
        let placement = Placement { scale: (1.0, 1.0), offset: (0.0, 0.0), frame: Size::new(64, 64) };
        let mut found = Vec::new();
        BoxesDetector::for_input(spec, Size::new(64, 64), 3).decode(&Arrays(arrays), &placement, 0.5, &mut found)?;
        let round = |v: f32| (v * 1e4).round() / 1e4;
        Ok(found
            .iter()
            .map(|d| (d.class, round(d.score), [d.bbox.x1, d.bbox.y1, d.bbox.x2, d.bbox.y2].map(round)))
            .collect())
    }

    fn is_right(card: &str, arrays: Vec<(Vec<usize>, Vec<f32>)>) {
        assert_eq!(read(card, arrays).unwrap(), RIGHT, "{card}");
    }

    #[test]
    fn rows_of_all_orders_are_read() {
        let [a, b] = RIGHT.map(|(_, _, b)| b);
        let with = |tail: [&[f32]; 3], head: [&[f32]; 3]| -> Vec<f32> {
            let row = |at: usize, b: [f32; 4]| [head[at], &b, tail[at]].concat();
            [row(0, a), row(1, b), row(2, [0.0; 4])].concat()
        };
        let none: [&[f32]; 3] = [&[], &[], &[]];
        is_right(
            "{ columns: [box, score, class] }",
            vec![(vec![1, 3, 6], with([&[0.9, 0.0], &[0.8, 1.0], &[0.0, 0.0]], none))],
        );
        is_right(
            "{ columns: [class, score, box] }",
            vec![(vec![3, 6], with(none, [&[0.0, 0.9], &[1.0, 0.8], &[-1.0, 0.0]]))],
        );
        is_right(
            "{ columns: [skip, class, score, box], background: first }",
            vec![(vec![1, 1, 3, 7], with(none, [&[0.0, 1.0, 0.9], &[0.0, 2.0, 0.8], &[-1.0, 0.0, 0.0]]))],
        );
        // No score: everything counts but padding.
        let found =
            read("{ columns: [box, class] }", vec![(vec![3, 5], with([&[0.0], &[1.0], &[0.0]], none))]).unwrap();
        assert_eq!(found, RIGHT.map(|(class, _, b)| (class, 1.0, b)));
        is_right(
            "{ columns: [box, objectness, scores] }",
            vec![(vec![1, 3, 8], with([&[0.9, 1.0, 0.1, 0.2], &[1.0, 0.1, 0.8, 0.2], &[0.4, 1.0, 1.0, 1.0]], none))],
        );
        // No row at all.
        assert!(read("{ columns: [box, class] }", vec![(vec![0, 5], vec![])]).unwrap().is_empty());
    }

    #[test]
    fn centres_columns_and_parts_of_the_input_are_read() {
        // Two boxes as columns: centre, size, three logits.
        let columns = [24.0, 40.0, 32.0, 17.0, 32.0, 40.0, 32.0, 26.0].to_vec();
        let logit = |p: f32| (p / (1.0 - p)).ln();
        let scores = vec![logit(0.9), -3.0, -9.0, logit(0.8), -9.0, -9.0];
        is_right(
            "{ form: centre, columns: [box, scores], axis: columns, scores: sigmoid }",
            vec![(vec![1, 7, 2], [columns, scores].concat())],
        );
        let relative = vec![0.25, 0.125, 0.75, 0.625, 0.0625, 0.3125, 0.46875, 0.9375, 0.0, 0.0, 1.0, 1.0];
        is_right(
            "{ first: y, units: relative, background: first, outputs: { boxes: 0, classes: 1, scores: 2, count: 3 } }",
            vec![
                (vec![1, 3, 4], relative),
                (vec![1, 3], vec![1.0, 2.0, 1.0]),
                (vec![1, 3], vec![0.9, 0.8, 1.0]),
                (vec![1], vec![2.0]),
            ],
        );
        // Softmax with "nothing" as the last column: exp(ln 9) / (exp(ln 9) + 1) = 0.9.
        let low = -100.0;
        let rows = vec![9.0_f32.ln(), low, low, 0.0, low, 4.0_f32.ln(), low, 0.0, low, low, low, 9.0];
        let boxes = [RIGHT[0].2, RIGHT[1].2, [1.0, 1.0, 9.0, 9.0]].concat();
        is_right(
            "{ outputs: { boxes: 0, scores: 1 }, scores: softmax, background: last }",
            vec![(vec![1, 3, 4], boxes), (vec![1, 3, 4], rows)],
        );
        is_right(
            "{ form: corner, columns: [box, score, class] }",
            vec![(vec![2, 6], vec![8.0, 16.0, 32.0, 32.0, 0.9, 0.0, 20.0, 4.0, 40.0, 26.0, 0.8, 1.0])],
        );
    }

    #[test]
    fn what_does_not_fit_the_labels_is_refused() {
        let rows = |class: f32| vec![(vec![1, 1, 6], vec![1.0, 1.0, 9.0, 9.0, 0.9, class])];
        for class in [3.0, 0.5] {
            let error = read("{ columns: [box, score, class] }", rows(class)).unwrap_err().to_string();
            assert!(error.contains("3 labels"), "{error}");
        }
        let error = read("{ columns: [box, scores] }", rows(0.0)).unwrap_err().to_string();
        assert!(error.contains("7 numbers per box"), "{error}");
        // Not a number is never an answer.
        assert!(read("{ columns: [box, score, class] }", rows(f32::NAN)).unwrap().is_empty());
    }

    #[test]
    fn all_classes_above_the_threshold_are_given_if_asked() {
        let row = vec![(vec![1, 1, 7], vec![1.0, 1.0, 9.0, 9.0, 0.6, 0.9, 0.7])];
        let classes = |card: &str| -> Vec<u16> { read(card, row.clone()).unwrap().iter().map(|d| d.0).collect() };
        assert_eq!(classes("{ columns: [box, scores], all_classes: true }"), [0, 1, 2]);
        assert_eq!(classes("{ columns: [box, scores] }"), [1]);
    }
}
