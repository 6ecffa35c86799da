//! Proposes a card for an ONNX file: from its shapes, names and metadata, and from what it answers to a test picture.
//! Whatever cannot be known is marked as a guess. A word with a `?` is refused when the model is loaded, because another
//! word would be as likely and the answers would be silently wrong.

mod boxes;
mod ending;
mod facts;
mod family;
mod input;
mod nms;
mod seen;

use crate::error::Result;
use crate::infer::selfcheck::test_picture;
use crate::infer::{Probed, probe};
use crate::onnx::Model;
use crate::ops::resize::{Filter, Fit, Resize, plan};
use crate::types::{Image, Size};
use facts::Facts;
use input::Input;
use std::fmt::Write as _;

/// A proposed card.
#[derive(Clone, Debug)]
pub struct Proposal {
    /// The card's text; `SHA256` stands for the hash of the file.
    pub card: String,
    /// Names of the classes; empty if the card holds them or there are none.
    pub labels: Vec<String>,
    /// What was guessed and must be checked by a person.
    pub guesses: Vec<String>,
}

/// Proposes a card for a model. `size` is the input size to assume if the graph leaves it open, and `picture` one that the
/// model should find something in.
///
/// # Errors
/// [`crate::error::Error::Model`] if the model takes no picture, tract cannot run it, or no family reads its outputs.
pub fn propose(model: &Model, size: Option<Size>, picture: Option<&Image>) -> Result<Proposal> {
    let mut guesses = Vec::new();
    let meta = |key: &str| {
        let found = model.proto.metadata_props.iter().find(|p| p.key.as_deref() == Some(key));
        found.and_then(|p| p.value.clone())
    };
    let mut model = model.clone();
    let input = Input::of(&mut model, meta("imgsz").as_deref(), size, &mut guesses)?;
    let mut seen = test_picture(input.size);
    if let Some(picture) = picture {
        let plan = plan(picture.size, input.size, Fit::Stretch);
        Resize::default().apply(picture, &plan, Filter::Bilinear, 0, &mut seen)?;
    }
    let is_ultralytics = meta("stride").is_some() && meta("names").is_some();
    // Without it, frames with few objects cost as much, and all thresholds are in the pipeline.
    let mut cut = if is_ultralytics { nms::candidates(&model) } else { Vec::new() };
    let candidates = if cut.is_empty() { Vec::new() } else { probe(&model, &input.probe(), &seen, &cut)?.0 };
    // A graph whose end tract cannot read may be right up to there.
    let (outputs, failed) = match probe(&model, &input.probe(), &seen, &[]) {
        Err(error) if candidates.iter().any(|output| output.held.is_some()) => {
            (declared(&model), Some(error.to_string()))
        }
        other => other?,
    };
    let facts = Facts {
        model: &model,
        input,
        outputs,
        names: meta("names").map(|text| read_names(&text)).unwrap_or_default(),
        task: meta("task"),
        is_ultralytics,
        is_rt_detr: meta("head").is_some_and(|head| head == "RTDETRDecoder"),
        points: meta("kpt_shape").and_then(|text| serde_json::from_str(&text).ok()),
    };
    let before_nms = nms::columns(&facts, &candidates, &mut guesses);
    if let Some(why) = failed.filter(|_| before_nms.is_none()) {
        guesses.push(format!("the graph stops at a test picture, so its answers could not be looked at: {why}"));
    }
    cut.clear();
    let found = match before_nms {
        Some((value, found)) => {
            // The maps of masks are a second output.
            cut.extend([value].into_iter().chain(facts.outputs.iter().skip(1).map(|output| output.name.clone())));
            guesses.push("the graph is cut in front of its NMS: put `nms` behind `detect` in the pipeline".into());
            found
        }
        None => family::of(&facts, &mut guesses)?,
    };
    let labels = labels(facts.names.clone(), found.classes, &mut guesses);
    let mut card = String::from("# Written by `ocelli models new`. Lines with a `?` are guesses: check them.\n");
    let license = meta("license").unwrap_or_else(|| "unknown # ?".into());
    let _ = writeln!(card, "model:\n  file: model.onnx\n  sha256: SHA256\n  license: {license}");
    let source = meta("author").or(model.proto.producer_name.clone()).unwrap_or_else(|| "unknown".into());
    let _ = writeln!(card, "  source: {source:?} # ? where the weights come from");
    if !cut.is_empty() {
        let _ = writeln!(card, "  outputs: {cut:?}");
    }
    card.push_str(&facts.input.constants());
    // DETR and Deformable DETR; those that choose their queries (RT-DETR, D-FINE) take levels divided by 255.
    let is_imagenet = facts.outputs.iter().any(|output| output.name == "pred_boxes") && !facts.has("TopK");
    // Ultralytics resizes with OpenCV, but for classifiers.
    let fit = facts.is_ultralytics.then_some(match facts.task.as_deref() {
        Some("classify") => "fit: crop",
        _ if facts.is_rt_detr => "filter: cv_linear",
        _ => "fit: letterbox, filter: cv_linear",
    });
    card.push_str(&facts.input.line(&found.family, fit, is_imagenet, &mut guesses));
    let _ = writeln!(card, "family:\n  {}", found.family);
    if !labels.is_empty() {
        card.push_str("labels: labels.txt\n");
    }
    Ok(Proposal { card, labels, guesses })
}

/// The outputs as the graph declares them.
fn declared(model: &Model) -> Vec<Probed> {
    let output = |value: &crate::onnx::pb::ValueInfoProto| {
        let (kind, dims) = crate::onnx::element_type(value).unzip();
        Probed { name: value.label().to_owned(), dims: dims.flatten().unwrap_or_default(), kind, held: None }
    };
    model.graph().output.iter().map(output).collect()
}

/// Reads the class names as Ultralytics writes them: `{0: 'person', 1: 'bicycle'}`.
fn read_names(text: &str) -> Vec<String> {
    let inside = text.trim().trim_start_matches('{').trim_end_matches('}');
    let mut names = Vec::new();
    let mut rest = inside;
    while let Some(start) = rest.find(['\'', '"']) {
        let quote = rest.as_bytes()[start] as char;
        let tail = &rest[start + 1..];
        let Some(end) = tail.find(quote) else { break };
        names.push(tail[..end].to_owned());
        rest = &tail[end + 1..];
    }
    names
}

fn labels(names: Vec<String>, classes: usize, guesses: &mut Vec<String>) -> Vec<String> {
    if names.len() == classes || classes == 0 {
        return if classes == 0 { Vec::new() } else { names };
    }
    guesses.push(format!(
        "the graph does not name its classes; labels.txt numbers all {classes}: write their names instead"
    ));
    (0..classes).map(|class| format!("class {class}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_ultralytics_are_read() {
        assert_eq!(read_names("{0: 'person', 1: \"dog's ball\", 2: 'a, b'}"), ["person", "dog's ball", "a, b"]);
        assert!(read_names("{").is_empty());
        assert!(read_names("{0: 'open").is_empty());
    }
}
