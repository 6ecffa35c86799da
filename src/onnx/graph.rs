//! A model file in memory, and which nodes produce and use each value of its graph.

use super::check;
use super::pb::{GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto};
use crate::error::{Error, Result};
use bytes::Bytes;
use prost::Message;
use std::collections::{HashMap, HashSet};

/// A model file.
#[derive(Clone, Debug)]
pub struct Model {
    /// The whole file.
    pub proto: ModelProto,
    /// Whether encoding the unmodified model gives the bytes it was decoded from. It does for every writer that
    /// follows the order and packing of `onnx.proto`; a field newer than our `pb` would be lost.
    pub exact: bool,
}

impl Model {
    /// Decodes the bytes of a file. Tensor data is not copied.
    ///
    /// # Errors
    /// [`Error::Model`] if it is not an ONNX model, if a tensor claims data that is not there, if a number of an
    /// operator is absurd, or if weights are in other files.
    pub fn decode(bytes: impl Into<Bytes>) -> Result<Self> {
        let model = Self::decode_unchecked(bytes)?;
        check::check(&model.proto).map_err(Error::Model)?;
        Ok(model)
    }

    /// Like [`Model::decode`], but weights may be in other files of `folder`; they are loaded too.
    ///
    /// # Errors
    /// As [`Model::decode`], and if such a file is missing, too short, or not in the folder.
    pub fn decode_with_files(bytes: impl Into<Bytes>, folder: &std::path::Path) -> Result<Self> {
        let mut model = Self::decode_unchecked(bytes)?;
        check::bring_in(&mut model.proto, folder)?;
        check::check(&model.proto).map_err(Error::Model)?;
        Ok(model)
    }

    fn decode_unchecked(bytes: impl Into<Bytes>) -> Result<Self> {
        let bytes = bytes.into();
        let proto = ModelProto::decode(bytes.clone())
            .map_err(|e| Error::Model(format!("not an ONNX model ({e}); is it truncated, or another format?")))?;
        if proto.graph.is_none() {
            return Err(Error::Model("not an ONNX model: it contains no graph".into()));
        }
        let exact = proto.encoded_len() == bytes.len() && proto.encode_to_vec() == bytes;
        Ok(Self { proto, exact })
    }

