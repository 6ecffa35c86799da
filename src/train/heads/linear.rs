//! The last layer of a head, and how it gets another number of classes.

use crate::error::{Error, Result};
use crate::infer::Card;
use crate::onnx::pb::ValueInfoProto;
use crate::onnx::{Model, TensorProto, element_type, head};
use crate::train::random::Random;
use std::collections::BTreeSet;

/// A linear layer that gives one number for each class: Gemm, MatMul, or a convolution.
#[derive(Clone, Debug)]
pub struct Layer {
    /// The value that holds its result, bias included.
    pub logits: String,
    /// `[classes, K, …]`, or `[K, classes]` if `turned`.
    weight: String,
    /// `[classes]`.
    bias: Option<String>,
    turned: bool,
}

/// How new rows begin.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    /// All random numbers follow from it.
    pub seed: u64,
    /// The bias of a class that the model does not know.
    pub bias: f32,
}

/// The purpose of random numbers here.
const HEAD: u64 = 3;

/// The deviation of new weights (torchvision's classifiers).
const DEVIATION: f64 = 0.01;

/// The name of an output of a model: one of those that its card names, or else of the graph's own.
///
/// # Errors
/// [`Error::Model`] if it has fewer.
pub fn output_of(card: &Card, model: &Model, number: usize) -> Result<String> {
    let named = &card.fields.model.outputs;
    let own = || model.graph().output.get(number).map(|output| output.label().to_owned());
    let output = if named.is_empty() { own() } else { named.get(number).cloned() };
    output.ok_or_else(|| Error::Model(format!("model `{}` has no output {number}", card.name)))
}

impl Layer {
    /// The layer that leads to an output, with nothing but an average in front of it.
    #[must_use]
    pub fn find(model: &Model, output: &str) -> Option<Self> {
        let found = head::find(model, output);
        let logits = found.map_or_else(|| through(model, output), |head| Some(head.logits))?;
        Self::of(model, &logits)
    }

    /// The layer that gives a value.
    #[must_use]
    pub fn of(model: &Model, logits: &str) -> Option<Self> {
        let (graph, index) = (model.graph(), model.index());
        let maker = |name: &str| index.maker(name).map(|at| &graph.node[at]);
        let weight = |name: Option<&str>| name.filter(|name| index.weight(graph, name).is_some()).map(str::to_owned);
        let (mut node, mut bias) = (maker(logits)?, None);
        if node.op() == "Add" {
            let side = (0..2).find(|at| weight(node.input(*at)).is_some())?;
            bias = weight(node.input(side));
            node = maker(node.input(1 - side)?)?;
        }
        let turned = match node.op() {
            "Conv" => false,
            "Gemm" => node.int("transB", 0) == 0,
            "MatMul" => true,
            _ => return None,
        };
        let (own, inner) = (weight(node.input(1))?, weight(node.input(2)));
        Some(Self { logits: logits.to_owned(), weight: own, bias: inner.or(bias), turned })
    }

    /// The names of its weights.
    #[must_use]
    pub fn weights(&self) -> BTreeSet<String> {
        std::iter::once(&self.weight).chain(&self.bias).cloned().collect()
    }

