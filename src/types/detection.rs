//! One object found in a frame.

use super::BBox;

/// One object found in a frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Detection {
    /// Where, in frame pixels.
    pub bbox: BBox,
    /// Class number, counted from 0 in the order of the model's labels.
    pub class: u16,
    /// How sure the model is, 0–1.
    pub score: f32,
}
