//! Something that is really there, under the name of the model.

use super::super::rows::Object;
use crate::types::BBox;

/// Something that is really there.
pub struct GroundTruth {
    /// The class's name.
    pub label: String,
    /// The class's number in the model.
    pub class: u16,
    /// x1, y1, x2, y2 in pixels.
    pub corners: [f64; 4],
    /// Area in pixels, if it is not that of the box.
    pub area: Option<f64>,
    /// A crowd.
    pub crowd: bool,
    /// Marked as difficult.
    pub difficult: bool,
}

impl GroundTruth {
    /// Whether it need not be found.
    pub const fn ignored(&self) -> bool {
        self.crowd || self.difficult
    }

    /// The object as a detection would be.
    pub fn object(&self) -> Object {
        let [x1, y1, x2, y2] = self.corners.map(|v| v as f32);
        Object { label: self.label.clone(), class: self.class, score: 1.0, bbox: BBox::new(x1, y1, x2, y2) }
    }
}
