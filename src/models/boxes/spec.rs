//! What a card says of finished boxes.

use crate::models::numbers::Scores;
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
    /// For `points` in `columns`: what they are.
    #[serde(default)]
    pub points: Option<Points>,
    /// For `masks` in `columns`: what they are made of.
    #[serde(default)]
    pub masks: Option<Masks>,
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
    /// One number: by how much the box is turned, in radians, clockwise (Ultralytics -obb).
    Angle,
    /// The points of `points`.
    Points,
    /// The weights of the prototypes of `masks`.
    Masks,
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

/// The points of an object (Ultralytics -pose).
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Points {
    /// How many each object has.
    #[schemars(range(min = 1, max = 1000))]
    pub count: usize,
    /// Whether each has a score, 0–1, behind its x and y.
    #[serde(default)]
    pub scores: bool,
    /// Which points a drawing joins by lines, each by its number from 0.
    #[serde(default)]
    pub skeleton: Vec<[u16; 2]>,
}

/// The maps that masks are made of (Ultralytics -seg).
#[derive(Clone, Copy, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Masks {
    /// The number of the output with the maps, `[1, count, H, W]`, counted from 0.
    pub output: usize,
    /// How many maps there are.
    #[schemars(range(min = 1, max = 1000))]
    pub count: usize,
}

/// Parts of a row that occur at most once.
pub const ONCE: [Column; 7] =
    [Column::Score, Column::Class, Column::Objectness, Column::Scores, Column::Angle, Column::Points, Column::Masks];
