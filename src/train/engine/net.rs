//! A graph for one batch size, with its values and gradients.

use super::kernel::{Keeps, Kernel, Pass, Saved};
use super::ops::{Values, fold, read};
use super::tensor::{Pool, Tensor};
use crate::error::{Error, Result};
use crate::onnx::{Index, Model};
use std::collections::{BTreeMap, HashMap, HashSet};

struct Step {
    kernel: Box<dyn Kernel>,
    inputs: Vec<usize>,
    output: usize,
    saved: Saved,
}

/// What a value is.
struct Value {
    name: String,
    tensor: Tensor,
    /// Whether its gradient is computed: it is trainable, or made from something trainable.
    trains: bool,
    /// Whether it stays until the way back is over.
    stays: bool,
    /// Whether it is an input or an output of the net.
    asked: bool,
    /// The last step that reads it.
    last: usize,
}

/// A graph that computes and learns.
pub struct Net {
    steps: Vec<Step>,
    values: Vec<Value>,
    places: HashMap<String, usize>,
    pool: Pool,
}

impl Net {
    /// Builds the part of a graph that leads from `inputs`, given with their shapes, to the values `outputs`. `trains` says
    /// which weights are trainable, and of which inputs the gradients are wanted.
    ///
    /// # Errors
    /// [`Error::Model`] if the graph has an operator without gradient, or shapes do not fit.
    pub fn build(
        model: &Model,
        inputs: &[(&str, &[usize])],
        outputs: &[&str],
        trains: &dyn Fn(&str) -> bool,
    ) -> Result<Self> {
        let (graph, index) = (model.graph(), model.index());
        let mut net = Self { steps: Vec::new(), values: Vec::new(), places: HashMap::new(), pool: Pool::default() };
        for (name, shape) in inputs {
            net.add(name, Tensor::zeros(shape), trains(name));
        }
        let needed = needed(model, outputs, &|name| inputs.iter().any(|(input, _)| *input == name))?;
        let mut constants = Values::new(model);
        for at in index.order(graph)?.into_iter().filter(|at| needed.contains(at)) {
            let node = &graph.node[at];
            if node.op() == "Constant" {
                continue;
            }
            let fail = |what: &str| {
                let (op, name) = (node.op(), node.name.as_deref().unwrap_or_default());
                Error::Model(format!("`{op}` {name}: {what}"))
            };
            let known = |name: &str| {
                let made = net.places.get(name).map(|at| net.values[*at].tensor.shape.clone());
                made.or_else(|| constants.shape(name))
            };
            if let Some(ints) = fold(node, &constants, &known) {
                constants.learn(node.output(0).unwrap_or_default(), ints);
                continue;
            }
            let (kernel, taken) = read(node, &constants, &known).map_err(|what| fail(&what))?;
            if let Some([lo, hi]) = kernel.bounds()
                && net.fuse(&index, taken[0], node.output(0).unwrap_or_default(), [lo, hi], outputs)
            {
                continue;
            }
            let mut places = Vec::new();
            for name in taken {
                let place = match net.places.get(name) {
                    Some(place) => *place,
                    None => {
                        let weight = constants.tensor(name).map_err(|what| fail(&what))?;
                        let trainable = index.weight(graph, name).is_some() && trains(name);
                        let place = net.add(name, weight, trainable);
                        net.values[place].stays = true;
                        place
                    }
                };
                places.push(place);
            }
            let shapes: Vec<&[usize]> = places.iter().map(|at| net.values[*at].tensor.shape.as_slice()).collect();
            let shape = kernel.shape(&shapes).map_err(|what| fail(&what))?;
            let learns = places.iter().any(|at| net.values[*at].trains);
            let output = net.add(node.output(0).unwrap_or_default(), Tensor { shape, values: Vec::new() }, learns);
            let keeps = if learns { kernel.keeps() } else { Keeps::NOTHING };
            let step = net.steps.len();
            for at in &places {
                net.values[*at].last = step;
                net.values[*at].stays |= keeps.inputs;
            }
            net.values[output].last = step;
            net.values[output].stays = keeps.output;
            net.steps.push(Step { kernel, inputs: places, output, saved: Saved::default() });
        }
        for name in outputs {
            let Some(at) = net.places.get(*name) else {
                return Err(Error::Model(format!("the graph has no value `{name}` behind its inputs")));
            };
            net.values[*at].stays = true;
            net.values[*at].asked = true;
        }
        for (name, _) in inputs {
            let at = net.places[*name];
            net.values[at].stays = true;
            net.values[at].asked = true;
        }
        Ok(net)
    }

    /// Lets the step that made a value clip it, if this is all that becomes of the value.
    fn fuse(&mut self, index: &Index, value: &str, clipped: &str, [lo, hi]: [f32; 2], outputs: &[&str]) -> bool {
        let Some(at) = self.places.get(value).copied() else { return false };
        if index.users(value).len() != 1 || index.is_output(value) || outputs.contains(&value) {
            return false;
        }
        let Some(step) = self.steps.iter_mut().find(|step| step.output == at) else { return false };
        if !step.kernel.bound(lo, hi) {
            return false;
        }
        self.values[at].stays |= self.values[at].trains && step.kernel.keeps().output;
        clipped.clone_into(&mut self.values[at].name);
        self.places.insert(clipped.to_owned(), at);
        true
    }

    fn add(&mut self, name: &str, tensor: Tensor, trains: bool) -> usize {
        self.places.insert(name.to_owned(), self.values.len());
        self.values.push(Value { name: name.to_owned(), tensor, trains, stays: false, asked: false, last: 0 });
        self.values.len() - 1
    }

