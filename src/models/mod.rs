//! Families of models: from tensors to answers. The card says which.

pub mod ssd;
pub mod yolo;

use crate::error::{Error, Result};
use crate::infer::{Card, Session};
use crate::types::{Detection, Placement};
use crate::yaml;
use serde::Deserialize;

/// How a card's tensors become answers.
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// Single shot detectors: offsets from anchors, and scores a class.
    Ssd(ssd::Ssd),
    /// YOLOX: a row for each cell of each stride.
    Yolox(yolo::Yolox),
}

/// Turns the outputs of a run into boxes.
pub trait Detector: Send {
    /// Puts every answer of at least `min_score` into `found`, in frame pixels, before NMS.
    ///
    /// # Errors
    /// [`Error::Model`] if an output has not the shape the card promises.
    fn decode(
        &mut self,
        session: &Session,
        placement: &Placement,
        min_score: f32,
        found: &mut Vec<Detection>,
    ) -> Result<()>;
}

/// Reads the family of a card.
///
/// # Errors
/// [`Error::Model`] with the place in the card.
pub fn family(card: &Card) -> Result<Family> {
    yaml::read(&card.family).map_err(|fault| card.error(fault.within("family")))
}

/// The detector of a card.
///
/// # Errors
/// [`Error::Model`] if the card is faulty or its model is no detector.
pub fn detector(card: &Card) -> Result<Box<dyn Detector>> {
    Ok(match family(card)? {
        Family::Ssd(ssd) => Box::new(ssd::SsdDetector::new(ssd, card)?),
        Family::Yolox(yolox) => Box::new(yolo::YoloxDetector::new(yolox, card)?),
    })
}

/// Refuses an output of another shape, in the words of the card.
fn check_shape(name: &str, what: &str, found: &[usize], expected: &[usize]) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    Err(Error::Model(format!("model `{name}`: output `{what}` has shape {found:?}, the card says {expected:?}")))
}

/// `1 / (1 + e^-x)`.
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

/// The number whose sigmoid is `p`; ±infinity at the ends.
fn logit(p: f32) -> f32 {
    (p / (1.0 - p)).ln()
}
