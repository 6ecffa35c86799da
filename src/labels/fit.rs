//! Do boxes fit their pictures? Boxes in another unit give low numbers, and nothing else shows it.

use super::Picture;
use super::notes::Notes;
use super::text::shown;
use crate::error::{Error, Result};
use crate::types::Size;

/// Returns the box around points: x1, y1, x2, y2.
pub(super) fn around<'a>(points: impl IntoIterator<Item = &'a [f64; 2]>) -> Option<[f64; 4]> {
    let mut all = [f64::INFINITY, f64::INFINITY, f64::NEG_INFINITY, f64::NEG_INFINITY];
    for [x, y] in points {
        all = [all[0].min(*x), all[1].min(*y), all[2].max(*x), all[3].max(*y)];
    }
    (all.iter().all(|v| v.is_finite()) && all[2] > all[0] && all[3] > all[1]).then_some(all)
}

/// Counts how boxes lie in their pictures.
#[derive(Clone, Debug, Default)]
pub struct BoxFit {
    count: u64,
    /// Reach out of the picture by more than a pixel.
    outside: u64,
    /// Would lie in the picture if width and height were the second corner.
    corners: u64,
    /// No number is above 1.
    parts: u64,
    first: Vec<String>,
    /// A box outside its picture, and one whose numbers are below 1.
    examples: [Option<String>; 2],
}

/// A box may reach out of its picture by this much: people round.
const ROUNDING: f64 = 1.0;

impl BoxFit {
    /// Counts the boxes of pictures whose size the labels state.
    #[must_use]
    pub fn over<'a>(pictures: impl IntoIterator<Item = &'a Picture>) -> Self {
        let mut fit = Self::default();
        for picture in pictures {
            let Some(stated) = picture.size else { continue };
            for labelled in &picture.boxes {
                let corners = labelled.place.corners(stated);
                // The stated size may be that of the file, and the boxes those of the picture turned upright.
                let turned = Size::new(stated.height, stated.width);
                let inside = |size: Size| {
                    let edge = |side: u32| f64::from(side) + ROUNDING;
                    corners[2] <= edge(size.width) && corners[3] <= edge(size.height)
                };
                let size = if !inside(stated) && inside(turned) { turned } else { stated };
                fit.add(corners, size, || shown(&picture.path));
            }
        }
        fit
    }

    /// Counts a box, in pixels, of a picture of this size; `place` says where it is labelled.
    pub fn add(&mut self, [x1, y1, x2, y2]: [f64; 4], size: Size, place: impl FnOnce() -> String) {
        let (w, h) = (f64::from(size.width), f64::from(size.height));
        self.count += 1;
        let out = x1 < -ROUNDING || y1 < -ROUNDING || x2 > w + ROUNDING || y2 > h + ROUNDING;
        let (second_x, second_y) = (x2 - x1, y2 - y1);
        let as_corners = second_x > x1 && second_y > y1 && second_x <= w + ROUNDING && second_y <= h + ROUNDING;
        self.corners += u64::from(as_corners && x1 >= 0.0 && y1 >= 0.0);
        let small = [x1, y1, second_x, second_y].iter().all(|v| (0.0..=1.0).contains(v)) && w.min(h) > 8.0;
        self.parts += u64::from(small);
        if out {
            self.outside += 1;
            if self.first.len() < 3 {
                let shown = format!("{}: [{x1:.0}, {y1:.0}, {x2:.0}, {y2:.0}] in {size}", place());
                self.examples[0].get_or_insert_with(|| shown.clone());
                self.first.push(shown);
            }
        } else if small && self.examples[1].is_none() {
            self.examples[1] = Some(format!("{}: [{x1}, {y1}, {second_x}, {second_y}] in {size}", place()));
        }
    }

    /// Says what is odd about the boxes.
    ///
    /// # Errors
    /// [`Error::Data`] if they are in another unit, or belong to other pictures.
    pub fn judge(&self, notes: &mut Notes) -> Result<()> {
        let Self { count, outside, corners, parts, .. } = *self;
        let [example, tiny] = self.examples.each_ref().map(|example| example.as_deref().unwrap_or_default());
        if count > 0 && parts * 2 > count {
            return Err(Error::Data(format!(
                "{parts} of {count} boxes have no number above 1: they are fractions of the picture (0 to 1), but pixels are expected ({tiny}); multiply them by its width and height"
            )));
        }
        if outside * 10 > count * 3 && corners * 10 >= count * 9 {
            return Err(Error::Data(format!(
                "{outside} of {count} boxes reach outside their pictures, but {corners} would fit if their last two numbers were the second corner instead of width and height ({example}); write left, top, width, height"
            )));
        }
        if outside * 2 > count {
            return Err(Error::Data(format!(
                "{outside} of {count} boxes reach outside their pictures ({example}): they belong to other pictures, or to these at another size; give the labels of these pictures"
            )));
        }
        for first in &self.first {
            notes.add("boxes that reach outside their pictures", || first.clone());
        }
        let rest = outside - self.first.len() as u64;
        (0..rest).for_each(|_| notes.add("boxes that reach outside their pictures", String::new));
        if parts > 0 {
            notes
                .say(format!("boxes smaller than a pixel, perhaps fractions of the picture: {parts} (such as {tiny})"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(boxes: &[[f64; 4]]) -> Result<Vec<String>> {
        let mut fit = BoxFit::default();
        boxes.iter().for_each(|b| fit.add(*b, Size::new(100, 80), || "a.jpg".into()));
        let mut notes = Notes::default();
        fit.judge(&mut notes).map(|()| notes.lines())
    }

    #[test]
    fn boxes_in_another_unit_are_told_from_odd_ones() {
        let good = [10.0, 10.0, 50.0, 60.0];
        assert!(judged(&[good, [0.0, 0.0, 101.0, 80.5]]).unwrap().is_empty());
        assert!(judged(&[good, good, [90.0, 10.0, 140.0, 60.0]]).unwrap()[0].contains("outside"));
        // Corners as width and height: 30, 20, 60, 70 and 5, 50, 90, 75.
        let corners = [[30.0, 20.0, 90.0, 90.0], [5.0, 50.0, 95.0, 125.0]];
        assert!(judged(&corners).unwrap_err().to_string().contains("second corner"));
        assert!(judged(&[[0.1, 0.2, 0.4, 0.9], [0.5, 0.0, 1.0, 0.3]]).unwrap_err().to_string().contains("0 to 1"));
        assert!(judged(&[[200.0, 10.0, 240.0, 60.0]]).unwrap_err().to_string().contains("outside"));
        assert_eq!(around(&[[1.0, 2.0], [5.0, 0.0]]), Some([1.0, 0.0, 5.0, 2.0]));
    }
}
