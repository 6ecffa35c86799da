//! The formulas for YOLO boxes. All results are in input pixels.

use crate::models::numbers::sigmoid;
use crate::types::{BBox, Size};

/// A cell of the grid: column, row and stride.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cell {
    /// Column.
    pub x: f32,
    /// Row.
    pub y: f32,
    /// Input pixels per cell.
    pub stride: f32,
}

/// Returns the size of the grid for a stride. If a side of the input is not a multiple of it, the last cells extend
/// beyond the input, as convolutions with padding produce them.
#[must_use]
pub const fn grid(input: Size, stride: u32) -> Size {
    let stride = if stride == 0 { 1 } else { stride };
    Size::new(input.width.div_ceil(stride), input.height.div_ceil(stride))
}

/// Returns all cells of an input, stride by stride, row by row.
#[must_use]
pub fn cells(input: Size, strides: &[u32]) -> Vec<Cell> {
    let mut cells = Vec::new();
    for &stride in strides.iter().filter(|stride| **stride > 0) {
        let grid = grid(input, stride);
        for y in 0..grid.height {
            cells.extend((0..grid.width).map(|x| Cell { x: x as f32, y: y as f32, stride: stride as f32 }));
        }
    }
    cells
}

/// Returns `[cx, cy, w, h]` for `dx, dy, log w, log h`. Ge et al. 2021, YOLOX, §2.1; same numbers as Megvii's
/// `decode_outputs`.
#[must_use]
pub fn x([dx, dy, w, h]: [f32; 4], cell: &Cell) -> [f32; 4] {
    [(dx + cell.x) * cell.stride, (dy + cell.y) * cell.stride, w.exp() * cell.stride, h.exp() * cell.stride]
}

/// Returns `[cx, cy, w, h]` for a raw row and its anchor. Redmon and Farhadi 2018, YOLOv3, §2.1; same numbers as
/// PyTorch-YOLOv3's `YOLOLayer`.
#[must_use]
pub fn v3([tx, ty, tw, th]: [f32; 4], cell: &Cell, anchor: [f32; 2]) -> [f32; 4] {
    let (x, y) = ((sigmoid(tx) + cell.x) * cell.stride, (sigmoid(ty) + cell.y) * cell.stride);
    [x, y, tw.exp() * anchor[0], th.exp() * anchor[1]]
}

/// Returns `[cx, cy, w, h]` for a raw row and its anchor: centres reach up to half a cell beyond their own cell, sizes
/// up to four times the anchor. Same numbers as Ultralytics' YOLOv5 `Detect` and as YOLOv7.
#[must_use]
pub fn v5([tx, ty, tw, th]: [f32; 4], cell: &Cell, anchor: [f32; 2]) -> [f32; 4] {
    let centre = |t: f32, cell: f32| sigmoid(t) * 2.0 - 0.5 + cell;
    let size = |t: f32, side: f32| (sigmoid(t) * 2.0).powi(2) * side;
    [centre(tx, cell.x) * cell.stride, centre(ty, cell.y) * cell.stride, size(tw, anchor[0]), size(th, anchor[1])]
}

/// Returns the box around the middle of a cell from the left, top, right and bottom distances in cells. Same numbers as
/// Ultralytics' v8 `Detect` with `dist2bbox`.
#[must_use]
pub fn v8([left, top, right, bottom]: [f32; 4], cell: &Cell) -> BBox {
    let (x, y, s) = (cell.x + 0.5, cell.y + 0.5, cell.stride);
    BBox::new((x - left) * s, (y - top) * s, (x + right) * s, (y + bottom) * s)
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
        // 80 by 48 at stride 32 has three columns and two rows: convolutions with padding round up.
        let all = cells(Size::new(80, 48), &[8, 16, 32]);
        assert_eq!((all.len(), grid(Size::new(80, 48), 32)), (60 + 15 + 6, Size::new(3, 2)));
        assert_eq!(all[80], Cell { x: 2.0, y: 1.0, stride: 32.0 });
    }

    #[test]
    fn a_row_of_zeros_is_a_box_in_the_middle_of_its_cell() {
        let cell = Cell { x: 2.0, y: 1.0, stride: 8.0 };
        assert_eq!(x([0.5, 0.5, 0.0, 0.0], &cell), [20.0, 12.0, 8.0, 8.0]);
        assert_eq!(v3([0.0; 4], &cell, [10.0, 13.0]), [20.0, 12.0, 10.0, 13.0]);
        assert_eq!(v5([0.0; 4], &cell, [10.0, 13.0]), [20.0, 12.0, 10.0, 13.0]);
        assert_eq!(v8([1.0; 4], &cell), BBox::new(12.0, 4.0, 28.0, 20.0));
    }
}
