//! The layers that learn: their weights, and one step of them.

use super::state::State;
use crate::error::{Error, Result};
use crate::onnx::Model;
use crate::train::engine::{Net, Tensor};
use crate::train::features::{Batch, Frozen};
use crate::train::heads::{Head, Loss};
use crate::train::optimizer::{Rule, clip, step};
use crate::train::plan::{Division, Role};
use crate::train::recipe::{Optimizer, Schedule};
use crate::train::weights::Weights;
use std::collections::BTreeMap;

/// The layers that learn.
pub struct Learner<'a> {
    net: Net,
    /// The same layers with frozen statistics, if those of `net` come from the batch.
    judge: Option<Net>,
    /// The running statistics that `net` changes.
    statistics: Vec<String>,
    head: &'a dyn Head,
    division: &'a Division,
    settings: &'a Schedule,
    inputs: Vec<String>,
    /// The sum of gradients since the last step, and of how many batches.
    gradients: BTreeMap<String, Vec<f32>>,
    batches: u64,
}

impl<'a> Learner<'a> {
    /// Builds the layers behind the frozen ones, for batches of one size. Those of a `fresh` net are normalised by the batch.
    ///
    /// # Errors
    /// [`Error::Model`] if the engine has no gradient of one of their operators.
    pub fn build(
        model: &Model,
        frozen: &Frozen,
        division: &'a Division,
        head: &'a dyn Head,
        settings: &'a Schedule,
        batch: usize,
        fresh: bool,
    ) -> Result<Self> {
        let shapes: Vec<(&str, Vec<usize>)> = frozen
            .cuts
            .iter()
            .map(|(name, shape)| (name.as_str(), std::iter::once(batch).chain(shape[1..].iter().copied()).collect()))
            .collect();
        let inputs: Vec<(&str, &[usize])> = shapes.iter().map(|(name, shape)| (*name, shape.as_slice())).collect();
        let outputs: Vec<&str> = head.outputs().iter().map(String::as_str).collect();
        let trains = |name: &str| division.trained.contains_key(name);
        let (statistics, changed) = if fresh { batch_statistics(model, &trains) } else { (Vec::new(), None) };
        let net = Net::build(changed.as_ref().unwrap_or(model), &inputs, &outputs, &trains)?;
        let judge = changed.is_some().then(|| Net::build(model, &inputs, &outputs, &|_| false)).transpose()?;
        let inputs = frozen.cuts.iter().map(|(name, _)| name.clone()).collect();
        Ok(Self { net, judge, statistics, head, division, settings, inputs, gradients: BTreeMap::new(), batches: 0 })
    }

    /// The weights as they are.
    #[must_use]
    pub fn weights(&self) -> Weights {
        let value = |name: &String| self.net.value(name).map(|tensor| (name.clone(), tensor.values.clone()));
        self.division.trained.keys().chain(&self.statistics).filter_map(value).collect()
    }

    /// Sets weights that are here.
    pub fn set(&mut self, weights: &Weights) {
        for name in self.division.trained.keys().chain(&self.statistics) {
            for net in std::iter::once(&mut self.net).chain(&mut self.judge) {
                if let (Some(values), Some(own)) = (weights.get(name), net.weight_mut(name)) {
                    own.values.copy_from_slice(values);
                }
            }
        }
    }

    /// The loss of a batch with the weights that were set last, as the exported file would have it. It may be smaller than those
    /// that the layers were built for.
    ///
    /// # Errors
    /// [`Error::Internal`] if it is larger.
    pub fn judge(&mut self, batch: &Batch) -> Result<Loss> {
        loss(self.judge.as_mut().unwrap_or(&mut self.net), self.head, &self.inputs, batch)
    }

