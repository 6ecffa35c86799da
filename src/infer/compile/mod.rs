//! Compiled blocks: the parts of a graph that our kernels know become programs; tract runs the rest.
//!
//! A block is as large as it can be without a way from it through a node of tract's back into it. Nothing is refused that
//! ran before: a node that cannot be compiled stays where it is, with the reason.

#![allow(missing_docs, reason = "inner parts; what is not plain from its name is said")]

mod arrange;
mod block;
mod dense;
mod focus;
mod fuse;
mod homes;
mod known;
mod level;
mod levels;
mod lower;
mod maps;
mod node;
mod operators;
mod weights;
mod windows;

pub use block::{BLOCK, Block, Compiled, End, Kind};
pub use node::{datum, on_team, put};

use crate::error::Result;
use crate::kernels::Isa;
use crate::onnx::shape::{self, Shapes};
use crate::onnx::{DataType, Index, Model, NodeProto, element_type};
use homes::{Homes, Seen};
use level::Level;
use lower::Lower;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// Memory of a block, at most.
const MOST_BYTES: usize = 1 << 30;

/// Operators whose outputs are not floats, whatever their inputs are.
fn gives_floats(node: &NodeProto) -> bool {
    match node.op() {
        "Cast" => node.int("to", 1) == 1,
        "QuantizeLinear"
        | "ArgMax"
        | "ArgMin"
        | "Shape"
        | "Size"
        | "NonZero"
        | "Greater"
        | "Less"
        | "Equal"
        | "GreaterOrEqual"
        | "LessOrEqual"
        | "And"
        | "Or"
        | "Not"
        | "Xor"
        | "IsNaN"
        | "IsInf"
        | "NonMaxSuppression"
        | "TopK"
        | "Unique"
        | "QLinearConv"
        | "ConvInteger"
        | "MatMulInteger"
        | "DynamicQuantizeLinear"
        | "ConstantOfShape"
        | "Where"
        | "If"
        | "Loop"
        | "Scan" => false,
        _ => true,
    }
}

/// What the first pass found of each node.
struct Scan {
    /// The block that a node belongs to; none stays with tract.
    levels: HashMap<usize, usize>,
    sides: HashMap<String, Vec<usize>>,
    /// Values that are levels, and whether they are signed.
    levels_of: HashMap<String, bool>,
    /// Nodes whose results are known, with the results.
    known: HashSet<usize>,
    left: BTreeMap<(String, String), usize>,
}

/// Compiles what can be compiled, and replaces it in the graph by nodes named [`BLOCK`].
///
/// A block without a convolution or a product is left to tract, unless `every` is asked for.
///
/// # Errors
/// [`crate::error::Error::Model`] if the graph has a cycle.
pub fn compile(model: &mut Model, inputs: &Shapes, isa: Isa, every: bool) -> Result<Compiled> {
    let index = model.index();
    let order = index.order(model.graph())?;
    let scan = scan(model, inputs, isa, &order);
    let needed = still_needed(model, &index, &scan);
    let graph = Graph { model, index: &index, order: &order, needed: &needed };
    let mut compiled = Compiled { left: scan.left.clone(), ..Compiled::default() };
    let mut gone = HashSet::new();
    let levels: std::collections::BTreeSet<usize> = scan.levels.values().copied().collect();
    for level in levels {
        let nodes: Vec<usize> = order.iter().copied().filter(|at| scan.levels.get(at) == Some(&level)).collect();
        let heavy = |at: &usize| matches!(model.graph().node[*at].op(), "Conv" | "ConvTranspose" | "Gemm" | "MatMul");
        if !every && !nodes.iter().any(heavy) {
            continue;
        }
        match block(&graph, isa, &nodes, &scan) {
            Ok(block) => {
                gone.extend(nodes);
                compiled.blocks.push(block);
            }
            Err(reason) => *compiled.left.entry(("block".into(), reason)).or_default() += nodes.len(),
        }
    }
    if compiled.blocks.is_empty() {
        return Ok(compiled);
    }
    let old = std::mem::take(&mut model.graph_mut().node);
    let kept = old.into_iter().enumerate().filter(|(at, _)| !gone.contains(at)).map(|(_, node)| node);
    let blocks = compiled.blocks.iter().enumerate().map(|(at, block)| {
        let names = |ends: &[End]| ends.iter().map(|end| end.name.clone()).collect();
        NodeProto {
            op_type: Some(BLOCK.to_owned()),
            name: Some(format!("{BLOCK}{at}")),
            input: names(&block.inputs),
            output: names(&block.outputs),
            ..NodeProto::default()
        }
    });
    model.graph_mut().node = kept.chain(blocks).collect();
    model.sweep();
    model.sort()?;
    Ok(compiled)
}

