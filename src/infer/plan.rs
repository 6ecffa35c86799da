//! From a card to a plan that tract can run: read, check, rewrite, optimise. Plans are shared between sessions.

use super::compile::{self, Block, Compiled};
use super::extra::Extra;
use super::guarded::guarded;
use super::{Card, Dtype, Precision, choose};
use crate::error::{Error, Result};
use crate::kernels::Kernels;
use crate::onnx::{self, DataType, Model, rewrite, shape::Shapes};
use std::sync::Arc;
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::infer::Factoid;

/// Largest allowed tensor. A graph with a larger one is broken or too big for a small computer.
const MAX_TENSOR_BYTES: usize = 256 << 20;

/// A graph that is ready to run, without anything that belongs to a single line.
pub struct Plan {
    pub(super) runnable: Arc<TypedRunnableModel>,
    /// Type and shape of the input that receives the picture; every other input is a state.
    pub(super) datum: DatumType,
    pub(super) shape: Vec<usize>,
    pub(super) states: Vec<StateSlot>,
    pub(super) inputs: usize,
    /// Names of the outputs, extra ones last.
    pub outputs: Vec<String>,
    /// What was changed in the graph before tract saw it: the name of each pass and the number of places it changed.
    pub passes: Vec<(&'static str, usize)>,
    /// Whether the plan still rounds to 8 bits.
    pub quantised: bool,
    /// Whether its roundings to 8 bits were kept, so that our kernels can compute on levels.
    pub integers: bool,
    /// The rewritten graph.
    pub model: Arc<Model>,
    /// What our kernels run, and why not the rest.
    pub compiled: Compiled,
    /// The one block that is the whole graph, and which of its outputs is which of the plan's.
    pub(super) whole: Option<(Block, Vec<usize>)>,
}

/// An input that receives an output of the previous run.
#[derive(Clone, Debug)]
pub(super) struct StateSlot {
    pub(super) input: usize,
    pub(super) output: usize,
    pub(super) datum: DatumType,
    pub(super) shape: Vec<usize>,
}

impl Plan {
    /// Loads the model of a card: reads, checks the hash and the input, rewrites, optimises.
    ///
    /// # Errors
    /// [`Error::Model`] if the weights do not match the card or tract cannot run them.
    pub fn load(card: &Card, extra: &Extra) -> Result<Self> {
        Self::load_with(card, extra, Kernels::chosen()?)
    }

    /// Like [`Plan::load`], with these kernels.
    ///
    /// # Errors
    /// As [`Plan::load`].
    pub fn load_with(card: &Card, extra: &Extra, kernels: Kernels) -> Result<Self> {
        Self::build(card, extra, Some(kernels), None).map_err(|e| named(card, e))
    }

    /// Loads the plan as tract reads it, without optimisation. It is slow; the fast plan is checked against it.
    pub(super) fn load_plain(card: &Card, integers: bool) -> Result<Self> {
        Self::build(card, &Extra::default(), None, Some(integers)).map_err(|e| named(card, e))
    }

