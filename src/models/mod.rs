//! Families of models: from tensors to answers. The card says which.

pub mod classifier;
pub mod fastestdet;
pub mod nanodet;
pub mod propose;
pub mod reconstruction;
pub mod segmentation;
pub mod ssd;
pub mod yolo;
pub mod yunet;

use crate::error::{Error, Result};
use crate::infer::{Card, Outputs, Run};
use crate::types::{Detection, ModelInput, Placement};
use crate::yaml::{self, Fault};
use serde::Deserialize;
use std::sync::Arc;

/// How a card's tensors become answers.
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// Single shot detectors: offsets from anchors, and scores a class.
    Ssd(ssd::Ssd),
    /// YOLO v3, v5, v7, v8, v11, X.
    Yolo(yolo::Yolo),
    /// FastestDet: one row a cell of one map.
    Fastestdet(fastestdet::FastestDet),
    /// NanoDet: scores and distances to the four sides, a distribution each.
    Nanodet(nanodet::NanoDet),
    /// YuNet: faces with five points.
    Yunet(yunet::YuNet),
    /// A score a class for the whole picture.
    Classifier(classifier::Classifier),
    /// A class a pixel.
    Segmentation(segmentation::Segmentation),
    /// A picture out of a picture: super-resolution, autoencoders.
    Reconstruction(reconstruction::Reconstruction),
}

impl Family {
    /// The stage that runs it.
    #[must_use]
    pub const fn stage(&self) -> &'static str {
        match self {
            Self::Ssd(_) | Self::Yolo(_) | Self::Fastestdet(_) | Self::Nanodet(_) | Self::Yunet(_) => "detect",
            Self::Classifier(_) => "classify",
            Self::Segmentation(_) => "segment",
            Self::Reconstruction(_) => "reconstruct",
        }
    }
}

/// What a detector sees of a frame.
#[derive(Clone, Copy)]
pub struct Seen<'a> {
    /// Name of the frame's source: models with a memory keep one for each.
    pub source: &'a Arc<str>,
    /// The model input.
    pub input: &'a ModelInput,
}

/// Finds objects with the graphs of a card.
pub trait Detector: Send {
    /// Runs the model and puts every answer of at least `min_score` into `found`, in frame pixels, before NMS. A detector
    /// of one stage leaves this as it is and writes [`Detector::decode`]; one of two stages runs its graphs in turn.
    ///
    /// # Errors
    /// [`Error::Model`] if a graph cannot be run or an output has not the shape the card promises.
    fn detect(&mut self, run: &mut dyn Run, seen: Seen<'_>, min_score: f32, found: &mut Vec<Detection>) -> Result<()> {
        let outputs = run.picture(seen.source, &seen.input.image)?;
        self.decode(outputs, &seen.input.placement, min_score, found)
    }

    /// Turns the outputs of the only graph into boxes.
    ///
    /// # Errors
    /// [`Error::Model`] if an output has not the shape the card promises.
    fn decode(
        &mut self,
        _outputs: &dyn Outputs,
        _placement: &Placement,
        _min_score: f32,
        _found: &mut Vec<Detection>,
    ) -> Result<()> {
        Err(Error::Internal("a detector of several graphs has nothing to decode from one of them".into()))
    }
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
        Family::Yolo(yolo) => Box::new(yolo::YoloDetector::new(yolo, card)?),
        Family::Fastestdet(spec) => Box::new(fastestdet::FastestDetDetector::new(spec, card)),
        Family::Nanodet(spec) => Box::new(nanodet::NanoDetDetector::new(spec, card)?),
        Family::Yunet(spec) => Box::new(yunet::YuNetDetector::new(spec, card)?),
        other => return Err(wrong_stage(card, &other, "detect")),
    })
}

/// The classifier of a card.
///
/// # Errors
/// [`Error::Model`] if the card is faulty or its model is no classifier.
pub fn classifier(card: &Card) -> Result<classifier::Classifier> {
    match family(card)? {
        Family::Classifier(spec) => Ok(spec),
        other => Err(wrong_stage(card, &other, "classify")),
    }
}

/// What a card says of a model that gives a class a pixel.
///
/// # Errors
/// [`Error::Model`] if the card is faulty or its model is of another family.
pub fn segmentation(card: &Card) -> Result<segmentation::Segmentation> {
    match family(card)? {
        Family::Segmentation(spec) => Ok(spec),
        other => Err(wrong_stage(card, &other, "segment")),
    }
}

/// What a card says of a model that makes pictures.
///
/// # Errors
/// [`Error::Model`] if the card is faulty or its model is of another family.
pub fn reconstruction(card: &Card) -> Result<reconstruction::Reconstruction> {
    match family(card)? {
        Family::Reconstruction(spec) => Ok(spec),
        other => Err(wrong_stage(card, &other, "reconstruct")),
    }
}

fn wrong_stage(card: &Card, family: &Family, asked: &str) -> Error {
    Error::Model(format!(
        "model `{}` is of the family `{}`, which `{asked}` does not run; use `{}`",
        card.name,
        card.family_name(),
        family.stage()
    ))
}

/// Refuses an output of another shape, in the words of the card.
fn check_shape(outputs: &dyn Outputs, what: &str, found: &[usize], expected: &[usize]) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    Err(Error::Model(format!(
        "model `{}`: output `{what}` has shape {found:?}, the card says {expected:?}",
        outputs.model()
    )))
}

