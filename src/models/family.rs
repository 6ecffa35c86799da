//! The families that a card can name.

use super::classifier::Classifier;
use super::detector::Detector;
use super::reconstruction::Reconstruction;
use super::segmentation::Segmentation;
use super::{boxes, fastestdet, nanodet, ssd, yolo, yunet};
use crate::error::{Error, Result};
use crate::infer::Card;
use crate::yaml::{self, Node, Value};
use serde::Deserialize;

/// How a card's tensors become answers.
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// Single-shot detectors: offsets from anchors, and one score per class.
    Ssd(ssd::Ssd),
    /// YOLO v3, v5, v7, v8, v11, X.
    Yolo(yolo::Yolo),
    /// FastestDet: a single map with one column of values per cell.
    Fastestdet(fastestdet::FastestDet),
    /// NanoDet: scores, and the distances to the four sides as distributions.
    Nanodet(nanodet::NanoDet),
    /// YuNet: faces with five points.
    Yunet(yunet::YuNet),
    /// Finished boxes, whatever made them: YOLOv10 and later, NMS inside, DETR, TensorFlow's and torchvision's detectors.
    Boxes(boxes::Boxes),
    /// One score per class for the whole picture.
    Classifier(Classifier),
    /// One class per pixel.
    Segmentation(Segmentation),
    /// A picture from a picture: super-resolution, autoencoders.
    Reconstruction(Reconstruction),
}

impl Family {
    /// Returns the name of the stage that runs it.
    #[must_use]
    pub const fn stage(&self) -> &'static str {
        match self {
            Self::Ssd(_) | Self::Yolo(_) | Self::Fastestdet(_) | Self::Nanodet(_) | Self::Yunet(_) | Self::Boxes(_) => {
                "detect"
            }
            Self::Classifier(_) => "classify",
            Self::Segmentation(_) => "segment",
            Self::Reconstruction(_) => "reconstruct",
        }
    }
}

/// Reads the family of a card.
///
/// # Errors
/// [`Error::Model`] with the position in the card.
pub fn family(card: &Card) -> Result<Family> {
    if let Some(node) = guess(&card.family) {
        let word = node.text().unwrap_or_default();
        let message = format!(
            "family: `{word}` is a guess, and another word would be as likely: look up what the model gives, or try `ocelli models new FILE --try PICTURE`; then write the right word without the `?`"
        );
        return Err(card.error(yaml::Fault::new(node.place, message)));
    }
    yaml::read(&card.family).map_err(|fault| card.error(fault.within("family")))
}

/// The first word with a `?`, with which `ocelli models new` marks what it could not know.
fn guess(node: &Node) -> Option<&Node> {
    match &node.value {
        Value::Map(entries) => entries.iter().find_map(|(_, value)| guess(value)),
        Value::List(items) => items.iter().find_map(guess),
        _ => node.text().filter(|text| text.ends_with('?')).map(|_| node),
    }
}

/// Creates the detector for a card.
///
/// # Errors
/// [`Error::Model`] if the card is faulty or its model is not a detector.
pub fn detector(card: &Card) -> Result<Box<dyn Detector>> {
    Ok(match family(card)? {
        Family::Ssd(ssd) => Box::new(ssd::SsdDetector::new(ssd, card)?),
        Family::Yolo(yolo) => Box::new(yolo::YoloDetector::new(yolo, card)?),
        Family::Fastestdet(spec) => Box::new(fastestdet::FastestDetDetector::new(spec, card)),
        Family::Nanodet(spec) => Box::new(nanodet::NanoDetDetector::new(spec, card)?),
        Family::Boxes(spec) => Box::new(boxes::BoxesDetector::new(spec, card)?),
        Family::Yunet(spec) => Box::new(yunet::YuNetDetector::new(spec, card)?),
        other => return Err(wrong_stage(card, &other, "detect")),
    })
}

/// Returns the classifier of a card.
///
/// # Errors
/// [`Error::Model`] if the card is faulty or its model is not a classifier.
pub fn classifier(card: &Card) -> Result<Classifier> {
    match family(card)? {
        Family::Classifier(spec) => Ok(spec),
        other => Err(wrong_stage(card, &other, "classify")),
    }
}

/// Returns the segmentation settings of a card.
///
/// # Errors
/// [`Error::Model`] if the card is faulty or its model belongs to another family.
pub fn segmentation(card: &Card) -> Result<Segmentation> {
    match family(card)? {
        Family::Segmentation(spec) => Ok(spec),
        other => Err(wrong_stage(card, &other, "segment")),
    }
}

/// Returns the reconstruction settings of a card.
///
/// # Errors
/// [`Error::Model`] if the card is faulty or its model belongs to another family.
pub fn reconstruction(card: &Card) -> Result<Reconstruction> {
    match family(card)? {
        Family::Reconstruction(spec) => Ok(spec),
        other => Err(wrong_stage(card, &other, "reconstruct")),
    }
}

fn wrong_stage(card: &Card, family: &Family, asked: &str) -> Error {
    Error::Model(format!(
        "model `{}` belongs to the family `{}`, which `{asked}` does not run; use `{}`",
        card.name,
        card.family_name(),
        family.stage()
    ))
}
