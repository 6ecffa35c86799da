//! YOLOX: which cell answers for which object (SimOTA), and how wrong its row is. Ge et al. 2021, YOLOX, §2.1; the numbers
//! that the paper leaves open are those of Megvii's program (Apache-2.0).

use super::boxes::{BoxLoss, box_iou};
use super::classes::binary;
use crate::models::yolo::Cell;

/// An object: its corners in input pixels, and its class.
pub type Object = ([f32; 4], usize);

/// How far from the centre of an object, in cells, a cell may answer for it.
const RADIUS: f32 = 1.5;
/// The weight of the boxes, in the cost of an answer and in the loss.
const COST: f64 = 3.0;
const BOXES: f64 = 5.0;
/// How many of the best overlaps say how many cells answer for an object.
const BEST: usize = 10;

/// How wrong the rows of one picture are.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rows {
    /// The sums of the losses of boxes, objectness, and classes.
    pub sums: [f64; 3],
    /// The gradient of these sums for each number.
    pub gradient: Vec<f32>,
    /// How many cells answer for an object.
    pub answers: usize,
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

/// The box of a row: x1, y1, x2, y2.
fn corners(row: &[f32], cell: &Cell) -> [f32; 4] {
    let (x, y) = ((row[0] + cell.x) * cell.stride, (row[1] + cell.y) * cell.stride);
    let (w, h) = (row[2].min(LARGEST).exp() * cell.stride, row[3].min(LARGEST).exp() * cell.stride);
    [x - w / 2.0, y - h / 2.0, x + w / 2.0, y + h / 2.0]
}

/// The logarithm of the largest side in cells; beyond it, a side no longer grows.
const LARGEST: f32 = 8.0;

fn iou(a: [f32; 4], b: [f32; 4]) -> f64 {
    let [a, b] = [a, b].map(|corners| corners.map(f64::from));
    let side = |at: usize| (a[at + 2].min(b[at + 2]) - a[at].max(b[at])).max(0.0);
    let shared = side(0) * side(1);
    let area = |c: [f64; 4]| (c[2] - c[0]) * (c[3] - c[1]);
    shared / (area(a) + area(b) - shared + 1e-8)
}

/// Which object each cell answers for, with their overlap. `rows` has `5 + classes` logits for each cell.
#[must_use]
pub fn assign(rows: &[f32], classes: usize, cells: &[Cell], objects: &[Object]) -> Vec<Option<(usize, f64)>> {
    let width = 5 + classes;
    // For each cell, the object that costs it least.
    let mut answers: Vec<Option<(usize, f64)>> = vec![None; cells.len()];
    let mut costs = vec![f64::INFINITY; cells.len()];
    for (number, (corners_of, class)) in objects.iter().enumerate() {
        let (x, y) = (f32::midpoint(corners_of[0], corners_of[2]), f32::midpoint(corners_of[1], corners_of[3]));
        let near = |cell: &Cell| {
            let far = |at: f32, centre: f32| ((at + 0.5) * cell.stride - centre).abs() / cell.stride;
            far(cell.x, x) < RADIUS && far(cell.y, y) < RADIUS
        };
        let mut candidates: Vec<(f64, usize, f64)> = Vec::new();
        for (at, cell) in cells.iter().enumerate().filter(|(_, cell)| near(cell)) {
            let row = &rows[at * width..][..width];
            let overlap = iou(corners(row, cell), *corners_of);
            let objectness = sigmoid(row[4]);
            // The share of a class is the geometric mean of both probabilities.
            let of_class = |k: usize| {
                let p = f64::from((sigmoid(row[5 + k]) * objectness).sqrt()).clamp(1e-12, 1.0 - 1e-7);
                if k == *class { -p.ln() } else { -(1.0 - p).ln() }
            };
            let cost = (0..classes).map(of_class).sum::<f64>() - COST * (overlap + 1e-8).ln();
            candidates.push((cost, at, overlap));
        }
        let mut overlaps: Vec<f64> = candidates.iter().map(|(_, _, overlap)| *overlap).collect();
        overlaps.sort_by(|a, b| b.total_cmp(a));
        let count = (overlaps.iter().take(BEST).sum::<f64>() as usize).max(1);
        candidates.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        for (cost, at, overlap) in candidates.into_iter().take(count) {
            if cost < costs[at] {
                costs[at] = cost;
                answers[at] = Some((number, overlap));
            }
        }
    }
    answers
}

