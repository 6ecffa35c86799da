//! What is compiled for a card: its graph in floats, or on the levels that the file has.
//!
//! `precision: auto` takes levels if the processor multiplies bytes faster than floats, all convolutions are on levels, and
//! no Concat is rounded to far coarser levels than its inputs. The rule looks at nothing else: answers must not depend on load.

use super::card::Precision;
use super::compile::{self, Block, Compiled};
use super::extra::Extra;
use super::guarded::guarded;
use crate::kernels::Isa;
use crate::onnx::pb::ValueInfoProto;
use crate::onnx::{Model, NodeProto, rewrite};

/// A graph with blocks in it.
type Compilation = (Model, Compiled);

/// Compiles a graph on the levels that its file has; `None` if neither the card nor the rule of `precision: auto` wants that.
pub fn on_levels(
    model: &Model,
    context: &rewrite::Context,
    extra: &Extra,
    precision: Precision,
    isa: Isa,
) -> Option<Compilation> {
    let auto = precision == Precision::Auto;
    let hopeless = auto && !(isa.prefers_levels() && model.graph().node.iter().any(rounds));
    if hopeless || precision == Precision::Float {
        return None;
    }
    let context = rewrite::Context { float_activations: false, levels: true, ..context.clone() };
    let work = || {
        let mut graph = model.clone();
        rewrite::run(&mut graph, &context).map_err(|e| e.to_string())?;
        if auto && (rounds_scores_away(model) || rounds_scores_away(&graph)) {
            return Ok(None);
        }
        add_outputs(&mut graph, extra);
        let compiled = compile::compile(&mut graph, &context.inputs, isa, false).map_err(|e| e.to_string())?;
        // What is left to tract takes floats.
        for pass in rewrite::PASSES.iter().filter(|pass| pass.name == rewrite::WEIGHTS) {
            pass.apply(&mut graph, &context).map_err(|e| e.to_string())?;
        }
        let on_levels = |block: &Block| block.program.float_macs() == 0;
        let wanted = !auto || !compiled.blocks.is_empty() && compiled.blocks.iter().all(on_levels);
        Ok(wanted.then_some((graph, compiled)))
    };
    match guarded(work) {
        Ok(compilation) => compilation,
        // `ocelli models info` shows the reason.
        Err(reason) => (!auto).then(|| (model.clone(), Compiled::nothing(reason))),
    }
}

/// Compiles a rewritten graph in floats. Whatever goes wrong, nothing is compiled, and tract runs all of it.
pub fn on_floats(model: &Model, context: &rewrite::Context, isa: Isa) -> Compilation {
    let mut graph = model.clone();
    let compiled = guarded(|| compile::compile(&mut graph, &context.inputs, isa, false).map_err(|e| e.to_string()));
    (graph, compiled.unwrap_or_else(Compiled::nothing))
}

/// Whether a node makes levels.
fn rounds(node: &NodeProto) -> bool {
    node.op() == "QuantizeLinear" || node.op().starts_with("QLinear")
}

/// Adds the values that a session returns besides the outputs.
pub fn add_outputs(model: &mut Model, extra: &Extra) {
    let known: Vec<String> = model.graph().output.iter().map(|value| value.label().to_owned()).collect();
    let added = extra.values.iter().filter(|value| !known.contains(value));
    let added: Vec<ValueInfoProto> =
        added.map(|name| ValueInfoProto { name: Some(name.clone()), ..Default::default() }).collect();
    model.graph_mut().output.extend(added);
}

/// Whether a Concat of, say, coordinates and scores is rounded with the scale of the coordinates: nothing is left of the
/// scores. ONNX Runtime's quantizer writes such files, and its own answers to them are scores of 0.
fn rounds_scores_away(model: &Model) -> bool {
    const COARSER: f32 = 16.0;
    let (graph, index) = (model.graph(), model.index());
    let scale = |node: &NodeProto, op: &str| -> Option<f32> {
        let scale = index.weight(graph, node.input(1).filter(|_| node.op() == op)?)?;
        scale.floats().ok()?.first().copied()
    };
    graph.node.iter().filter(|node| node.op() == "Concat").any(|node| {
        let users = node.output(0).map_or(&[][..], |name| index.users(name));
        let after = users.iter().filter_map(|user| scale(&graph.node[*user], "QuantizeLinear"));
        let Some(after) = after.reduce(f32::max) else { return false };
        node.input.iter().any(|name| {
            let before = index.maker(name).and_then(|at| scale(&graph.node[at], "DequantizeLinear"));
            before.is_none_or(|before| after > before * COARSER)
        })
    })
}
