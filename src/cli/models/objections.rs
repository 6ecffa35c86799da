//! What cannot be right in a model's answers, whatever the picture shows: most often a card that reads them wrongly.

use crate::error::{Error, Result};
use crate::infer::Outputs;
use crate::models::segmentation::{Form, Segmentation};
use crate::types::{Detection, Placement};

/// Fewer answers than this say nothing about the model.
const FEW: usize = 10;

/// Scores may exceed 1 by rounding.
const ROUNDING: f32 = 1e-3;

/// Objects to boxes, which were asked for with a minimum score of 0.
///
/// # Errors
/// [`Error::Model`] with the objection and what is usually wrong.
pub fn boxes(found: &[Detection], placement: &Placement) -> Result<()> {
    let most = found.iter().map(|d| d.score).fold(0.0, f32::max);
    if most > 1.0 + ROUNDING {
        return object(&format!(
            "a score is {most:.2}, but scores lie between 0 and 1; are `scores` in the family and the quantization right?"
        ));
    }
    if found.len() < FEW {
        return Ok(());
    }
    let least = found.iter().map(|d| d.score).fold(f32::INFINITY, f32::min);
    // A layout without scores gives 1 to all.
    if most - least < 1e-6 && least < 1.0 {
        return object(&format!(
            "all {} boxes have the score {most:.4}; does the family read the right output and columns?",
            found.len()
        ));
    }
    let (x, y) = placement.scale;
    let sides = |d: &Detection| ((d.bbox.x2 - d.bbox.x1) / x, (d.bbox.y2 - d.bbox.y1) / y);
    let is_dot = |d: &Detection| sides(d).0 < 2.0 && sides(d).1 < 2.0;
    // At the edges of the frame, boxes may be cut to nothing.
    if found.iter().filter(|d| is_dot(d)).count() * 10 >= found.len() * 9 {
        return object(&format!(
            "almost all of {} boxes are smaller than 2 pixels of the input; are they parts of its size (`units: relative`), or is their `form` another?",
            found.len()
        ));
    }
    let has_area = |d: &&Detection| sides(d).0 > 0.0 && sides(d).1 > 0.0;
    if found.iter().filter(has_area).count() * 2 < found.len() {
        return object(&format!("most of {} boxes have no area; is their `form` another?", found.len()));
    }
    Ok(())
}

/// Objects to the scores of a classifier for two different pictures.
///
/// # Errors
/// As [`boxes`].
pub fn classes(scores: &[f32], others: &[f32]) -> Result<()> {
    let outside = scores.iter().chain(others).find(|v| !(-ROUNDING..=1.0 + ROUNDING).contains(*v));
    if let Some(score) = outside {
        return object(&format!(
            "a score is {score:.2}, but scores lie between 0 and 1; is `scores: logits` missing in the family?"
        ));
    }
    if scores.len() > 1 && scores.iter().all(|v| (v - scores[0]).abs() < 1e-7) {
        return object(&format!(
            "all {} classes have the score {:.4}; is the right `output` named, and does the graph hold its weights?",
            scores.len(),
            scores[0]
        ));
    }
    let is_sure = scores.iter().all(|v| *v == 0.0 || *v == 1.0);
    if scores == others && !is_sure {
        return object("it gives the same scores for two different pictures; is the right `output` named?");
    }
    Ok(())
}

/// Objects to the values of a map.
///
/// # Errors
/// As [`boxes`].
pub fn map(spec: &Segmentation, outputs: &dyn Outputs) -> Result<()> {
    let (mut shape, mut values) = (Vec::new(), Vec::new());
    outputs.read(spec.output, 1.0, 0, &mut shape, &mut values)?;
    if let Some(value) = values.iter().find(|v| !v.is_finite()) {
        return object(&format!(
            "a value of the map is {value}; are `mean` and `std` of the input right, and is the file whole?"
        ));
    }
    let outside = values.iter().find(|v| !(-ROUNDING..=1.0 + ROUNDING).contains(*v));
    match outside {
        Some(value) if spec.form == Form::Probability => object(&format!(
            "a value of the map is {value:.2}, but `form: probability` means 0 to 1; is it `form: binary`?"
        )),
        _ => Ok(()),
    }
}

fn object(what: &str) -> Result<()> {
    Err(Error::Model(format!("its answers cannot be right: {what}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::infer::Arrays;
    use crate::types::BBox;

    fn list(score: impl Fn(usize) -> f32, side: f32) -> Vec<Detection> {
        (0..20).map(|n| Detection::new(BBox::new(n as f32, 5.0, n as f32 + side, 5.0 + side), 0, score(n))).collect()
    }

    fn said(result: Result<()>) -> String {
        result.err().map(|e| e.to_string()).unwrap_or_default()
    }

    #[test]
    fn answers_that_cannot_be_right_are_objected_to() {
        let p = Placement::default();
        let rising = |n: usize| n as f32 / 20.0;
        assert_eq!(said(boxes(&list(rising, 9.0), &p)), "");
        assert!(said(boxes(&list(|n| n as f32 / 10.0, 9.0), &p)).contains("score is 1.90"));
        assert!(said(boxes(&list(|_| 0.5, 9.0), &p)).contains("all 20 boxes have the score 0.5"));
        assert!(said(boxes(&list(rising, 0.5), &p)).contains("units: relative"));
        assert_eq!(said(boxes(&[], &p)), "", "nothing may be found");
        assert_eq!(said(classes(&[0.2, 0.8], &[0.3, 0.7])), "");
        assert!(said(classes(&[-3.0, 8.0], &[0.3, 0.7])).contains("logits"));
        assert!(said(classes(&[0.5, 0.5], &[0.3, 0.7])).contains("all 2 classes"));
        assert!(said(classes(&[0.3, 0.7], &[0.3, 0.7])).contains("same scores"));
        let spec = Segmentation { form: Form::Probability, ..Segmentation::default() };
        let of = |value| map(&spec, &Arrays(vec![(vec![1, 1, 1, 2], vec![0.5, value])]));
        assert_eq!(said(of(1.0)), "");
        assert!(said(of(4.0)).contains("binary"));
        assert!(said(of(f32::NAN)).contains("NaN"));
    }
}
