//! Decided before lowering: which values are born inside the Concat that they end in, and how many rows and columns of
//! zeros each map needs around it.

use super::focus::Focus;
use super::windows::{sides_of, window_of};
use crate::onnx::{Index, Model, NodeProto};
use std::collections::{HashMap, HashSet};

/// A place inside another value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home {
    pub parent: String,
    /// The sides of the parent.
    pub sides: Vec<usize>,
    pub axis: usize,
    pub start: usize,
}

/// Homes and borders by the name of the value.
#[derive(Clone, Debug, Default)]
pub struct Homes {
    homes: HashMap<String, Home>,
    borders: HashMap<String, [usize; 2]>,
}

/// What is known of values when homes are decided.
pub struct Seen<'a> {
    pub model: &'a Model,
    pub index: &'a Index,
    /// The sides of all values of the block.
    pub sides: &'a HashMap<String, Vec<usize>>,
    /// The nodes of the block, in order.
    pub nodes: &'a [usize],
}

/// Operators whose output is their input seen in another way.
fn is_view(op: &str) -> bool {
    matches!(
        op,
        "Slice"
            | "Split"
            | "Identity"
            | "Dropout"
            | "Reshape"
            | "Flatten"
            | "Squeeze"
            | "Unsqueeze"
            | "Transpose"
            | "Gather"
            | "Pad"
            | "DequantizeLinear"
    )
}

impl Homes {
    pub fn of(&self, name: &str) -> Option<Home> {
        self.homes.get(name).cloned()
    }

    pub fn border(&self, name: &str) -> [usize; 2] {
        self.borders.get(name).copied().unwrap_or([0; 2])
    }

    /// Decides for the nodes of a block.
    #[must_use]
    pub fn decide(seen: &Seen) -> Self {
        let mut homes = Self::default();
        homes.move_in(seen);
        homes.find_borders(seen);
        homes
    }

    /// Inputs of a Concat of channels that a step of the block writes.
    fn move_in(&mut self, seen: &Seen) {
        let graph = seen.model.graph();
        let block: HashSet<usize> = seen.nodes.iter().copied().collect();
        for at in seen.nodes {
            let node = &graph.node[*at];
            let (Some(output), "Concat") = (node.output(0), node.op()) else { continue };
            let Some(sides) = seen.sides.get(output).filter(|sides| sides.len() == 4 && sides[0] == 1) else {
                continue;
            };
            if !matches!(node.int("axis", 0), 1 | -3) {
                continue;
            }
            // Levels and floats do not mix.
            let levels =
                |name: &String| seen.index.maker(name).is_some_and(|at| graph.node[at].op() == "QuantizeLinear");
            if node.input.iter().any(levels) && !node.input.iter().all(levels) {
                continue;
            }
            let mut start = 0;
            for name in &node.input {
                let Some(own) = seen.sides.get(name) else { break };
                let home = |start: usize| Home { parent: output.to_owned(), sides: sides.clone(), axis: 1, start };
                let maker = seen.index.maker(name).filter(|maker| block.contains(maker));
                let once = node.input.iter().filter(|other| *other == name).count() == 1;
                if let Some(maker) =
                    maker.filter(|_| once && !self.homes.contains_key(name) && !self.holds(name, output))
                {
                    let op = graph.node[maker].op();
                    if !is_view(op) {
                        self.homes.insert(name.clone(), home(start));
                    } else if let Some((whole, first)) = self.halves(seen, maker, name, &node.input)
                        && let Some(first) = start.checked_sub(first)
                    {
                        self.homes.insert(whole, home(first));
                    }
                }
                start += own[1];
            }
        }
    }

    /// Whether `parent` lives inside `name`.
    fn holds(&self, name: &str, parent: &str) -> bool {
        let mut at = parent;
        while let Some(home) = self.homes.get(at) {
            if home.parent == name {
                return true;
            }
            at = &home.parent;
        }
        at == name
    }