    fn build(card: &Card, extra: &Extra, kernels: Option<Kernels>, integers: Option<bool>) -> Result<Self> {
        let spec = &card.fields.model;
        let mut model = card.graph()?;
        let (picture_name, shape) = picture_input(card, &model)?;
        let mut inputs = Shapes::new();
        for input in model.inputs() {
            let declared = onnx::element_type(input).and_then(|(_, shape)| shape).unwrap_or_default();
            // An open dimension is a batch size of one.
            inputs.insert(input.label().to_owned(), declared.into_iter().map(|d| d.unwrap_or(1)).collect());
        }
        inputs.insert(picture_name.clone(), shape.clone());
        let mut context = rewrite::Context {
            heads: spec.outputs.clone(),
            keep: spec.state.iter().map(|s| s.output.clone()).collect(),
            inputs: inputs.clone(),
            float_activations: true,
            levels: false,
        };
        let isa = if let Some(Kernels::On(isa)) = kernels { Some(isa) } else { None };
        let levels = isa.and_then(|isa| choose::on_levels(&model, &context, extra, spec.precision, isa));
        let asked = matches!(spec.precision, Precision::AsIs | Precision::Int8);
        let integers = integers.unwrap_or(asked || levels.is_some());
        context.float_activations = !integers;
        // The passes are our own code, but the graphs can come from anywhere.
        let passes = guarded(|| Ok(rewrite::run(&mut model, &context))).map_err(Error::Model)??;
        choose::add_outputs(&mut model, extra);
        let quantised = model.graph().node.iter().any(|n| n.op() == "QuantizeLinear");
        let outputs: Vec<String> = model.graph().output.iter().map(|o| o.label().to_owned()).collect();
        let names: Vec<String> = model.inputs().map(|i| i.label().to_owned()).collect();
        let facts: Vec<(String, Vec<usize>)> =
            names.iter().map(|name| (name.clone(), inputs.get(name).cloned().unwrap_or_default())).collect();
        let floats = || isa.filter(|_| !integers).map(|isa| choose::on_floats(&model, &context, isa));
        let (compiled, ready) = match levels.or_else(floats) {
            Some((graph, compiled)) => with_blocks(&graph, compiled, &facts),
            None => (Compiled::default(), None),
        };
        let plain = || guarded(|| runnable(&model.encode(), &facts, &[], kernels.is_some())).map_err(Error::Model);
        let (runnable, alone) = ready.map_or_else(|| plain().map(|plan| (plan, false)), Ok)?;
        let fact = |at: usize| runnable.model().input_fact(at).map_err(|e| Error::Model(format!("{e:#}")));
        let mut states = Vec::new();
        for state in &spec.state {
            let input = names.iter().position(|name| *name == state.input);
            let output = outputs.iter().position(|name| *name == state.output);
            let (Some(input), Some(output)) = (input, output) else {
                return Err(Error::Model(format!(
                    "the card feeds `{}` back into `{}`; the graph has the inputs {} and the outputs {}",
                    state.output,
                    state.input,
                    names.join(", "),
                    outputs.join(", ")
                )));
            };
            let given = fact(input)?;
            let made = runnable.model().output_fact(output).map_err(|e| Error::Model(format!("{e:#}")))?;
            let shape = given.shape.as_concrete().map(<[usize]>::to_vec).unwrap_or_default();
            let same = made.shape.as_concrete() == Some(shape.as_slice()) && made.datum_type == given.datum_type;
            if !same {
                return Err(Error::Model(format!(
                    "the card feeds `{}` ({made:?}) back into `{}` ({given:?}), but their types or shapes differ",
                    state.output, state.input
                )));
            }
            states.push(StateSlot { input, output, datum: given.datum_type, shape });
        }
        if names.len() != 1 + states.len() {
            let fed = |name: &&String| **name != picture_name && !spec.state.iter().any(|s| s.input == **name);
            let open: Vec<&str> = names.iter().filter(fed).map(String::as_str).collect();
            return Err(Error::Model(format!(
                "the graph has inputs that nothing feeds: {}; name the picture input in `input.name`, states in `model.state`, and what is the same for every picture in `model.constants`",
                open.join(", ")
            )));
        }
        let datum = datum_of(card.fields.input.dtype);
        let inputs = names.len();
        let whole = alone.then(|| whole(&compiled, &picture_name, &outputs)).flatten();
        let model = Arc::new(model);
        Ok(Self {
            runnable,
            datum,
            shape,
            states,
            inputs,
            outputs,
            passes,
            quantised,
            integers,
            model,
            compiled,
            whole,
        })
    }

    /// Whether a run takes less time than waking a thread.
    #[must_use]
    pub fn is_tiny(&self) -> bool {
        self.whole.as_ref().is_some_and(|(block, _)| block.program.is_tiny())
    }

    /// Returns the number of multiply-accumulate operations in one run, as far as tract knows them.
    #[must_use]
    pub fn macs(&self) -> u64 {
        let model = self.runnable.model();
        let cost = |node: &TypedNode| {
            let facts = model.node_input_facts(node.id).ok()?;
            let costs = node.op.cost(&facts).ok()?;
            let macs = costs.iter().filter(|(kind, _)| matches!(kind, tract_onnx::tract_core::ops::Cost::FMA(_)));
            Some(macs.filter_map(|(_, count)| count.to_i64().ok()).sum::<i64>() as u64)
        };
        model.nodes.iter().filter_map(cost).sum()
    }