    /// A weight or another value by its name; after [`Net::forward`], the outputs are there.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&Tensor> {
        self.places.get(name).map(|at| &self.values[*at].tensor)
    }

    /// A weight, to be changed.
    pub fn weight_mut(&mut self, name: &str) -> Option<&mut Tensor> {
        self.places.get(name).map(|at| &mut self.values[*at].tensor)
    }

    /// Computes all values. An input that is not given keeps its values.
    ///
    /// # Errors
    /// [`Error::Internal`] if an input is unknown or has another size.
    pub fn forward(&mut self, inputs: &[(&str, &[f32])]) -> Result<()> {
        for (name, values) in inputs {
            let Some(at) = self.places.get(*name) else {
                return Err(Error::Internal(format!("the net has no input `{name}`")));
            };
            let own = &mut self.values[*at].tensor.values;
            if own.len() != values.len() {
                let (wanted, given) = (own.len(), values.len());
                return Err(Error::Internal(format!("the input `{name}` takes {wanted} values, not {given}")));
            }
            own.copy_from_slice(values);
        }
        for (number, step) in self.steps.iter_mut().enumerate() {
            let len = self.values[step.output].tensor.shape.iter().product();
            let mut output = std::mem::take(&mut self.values[step.output].tensor);
            if output.values.len() != len {
                output.values = self.pool.take(len);
            }
            let inputs: Vec<&Tensor> = step.inputs.iter().map(|at| &self.values[*at].tensor).collect();
            step.kernel.forward(&inputs, &mut output, &mut step.saved);
            self.values[step.output].tensor = output;
            for (input, values) in step.kernel.updates(&step.saved) {
                self.values[step.inputs[input]].tensor.values.copy_from_slice(&values);
            }
            for at in &step.inputs {
                let value = &mut self.values[*at];
                if !value.stays && value.last == number {
                    self.pool.give(std::mem::take(&mut value.tensor.values));
                }
            }
        }
        Ok(())
    }

    /// Computes the gradients of the trainable weights from those of some values.
    ///
    /// # Errors
    /// [`Error::Internal`] if a value is unknown or its gradient has another size.
    pub fn backward(&mut self, gradients: &[(&str, &[f32])]) -> Result<BTreeMap<String, Vec<f32>>> {
        let mut held: Vec<Option<Vec<f32>>> = self.values.iter().map(|_| None).collect();
        for (name, values) in gradients {
            let place = self.places.get(*name).copied();
            let fits = place.filter(|at| self.values[*at].tensor.shape.iter().product::<usize>() == values.len());
            let Some(at) = fits else {
                return Err(Error::Internal(format!("a gradient of `{name}` that does not fit it")));
            };
            held[at] = Some(values.to_vec());
        }
        for step in self.steps.iter_mut().rev() {
            let Some(mut gradient) = held[step.output].take() else { continue };
            if self.values[step.output].trains {
                let mut wanted: Vec<Option<Vec<f32>>> = Vec::with_capacity(step.inputs.len());
                let mut fresh = vec![false; step.inputs.len()];
                for (number, at) in step.inputs.iter().enumerate() {
                    let value = &self.values[*at];
                    // One value in two places: each place gets its own sum.
                    let twice = step.inputs[..number].contains(at);
                    wanted.push(value.trains.then(|| {
                        let len = value.tensor.shape.iter().product();
                        let known = if twice { None } else { held[*at].take() };
                        known.unwrap_or_else(|| {
                            fresh[number] = step.kernel.overwrites();
                            if fresh[number] { self.pool.take(len) } else { self.pool.zeros(len) }
                        })
                    }));
                }
                let inputs: Vec<&Tensor> = step.inputs.iter().map(|at| &self.values[*at].tensor).collect();
                let output = &self.values[step.output].tensor;
                let saved = &step.saved;
                let pass = Pass { inputs: &inputs, output, gradient: &mut gradient, fresh: &fresh, saved };
                step.kernel.backward(pass, &mut wanted);
                for (at, values) in step.inputs.iter().zip(wanted) {
                    let Some(values) = values else { continue };
                    match &mut held[*at] {
                        Some(sum) => {
                            sum.iter_mut().zip(&values).for_each(|(sum, value)| *sum += value);
                            self.pool.give(values);
                        }
                        none => *none = Some(values),
                    }
                }
            }
            self.pool.give(gradient);
            // The steps before it do not know its result.
            if !self.values[step.output].asked {
                self.pool.give(std::mem::take(&mut self.values[step.output].tensor.values));
            }
        }
        let mut all = BTreeMap::new();
        for (at, values) in held.into_iter().enumerate() {
            if let Some(values) = values {
                all.insert(self.values[at].name.clone(), values);
            }
        }
        Ok(all)
    }
}

/// The nodes that `outputs` need, back to the inputs.
fn needed(model: &Model, outputs: &[&str], is_input: &dyn Fn(&str) -> bool) -> Result<HashSet<usize>> {
    let (graph, index) = (model.graph(), model.index());
    let mut nodes = HashSet::new();
    let mut open: Vec<String> = outputs.iter().map(|name| (*name).to_owned()).collect();
    while let Some(name) = open.pop() {
        if is_input(&name) || index.weight(graph, &name).is_some() {
            continue;
        }
        let Some(at) = index.maker(&name) else {
            return Err(Error::Model(format!("nothing in the graph gives `{name}`")));
        };
        if nodes.insert(at) {
            open.extend(graph.node[at].input.iter().filter(|name| !name.is_empty()).cloned());
        }
    }
    Ok(nodes)
}
