//! From nodes to steps: what is common to all operators.

use super::homes::Homes;
pub use super::known::Reason;
use super::known::{self, Known};
use super::level::Level;
use crate::kernels::Isa;
use crate::kernels::bytes::levels::Work;
use crate::kernels::draft::Draft;
use crate::kernels::program::Builder;
use crate::kernels::view::{Map, View};
use crate::onnx::{Index, Model, NodeProto};
use std::collections::{HashMap, HashSet};

/// The most values of a tensor: 256 MB.
const MOST: usize = 64 << 20;

/// Steps under construction.
pub struct Lower<'a> {
    pub model: &'a Model,
    pub index: &'a Index,
    pub builder: Builder,
    /// Where values lie.
    pub values: HashMap<String, View>,
    /// Where levels lie.
    pub levels: HashMap<String, Level>,
    /// Weights that are levels in the file, and the nodes that dequantise them.
    pub weights: HashMap<String, &'a NodeProto>,
    pub known: HashMap<String, Known>,
    /// Values that are indices: integers outside of the block.
    pub indices: HashSet<String>,
    /// Nodes that an earlier one has taken in.
    pub taken: HashSet<usize>,
    /// The nodes that may be taken in.
    pub allowed: &'a dyn Fn(usize) -> bool,
    pub homes: Homes,
    constants: HashMap<String, View>,
}

impl<'a> Lower<'a> {
    pub fn new(model: &'a Model, index: &'a Index, isa: Isa, homes: Homes, allowed: &'a dyn Fn(usize) -> bool) -> Self {
        Self {
            model,
            index,
            builder: Builder::new(isa),
            values: HashMap::new(),
            levels: HashMap::new(),
            weights: HashMap::new(),
            known: HashMap::new(),
            indices: HashSet::new(),
            taken: HashSet::new(),
            allowed,
            homes,
            constants: HashMap::new(),
        }
    }

