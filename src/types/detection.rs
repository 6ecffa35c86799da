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

/// Five landmarks of a face in frame pixels, `[x, y]` each: right eye, left eye, tip of the nose, right and left
/// corner of the mouth. Right and left are the person's own.
pub type FacePoints = [[f32; 2]; 5];

/// One object found in a frame.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Detection {
    /// Where it is, in frame pixels.
    pub bbox: BBox,
    /// Class number, counted from 0 in the order of the model's labels.
    pub class: u16,
    /// How sure the model is, 0–1.
    pub score: f32,
    /// Landmarks of a face, if the model finds them.
    pub points: Option<FacePoints>,
    /// The classifiers' answers for the content of the box.
    pub kinds: Kinds,
}

impl Detection {
    /// Creates a detection from a box, a class and a score.
    #[must_use]
    pub const fn new(bbox: BBox, class: u16, score: f32) -> Self {
        Self { bbox, class, score, points: None, kinds: SmallVec::new_const() }
    }
}
