//! The objects found in a frame, with what a model says of each beyond its box: points and masks.

use super::{Detection, Placement, Size};
use std::ops::Deref;
use std::sync::Arc;

/// The objects found in a frame. It is read as a list of detections; what belongs to one of them is asked for with it, so
/// that a line may sort or drop detections without touching the rest. Cloning copies pointers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Objects {
    list: Arc<Vec<Detection>>,
    details: Option<Arc<Details>>,
}

impl Objects {
    /// Creates objects from a list and what a model says of each beyond its box.
    #[must_use]
    pub const fn new(list: Arc<Vec<Detection>>, details: Option<Arc<Details>>) -> Self {
        Self { list, details }
    }

    /// The same objects in another order, or some of them.
    #[must_use]
    pub fn with(&self, list: impl Into<Arc<Vec<Detection>>>) -> Self {
        Self { list: list.into(), details: self.details.clone() }
    }

    /// The points of an object; empty if its model finds none.
    #[must_use]
    pub fn points(&self, object: &Detection) -> &[Point] {
        let Some(details) = &self.details else { return &[] };
        let each = details.points_each;
        details.points.get(object.detail as usize * each..).and_then(|rest| rest.get(..each)).unwrap_or_default()
    }

    /// Which points a drawing joins by lines.
    #[must_use]
    pub fn skeleton(&self) -> &[[u16; 2]] {
        self.details.as_ref().map_or(&[], |details| &details.skeleton)
    }

    /// The pixels of an object; `None` if its model does not tell. They are computed now, with the help of `scratch`,
    /// which may be used again and again.
    #[must_use]
    pub fn mask<'a>(&self, object: &Detection, scratch: &'a mut Vec<f32>) -> Option<InstanceMask<'a>> {
        let details = self.details.as_ref()?;
        let prototypes = details.prototypes.as_ref()?;
        let at = object.detail as usize * prototypes.count;
        let weights = details.coefficients.get(at..)?.get(..prototypes.count)?;
        prototypes.mask(object, weights, scratch)
    }
}

impl Deref for Objects {
    type Target = [Detection];

    fn deref(&self) -> &[Detection] {
        &self.list
    }
}

impl From<Vec<Detection>> for Objects {
    fn from(list: Vec<Detection>) -> Self {
        Self { list: Arc::new(list), details: None }
    }
}

/// A point of an object, in frame pixels: an eye, an elbow, a corner.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Point {
    /// Column.
    pub x: f32,
    /// Row.
    pub y: f32,
    /// How sure the model is that it can be seen, 0–1; `None` if the model does not tell.
    pub score: Option<f32>,
}

/// What a model says of objects beyond their boxes. [`Detection::detail`] numbers the objects.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Details {
    /// The number of points of each object.
    pub points_each: usize,
    /// The points of all objects, one object after the other.
    pub points: Vec<Point>,
    /// Which points a drawing joins by lines.
    pub skeleton: Arc<[[u16; 2]]>,
    /// What masks are made of.
    pub prototypes: Option<Prototypes>,
    /// The weights of the prototypes for all objects, one object after the other.
    pub coefficients: Vec<f32>,
}