    /// Returns the type and shape of each input and each output of the graph as text.
    #[must_use]
    pub fn describe(&self) -> (Vec<String>, Vec<String>) {
        let model = self.runnable.model();
        let inputs = (0..model.inputs.len()).filter_map(|i| model.input_fact(i).ok()).map(|f| format!("{f:?}"));
        let outputs = (0..model.outputs.len()).filter_map(|i| model.output_fact(i).ok()).map(|f| format!("{f:?}"));
        (inputs.collect(), outputs.zip(&self.outputs).map(|(f, name)| format!("{name} {f}")).collect())
    }

    /// Returns each kind of operator in the plan and how often it occurs.
    #[must_use]
    pub fn operators(&self) -> std::collections::BTreeMap<String, usize> {
        let mut count = std::collections::BTreeMap::new();
        for node in &self.runnable.model().nodes {
            *count.entry(node.op.name().into_owned()).or_insert(0) += 1;
        }
        count
    }
}

type Ready = (Arc<TypedRunnableModel>, bool);

/// The plan of a graph with compiled blocks, and whether it is one block and nothing else. Whatever goes wrong, tract can
/// still run all of it.
fn with_blocks(graph: &Model, compiled: Compiled, facts: &[(String, Vec<usize>)]) -> (Compiled, Option<Ready>) {
    if compiled.blocks.is_empty() {
        return (compiled, None);
    }
    match guarded(|| runnable(&graph.encode(), facts, &compiled.blocks, true)) {
        Ok(ready) => (compiled, Some((ready, graph.graph().node.len() == 1))),
        Err(reason) => (Compiled::nothing(reason), None),
    }
}

/// The block that takes the picture and gives all outputs of a plan.
fn whole(compiled: &Compiled, picture: &str, outputs: &[String]) -> Option<(Block, Vec<usize>)> {
    let [block] = compiled.blocks.as_slice() else { return None };
    let place = |name: &String| block.outputs.iter().position(|end| end.name == *name);
    let order: Option<Vec<usize>> = outputs.iter().map(place).collect();
    let fed = block.inputs.len() == 1 && block.inputs[0].name == picture;
    order.filter(|_| fed).map(|order| (block.clone(), order))
}

pub(super) fn named(card: &Card, error: Error) -> Error {
    match error {
        Error::Model(message) if !message.starts_with("model `") => {
            Error::Model(format!("model `{}`: {message}", card.name))
        }
        other => other,
    }
}

pub(super) fn datum_of(dtype: Dtype) -> DatumType {
    match dtype {
        Dtype::F32 => f32::datum_type(),
        Dtype::U8 => u8::datum_type(),
        Dtype::I8 => i8::datum_type(),
    }
}

/// Returns the input that receives the picture, and its shape: the card's, or the graph's if that has the same number
/// of elements but another rank.
pub(super) fn picture_input(card: &Card, model: &Model) -> Result<(String, Vec<usize>)> {
    let spec = &card.fields.input;
    let is_state = |name: &str| card.fields.model.state.iter().any(|s| s.input == name);
    let wanted = |name: &str| spec.name.as_deref().map_or(!is_state(name), |n| n == name);
    let input = model.inputs().find(|i| wanted(i.label())).ok_or_else(|| {
        let all: Vec<&str> = model.inputs().map(onnx::pb::ValueInfoProto::label).collect();
        let name = spec.name.as_deref().unwrap_or("a picture");
        Error::Model(format!("the graph has no input for {name}; it has {}", all.join(", ")))
    })?;
    let ours = spec.shape();
    let name = input.label().to_owned();
    let Some((kind, declared)) = onnx::element_type(input) else { return Ok((name, ours.to_vec())) };
    let said = match spec.dtype {
        Dtype::F32 => DataType::F32,
        Dtype::U8 => DataType::U8,
        Dtype::I8 => DataType::I8,
    };
    // 16-bit floats are widened when the graph is loaded.
    if kind != said && (kind, said) != (DataType::Other(10), DataType::F32) {
        return Err(Error::Model(format!(
            "the graph takes {kind:?}, but the card says {said:?}; put the right `dtype` in the card"
        )));
    }
    let Some(dims) = declared else { return Ok((name, ours.to_vec())) };
    let fits = |dims: &[Option<usize>], ours: &[usize]| {
        dims.len() == ours.len() && dims.iter().zip(ours).all(|(dim, ours)| dim.is_none_or(|d| d == *ours))
    };
    if fits(&dims, &ours) {
        return Ok((name, ours.to_vec()));
    }
    // Without a batch, as torchvision's detectors.
    if fits(&dims, &ours[1..]) {
        return Ok((name, ours[1..].to_vec()));
    }
    if let [Some(batch @ 2..), rest @ ..] = dims.as_slice()
        && fits(rest, &ours[1..])
    {
        return Err(Error::Model(format!(
            "the graph takes {batch} pictures at once, and we give it one at a time; export it with a batch size of 1 (Ultralytics: `batch=1`), or with an open batch"
        )));
    }
    let closed: Vec<usize> = dims.iter().map(|d| d.unwrap_or(1)).collect();
    let volume = closed.iter().try_fold(1_usize, |all, side| all.checked_mul(*side));
    if dims.len() != 4 && volume == Some(ours.iter().product()) {
        return Ok((name, closed));
    }
    let shown: Vec<String> = dims.iter().map(|d| d.map_or("?".into(), |d| d.to_string())).collect();
    Err(Error::Model(format!(
        "the graph takes [{}], but the card says {ours:?}; put the right `size` and `layout` in the card",
        shown.join(", ")
    )))
}

pub(super) fn runnable(
    bytes: &[u8],
    facts: &[(String, Vec<usize>)],
    blocks: &[Block],
    optimise: bool,
) -> Result<Arc<TypedRunnableModel>, String> {
    let mut cursor = std::io::Cursor::new(bytes);
    let mut model = tract_onnx::onnx()
        .model_for_read(&mut cursor)
        .map_err(|e| format!("tract cannot read this ONNX graph: {e:#}"))?;
    compile::put(&mut model, blocks);
    let cannot = |e: TractError| {
        let text = format!("{e:#}");
        // tract's own words for an operator that it only knows by name.
        let lacking = text.split_once("Unimplemented(").and_then(|(_, rest)| rest.split_once(')'));
        match lacking {
            Some((operator, _)) => format!(
                "the graph has the operator `{operator}`, which tract lacks; export the model without it, or name values in front of it in `model.outputs` of a card"
            ),
            None => format!("tract cannot run this graph: {text}"),
        }
    };
    for (name, shape) in facts {
        let at = (0..model.inputs.len()).find(|&at| model.node(model.inputs[at].node).name == *name);
        let at = at.ok_or_else(|| format!("tract does not see the input `{name}`"))?;
        let datum = model.input_fact(at).map_err(cannot)?.datum_type.concretize().unwrap_or(f32::datum_type());
        model = model.with_input_fact(at, InferenceFact::dt_shape(datum, shape)).map_err(cannot)?;
    }
    let typed = model.into_typed().map_err(cannot)?;
    for node in &typed.nodes {
        for output in &node.outputs {
            let volume = output.fact.shape.as_concrete().map(|s| s.iter().try_fold(1_usize, |v, d| v.checked_mul(*d)));
            let bytes = volume.and_then(|v| v.map(|v| v.saturating_mul(output.fact.datum_type.size_of())));
            if bytes.is_some_and(|b| b > MAX_TENSOR_BYTES) {
                return Err(format!(
                    "`{}` produces a tensor of {:?}: more than {MAX_TENSOR_BYTES} bytes",
                    node.name, output.fact
                ));
            }
        }
    }
    let ready = if optimise {
        let mut ready = typed.into_optimized().map_err(cannot)?;
        super::fast::replace(&mut ready);
        ready
    } else {
        typed
    };
    ready.into_runnable().map_err(cannot)
}