    /// Returns the bytes of the file.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        self.proto.encode_to_vec()
    }

    /// The graph.
    #[must_use]
    pub fn graph(&self) -> &GraphProto {
        static NONE: std::sync::OnceLock<GraphProto> = std::sync::OnceLock::new();
        self.proto.graph.as_ref().unwrap_or_else(|| NONE.get_or_init(GraphProto::default))
    }

    /// The graph, for editing.
    pub fn graph_mut(&mut self) -> &mut GraphProto {
        self.proto.graph.get_or_insert_default()
    }

    /// The version of the standard operators.
    #[must_use]
    pub fn opset(&self) -> i64 {
        let standard = |domain: &Option<String>| domain.as_deref().is_none_or(|d| d.is_empty() || d == "ai.onnx");
        self.proto.opset_import.iter().find(|o| standard(&o.domain)).and_then(|o| o.version).unwrap_or(0)
    }

    /// The graph's inputs that are not initialisers.
    pub fn inputs(&self) -> impl Iterator<Item = &super::pb::ValueInfoProto> {
        let graph = self.graph();
        let weights: HashSet<&str> = graph.initializer.iter().map(TensorProto::label).collect();
        graph.input.iter().filter(move |input| !weights.contains(input.label()))
    }

    /// Returns which nodes produce and use each value. Later edits are not reflected: create a new index then.
    #[must_use]
    pub fn index(&self) -> Index {
        Index::new(self.graph())
    }

    /// Returns a value name that is not used yet.
    #[must_use]
    pub fn fresh(&self, hint: &str) -> String {
        let graph = self.graph();
        let nodes = graph.node.iter().flat_map(|n| n.output.iter().chain(&n.input)).map(String::as_str);
        let rest =
            graph.initializer.iter().map(TensorProto::label).chain(graph.input.iter().map(ValueInfoProto::label));
        let used: HashSet<&str> = nodes.chain(rest).collect();
        (0..=used.len())
            .map(|n| format!("{hint}/ocelli_{n}"))
            .find(|name| !used.contains(name.as_str()))
            .unwrap_or_default()
    }

    /// Removes a node with one input and one output from the graph; its users read its input instead. Returns `false`
    /// if that is not possible: an output of the graph that is an input or a weight must keep its node.
    pub fn bypass(&mut self, node: usize) -> bool {
        let graph = self.graph_mut();
        let Some((Some(from), Some(to))) = graph.node.get(node).map(|n| (n.input(0), n.output(0))) else {
            return false;
        };
        let (from, to) = (from.to_owned(), to.to_owned());
        let is_output = |name: &str| graph.output.iter().any(|o| o.label() == name);
        if !is_output(&to) {
            rename_uses(graph, &to, &from);
            graph.node[node] = NodeProto::default();
            return true;
        }
        // The graph's output must keep its name, so the node that produces the input takes it over.
        let maker = graph.node.iter().position(|n| n.output.contains(&from));
        let Some(maker) = maker.filter(|_| !is_output(&from)) else { return false };
        graph.node[node] = NodeProto::default();
        graph.node[maker].output.iter_mut().filter(|name| **name == from).for_each(|name| name.clone_from(&to));
        rename_uses(graph, &from, &to);
        true
    }

    /// Drops every node and weight that no output of the graph depends on.
    pub fn sweep(&mut self) {
        let index = self.index();
        let graph = self.graph_mut();
        let mut needed: HashSet<String> = HashSet::new();
        let mut nodes: HashSet<usize> = HashSet::new();
        let mut open: Vec<String> = graph.output.iter().map(|o| o.label().to_owned()).collect();
        while let Some(name) = open.pop() {
            if let Some(maker) = index.maker(&name).filter(|maker| nodes.insert(*maker)) {
                open.extend(graph.node[maker].input.iter().cloned());
                // A nested graph may use any value of this one.
                open.extend(nested_uses(&graph.node[maker]));
            }
            needed.insert(name);
        }
        let mut at = 0;
        graph.node.retain(|_| {
            at += 1;
            nodes.contains(&(at - 1))
        });
        let dropped: HashSet<String> =
            graph.initializer.iter().map(|t| t.label().to_owned()).filter(|name| !needed.contains(name)).collect();
        graph.initializer.retain(|t| needed.contains(t.label()));
        graph.input.retain(|input| !dropped.contains(input.label()));
    }

    /// Sorts the nodes so that each comes after the producers of its inputs.
    ///
    /// # Errors
    /// [`Error::Model`] if the graph has a cycle.
    pub fn sort(&mut self) -> Result<()> {
        let order = self.index().order(self.graph())?;
        let graph = self.graph_mut();
        let mut nodes: Vec<Option<NodeProto>> = std::mem::take(&mut graph.node).into_iter().map(Some).collect();
        graph.node = order.into_iter().filter_map(|at| nodes[at].take()).collect();
        Ok(())
    }
}

/// Makes every node that reads `from` read `to` instead.
fn rename_uses(graph: &mut GraphProto, from: &str, to: &str) {
    for node in &mut graph.node {
        node.input.iter_mut().filter(|name| *name == from).for_each(|name| to.clone_into(name));
        for attribute in &mut node.attribute {
            attribute.g.iter_mut().chain(&mut attribute.graphs).for_each(|inner| rename_uses(inner, from, to));
        }
    }
}

fn nested_uses(node: &NodeProto) -> Vec<String> {
    let graphs = node.attribute.iter().flat_map(|a| a.g.iter().chain(&a.graphs));
    let uses = |graph: &GraphProto| -> Vec<String> {
        let nodes = graph.node.iter().flat_map(|n| n.input.iter().cloned().chain(nested_uses(n)));
        nodes.chain(graph.output.iter().map(|o| o.label().to_owned())).collect()
    };
    graphs.flat_map(uses).collect()
}

/// Which nodes produce and use each value.
#[derive(Clone, Debug, Default)]
pub struct Index {
    makers: HashMap<String, usize>,
    users: HashMap<String, Vec<usize>>,
    weights: HashMap<String, usize>,
    outputs: HashSet<String>,
}

impl Index {
    fn new(graph: &GraphProto) -> Self {
        let mut index = Self::default();
        for (at, node) in graph.node.iter().enumerate() {
            for name in node.output.iter().filter(|name| !name.is_empty()) {
                index.makers.insert(name.clone(), at);
            }
            for name in node.input.iter().cloned().chain(nested_uses(node)).filter(|name| !name.is_empty()) {
                index.users.entry(name).or_default().push(at);
            }
        }
        index.weights = graph.initializer.iter().enumerate().map(|(at, t)| (t.label().to_owned(), at)).collect();
        index.outputs = graph.output.iter().map(|o| o.label().to_owned()).collect();
        index
    }