    /// The loss of a batch; its gradients are added to those since the last step.
    ///
    /// # Errors
    /// [`Error::Data`] if the loss is not a number.
    pub fn learn(&mut self, batch: &Batch) -> Result<Loss> {
        let loss = loss(&mut self.net, self.head, &self.inputs, batch)?;
        if let Some((part, value)) = loss.parts.iter().find(|(_, value)| !value.is_finite()) {
            return Err(Error::Data(format!(
                "the loss `{part}` is {value}: the training diverged; set `schedule.rate` to a third, or a smaller `clip`"
            )));
        }
        let outputs = self.head.outputs().iter().map(String::as_str);
        let given: Vec<(&str, &[f32])> = outputs.zip(loss.gradients.iter().map(Vec::as_slice)).collect();
        for (name, values) in self.net.backward(&given)? {
            match self.gradients.get_mut(&name) {
                Some(sum) => sum.iter_mut().zip(&values).for_each(|(sum, value)| *sum += value),
                None => _ = self.gradients.insert(name, values),
            }
        }
        self.batches += 1;
        Ok(loss)
    }

    /// Forgets the gradients since the last step.
    pub fn forget(&mut self) {
        self.gradients.clear();
        self.batches = 0;
    }

    /// Changes the weights.
    pub fn step(&mut self, state: &mut State, rate: f64) {
        let s = self.settings;
        let rule = match s.optimizer {
            Optimizer::Sgd => Rule::Sgd { momentum: s.momentum, dampening: 0.0, nesterov: s.nesterov },
            Optimizer::Adam => Rule::adam(false),
            Optimizer::Adamw => Rule::adam(true),
        };
        let mut gradients = std::mem::take(&mut self.gradients);
        if self.batches > 1 {
            let factor = 1.0 / self.batches as f32;
            gradients.values_mut().flatten().for_each(|value| *value *= factor);
        }
        if s.clip > 0.0 {
            clip(gradients.values_mut().map(Vec::as_mut_slice), s.clip);
        }
        for (name, gradient) in &gradients {
            let (Some(role), Some(weight)) = (self.division.trained.get(name), self.net.weight_mut(name)) else {
                continue;
            };
            let decay = if *role == Role::Kernel { s.decay } else { 0.0 };
            let memory = state.memories.entry(name.clone()).or_default();
            step(rule, &mut weight.values, gradient, memory, rate, decay);
            if s.ema > 0.0 {
                // A short mean at first, as TensorFlow's `ExponentialMovingAverage` with `num_updates`.
                let keep = s.ema.min((1.0 + memory.steps as f64) / (10.0 + memory.steps as f64)) as f32;
                let mean = state.averages.entry(name.clone()).or_insert_with(|| weight.values.clone());
                mean.iter_mut()
                    .zip(&weight.values)
                    .for_each(|(mean, value)| *mean = keep * *mean + (1.0 - keep) * value);
            }
        }
        self.batches = 0;
    }
}

/// The loss of a batch.
fn loss(net: &mut Net, head: &dyn Head, inputs: &[String], batch: &Batch) -> Result<Loss> {
    let mut given: Vec<(&str, Vec<f32>)> = Vec::new();
    for (name, values) in inputs.iter().zip(&batch.inputs) {
        let mut values = values.clone();
        let len = net.value(name).map_or(0, |tensor| tensor.values.len());
        values.resize(len.max(values.len()), 0.0);
        given.push((name, values));
    }
    let given: Vec<(&str, &[f32])> = given.iter().map(|(name, values)| (*name, values.as_slice())).collect();
    net.forward(&given)?;
    let outputs: Option<Vec<&Tensor>> = head.outputs().iter().map(|name| net.value(name)).collect();
    let outputs = outputs.ok_or_else(|| Error::Internal("a head without its output".into()))?;
    Ok(head.loss(&outputs, &batch.targets))
}

/// The graph with statistics of the batch in each normalisation that is trained, and the names of the running ones.
fn batch_statistics(model: &Model, trains: &dyn Fn(&str) -> bool) -> (Vec<String>, Option<Model>) {
    let (mut changed, mut names) = (model.clone(), Vec::new());
    for node in &mut changed.graph_mut().node {
        if node.op() == "BatchNormalization" && node.input(1).is_some_and(trains) {
            names.extend([3, 4].into_iter().filter_map(|at| node.input(at)).map(str::to_owned));
            *node = std::mem::take(node).with_int("training_mode", 1);
        }
    }
    let any = !names.is_empty();
    (names, any.then_some(changed))
}