    /// The value that a Split of channels divides, if all of its parts stand side by side among these; and where the part
    /// begins in it.
    fn halves(&self, seen: &Seen, maker: usize, part: &str, among: &[String]) -> Option<(String, usize)> {
        let split = &seen.model.graph().node[maker];
        let whole = split.input(0).filter(|_| split.op() == "Split" && matches!(split.int("axis", 0), 1 | -3))?;
        let made = seen.index.maker(whole).filter(|maker| seen.nodes.contains(maker))?;
        let free = !is_view(seen.model.graph().node[made].op()) && !self.homes.contains_key(whole);
        let at = among.iter().position(|name| *name == split.output[0])?;
        let beside = among.get(at..at + split.output.len())? == split.output.as_slice();
        if !free || !beside || part != split.output[0] || seen.sides.get(whole)?.len() != 4 {
            return None;
        }
        Some((whole.to_owned(), 0))
    }

    /// What windows reach outside their maps, carried back to the values that hold the maps.
    fn find_borders(&mut self, seen: &Seen) {
        let graph = seen.model.graph();
        for at in seen.nodes.iter().rev() {
            let node = &graph.node[*at];
            let Some(input) = node.input(0) else { continue };
            match node.op() {
                "Conv" => {
                    let Some(border) = Self::border_of(seen, node, input) else { continue };
                    match Focus::of(seen.model, seen.index, input) {
                        Some(focus) if seen.sides.contains_key(&focus.root) => {
                            self.widen(&focus.root, border.map(|side| 2 * side));
                        }
                        _ => self.widen(input, border),
                    }
                }
                "Concat" => {
                    let border = node.output(0).map_or([0; 2], |name| self.border(name));
                    node.input.iter().for_each(|name| self.widen(name, border));
                }
                "Transpose" if node.ints("perm") == Some(&[0, 3, 1, 2]) => {
                    let border = node.output(0).map_or([0; 2], |name| self.border(name));
                    self.widen(input, border);
                }
                "Slice" | "Split" | "Identity" | "Dropout" | "DequantizeLinear" => {
                    for name in &node.output {
                        let border = self.border(name);
                        self.widen(input, border);
                    }
                }
                _ => {}
            }
        }
        // A value that lives inside another has that one's border.
        let inside: Vec<(String, String)> =
            self.homes.iter().map(|(name, home)| (name.clone(), home.parent.clone())).collect();
        for _ in 0..4 {
            for (name, parent) in &inside {
                let border = self.border(name);
                self.widen(parent, border);
            }
        }
    }

    /// What a convolution needs around its input. The sides of its output may not be known: an activation took it in.
    fn border_of(seen: &Seen, node: &NodeProto, input: &str) -> Option<[usize; 2]> {
        let &[_, channels, height, width] = seen.sides.get(input)?.as_slice() else { return None };
        let graph = seen.model.graph();
        // Weights may be levels in the file.
        let name = node.input(1)?;
        let dequantized = || {
            let maker = &graph.node[seen.index.maker(name)?];
            seen.index.weight(graph, maker.input(0).filter(|_| maker.op() == "DequantizeLinear")?)
        };
        let weights = seen.index.weight(graph, name).or_else(dequantized)?;
        let &[outputs, inputs, ..] = weights.shape().as_slice() else { return None };
        let window = window_of(node, [height, width]).ok()?;
        let [h, w] = sides_of(node, &window, [height, width]).ok()?;
        let depthwise = inputs == 1 && node.int("group", 1) > 1;
        let border = window.border([channels, height, width], [outputs, h, w], depthwise);
        Some(border.map(|[down, across]| down.max(across)))
    }

    fn widen(&mut self, name: &str, by: [usize; 2]) {
        if by != [0; 2] {
            let border = self.borders.entry(name.to_owned()).or_default();
            *border = [border[0].max(by[0]), border[1].max(by[1])];
        }
    }
}
