//! Runs a graph that has no card yet, to see what it answers.

use super::compile;
use super::guarded::guarded;
use super::plan::runnable;
use crate::error::{Error, Result};
use crate::kernels::Isa;
use crate::onnx::shape::Shapes;
use crate::onnx::{DataType, Model, element_type, rewrite};
use crate::types::Image;
use std::collections::HashMap;
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::internal::DimLike as _;

/// The input that takes the picture.
#[derive(Clone, Debug)]
pub struct ProbeInput {
    /// Its name.
    pub name: String,
    /// Its shape: `[1, C, H, W]`, `[1, H, W, C]`, or one of them without the batch.
    pub shape: Vec<usize>,
    /// Whether the channels come last.
    pub nhwc: bool,
    /// Its type.
    pub kind: DataType,
}

/// An output of a graph.
#[derive(Clone, Debug)]
pub struct Probed {
    /// Its name.
    pub name: String,
    /// Its shape; `None` for a side that depends on the picture.
    pub dims: Vec<Option<usize>>,
    /// Its type, if the graph says it.
    pub kind: Option<DataType>,
    /// What it held for the picture: shape and values.
    pub held: Option<(Vec<usize>, Vec<f32>)>,
}

/// Outputs larger than this are not looked at.
const MOST: usize = 50_000_000;

/// Returns the outputs of a graph, or the values `heads` in their place, and what they hold for a picture of its input size
/// (levels divided by 255 for inputs of floats). The second part says why the graph could not be run, if so.
///
/// # Errors
/// [`Error::Model`] if tract cannot read the graph.
pub fn probe(
    model: &Model,
    input: &ProbeInput,
    picture: &Image,
    heads: &[String],
) -> Result<(Vec<Probed>, Option<String>)> {
    probe_with(model, input, picture, heads, None).map(|(outputs, why, _)| (outputs, why))
}

/// Like [`probe`], with our kernels wherever they know an operator, however small the block; also returns the number of
/// blocks.
///
/// # Errors
/// As [`probe`].
pub fn probe_with(
    model: &Model,
    input: &ProbeInput,
    picture: &Image,
    heads: &[String],
    isa: Option<Isa>,
) -> Result<(Vec<Probed>, Option<String>, usize)> {
    let mut model = model.clone();
    let facts: Vec<(String, Vec<usize>)> = model
        .inputs()
        .map(|given| {
            let declared = element_type(given).and_then(|(_, shape)| shape).unwrap_or_default();
            let closed = declared.into_iter().map(|side| side.unwrap_or(1)).collect();
            (given.label().to_owned(), if given.label() == input.name { input.shape.clone() } else { closed })
        })
        .collect();
    let kinds: HashMap<String, DataType> = model
        .graph()
        .output
        .iter()
        .filter_map(|value| Some((value.label().to_owned(), element_type(value)?.0)))
        .collect();
    let shapes: Shapes = facts.iter().cloned().collect();
    let context = rewrite::Context {
        inputs: shapes,
        float_activations: true,
        heads: heads.to_vec(),
        ..rewrite::Context::default()
    };
    guarded(|| Ok(rewrite::run(&mut model, &context))).map_err(Error::Model)??;
    let blocks = match isa {
        Some(isa) => compile::compile(&mut model, &context.inputs, isa, true)?.blocks,
        None => Vec::new(),
    };
    let bytes = model.encode();
    let names: Vec<String> = model.graph().output.iter().map(|o| o.label().to_owned()).collect();
    let plan = guarded(|| runnable(&bytes, &facts, &blocks, true)).map_err(Error::Model)?;
    let dims = |at: usize| -> Vec<Option<usize>> {
        let fact = plan.model().output_fact(at);
        fact.map_or_else(|_| Vec::new(), |fact| fact.shape.iter().map(|side| side.to_usize().ok()).collect())
    };
    let mut outputs: Vec<Probed> = names
        .into_iter()
        .enumerate()
        .map(|(at, name)| Probed { dims: dims(at), kind: kinds.get(&name).copied(), name, held: None })
        .collect();
    let ran = guarded(|| {
        let tensor = |(at, (name, shape)): (usize, &(String, Vec<usize>))| -> TractResult<TValue> {
            let datum = plan.model().input_fact(at)?.datum_type;
            let tensor = if *name == input.name {
                fill(input, picture)?.cast_to_dt(datum)?.into_owned()
            } else {
                Tensor::zero_dt(datum, shape)?
            };
            Ok(tensor.into_tvalue())
        };
        let inputs: TractResult<TVec<TValue>> = facts.iter().enumerate().map(tensor).collect();
        inputs.and_then(|inputs| plan.run(inputs)).map_err(|e| format!("{e:#}"))
    });
    let ran = match ran {
        Ok(ran) => ran,
        Err(why) => return Ok((outputs, Some(why), blocks.len())),
    };
    for (output, tensor) in outputs.iter_mut().zip(ran) {
        if tensor.len() <= MOST
            && let Ok(cast) = tensor.cast_to::<f32>()
            && let Ok(view) = cast.try_as_plain_ram()
            && let Ok(values) = view.as_slice::<f32>()
        {
            output.held = Some((tensor.shape().to_vec(), values.to_vec()));
        }
    }
    Ok((outputs, None, blocks.len()))
}

/// The picture as a tensor of floats.
fn fill(input: &ProbeInput, picture: &Image) -> TractResult<Tensor> {
    let pixels = picture.size.pixels();
    let channels = input.shape.iter().product::<usize>() / pixels.max(1);
    let divisor =
        if matches!(input.kind, DataType::U8 | DataType::I8 | DataType::I32 | DataType::I64) { 1.0 } else { 255.0 };
    let low = if input.kind == DataType::I8 { 128.0 } else { 0.0 };
    let level = |pixel: usize, channel: usize| {
        let rgb = &picture.data[pixel * 3..][..3];
        let level = if channels == 3 { rgb[channel] } else { rgb[1] };
        (f32::from(level) - low) / divisor
    };
    let value = |at: usize| {
        if input.nhwc { level(at / channels, at % channels) } else { level(at % pixels, at / pixels) }
    };
    let values: Vec<f32> = (0..pixels * channels).map(value).collect();
    Tensor::from_shape(&input.shape, &values)
}