    /// Gives the layer other classes. `rows` has, for each class, the number of its old row; a new one begins with small random
    /// weights. Returns how many rows there were.
    ///
    /// # Errors
    /// [`Error::Model`] if the weights have another form than they should.
    pub fn reclass(&self, model: &mut Model, rows: &[Option<usize>], start: &Start) -> Result<usize> {
        let index = model.index();
        let weight = index.weight(model.graph(), &self.weight).cloned().unwrap_or_default();
        let (shape, values) = (weight.shape(), weight.floats()?);
        let (old, rest) = if self.turned { (shape[1], shape[0]) } else { (shape[0], shape[1..].iter().product()) };
        if rows.len() == old && rows.iter().enumerate().all(|(at, row)| *row == Some(at)) {
            return Ok(old);
        }
        if rows.iter().flatten().any(|row| *row >= old) {
            let labels = rows.iter().flatten().max().map_or(0, |row| row + 1);
            return Err(Error::Model(format!(
                "the last layer has {old} classes, and the card at least {labels} labels"
            )));
        }
        let random = Random::of(&[start.seed, HEAD]);
        let count = rows.len();
        let mut changed = vec![0.0; count * rest];
        for (class, row) in rows.iter().enumerate() {
            for k in 0..rest {
                let value = match row {
                    Some(row) if self.turned => values[k * old + row],
                    Some(row) => values[row * rest + k],
                    None => (DEVIATION * random.normal((class * rest + k) as u64)) as f32,
                };
                changed[if self.turned { k * count + class } else { class * rest + k }] = value;
            }
        }
        let mut new_shape = shape.clone();
        new_shape[usize::from(self.turned)] = count;
        put(model, TensorProto::of_f32(&self.weight, &new_shape, &changed));
        if let Some(bias) = &self.bias {
            let tensor = index.weight(model.graph(), bias).cloned().unwrap_or_default();
            let values = tensor.floats()?;
            let new: Vec<f32> =
                rows.iter().map(|row| row.and_then(|row| values.get(row).copied()).unwrap_or(start.bias)).collect();
            let mut shape = tensor.shape();
            shape.iter_mut().filter(|side| **side == old).for_each(|side| *side = count);
            if shape.iter().product::<usize>() != count {
                return Err(Error::Model(format!(
                    "the bias `{bias}` of the last layer has another form than its weights"
                )));
            }
            put(model, TensorProto::of_f32(bias, &shape, &new));
        }
        Ok(old)
    }
}

/// Puts a weight in the place of the one with its name.
fn put(model: &mut Model, tensor: TensorProto) {
    let weights = &mut model.graph_mut().initializer;
    if let Some(at) = weights.iter().position(|own| own.label() == tensor.label()) {
        weights[at] = tensor;
    }
}

/// Back from an output through what only changes its form, to a linear layer.
fn through(model: &Model, output: &str) -> Option<String> {
    let (graph, index) = (model.graph(), model.index());
    let mut value = output;
    loop {
        let node = &graph.node[index.maker(value)?];
        match node.op() {
            "Gemm" | "MatMul" => return Some(value.to_owned()),
            "Add" => {
                let constant = |at: usize| node.input(at).is_some_and(|name| index.weight(graph, name).is_some());
                return (constant(0) || constant(1)).then(|| value.to_owned());
            }
            "Softmax" | "LogSoftmax" | "Sigmoid" | "Reshape" | "Flatten" | "Squeeze" | "Identity" => {
                value = node.input(0)?;
            }
            _ => return None,
        }
    }
}

/// Changes a number of channels in what lies behind a value: shapes that nodes read, and what the file says of its outputs.
pub fn follow(model: &mut Model, from: &str, old: usize, new: usize) {
    if old == new {
        return;
    }
    let index = model.index();
    let Ok(order) = index.order(model.graph()) else { return };
    let mut behind: BTreeSet<String> = std::iter::once(from.to_owned()).collect();
    let mut replaced = BTreeSet::new();
    for at in order {
        let node = &model.graph().node[at];
        if !node.input.iter().any(|name| behind.contains(name)) {
            continue;
        }
        behind.extend(node.output.iter().cloned());
        let at_input = match node.op() {
            "Reshape" | "Expand" => 1,
            "Resize" => 3,
            _ => continue,
        };
        let shape = node.input(at_input).and_then(|name| index.weight(model.graph(), name));
        let shape = shape.and_then(|tensor| tensor.ints().ok());
        let Some(mut shape) = shape.filter(|shape| shape.contains(&(old as i64))) else { continue };
        // Height and width may be the same number by chance.
        shape.iter_mut().filter(|side| **side == old as i64).take(1).for_each(|side| *side = new as i64);
        // Another node may read the same shape.
        let name = model.fresh("shape");
        let graph = model.graph_mut();
        graph.initializer.push(TensorProto::of_i64(&name, &[shape.len()], &shape));
        replaced.insert(std::mem::replace(&mut graph.node[at].input[at_input], name));
    }
    for output in model.graph_mut().output.iter_mut().filter(|output| behind.contains(output.label())) {
        let Some((kind, Some(mut shape))) = element_type(output) else { continue };
        shape.iter_mut().filter(|side| **side == Some(old)).take(1).for_each(|side| *side = Some(new));
        *output = ValueInfoProto::of(output.label(), kind, Some(&shape));
    }
    // What nobody reads any more goes.
    let index = model.index();
    let gone = |name: &str| replaced.contains(name) && index.users(name).is_empty() && !index.is_output(name);
    model.graph_mut().initializer.retain(|tensor| !gone(tensor.label()));
}