/// Lowers each node by itself, to see which can be, and numbers the blocks: a node behind one of tract's belongs to a
/// later block.
fn scan(model: &Model, given: &Shapes, isa: Isa, order: &[usize]) -> Scan {
    let graph = model.graph();
    let index = model.index();
    let shapes = shape::infer(model, given);
    let all = |_: usize| true;
    let mut lower = Lower::new(model, &index, isa, Homes::default(), &all);
    let mut scan = Scan {
        levels: HashMap::new(),
        sides: HashMap::new(),
        levels_of: HashMap::new(),
        known: HashSet::new(),
        left: BTreeMap::new(),
    };
    // By value: the block that makes it, or the one that it is behind, and whether it holds floats.
    let mut made: HashMap<String, (usize, bool)> = HashMap::new();
    let mut floats: HashSet<String> = HashSet::new();
    for input in model.inputs() {
        made.insert(input.label().to_owned(), (0, false));
        if element_type(input).is_some_and(|(kind, _)| kind == DataType::F32) {
            floats.insert(input.label().to_owned());
        }
    }
    for &at in order {
        let node = &graph.node[at];
        if lower.taken.contains(&at) {
            continue;
        }
        let before = |name: &String| made.get(name).map(|(level, ours)| if *ours { *level } else { level + 1 });
        let level = node.input.iter().filter_map(before).max().unwrap_or(1);
        // What comes from tract, or from outside, needs a place.
        let mut ready = Ok(());
        for name in node.input.iter().filter(|name| !name.is_empty()) {
            if lower.has(name) || lower.known(name).is_some() || index.weight(graph, name).is_some() {
                continue;
            }
            let input = model.inputs().find(|input| input.label() == name).and_then(element_type);
            if let (Some((kind @ (DataType::U8 | DataType::I8), _)), Some(sides)) = (input, shapes.get(name))
                && let Ok(view) = lower.place_levels("", sides, 0)
            {
                let level = Level { view, quant: None, signed: kind == DataType::I8, raw: true };
                lower.levels.insert(name.clone(), level);
                continue;
            }
            match shapes.get(name).filter(|sides| sides.iter().all(|side| *side > 0)) {
                Some(sides) if floats.contains(name) => {
                    let Ok(view) = lower.place("", sides) else { continue };
                    lower.values.insert(name.clone(), view);
                }
                Some(_) => ready = Err(format!("it takes other values than floats: `{name}`")),
                None => ready = Err(format!("the shape of `{name}` is not known")),
            }
        }
        let taken = lower.taken.len();
        let before_taken: HashSet<usize> = lower.taken.clone();
        let done = ready.and_then(|()| operators::lower(&mut lower, at));
        debug_assert!(lower.taken.len() >= taken);
        match done {
            Ok(()) => {
                if node.output.iter().any(|name| lower.known.contains_key(name) || lower.weights.contains_key(name)) {
                    scan.known.insert(at);
                }
                let nodes: Vec<usize> = lower.taken.difference(&before_taken).copied().chain([at]).collect();
                // A sum that was taken in may come from a later block.
                let level = nodes
                    .iter()
                    .flat_map(|at| graph.node[*at].input.iter())
                    .filter_map(&before)
                    .max()
                    .unwrap_or(level)
                    .max(level);
                for at in nodes {
                    scan.levels.insert(at, level);
                    for name in &graph.node[at].output {
                        made.insert(name.clone(), (level, true));
                        if lower.levels.get(name).is_none_or(|level| !level.raw) && !lower.indices.contains(name) {
                            floats.insert(name.clone());
                        }
                    }
                }
            }
            Err(reason) => {
                *scan.left.entry((node.op().to_owned(), reason)).or_default() += 1;
                let behind = node.input.iter().filter_map(|name| made.get(name)).map(|(level, _)| *level).max();
                let inputs = || node.input.iter().filter(|name| !name.is_empty());
                let good = |name: &String| {
                    floats.contains(name) || index.weight(graph, name).is_some() || lower.known.contains_key(name)
                };
                let float = node.op() == "DequantizeLinear"
                    || gives_floats(node) && (node.op() == "Cast" || inputs().all(good));
                for name in node.output.iter().filter(|name| !name.is_empty()) {
                    made.insert(name.clone(), (behind.unwrap_or(0), false));
                    if float {
                        floats.insert(name.clone());
                    }
                }
            }
        }
    }
    scan.sides = lower.values.iter().map(|(name, view)| (name.clone(), view.sides.clone())).collect();
    let levels = lower.levels.iter().map(|(name, level)| (name.clone(), level.view.sides.clone()));
    scan.sides.extend(levels);
    let raw = lower.levels.iter().filter(|(_, level)| level.raw);
    scan.levels_of = raw.map(|(name, level)| (name.clone(), level.signed)).collect();
    // A node whose result is known belongs to no block; its users have the number.
    scan.levels.retain(|at, _| !scan.known.contains(at));
    scan
}