impl Details {
    /// Forgets the objects of the last frame, but keeps the buffers.
    pub fn clear(&mut self) {
        self.points.clear();
        self.coefficients.clear();
    }
}

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
    fn mask<'a>(&self, object: &Detection, weights: &[f32], cells: &'a mut Vec<f32>) -> Option<InstanceMask<'a>> {
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
            inside = false;
        }
        debug_assert!(!inside);
        let total = self.frame.pixels() as u32;
        if begin < total {
            run(total - begin);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{BBox, Rle};

    /// A frame of 8 x 6 pixels, enlarged twice for an input of 16 x 16 with two empty rows above and below, and a map with
    /// a cell for four input pixels.
    fn prototypes(values: Vec<f32>) -> Prototypes {
        let placement = Placement { scale: (0.5, 0.5), offset: (0.0, -1.0), frame: Size::new(8, 6) };
        Prototypes { count: 1, size: Size::new(4, 4), values, input: Size::new(16, 16), placement }
    }

    fn objects(values: Vec<f32>, bbox: BBox) -> (Objects, Detection) {
        let object = Detection::new(bbox, 0, 1.0);
        let details = Details { prototypes: Some(prototypes(values)), coefficients: vec![1.0], ..Details::default() };
        (Objects::new(Arc::new(vec![object.clone()]), Some(Arc::new(details))), object)
    }

    fn pixels(mask: &InstanceMask<'_>) -> Vec<(u32, u32)> {
        let all = (0..mask.frame.height).flat_map(|y| (0..mask.frame.width).map(move |x| (x, y)));
        all.filter(|(x, y)| mask.columns.contains(x) && mask.rows.contains(y) && mask.contains(*x, *y)).collect()
    }

    #[test]
    fn a_mask_is_cut_to_its_box_and_its_runs_cover_the_frame() {
        for bbox in [
            BBox::new(1.2, 0.0, 6.0, 6.0),
            BBox::new(2.0, 1.5, 5.0, 4.0),
            BBox::new(0.0, 0.0, 8.0, 6.0),
            BBox::new(3.1, 3.1, 3.4, 3.4),
        ] {
            let (objects, object) = objects(vec![1.0; 16], bbox);
            let mut scratch = Vec::new();
            let mask = objects.mask(&object, &mut scratch).unwrap();
            let inside = pixels(&mask);
            assert_eq!(inside.len(), mask.columns.len() * mask.rows.len(), "all values are above 0");
            let mut rle = Rle { height: 6, width: 8, counts: Vec::new() };
            mask.runs(|count| rle.counts.push(count));
            assert_eq!(rle.counts.iter().sum::<u32>(), 48, "{:?}", rle.counts);
            let mut decoded = Vec::new();
            let mut at = 0;
            for (index, count) in rle.counts.iter().enumerate() {
                decoded.extend((at..at + count).filter(|_| index % 2 == 1).map(|at| (at / 6, at % 6)));
                at += count;
            }
            decoded.sort_by_key(|&(x, y)| (y, x));
            assert_eq!(decoded, inside);
        }
    }

    #[test]
    fn values_are_interpolated_at_the_centres_of_pixels() {
        // A step from -1 to 3 between the second and third column of cells, whose centres lie at pixels 3 and 5: the
        // values there are -1 at 2.5, 0 at 3.5 (not above 0), 1 at 4 ...
        let row = [-1.0, -1.0, 3.0, 3.0];
        let (objects, object) = objects(row.repeat(4), BBox::new(0.0, 0.0, 8.0, 6.0));
        let mut scratch = Vec::new();
        let mask = objects.mask(&object, &mut scratch).unwrap();
        let inside = pixels(&mask);
        let firsts: Vec<u32> = (0..6).map(|y| inside.iter().find(|p| p.1 == y).unwrap().0).collect();
        assert_eq!(firsts, [4, 4, 4, 4, 4, 4], "pixel 3 has its centre at 3.5: -1 + 4 * 0.25 = 0 is outside");
    }

    #[test]
    fn what_belongs_to_an_object_stays_with_it() {
        let point = |x| Point { x, y: 0.0, score: None };
        let details = Details {
            points_each: 2,
            points: vec![point(1.0), point(2.0), point(3.0), point(4.0)],
            ..Details::default()
        };
        let list: Vec<Detection> = (0..2).map(|detail| Detection { detail, ..Detection::default() }).collect();
        let both = Objects::new(Arc::new(list), Some(Arc::new(details)));
        let second = both.with(vec![both[1].clone()]);
        assert_eq!(second.points(&second[0])[0], point(3.0));
        assert!(Objects::from(vec![Detection::default()]).points(&second[0]).is_empty());
        assert!(both.mask(&both[0], &mut Vec::new()).is_none());
    }
}