    pub fn node(&self, at: usize) -> &'a NodeProto {
        &self.model.graph().node[at]
    }

    /// Numbers that are known: small weights, and what is computed from shapes.
    pub fn known(&self, name: &str) -> Option<Known> {
        let weight = || Known::of(self.index.weight(self.model.graph(), name)?);
        self.known.get(name).cloned().or_else(weight)
    }

    /// Known integers of an input of a node.
    pub fn ints(&self, node: &NodeProto, input: usize) -> Option<Vec<i64>> {
        self.known(node.input(input)?).map(|known| known.ints())
    }

    /// All values of a weight.
    pub fn floats(&self, name: &str) -> Option<(Vec<usize>, Vec<f32>)> {
        if let Some(node) = self.weights.get(name) {
            return Some(super::weights::Weights::of(self.model, self.index, node).ok()?.floats());
        }
        let tensor = self.index.weight(self.model.graph(), name)?;
        Some((tensor.shape(), tensor.floats().ok()?))
    }

    /// One float that a node names as an input, or its default.
    pub fn float(&self, node: &NodeProto, input: usize, default: f32) -> Result<f32, Reason> {
        let Some(name) = node.input(input) else { return Ok(default) };
        let known = self.known(name).filter(|known| known.values.len() == 1);
        known.map(|known| known.values[0] as f32).ok_or_else(|| format!("`{name}` is not known before it runs"))
    }

    /// Whether a value is there.
    pub fn has(&self, name: &str) -> bool {
        self.values.contains_key(name) || self.levels.contains_key(name) || self.weights.contains_key(name)
    }

    /// Where a value lies, in floats; weights become constants.
    pub fn view(&mut self, name: &str) -> Result<View, Reason> {
        if let Some(view) = self.values.get(name).or_else(|| self.constants.get(name)) {
            return Ok(view.clone());
        }
        if let Some(level) = self.levels.get(name).cloned() {
            let quant = level.quant.filter(|_| !level.raw).ok_or_else(|| format!("`{name}` holds levels"))?;
            let to = self.place_like("", &level.view, &level.view.sides)?;
            self.builder.step(Draft::Level { work: Work::Value(quant), from: level.view, to: to.clone() });
            self.values.insert(name.to_owned(), to.clone());
            return Ok(to);
        }
        let (sides, values) = match self.floats(name) {
            Some(weight) => weight,
            None => {
                let known = self.known(name).ok_or_else(|| format!("`{name}` comes from tract"))?;
                (known.sides, known.values.into_iter().map(|value| value as f32).collect())
            }
        };
        if values.is_empty() {
            return Err(format!("`{name}` is empty"));
        }
        let view = self.builder.constant(&sides, values);
        self.constants.insert(name.to_owned(), view.clone());
        Ok(view)
    }

    /// The sides of an input, whether it holds floats or levels.
    pub fn sides(&self, node: &NodeProto, at: usize) -> Result<Vec<usize>, Reason> {
        let name = node.input(at).ok_or("an input is missing")?;
        let level = || self.levels.get(name).map(|level| &level.view);
        let view = self.values.get(name).or_else(level).ok_or_else(|| format!("`{name}` comes from tract"))?;
        Ok(view.sides.clone())
    }

    /// Where the first input lies.
    pub fn input(&mut self, node: &NodeProto, at: usize) -> Result<View, Reason> {
        let name = node.input(at).ok_or("an input is missing")?;
        self.view(name)
    }

    /// A place for a value that a step writes: inside the value that it becomes a part of, or a buffer of its own.
    ///
    /// # Errors
    /// If it is larger than any tensor may be.
    pub fn place(&mut self, name: &str, sides: &[usize]) -> Result<View, Reason> {
        let volume = sides.iter().try_fold(1_usize, |all, side| all.checked_mul(*side));
        if volume.is_none_or(|volume| volume == 0 || volume > MOST) {
            return Err(format!("{sides:?} values are none, or more than {MOST}"));
        }
        if let Some(home) = self.homes.of(name) {
            let parent = match self.values.get(&home.parent) {
                Some(parent) => parent.clone(),
                None => {
                    let parent = self.place(&home.parent, &home.sides)?;
                    self.values.insert(home.parent.clone(), parent.clone());
                    parent
                }
            };
            return Ok(parent.slice(home.axis, home.start, sides[home.axis], 1));
        }
        Ok(match *sides {
            [1, channels, height, width] => {
                let border = self.homes.border(name);
                self.new_map([channels, height, width], border)?
            }
            _ => self.builder.list(sides),
        })
    }

    /// A place for levels that a step writes, with a border of those that stand for 0.
    ///
    /// # Errors
    /// As [`Lower::place`].
    pub fn place_levels(&mut self, name: &str, sides: &[usize], zero: u8) -> Result<View, Reason> {
        if let Some(home) = self.homes.of(name) {
            let parent = match self.levels.get(&home.parent) {
                Some(parent) => parent.view.clone(),
                None => {
                    let view = self.place_levels(&home.parent, &home.sides, zero)?;
                    let level = Level { view: view.clone(), quant: None, signed: false, raw: true };
                    self.levels.insert(home.parent.clone(), level);
                    view
                }
            };
            return Ok(parent.slice(home.axis, home.start, sides[home.axis], 1));
        }
        match *sides {
            [1, channels, height, width] => {
                let border = self.homes.border(name);
                self.new_level_map([channels, height, width], border, zero)
            }
            _ if sides.iter().try_fold(1_usize, |all, side| all.checked_mul(*side)).is_none_or(|all| all > MOST) => {
                Err(format!("{sides:?} levels are more than {MOST}"))
            }
            _ => Ok(self.builder.level_list(sides)),
        }
    }

    /// A map of levels with a border of those that stand for 0.
    ///
    /// # Errors
    /// If it is larger than any tensor may be.
    pub fn new_level_map(&mut self, sides: [usize; 3], border: [usize; 2], zero: u8) -> Result<View, Reason> {
        let [channels, height, width] = sides;
        let area = (height + border[0] + border[1]).checked_mul(width + border[0] + border[1]);
        if area.and_then(|area| area.checked_mul(channels)).is_none_or(|volume| volume == 0 || volume > MOST) {
            return Err(format!("with its border, {sides:?} is none, or more than {MOST}"));
        }
        Ok(self.builder.level_map(sides, border[0], border[1], zero))
    }

    /// Levels as a map with at least this border, copied if they lie in another way.
    pub fn level_map(&mut self, view: &View, border: [usize; 2], zero: u8) -> Result<Map, Reason> {
        let &[1, channels, height, width] = view.sides.as_slice() else {
            return Err(format!("{:?} is not one map", view.sides));
        };
        if let Some(map) = view.map()
            && self.builder.border_covers(&map, border)
            && (border == [0; 2] || self.builder.border_is(&map, zero))
        {
            return Ok(map);
        }
        let copy = self.new_level_map([channels, height, width], border, zero)?;
        self.builder.step(Draft::Level { work: Work::Copy, from: view.clone(), to: copy.clone() });
        copy.map().ok_or_else(|| "a new map is no map".to_owned())
    }

    /// A map with a border of zeros.
    ///
    /// # Errors
    /// If it is larger than any tensor may be.
    pub fn new_map(&mut self, sides: [usize; 3], [before, after]: [usize; 2]) -> Result<View, Reason> {
        let [channels, height, width] = sides;
        let area = (height + before + after).checked_mul(width + before + after);
        if area.and_then(|area| area.checked_mul(channels)).is_none_or(|volume| volume > MOST) {
            return Err(format!("with its border, {sides:?} is more than {MOST}"));
        }
        Ok(self.builder.map(sides, before, after))
    }

    /// A place for a value whose axes lie in the order of another's.
    pub fn place_like(&mut self, name: &str, like: &View, sides: &[usize]) -> Result<View, Reason> {
        if self.homes.of(name).is_some()
            || (sides.len() == 4 && sides[0] == 1 && (like.strides[1] == 1 || like.sides[1] == 1))
        {
            return self.place(name, sides);
        }
        let mut order: Vec<usize> = (0..sides.len()).collect();
        if like.sides.len() == sides.len() {
            order.sort_by_key(|axis| std::cmp::Reverse(like.strides[*axis]));
        }
        let sorted: Vec<usize> = order.iter().map(|axis| sides[*axis]).collect();
        let list = self.builder.list(&sorted);
        let back: Vec<usize> = (0..order.len()).filter_map(|axis| order.iter().position(|at| *at == axis)).collect();
        Ok(list.transpose(&back))
    }

    /// A value as a map with at least this border, copied if it lies in another way.
    pub fn map(&mut self, view: &View, border: [usize; 2]) -> Result<Map, Reason> {
        let &[1, channels, height, width] = view.sides.as_slice() else {
            return Err(format!("{:?} is not one map", view.sides));
        };
        if let Some(map) = view.map()
            && self.builder.border_covers(&map, border)
        {
            return Ok(map);
        }
        let copy = self.new_map([channels, height, width], border)?;
        self.builder.step(Draft::Copy { from: view.clone(), to: copy.clone() });
        copy.map().ok_or_else(|| "a new map is no map".to_owned())
    }

    /// The same values with other sides, copied if they lie in another way.
    pub fn reshape(&mut self, view: &View, to: &[usize]) -> Result<View, Reason> {
        if view.volume() != to.iter().product::<usize>() {
            return Err(format!("{:?} cannot become {to:?}", view.sides));
        }
        if let Some(view) = view.reshape(to) {
            return Ok(view);
        }
        let list = if self.builder.is_levels(view.buffer) {
            let list = self.builder.level_list(&view.sides);
            self.builder.step(Draft::Level { work: Work::Copy, from: view.clone(), to: list.clone() });
            list
        } else {
            let list = self.builder.list(&view.sides);
            self.builder.step(Draft::Copy { from: view.clone(), to: list.clone() });
            list
        };
        list.reshape(to).ok_or_else(|| "a list cannot be reshaped".to_owned())
    }

    /// Says where an output of a node lies.
    pub fn set(&mut self, node: &NodeProto, output: usize, view: View) -> Result<(), Reason> {
        let name = node.output(output).ok_or("an output is missing")?;
        self.values.insert(name.to_owned(), view);
        Ok(())
    }

    /// Whether a value is used by one node alone, and is no output.
    pub fn only_user(&self, name: &str) -> Option<usize> {
        match self.index.users(name) {
            [user] if !self.index.is_output(name) && (self.allowed)(*user) => Some(*user),
            _ => None,
        }
    }

    /// Computes a node whose result the first pass knew, with the shapes that it saw.
    pub fn fold_known(&mut self, at: usize, sides: &HashMap<String, Vec<usize>>) {
        let node = self.node(at);
        let inputs: Vec<Option<Known>> = node.input.iter().map(|name| self.known(name)).collect();
        let inputs: Vec<Option<&Known>> = inputs.iter().map(Option::as_ref).collect();
        let shape = node.input(0).and_then(|name| sides.get(name)).map(Vec::as_slice);
        if let (Some(known), Some(name)) = (known::fold(node, &inputs, shape), node.output(0)) {
            self.known.insert(name.to_owned(), known);
        }
    }

    /// Computes a node whose inputs are known; `true` if it could.
    pub fn fold(&mut self, node: &NodeProto) -> bool {
        let inputs: Vec<Option<Known>> =
            node.input.iter().map(|name| if self.has(name) { None } else { self.known(name) }).collect();
        let inputs: Vec<Option<&Known>> = inputs.iter().map(Option::as_ref).collect();
        let view = |name: &str| self.values.get(name).or_else(|| self.levels.get(name).map(|level| &level.view));
        let shape = node.input(0).and_then(view).map(|view| view.sides.clone());
        let Some(known) = known::fold(node, &inputs, shape.as_deref()) else { return false };
        let Some(name) = node.output(0) else { return false };
        self.known.insert(name.to_owned(), known);
        true
    }
}