/// A graph with what is known of it as a whole.
struct Graph<'a> {
    model: &'a Model,
    index: &'a Index,
    order: &'a [usize],
    /// See [`still_needed`].
    needed: &'a HashSet<usize>,
}

/// Lowers the nodes of a block together.
fn block(of: &Graph, isa: Isa, nodes: &[usize], scan: &Scan) -> std::result::Result<Block, String> {
    let (model, index, needed) = (of.model, of.index, of.needed);
    let graph = model.graph();
    let inside: HashSet<usize> = nodes.iter().copied().collect();
    let seen = Seen { model, index, sides: &scan.sides, nodes };
    let homes = Homes::decide(&seen);
    let allowed = |at: usize| inside.contains(&at);
    let mut lower = Lower::new(model, index, isa, homes, &allowed);
    let mut inputs = Vec::new();
    for &at in nodes {
        let node = &graph.node[at];
        for name in node.input.iter().filter(|name| !name.is_empty()) {
            let made_here = index.maker(name).is_some_and(|maker| inside.contains(&maker));
            let constant = index.weight(graph, name).is_some();
            let computed = index.maker(name).is_some_and(|maker| scan.known.contains(&maker));
            if made_here || constant || computed || lower.has(name) {
                continue;
            }
            let sides = scan.sides.get(name).ok_or_else(|| format!("the shape of `{name}` is not known"))?;
            let kind = scan.levels_of.get(name).map_or(Kind::Floats, |signed| Kind::Levels { signed: *signed });
            let zero = input_zero(model, index, name);
            let view = input_view(&mut lower, index, name, sides, (kind != Kind::Floats).then_some(zero))?;
            lower.builder.input(&view);
            match kind {
                Kind::Floats | Kind::Indices => drop(lower.values.insert(name.clone(), view)),
                Kind::Levels { signed } => {
                    drop(lower.levels.insert(name.clone(), Level { view, quant: None, signed, raw: true }));
                }
            }
            inputs.push(End { name: name.clone(), sides: sides.clone(), kind });
        }
    }
    // Sizes that are computed from shapes: in the order of the graph, with the shapes of the first pass.
    for at in of.order.iter().filter(|at| scan.known.contains(at)) {
        match graph.node[*at].op() {
            "DequantizeLinear" => levels::dequantize(&mut lower, &graph.node[*at])?,
            _ => lower.fold_known(*at, &scan.sides),
        }
    }
    for &at in nodes {
        if !lower.taken.contains(&at) {
            operators::lower(&mut lower, at).map_err(|reason| format!("`{}`: {reason}", graph.node[at].output[0]))?;
        }
    }
    let stays = |user: &usize| !inside.contains(user) && (!scan.known.contains(user) || needed.contains(user));
    let outside = |name: &String| index.is_output(name) || index.users(name).iter().any(stays);
    let mut outputs = Vec::new();
    let mut views = Vec::new();
    for &at in nodes {
        for name in graph.node[at].output.iter().filter(|name| !name.is_empty() && outside(name)) {
            let level = lower.levels.get(name).filter(|level| level.raw).cloned();
            let (view, kind) = match level {
                Some(level) => (level.view, Kind::Levels { signed: level.signed }),
                None => {
                    let view = lower.view(name).map_err(|_| format!("`{name}` was not made"))?;
                    (view, if lower.indices.contains(name) { Kind::Indices } else { Kind::Floats })
                }
            };
            outputs.push(End { name: name.clone(), sides: view.sides.clone(), kind });
            views.push(view);
        }
    }
    let program = lower.builder.finish(&views)?;
    if program.bytes(1) > MOST_BYTES {
        return Err(format!("it would take {} MB", program.bytes(1) >> 20));
    }
    Ok(Block { program: Arc::new(program), inputs, outputs, nodes: nodes.len() })
}

