//! Compares a model's file with its card, without loading it into tract.

use super::Card;
use super::plan::{named, picture_input};
use crate::error::{Error, Result};
use crate::onnx::{Model, element_type, pb::ValueInfoProto};

/// Reads the weights and compares hash, inputs, outputs, states and, for a classifier, the number of labels with the
/// card.
///
/// # Errors
/// [`Error::Model`] says what differs.
pub fn check(card: &Card) -> Result<()> {
    compare(card).map_err(|e| named(card, e))
}

fn compare(card: &Card) -> Result<()> {
    let model = Model::decode(card.weights()?)?;
    picture_input(card, &model)?;
    let spec = &card.fields.model;
    let outputs: Vec<&str> = model.graph().output.iter().map(ValueInfoProto::label).collect();
    let inputs: Vec<&str> = model.inputs().map(ValueInfoProto::label).collect();
    let index = model.index();
    let made = |name: &str| outputs.contains(&name) || index.maker(name).is_some();
    for name in spec.outputs.iter().chain(spec.state.iter().map(|state| &state.output)) {
        if !made(name) {
            return Err(Error::Model(format!(
                "the card names the output `{name}`; the graph has {} (`ocelli models info` lists all)",
                outputs.join(", ")
            )));
        }
    }
    for state in &spec.state {
        if !inputs.contains(&state.input.as_str()) {
            let (name, known) = (&state.input, inputs.join(", "));
            return Err(Error::Model(format!("the card names the input `{name}`; the graph has {known}")));
        }
    }
    check_labels(card, &model)
}

/// A classifier has as many labels as its output has values.
fn check_labels(card: &Card, model: &Model) -> Result<()> {
    let (labels, graph) = (card.labels.len(), model.graph());
    let name = card.fields.model.outputs.first();
    let output = graph.output.iter().find(|output| name.is_none_or(|name| output.label() == name));
    let shape = output.and_then(element_type).and_then(|(_, shape)| shape);
    let values = shape.and_then(|shape| {
        // The batch comes first, unless there is only one dimension.
        let batch = usize::from(shape.len() > 1);
        shape.iter().skip(batch).copied().try_fold(1_usize, |all, side| all.checked_mul(side?))
    });
    match values {
        Some(values) if card.family_name() == "classifier" && labels > 0 && values != labels => {
            Err(Error::Model(format!("the graph tells {values} classes apart, but the card has {labels} labels")))
        }
        _ => Ok(()),
    }
}
