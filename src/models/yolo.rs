//! YOLOX heads. Ge et al. 2021, YOLOX, §2.1; the numbers of Megvii's `decode_outputs`.

use super::{Detector, check_shape, logit, sigmoid};
use crate::error::Result;
use crate::infer::{Card, Session};
use crate::ops::iou::from_cxcywh;
use crate::types::{Detection, Placement, Size};
use crate::yaml::Fault;
use serde::Deserialize;

/// What the score columns hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scores {
    /// 0–1: the graph ends in a sigmoid.
    #[default]
    Probability,
    /// Raw numbers; the sigmoid is taken here, and only of those above the threshold.
    Logit,
}

/// `family: { yolox: { strides: [8, 16, 32] } }`: one output `[1, cells, 5 + classes]`,
/// a row being `dx, dy, log w, log h, objectness, class scores`.
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Yolox {
    /// Input pixels between two cells of each level, in the order of the rows.
    #[serde(default = "default_strides")]
    pub strides: Vec<u32>,
    /// What the score columns hold.
    #[serde(default)]
    pub scores: Scores,
    /// Which output of the graph, counted from 0.
    #[serde(default)]
    pub output: usize,
}

fn default_strides() -> Vec<u32> {
    vec![8, 16, 32]
}

/// A cell of the grid: column, row, and input pixels a cell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cell {
    /// Column.
    pub x: f32,
    /// Row.
    pub y: f32,
    /// Input pixels a cell.
    pub stride: f32,
}

/// All cells of an input, stride by stride, row by row.
#[must_use]
pub fn cells(input: Size, strides: &[u32]) -> Vec<Cell> {
    let mut cells = Vec::new();
    for &stride in strides.iter().filter(|stride| **stride > 0) {
        for y in 0..input.height / stride {
            cells.extend((0..input.width / stride).map(|x| Cell { x: x as f32, y: y as f32, stride: stride as f32 }));
        }
    }
    cells
}

/// `[cx, cy, w, h]` in input pixels of a row's first four numbers.
#[must_use]
pub fn yolox_box([dx, dy, w, h]: [f32; 4], cell: &Cell) -> [f32; 4] {
    [(dx + cell.x) * cell.stride, (dy + cell.y) * cell.stride, w.exp() * cell.stride, h.exp() * cell.stride]
}

/// Decodes YOLOX rows: scans row by row and touches only cells whose objectness can reach the threshold.
pub struct YoloxDetector {
    spec: Yolox,
    cells: Vec<Cell>,
    classes: usize,
    rows: Vec<f32>,
}

impl YoloxDetector {
    /// A decoder for a card's input size and labels.
    ///
    /// # Errors
    /// [`crate::error::Error::Model`] if the strides make no sense.
    pub fn new(spec: Yolox, card: &Card) -> Result<Self> {
        let input = card.fields.input.size;
        let fits = |stride: &u32| (4..=input.width.min(input.height)).contains(stride);
        if spec.strides.is_empty() || spec.strides.len() > 8 || !spec.strides.iter().all(fits) {
            let message =
                format!("family.yolox.strides: {:?}; 1 to 8 numbers between 4 and the input's side", spec.strides);
            return Err(card.error(Fault::new(card.family.place, message)));
        }
        let cells = cells(input, &spec.strides);
        Ok(Self { spec, cells, classes: card.labels.len(), rows: Vec::new() })
    }
}

impl Detector for YoloxDetector {
    fn decode(
        &mut self,
        session: &Session,
        placement: &Placement,
        min_score: f32,
        found: &mut Vec<Detection>,
    ) -> Result<()> {
        let output = session.output(self.spec.output)?;
        let width = 5 + self.classes;
        check_shape(session.name(), "rows", output.shape(), &[1, self.cells.len(), width])?;
        output.read(1.0, 0, &mut self.rows)?;
        let raw = self.spec.scores == Scores::Logit;
        let least = if raw { logit(min_score) } else { min_score };
        for (row, cell) in self.rows.chunks_exact(width).zip(&self.cells) {
            // A class score is at most 1, so a product never exceeds the objectness.
            if row[4] < least {
                continue;
            }
            let (mut class, mut best) = (0, f32::NEG_INFINITY);
            for (index, &score) in row[5..].iter().enumerate() {
                if score > best {
                    (class, best) = (index, score);
                }
            }
            let score = if raw { sigmoid(row[4]) * sigmoid(best) } else { row[4] * best };
            if score >= min_score {
                let bbox = placement.to_frame(from_cxcywh(yolox_box([row[0], row[1], row[2], row[3]], cell)));
                found.push(Detection { bbox, class: class as u16, score });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_follow_strides_then_rows() {
        let all = cells(Size::new(64, 32), &[16, 32]);
        assert_eq!(all.len(), 8 + 2);
        assert_eq!((all[4].x, all[4].y), (0.0, 1.0));
        assert_eq!(all[9], Cell { x: 1.0, y: 0.0, stride: 32.0 });
    }

    #[test]
    fn a_row_is_a_box_around_its_cell() {
        let cell = Cell { x: 2.0, y: 1.0, stride: 8.0 };
        assert_eq!(yolox_box([0.5, 0.5, 0.0, 0.0], &cell), [20.0, 12.0, 8.0, 8.0]);
    }
}
