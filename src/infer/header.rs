//! Compares a model's file with its card, without loading it into tract.

use super::Card;
use super::plan::{named, picture_input};
use crate::error::{Error, Result};
use crate::onnx::{Model, element_type, pb::ValueInfoProto};

/// Reads the weights and compares hash, inputs, outputs and states with the card. Returns the shape of each output as
/// the graph declares it, in the card's order, where it does.
///
/// # Errors
/// [`Error::Model`] says what differs.
pub fn check(card: &Card) -> Result<Vec<Option<Vec<usize>>>> {
    compare(card).map_err(|e| named(card, e))
}

fn compare(card: &Card) -> Result<Vec<Option<Vec<usize>>>> {
    let model = card.graph()?;
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
    Ok(declared(card, &model))
}

/// Returns the shape of each output as the graph declares it, in the card's order; `None` if it leaves a dimension
/// open. The batch is 1.
fn declared(card: &Card, model: &Model) -> Vec<Option<Vec<usize>>> {
    let graph = model.graph();
    let known = || graph.output.iter().chain(&graph.value_info);
    let shape = |name: &str| {
        let (_, shape) = known().find(|value| value.label() == name).and_then(element_type)?;
        let sides = shape?.into_iter().enumerate();
        sides.map(|(at, side)| side.or((at == 0).then_some(1))).collect()
    };
    let names = &card.fields.model.outputs;
    if names.is_empty() {
        return graph.output.iter().map(|output| shape(output.label())).collect();
    }
    names.iter().map(|name| shape(name)).collect()
}
