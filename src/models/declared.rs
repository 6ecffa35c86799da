//! Compares a model's file with its card and its family, without loading it if everything fits.

use super::classifier::Buffer;
use super::reconstruction::Reconstructor;
use super::segmentation::Segmenter;
use super::{Family, Seen, detector, family};
use crate::error::{Error, Result};
use crate::infer::{Card, Outputs, Session, header};
use crate::ops::resize::plan;
use crate::types::{Image, Mask, ModelInput, PixelFormat, Placement};
use std::sync::Arc;

/// Outputs larger than this are not tried.
const MAX_VALUES: usize = 100_000_000;
/// So high that next to nothing is decoded.
const MIN_SCORE: f32 = 0.999;

/// Outputs full of zeros, in the shapes that the graph declares.
struct Declared<'a> {
    model: &'a str,
    shapes: &'a [Option<Vec<usize>>],
}

impl Outputs for Declared<'_> {
    fn model(&self) -> &str {
        self.model
    }

    fn read(&self, index: usize, _: f32, _: i32, shape: &mut Vec<usize>, values: &mut Vec<f32>) -> Result<()> {
        let declared = self.shapes.get(index).ok_or_else(|| {
            let (model, count) = (self.model, self.shapes.len());
            Error::Model(format!("model `{model}` has {count} outputs, but its card names output {index}"))
        })?;
        let volume = |sides: &Vec<usize>| sides.iter().try_fold(1_usize, |all, side| all.checked_mul(*side));
        let fits = declared.as_ref().and_then(|sides| Some((sides, volume(sides).filter(|v| *v <= MAX_VALUES)?)));
        let (sides, volume) = fits.ok_or_else(|| Error::Internal("the graph leaves this shape open".into()))?;
        shape.clone_from(sides);
        values.clear();
        values.resize(volume, 0.0);
        Ok(())
    }
}

/// Reads the weights and compares hash, inputs, outputs, states and labels with the card. What the family would say of
/// outputs in the shapes that the graph declares, it says now; since some files declare wrong shapes, the model is then
/// run once to make sure.
///
/// # Errors
/// [`Error::Model`] says what differs.
pub fn check(card: &Card) -> Result<()> {
    let shapes = header::check(card)?;
    let size = card.fields.input.size;
    let placement = plan(size, size, card.fields.input.fit).placement;
    let declared = Declared { model: &card.name, shapes: &shapes };
    let read = |outputs: &dyn Outputs| -> Result<()> {
        match family(card)? {
            Family::Classifier(spec) => spec.raw(outputs, card.labels.len(), &mut Buffer::default()),
            Family::Segmentation(spec) => {
                Segmenter::new(spec, card)?.segment(outputs, &placement, &mut Mask::default())
            }
            Family::Reconstruction(spec) => Reconstructor::new(spec, card)?.read(outputs),
            _ => detector(card)?.decode(outputs, &placement, MIN_SCORE, &mut Vec::new()),
        }
    };
    match read(&declared) {
        Err(Error::Model(_)) => run_once(card, placement, read),
        _ => Ok(()),
    }
}

/// Runs the model on a grey picture.
fn run_once(card: &Card, placement: Placement, read: impl Fn(&dyn Outputs) -> Result<()>) -> Result<()> {
    let mut session = Session::load(card)?;
    let mut image = Image::new(card.fields.input.size, PixelFormat::Rgb8);
    image.data.fill(128);
    let source = Arc::from("");
    if family(card)?.stage() == "detect" {
        let input = ModelInput { image, placement };
        return detector(card)?.detect(
            &mut session,
            Seen { source: &source, input: &input },
            MIN_SCORE,
            &mut Vec::new(),
        );
    }
    session.run(&source, &image)?;
    read(&session)
}