/// Refuses strides that make no grid of the input.
fn check_strides(card: &Card, family: &str, strides: &[u32]) -> Result<()> {
    let input = card.fields.input.size;
    let fits = |stride: &u32| (4..=input.width.min(input.height)).contains(stride);
    if !strides.is_empty() && strides.len() <= 8 && strides.iter().all(fits) {
        return Ok(());
    }
    let message = format!("family.{family}.strides: {strides:?}; 1 to 8 numbers between 4 and the input's side");
    Err(card.error(Fault::new(card.family.place, message)))
}

/// `1 / (1 + e^-x)`.
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

/// The number whose sigmoid is `p`; ±infinity at the ends.
fn logit(p: f32) -> f32 {
    (p / (1.0 - p)).ln()
}

/// Turns a row of logits into probabilities.
fn softmax(row: &mut [f32]) {
    let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    row.iter_mut().for_each(|v| *v = (*v - max).exp());
    let sum: f32 = row.iter().sum();
    row.iter_mut().for_each(|v| *v /= sum);
}

/// The largest number of a row and its place; the first of equals. NaN never wins.
fn best_of(row: &[f32]) -> (usize, f32) {
    let mut best = (0, f32::NEG_INFINITY);
    for (at, &value) in row.iter().enumerate() {
        if value > best.1 {
            best = (at, value);
        }
    }
    best
}

/// The expected value of a distribution over `0, 1, 2, …` given by its logits: how GFL and the YOLOs since v8 write
/// a distance. Li et al. 2020, Generalized Focal Loss, §3.2.
fn expectation(logits: impl Iterator<Item = f32> + Clone) -> f32 {
    let max = logits.clone().fold(f32::NEG_INFINITY, f32::max);
    let (mut sum, mut mean) = (0.0, 0.0);
    for (bin, value) in logits.enumerate() {
        let weight = (value - max).exp();
        sum += weight;
        mean += weight * bin as f32;
    }
    mean / sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::infer::Arrays;
    use crate::types::{BBox, Image};

    /// Two graphs of a card: the first proposes boxes, the second says what is in each.
    struct TwoGraphs {
        proposals: Arrays,
        heads: Arrays,
        asked: Vec<usize>,
    }

    impl Run for TwoGraphs {
        fn picture(&mut self, _: &Arc<str>, _: &Image) -> Result<&dyn Outputs> {
            Ok(&self.proposals)
        }
        fn further(&mut self, graph: &str, inputs: &[(&[usize], &[f32])]) -> Result<&dyn Outputs> {
            assert_eq!(graph, "heads");
            self.asked = inputs[0].0.to_vec();
            Ok(&self.heads)
        }
    }

    struct TwoStages;

    impl Detector for TwoStages {
        fn detect(
            &mut self,
            run: &mut dyn Run,
            seen: Seen<'_>,
            min_score: f32,
            found: &mut Vec<Detection>,
        ) -> Result<()> {
            let (mut shape, mut boxes, mut scores) = (Vec::new(), Vec::new(), Vec::new());
            run.picture(seen.source, &seen.input.image)?.read(0, 1.0, 0, &mut shape, &mut boxes)?;
            run.further("heads", &[(&shape, &boxes)])?.read(0, 1.0, 0, &mut shape, &mut scores)?;
            for (corners, score) in
                boxes.as_chunks::<4>().0.iter().zip(&scores).filter(|(_, score)| **score >= min_score)
            {
                let [x1, y1, x2, y2] = *corners;
                found.push(Detection::new(seen.input.placement.to_frame(BBox::new(x1, y1, x2, y2)), 0, *score));
            }
            Ok(())
        }
    }

    #[test]
    fn a_detector_of_two_stages_is_a_detector() {
        let proposals = Arrays(vec![(vec![2, 4], vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0])]);
        let heads = Arrays(vec![(vec![2], vec![0.1, 0.9])]);
        let mut run = TwoGraphs { proposals, heads, asked: Vec::new() };
        let input = ModelInput {
            placement: Placement { scale: (1.0, 1.0), offset: (0.0, 0.0), frame: crate::types::Size::new(10, 10) },
            ..ModelInput::default()
        };
        let mut found = Vec::new();
        let detector: &mut dyn Detector = &mut TwoStages;
        detector.detect(&mut run, Seen { source: &Arc::from("cam"), input: &input }, 0.5, &mut found).unwrap();
        assert_eq!(run.asked, [2, 4]);
        assert_eq!(found, [Detection::new(BBox::new(5.0, 6.0, 7.0, 8.0), 0, 0.9)]);
    }

    #[test]
    fn softmax_sums_to_one_for_large_numbers_too() {
        let mut row = [1000.0, 1000.0, -1000.0];
        softmax(&mut row);
        assert_eq!(row, [0.5, 0.5, 0.0]);
    }

    #[test]
    fn an_even_distribution_has_its_middle_as_expectation() {
        assert!((expectation([0.0; 16].into_iter()) - 7.5).abs() < 1e-6);
        assert!((expectation([0.0, 200.0, 0.0].into_iter()) - 1.0).abs() < 1e-6);
    }

    #[test]
    fn nan_never_wins() {
        assert_eq!(best_of(&[f32::NAN, 1.0, 1.0]).0, 1);
    }
}
