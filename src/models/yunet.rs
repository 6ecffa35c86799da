//! YuNet: faces with five points. Wu et al. 2023, YuNet: A Tiny Millisecond-level Face Detector, §3.

use super::checks::{check_shape, check_strides};
use super::detector::Detector;
use crate::error::Result;
use crate::infer::{Card, Outputs};
use crate::ops::iou::from_cxcywh;
use crate::types::{Details, Detection, Placement, Point, Size};
use serde::Deserialize;

/// `family: { yunet: {} }`: outputs of class, objectness (0–1), box and points for each stride, grouped by kind:
/// `cls_8, cls_16, cls_32, obj_8, …, bbox_8, …, kps_8, …`. Decoding gives the same numbers as OpenCV's
/// `FaceDetectorYN`.
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct YuNet {
    /// Stride of each level in input pixels, in the order of the outputs.
    #[serde(default = "default_strides")]
    #[schemars(length(min = 1, max = 8), inner(range(min = 4)))]
    pub strides: Vec<u32>,
}

fn default_strides() -> Vec<u32> {
    vec![8, 16, 32]
}

/// Decodes the levels: computes boxes and points only for faces above the threshold.
pub struct YuNetDetector {
    spec: YuNet,
    input: Size,
    shape: Vec<usize>,
    /// Class, objectness, box, points.
    parts: [Vec<f32>; 4],
    details: Details,
}

/// The names of a level's four outputs, and how many values each has per cell.
const PARTS: [(&str, usize); 4] = [("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10)];

impl YuNetDetector {
    /// Creates a decoder for a card's input size.
    ///
    /// # Errors
    /// [`crate::error::Error::Model`] if the strides are invalid.
    pub fn new(spec: YuNet, card: &Card) -> Result<Self> {
        check_strides(card, "yunet", &spec.strides)?;
        Ok(Self {
            spec,
            input: card.fields.input.size,
            shape: Vec::new(),
            parts: Default::default(),
            details: Details::default(),
        })
    }
}

impl Detector for YuNetDetector {
    fn decode(
        &mut self,
        outputs: &dyn Outputs,
        placement: &Placement,
        min_score: f32,
        found: &mut Vec<Detection>,
    ) -> Result<()> {
        self.details.clear();
        self.details.points_each = 5;
        for (level, &stride) in self.spec.strides.iter().enumerate() {
            let (w, h) = ((self.input.width / stride) as usize, (self.input.height / stride) as usize);
            for (number, ((name, width), part)) in PARTS.iter().zip(&mut self.parts).enumerate() {
                let index = number * self.spec.strides.len() + level;
                outputs.read(index, 1.0, 0, &mut self.shape, part)?;
                check_shape(outputs, name, &self.shape, &[1, w * h, *width])?;
            }
            let [cls, obj, bbox, kps] = &self.parts;
            let s = stride as f32;
            for cell in 0..w * h {
                let score = (cls[cell].clamp(0.0, 1.0) * obj[cell].clamp(0.0, 1.0)).sqrt();
                if score < min_score || score.is_nan() {
                    continue;
                }
                let (x, y) = ((cell % w) as f32, (cell / w) as f32);
                let b = &bbox[cell * 4..][..4];
                let middle = [(x + b[0]) * s, (y + b[1]) * s, b[2].exp() * s, b[3].exp() * s];
                let k = &kps[cell * 10..][..10];
                if k.iter().any(|v| !v.is_finite()) {
                    continue;
                }
                let point = |[dx, dy]: &[f32; 2]| {
                    let [x, y] = placement.point([(x + dx) * s, (y + dy) * s]);
                    Point { x, y, score: None }
                };
                let detail = (self.details.points.len() / 5) as u32;
                self.details.points.extend(k.as_chunks::<2>().0.iter().map(point));
                let bbox = placement.to_frame(from_cxcywh(middle));
                found.push(Detection { detail: Some(detail), ..Detection::new(bbox, 0, score) });
            }
        }
        Ok(())
    }

    fn details(&mut self) -> Option<&mut Details> {
        Some(&mut self.details)
    }
}