/// The loss of the rows of one picture, as sums.
///
/// # Panics
/// If there are not as many rows as cells.
#[must_use]
pub fn rows(rows: &[f32], classes: usize, cells: &[Cell], objects: &[Object]) -> Rows {
    let width = 5 + classes;
    assert_eq!(rows.len(), cells.len() * width, "as many rows as cells");
    let answers = assign(rows, classes, cells, objects);
    let mut result = Rows { gradient: vec![0.0; rows.len()], ..Rows::default() };
    for (at, (cell, answer)) in cells.iter().zip(&answers).enumerate() {
        let (row, to) = (&rows[at * width..][..width], &mut result.gradient[at * width..][..width]);
        let (losses, slopes) = binary(&row[4..5], &[f32::from(u8::from(answer.is_some()))], &[]);
        result.sums[1] += losses[0];
        to[4] = slopes[0];
        let Some((object, overlap)) = answer else { continue };
        result.answers += 1;
        let (wanted, class) = objects[*object];
        let (losses, slopes) = box_iou(BoxLoss::Generalized, &[corners(row, cell)], &[wanted], 1e-7);
        result.sums[0] += BOXES * losses[0];
        let [x1, y1, x2, y2] = slopes[0].map(|slope| slope * BOXES as f32);
        to[0] = (x1 + x2) * cell.stride;
        to[1] = (y1 + y2) * cell.stride;
        // A side that no longer grows has no slope.
        let side = |log: f32| if log < LARGEST { log.exp() * cell.stride / 2.0 } else { 0.0 };
        to[2] = (x2 - x1) * side(row[2]);
        to[3] = (y2 - y1) * side(row[3]);
        let mut hot = vec![0.0; classes];
        hot[class] = *overlap as f32;
        let (losses, slopes) = binary(&row[5..], &hot, &[]);
        result.sums[2] += losses.iter().sum::<f64>();
        to[5..].copy_from_slice(&slopes);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting() -> (Vec<f32>, Vec<Cell>, Vec<Object>) {
        let cells: Vec<Cell> = (0..16).map(|at| Cell { x: (at % 4) as f32, y: (at / 4) as f32, stride: 8.0 }).collect();
        let value = |at: usize| ((at * 37 % 101) as f32 / 101.0 - 0.5) * 1.5;
        let rows = (0..16 * 7).map(value).collect();
        (rows, cells, vec![([4.0, 5.0, 17.0, 19.0], 1), ([14.0, 12.0, 30.0, 31.0], 0)])
    }

    #[test]
    fn the_gradient_is_the_slope_while_answers_stay() {
        let (values, cells, objects) = setting();
        let all = rows(&values, 2, &cells, &objects);
        let sum = |values: &[f32]| rows(values, 2, &cells, &objects).sums.iter().sum::<f64>();
        let mut compared = 0;
        for at in 0..values.len() {
            let moved = |by: f32| {
                let mut values = values.clone();
                values[at] += by;
                values
            };
            let same = [1e-2, -1e-2].iter().all(|by| {
                let answers = assign(&moved(*by), 2, &cells, &objects);
                let before = assign(&values, 2, &cells, &objects);
                // The target of a class is the overlap; a box that moves would change it.
                at % 7 > 3 && answers.iter().map(|a| a.map(|a| a.0)).eq(before.iter().map(|a| a.map(|a| a.0)))
                    || at % 7 <= 3 && before[at / 7].is_none()
            });
            if same {
                let slope = (sum(&moved(1e-2)) - sum(&moved(-1e-2))) / 2e-2;
                assert!((slope - f64::from(all.gradient[at])).abs() < 2e-3, "{at}: {slope} {}", all.gradient[at]);
                compared += 1;
            }
        }
        assert!(compared > 60, "{compared}");
    }

    #[test]
    fn boxes_grow_towards_their_objects() {
        let (mut values, cells, objects) = setting();
        let first = rows(&values, 2, &cells, &objects);
        for _ in 0..400 {
            let now = rows(&values, 2, &cells, &objects);
            values.iter_mut().zip(&now.gradient).for_each(|(value, slope)| *value -= 0.05 * slope);
        }
        let last = rows(&values, 2, &cells, &objects);
        assert!(
            last.sums.iter().sum::<f64>() < 0.2 * first.sums.iter().sum::<f64>(),
            "{:?} {:?}",
            first.sums,
            last.sums
        );
        let best =
            assign(&values, 2, &cells, &objects).into_iter().flatten().map(|(_, overlap)| overlap).fold(1.0, f64::min);
        assert!(best > 0.9, "{best}");
    }

    #[test]
    fn without_objects_all_rows_are_background() {
        let (values, cells, _) = setting();
        let all = rows(&values, 2, &cells, &[]);
        assert_eq!((all.answers, all.sums[0], all.sums[2]), (0, 0.0, 0.0));
        assert!(all.sums[1] > 0.0);
    }
}
