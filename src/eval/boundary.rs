//! How well the edges of class maps agree: boundary IoU.
//!
//! Cheng et al. 2021, "Boundary IoU: Improving Object-Centric Image Segmentation Evaluation", §4. A boundary is what lies
//! within 2 % of the picture's diagonal from the outside of a mask; what is outside the picture is outside of it.

use crate::types::Size;

/// Counts of pixels by class: in both boundaries, and in either.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Boundaries {
    counts: Vec<(u64, u64)>,
}

/// The width of a boundary in pixels.
#[must_use]
pub fn width(size: Size) -> usize {
    let (w, h) = (f64::from(size.width), f64::from(size.height));
    (0.02 * (w * w + h * h).sqrt()).round_ties_even().max(1.0) as usize
}

/// Returns which pixels of a mask lie in its boundary.
#[must_use]
pub fn boundary(size: Size, mask: &[bool], distance: usize) -> Vec<bool> {
    let (w, h) = (size.width as usize, size.height as usize);
    // The square's rows, then its columns: a pixel stays if all within the distance are inside.
    let mut rows = vec![false; mask.len()];
    let mut runs = vec![0usize; w.max(h)];
    for y in 0..h {
        let line = &mask[y * w..][..w];
        eroded(line.iter().copied(), w, distance, &mut runs, |x, kept| rows[y * w + x] = kept);
    }
    let mut inner = vec![false; mask.len()];
    for x in 0..w {
        let column = (0..h).map(|y| rows[y * w + x]);
        eroded(column, h, distance, &mut runs, |y, kept| inner[y * w + x] = kept);
    }
    mask.iter().zip(inner).map(|(inside, inner)| *inside && !inner).collect()
}

/// Keeps what has only set values within the distance on both sides.
fn eroded(
    line: impl DoubleEndedIterator<Item = bool> + ExactSizeIterator + Clone,
    length: usize,
    distance: usize,
    runs: &mut [usize],
    mut keep: impl FnMut(usize, bool),
) {
    let mut run = 0;
    for (at, set) in line.clone().enumerate() {
        run = if set { run + 1 } else { 0 };
        runs[at] = run;
    }
    run = 0;
    for (back, set) in line.rev().enumerate() {
        run = if set { run + 1 } else { 0 };
        let at = length - 1 - back;
        keep(at, runs[at] > distance && run > distance);
    }
}

impl Boundaries {
    /// Counts a picture; pixels whose real class is `ignore` do not count, nor do they bound anything.
    pub fn add(&mut self, size: Size, real: &[u8], found: &[u8], ignore: u8, classes: usize) {
        let distance = width(size);
        self.counts.resize(classes.max(self.counts.len()), (0, 0));
        let mut there = vec![false; 256];
        real.iter().chain(found).for_each(|class| there[usize::from(*class)] = true);
        for class in (0..classes.min(255)).filter(|class| there[*class]) {
            // What is not labelled may be anything, so nothing ends there.
            let inside = |(value, real): (&u8, &u8)| usize::from(*value) == class || *real == ignore;
            let mask = |values: &[u8]| values.iter().zip(real).map(inside).collect::<Vec<bool>>();
            let (a, b) = (boundary(size, &mask(real), distance), boundary(size, &mask(found), distance));
            let counted = a.iter().zip(&b).zip(real).filter(|(_, real)| **real != ignore);
            let (both, either) = counted
                .fold((0, 0), |(both, either), ((a, b), _)| (both + u64::from(*a && *b), either + u64::from(*a || *b)));
            self.counts[class].0 += both;
            self.counts[class].1 += either;
        }
    }

    /// The boundary IoU of each class; `None` if it is neither there nor found.
    #[must_use]
    pub fn iou(&self) -> Vec<Option<f64>> {
        self.counts.iter().map(|(both, either)| (*either > 0).then(|| *both as f64 / *either as f64)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_ends_where_nothing_is_labelled() {
        let size = Size::new(8, 1);
        let mut edges = Boundaries::default();
        // Found rightly on both sides of what is not labelled.
        edges.add(size, &[1, 1, 1, 255, 255, 1, 1, 1], &[1; 8], 255, 2);
        assert_eq!(edges.iou(), [None, Some(1.0)]);
    }

    #[test]
    fn a_boundary_is_as_wide_as_it_should_be() {
        let size = Size::new(7, 7);
        let all = boundary(size, &[true; 49], 2);
        assert_eq!(all.iter().filter(|edge| **edge).count(), 40, "the edge of the picture is one, too");
        assert_eq!((width(Size::new(64, 48)), width(Size::new(100, 75)), width(Size::new(20, 15))), (2, 2, 1));
    }
}