    /// The node that produces a value.
    #[must_use]
    pub fn maker(&self, value: &str) -> Option<usize> {
        self.makers.get(value).copied()
    }

    /// The nodes that use a value, one entry per use.
    #[must_use]
    pub fn users(&self, value: &str) -> &[usize] {
        self.users.get(value).map_or(&[], Vec::as_slice)
    }

    /// Whether a value is an output of the graph.
    #[must_use]
    pub fn is_output(&self, value: &str) -> bool {
        self.outputs.contains(value)
    }

    /// A weight by its name.
    #[must_use]
    pub fn weight<'a>(&self, graph: &'a GraphProto, name: &str) -> Option<&'a TensorProto> {
        self.weights.get(name).map(|&at| &graph.initializer[at])
    }

    /// Returns an order of the nodes in which each comes after the producers of its inputs (Kahn 1962). If several
    /// nodes could come next, the first of them in the file does.
    ///
    /// # Errors
    /// [`Error::Model`] if the graph has a cycle.
    pub fn order(&self, graph: &GraphProto) -> Result<Vec<usize>> {
        let makers = |node: &NodeProto| -> HashSet<usize> {
            node.input.iter().cloned().chain(nested_uses(node)).filter_map(|name| self.maker(&name)).collect()
        };
        let mut waiting: Vec<usize> = graph.node.iter().map(|node| makers(node).len()).collect();
        let mut ready: std::collections::BTreeSet<usize> = (0..waiting.len()).filter(|&at| waiting[at] == 0).collect();
        let mut order = Vec::with_capacity(waiting.len());
        let mut done = vec![false; waiting.len()];
        while let Some(at) = ready.pop_first() {
            order.push(at);
            done[at] = true;
            let users: HashSet<usize> =
                graph.node[at].output.iter().flat_map(|name| self.users(name).iter().copied()).collect();
            for user in users {
                // Two producers of one value, which a checked model does not have, would count twice.
                waiting[user] = waiting[user].saturating_sub(1);
                if waiting[user] == 0 && !done[user] {
                    ready.insert(user);
                }
            }
        }
        if order.len() == graph.node.len() {
            return Ok(order);
        }
        let stuck = (0..waiting.len()).find(|&at| waiting[at] > 0).map_or("?", |at| graph.node[at].op());
        Err(Error::Model(format!("nodes of the graph form a cycle (one is a `{stuck}`)")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(nodes: Vec<NodeProto>) -> Model {
        let value = |name: &str| ValueInfoProto { name: Some(name.into()), ..Default::default() };
        let graph = GraphProto { node: nodes, input: vec![value("x")], output: vec![value("y")], ..Default::default() };
        Model { proto: ModelProto { graph: Some(graph), ..Default::default() }, exact: true }
    }

    #[test]
    fn a_node_before_an_output_hands_its_name_to_the_maker() {
        let mut m =
            model(vec![NodeProto::of("Relu", "a", &["x"], &["h"]), NodeProto::of("Identity", "b", &["h"], &["y"])]);
        assert!(m.bypass(1));
        m.sweep();
        assert_eq!(m.graph().node.len(), 1);
        assert_eq!(m.graph().node[0].output, ["y"]);
    }

    #[test]
    fn an_output_that_is_an_input_keeps_its_node() {
        let mut m = model(vec![NodeProto::of("Identity", "b", &["x"], &["y"])]);
        assert!(!m.bypass(0));
        m.sweep();
        assert_eq!(m.graph().node.len(), 1);
    }

    #[test]
    fn what_no_output_needs_is_swept_away_and_the_rest_is_sorted() {
        let mut m = model(vec![
            NodeProto::of("Relu", "late", &["h"], &["y"]),
            NodeProto::of("Relu", "early", &["x"], &["h"]),
            NodeProto::of("Relu", "unused", &["h"], &["z"]),
        ]);
        m.sweep();
        m.sort().unwrap();
        let names: Vec<&str> = m.graph().node.iter().filter_map(|n| n.name.as_deref()).collect();
        assert_eq!(names, ["early", "late"]);
    }

    #[test]
    fn a_circle_is_refused() {
        let m = model(vec![NodeProto::of("Add", "a", &["x", "k"], &["y"]), NodeProto::of("Relu", "b", &["y"], &["k"])]);
        assert!(m.index().order(m.graph()).is_err());
    }
}
