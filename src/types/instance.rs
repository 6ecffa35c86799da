//! The pixels of single objects.

use super::{Detection, Placement, Size};

/// Maps of which each object's mask is a weighted sum (Bolya et al. 2019, YOLACT, §3.1).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Prototypes {
    /// The number of maps.
    pub count: usize,
    /// The size of a map.
    pub size: Size,
    /// The maps, `[count, H, W]`.
    pub values: Vec<f32>,
    /// The size of the model input, which the maps cover evenly.
    pub input: Size,
    /// The mapping from the input to the frame.
    pub placement: Placement,
}

/// One axis of a mask: where a pixel lies on the map.
#[derive(Clone, Copy, Debug)]
struct Along {
    /// Cells per pixel, and the cell of pixel 0.
    step: f32,
    from: f32,
    /// The first and last cell that show the frame; what the model input has around it is no neighbour.
    first: usize,
    last: usize,
}

impl Along {
    fn new(cells: u32, input: u32, frame: u32, scale: f32, offset: f32) -> Self {
        let per_input = cells as f32 / input.max(1) as f32;
        let place = |pixel: f32| (pixel - offset) / scale * per_input;
        let edge = |pixel: f32| place(pixel).round().clamp(0.0, cells as f32) as usize;
        let first = edge(0.0).min(cells.saturating_sub(1) as usize);
        let last = edge(frame as f32).max(first + 1) - 1;
        Self { step: per_input / scale, from: place(0.5) - 0.5, first, last }
    }

    /// The two neighbours of a pixel and the share of the second.
    fn at(&self, pixel: u32) -> (usize, usize, f32) {
        let place = (self.from + pixel as f32 * self.step).clamp(self.first as f32, self.last as f32);
        let lower = place as usize;
        (lower, (lower + 1).min(self.last), place - lower as f32)
    }
}

impl Prototypes {
    /// The weighted sum of the maps, cut to the object's box.
    pub(super) fn mask<'a>(
        &self,
        object: &Detection,
        weights: &[f32],
        cells: &'a mut Vec<f32>,
    ) -> Option<InstanceMask<'a>> {
        let (map, input, p) = (self.size, self.input, &self.placement);
        let bbox = object.bbox.clip(p.frame);
        if map.pixels() == 0 || self.values.len() < self.count * map.pixels() || !bbox.is_finite() {
            return None;
        }
        let across = Along::new(map.width, input.width, p.frame.width, p.scale.0, p.offset.0);
        let down = Along::new(map.height, input.height, p.frame.height, p.scale.1, p.offset.1);
        let [left, top, right, bottom] = [bbox.x1, bbox.y1, bbox.x2, bbox.y2].map(|side| side.ceil() as u32);
        let (columns, rows) = (left..right.max(left), top..bottom.max(top));
        cells.clear();
        let mut mask = InstanceMask { frame: p.frame, columns, rows, across, down, cells, origin: (0, 0), width: 0 };
        if mask.columns.is_empty() || mask.rows.is_empty() {
            return Some(mask);
        }
        let (x1, x2) = (across.at(left).0, across.at(right - 1).1 + 1);
        let (y1, y2) = (down.at(top).0, down.at(bottom - 1).1 + 1);
        mask.origin = (x1, y1);
        mask.width = x2 - x1;
        mask.cells.resize((x2 - x1) * (y2 - y1), 0.0);
        for (map_values, weight) in self.values.chunks_exact(map.pixels()).zip(weights) {
            for (line, sums) in (y1..y2).zip(mask.cells.chunks_exact_mut(x2 - x1)) {
                let values = &map_values[line * map.width as usize + x1..][..x2 - x1];
                sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value * weight);
            }
        }
        Some(mask)
    }
}

/// The pixels of one object.
#[derive(Debug)]
pub struct InstanceMask<'a> {
    /// The size of the frame.
    pub frame: Size,
    /// The columns of the frame outside which nothing belongs to the object.
    pub columns: std::ops::Range<u32>,
    /// The rows of the frame outside which nothing belongs to the object.
    pub rows: std::ops::Range<u32>,
    across: Along,
    down: Along,
    cells: &'a mut Vec<f32>,
    origin: (usize, usize),
    width: usize,
}

impl InstanceMask<'_> {
    /// Whether a pixel inside `columns` and `rows` belongs to the object: the maps are interpolated linearly (PyTorch's
    /// `interpolate` with `align_corners=False`), and what is above 0 belongs to it.
    #[must_use]
    pub fn contains(&self, x: u32, y: u32) -> bool {
        let ((x0, x1, u), (y0, y1, v)) = (self.across.at(x), self.down.at(y));
        let cell = |x: usize, y: usize| self.cells[(y - self.origin.1) * self.width + x - self.origin.0];
        let row = |y: usize| cell(x0, y) * (1.0 - u) + cell(x1, y) * u;
        row(y0) * (1.0 - v) + row(y1) * v > 0.0
    }

    /// Calls `run` with the length of each run down the columns of the frame, the first one outside the object.
    pub fn runs(&self, mut run: impl FnMut(u32)) {
        let height = self.frame.height;
        let (mut begin, mut inside) = (0, false);
        for x in self.columns.clone() {
            for y in self.rows.clone() {
                let now = self.contains(x, y);
                // What lies between the last row of a column and the first of the next is outside.
                let first = y == self.rows.start && self.rows.len() < height as usize;
                if first && inside {
                    let end = (x - 1) * height + self.rows.end;
                    run(end - begin);
                    (begin, inside) = (end, false);
                }
                if now != inside {
                    run(x * height + y - begin);
                    (begin, inside) = (x * height + y, now);
                }
            }
        }
        if inside {
            let end = (self.columns.end - 1) * height + self.rows.end;
            run(end - begin);
            begin = end;
        }
        let total = self.frame.pixels() as u32;
        if begin < total {
            run(total - begin);
        }
    }
}