/// The level that stands for 0 in an input, if the graph says it where the input, or what is a view of it, is dequantised.
fn input_zero(model: &Model, index: &Index, name: &str) -> u8 {
    let graph = model.graph();
    let mut name = name;
    while let [user] = index.users(name) {
        let node = &graph.node[*user];
        if node.op() == "DequantizeLinear" {
            let zero = node.input(2).and_then(|zero| index.weight(graph, zero));
            let number = zero.and_then(|zero| Some((zero.kind(), *zero.ints().ok()?.first()?)));
            return number
                .map_or(0, |(kind, zero)| (zero + if kind == DataType::I8 { 128 } else { 0 }).clamp(0, 255) as u8);
        }
        match node.output(0).filter(|_| node.op() == "Transpose") {
            Some(output) => name = output,
            None => return 0,
        }
    }
    0
}

/// A place for an input. A picture `[1, H, W, C]` that is turned into `[1, C, H, W]` at once gets the place of the latter.
fn input_view(
    lower: &mut Lower,
    index: &Index,
    name: &str,
    sides: &[usize],
    levels: Option<u8>,
) -> std::result::Result<crate::kernels::view::View, String> {
    let turned = |user: &usize| {
        let node = lower.node(*user);
        node.op() == "Transpose" && node.ints("perm") == Some(&[0, 3, 1, 2])
    };
    if let &[1, h, w, c] = sides
        && index.users(name).iter().all(turned)
    {
        let sides = [1, c, h, w];
        let view = match levels {
            Some(zero) => lower.place_levels(name, &sides, zero)?,
            None => lower.place(name, &sides)?,
        };
        return Ok(view.transpose(&[0, 2, 3, 1]));
    }
    match levels {
        Some(zero) => lower.place_levels(name, sides, zero),
        None => lower.place(name, sides),
    }
}

/// Nodes whose results are known, but that somebody outside of all blocks looks at: they stay in the graph.
fn still_needed(model: &Model, index: &Index, scan: &Scan) -> HashSet<usize> {
    let graph = model.graph();
    let mut needed = HashSet::new();
    let looked_at = |at: usize, needed: &HashSet<usize>| {
        graph.node[at].output.iter().any(|name| {
            let user = |user: &usize| {
                if scan.known.contains(user) { needed.contains(user) } else { !scan.levels.contains_key(user) }
            };
            index.is_output(name) || index.users(name).iter().any(user)
        })
    };
    // Backwards, until nothing is added.
    loop {
        let more: Vec<usize> =
            scan.known.iter().copied().filter(|at| !needed.contains(at) && looked_at(*at, &needed)).collect();
        if more.is_empty() {
            return needed;
        }
        needed.extend(more);
    }
}
