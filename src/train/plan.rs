//! Divides a graph into layers that stay as they are, which tract runs, and those that the engine trains.

use crate::error::{Error, Result};
use crate::onnx::{DataType, Index, Model, NodeProto, TensorProto, rewrite};
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// What a weight does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Multiplies: weight decay applies to it.
    Kernel,
    /// Is added, or belongs to a normalisation.
    Offset,
}

/// The parts of a graph.
#[derive(Clone, Debug)]
pub struct Division {
    /// The weights that are trained.
    pub trained: BTreeMap<String, Role>,
    /// The values that the frozen layers give to the trained ones.
    pub cuts: Vec<String>,
    /// How many nodes are trained or lie behind one that is, and how many before.
    pub nodes: (usize, usize),
}

/// Prepares a graph for training: constants become weights, and a weight that an exporter stored once because two happened to
/// be equal becomes two again.
///
/// # Errors
/// [`Error::Model`] if the graph is not what it claims to be.
pub fn prepare(model: &mut Model) -> Result<()> {
    let (index, mut copies) = (model.index(), Vec::new());
    let copy = |node: &NodeProto| {
        let (from, to) = (node.input(0)?, node.output(0)?);
        let weight = index.weight(model.graph(), from)?;
        let plain = node.op() == "Identity" && !index.is_output(to);
        plain.then(|| TensorProto { name: Some(to.to_owned()), ..weight.clone() })
    };
    let mut kept = Vec::with_capacity(model.graph().node.len());
    for node in &model.graph().node {
        match copy(node) {
            Some(weight) => copies.push(weight),
            None => kept.push(node.clone()),
        }
    }
    let graph = model.graph_mut();
    graph.initializer.extend(copies);
    graph.node = kept;
    let pass = rewrite::PASSES.iter().find(|pass| pass.name == "constants");
    pass.map_or(Ok(0), |pass| pass.apply(model, &rewrite::Context::default()))?;
    // Shapes that a file states for values inside the graph would contradict another batch or other classes.
    model.graph_mut().value_info.clear();
    model.sort()
}

impl Division {
    /// Divides the part of a graph that leads to `outputs`; `frozen` says which weights stay.
    ///
    /// # Errors
    /// [`Error::Model`] if no weight is left to train.
    pub fn new(model: &Model, outputs: &[String], frozen: &dyn Fn(&str) -> bool) -> Result<Self> {
        let (graph, index) = (model.graph(), model.index());
        let needed = needed(model, &index, outputs);
        let mut trained = BTreeMap::new();
        for at in &needed {
            for (name, role) in weights(model, &index, &graph.node[*at]) {
                if !frozen(name) {
                    trained.insert(name.to_owned(), role);
                }
            }
        }
        if trained.is_empty() {
            let message = "nothing is left to train: `freeze` covers all weights in front of the heads, or the weights are stored in 8 bits";
            return Err(Error::Model(message.into()));
        }
        let (mut live, mut before): (HashSet<&str>, usize) = (HashSet::new(), 0);
        let (mut cuts, mut count) = (Vec::new(), 0);
        for at in index.order(graph)?.into_iter().filter(|at| needed.contains(at)) {
            let node = &graph.node[at];
            if !node.input.iter().any(|name| trained.contains_key(name) || live.contains(name.as_str())) {
                before += 1;
                continue;
            }
            count += 1;
            live.extend(node.output.iter().map(String::as_str));
            let mut open: Vec<&str> = node.input.iter().filter(|name| !name.is_empty()).map(String::as_str).collect();
            open.reverse();
            while let Some(name) = open.pop() {
                let known =
                    live.contains(name) || index.weight(graph, name).is_some() || cuts.iter().any(|cut| cut == name);
                match index.maker(name).filter(|_| !known && is_shape(model, &index, name)) {
                    // The engine works it out, if it knows what it is the shape of.
                    Some(at) => open.extend(graph.node[at].input.iter().map(String::as_str)),
                    None if !known => cuts.push(name.to_owned()),
                    None => {}
                }
            }
        }
        Ok(Self { trained, cuts, nodes: (count, before) })
    }

    /// How many numbers are trained.
    #[must_use]
    pub fn numbers(&self, model: &Model) -> usize {
        let own = |tensor: &&TensorProto| self.trained.contains_key(tensor.label());
        model.graph().initializer.iter().filter(own).filter_map(TensorProto::volume).sum()
    }
}

/// The nodes that some values need.
fn needed(model: &Model, index: &Index, values: &[String]) -> BTreeSet<usize> {
    let mut nodes = BTreeSet::new();
    let mut open: Vec<&str> = values.iter().map(String::as_str).collect();
    while let Some(name) = open.pop() {
        if let Some(at) = index.maker(name).filter(|at| nodes.insert(*at)) {
            open.extend(model.graph().node[at].input.iter().map(String::as_str));
        }
    }
    nodes
}

/// Whether a value is computed from shapes alone.
fn is_shape(model: &Model, index: &Index, name: &str) -> bool {
    let Some(node) = index.maker(name).map(|at| &model.graph().node[at]) else { return false };
    let passes =
        ["Gather", "Slice", "Concat", "Unsqueeze", "Squeeze", "Cast", "Add", "Sub", "Mul", "Div"].contains(&node.op());
    let mut parts = node.input.iter().filter(|name| index.weight(model.graph(), name).is_none()).peekable();
    node.op() == "Shape" || passes && parts.peek().is_some() && parts.all(|name| is_shape(model, index, name))
}

/// The weights of a node that training changes.
fn weights<'a>(model: &'a Model, index: &Index, node: &'a NodeProto) -> Vec<(&'a str, Role)> {
    let graph = model.graph();
    let float = |name: &&str| index.weight(graph, name).is_some_and(|tensor| tensor.kind() == DataType::F32);
    let takes = |places: &[(usize, Role)]| -> Vec<(&'a str, Role)> {
        places.iter().filter_map(|(at, role)| Some((node.input(*at)?, *role))).filter(|(name, _)| float(name)).collect()
    };
    match node.op() {
        "Conv" | "ConvTranspose" | "Gemm" => takes(&[(1, Role::Kernel), (2, Role::Offset)]),
        "MatMul" => takes(&[(0, Role::Kernel), (1, Role::Kernel)]),
        "BatchNormalization" | "GroupNormalization" | "InstanceNormalization" => {
            takes(&[(1, Role::Offset), (2, Role::Offset)])
        }
        // A bias behind its layer.
        "Add" => {
            let side = |at: usize| node.input(at).filter(|name| float(name));
            let layer = |at: usize| {
                let maker = node.input(at).and_then(|name| index.maker(name)).map(|at| graph.node[at].op());
                matches!(maker, Some("MatMul" | "Conv" | "ConvTranspose" | "Gemm"))
            };
            match (side(0), side(1)) {
                (Some(name), None) if layer(1) => vec![(name, Role::Offset)],
                (None, Some(name)) if layer(0) => vec![(name, Role::Offset)],
                _ => Vec::new(),
            }
        }
        _ => Vec::new(),
    }
}
