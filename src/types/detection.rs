//! Objects found in a frame, and the answers of classifiers.

use super::BBox;
use super::found::Maker;
use smallvec::SmallVec;
use std::sync::Arc;

/// One answer of a classifier.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Class {
    /// Class number, counted from 0 in the order of the model's labels.
    pub class: u16,
    /// How sure the model is, 0–1.
    pub score: f32,
}

/// A classifier's answer for the content of a box.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Kind {
    /// The classifier.
    pub by: Arc<Maker>,
    /// Its best answer.
    pub best: Class,
}

/// The kinds of one object, one per classifier. Up to two need no allocation.
pub type Kinds = SmallVec<[Kind; 2]>;

/// The corners of a turned box in frame pixels, `[x, y]` each, one after the other around it; some may lie outside the
/// frame.
pub type Corners = [[f32; 2]; 4];

/// One object found in a frame.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Detection {
    /// Where it is, in frame pixels: the upright box around it.
    pub bbox: BBox,
    /// Class number, counted from 0 in the order of the model's labels.
    pub class: u16,
    /// How sure the model is, 0–1.
    pub score: f32,
    /// The corners of the box, if the model finds turned ones.
    pub corners: Option<Corners>,
    /// Its number among the objects of which the model said more than the box, for [`Objects::points`] and [`Objects::mask`].
    ///
    /// [`Objects::points`]: super::Objects::points
    /// [`Objects::mask`]: super::Objects::mask
    pub detail: Option<u32>,
    /// The classifiers' answers for the content of the box.
    pub kinds: Kinds,
}

impl Detection {
    /// Whether no number of its box is NaN or infinite.
    #[must_use]
    pub fn is_finite(&self) -> bool {
        self.bbox.is_finite() && self.corners.iter().flatten().flatten().all(|v| v.is_finite())
    }

    /// Creates a detection from a box, a class and a score.
    #[must_use]
    pub const fn new(bbox: BBox, class: u16, score: f32) -> Self {
        Self { bbox, class, score, corners: None, detail: None, kinds: SmallVec::new_const() }
    }
}
