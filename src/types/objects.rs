//! The objects found in a frame, with what a model says of each beyond its box: points and masks.

use super::Detection;
use super::instance::{InstanceMask, Prototypes};
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
        let from = object.detail.and_then(|number| (number as usize).checked_mul(each));
        from.and_then(|from| details.points.get(from..)?.get(..each)).unwrap_or_default()
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
        let at = (object.detail? as usize).checked_mul(prototypes.count)?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{BBox, Placement, Rle, Size};

    /// A frame of 8 x 6 pixels, enlarged twice for an input of 16 x 16 with two empty rows above and below, and a map with
    /// a cell for four input pixels.
    fn prototypes(values: Vec<f32>) -> Prototypes {
        let placement = Placement { scale: (0.5, 0.5), offset: (0.0, -1.0), frame: Size::new(8, 6) };
        Prototypes { count: 1, size: Size::new(4, 4), values, input: Size::new(16, 16), placement }
    }

    fn objects(values: Vec<f32>, bbox: BBox) -> (Objects, Detection) {
        let object = Detection { detail: Some(0), ..Detection::new(bbox, 0, 1.0) };
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
        let list: Vec<Detection> =
            (0..2).map(|number| Detection { detail: Some(number), ..Detection::default() }).collect();
        let both = Objects::new(Arc::new(list), Some(Arc::new(details)));
        let second = both.with(vec![both[1].clone()]);
        assert_eq!(second.points(&second[0])[0], point(3.0));
        assert!(Objects::from(vec![Detection::default()]).points(&second[0]).is_empty());
        assert!(both.mask(&both[0], &mut Vec::new()).is_none());
        assert!(
            both.points(&Detection::default()).is_empty(),
            "an object of somebody else's has no points of the model"
        );
    }
}
