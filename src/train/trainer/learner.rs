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
    head: &'a dyn Head,
    division: &'a Division,
    settings: &'a Schedule,
    inputs: Vec<String>,
    /// The sum of gradients since the last step, and of how many batches.
    gradients: BTreeMap<String, Vec<f32>>,
    batches: u64,
}

impl<'a> Learner<'a> {
    /// Builds the layers behind the frozen ones, for batches of one size.
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
    ) -> Result<Self> {
        let shapes: Vec<(&str, Vec<usize>)> = frozen
            .cuts
            .iter()
            .map(|(name, shape)| (name.as_str(), std::iter::once(batch).chain(shape[1..].iter().copied()).collect()))
            .collect();
        let inputs: Vec<(&str, &[usize])> = shapes.iter().map(|(name, shape)| (*name, shape.as_slice())).collect();
        let outputs: Vec<&str> = head.outputs().iter().map(String::as_str).collect();
        let net = Net::build(model, &inputs, &outputs, &|name| division.trained.contains_key(name))?;
        let inputs = frozen.cuts.iter().map(|(name, _)| name.clone()).collect();
        Ok(Self { net, head, division, settings, inputs, gradients: BTreeMap::new(), batches: 0 })
    }

    /// The weights as they are.
    #[must_use]
    pub fn weights(&self) -> Weights {
        let value = |name: &String| self.net.value(name).map(|tensor| (name.clone(), tensor.values.clone()));
        self.division.trained.keys().filter_map(value).collect()
    }

    /// Sets weights that are here.
    pub fn set(&mut self, weights: &Weights) {
        for name in self.division.trained.keys() {
            if let (Some(values), Some(own)) = (weights.get(name), self.net.weight_mut(name)) {
                own.values.copy_from_slice(values);
            }
        }
    }

    /// The loss of a batch. It may be smaller than those that the layers were built for.
    ///
    /// # Errors
    /// [`Error::Internal`] if it is larger.
    pub fn loss(&mut self, batch: &Batch) -> Result<Loss> {
        let mut given: Vec<(&str, Vec<f32>)> = Vec::new();
        for (name, values) in self.inputs.iter().zip(&batch.inputs) {
            let mut values = values.clone();
            let len = self.net.value(name).map_or(0, |tensor| tensor.values.len());
            values.resize(len.max(values.len()), 0.0);
            given.push((name, values));
        }
        let given: Vec<(&str, &[f32])> = given.iter().map(|(name, values)| (*name, values.as_slice())).collect();
        self.net.forward(&given)?;
        let outputs: Option<Vec<&Tensor>> = self.head.outputs().iter().map(|name| self.net.value(name)).collect();
        let outputs = outputs.ok_or_else(|| Error::Internal("a head without its output".into()))?;
        Ok(self.head.loss(&outputs, &batch.targets))
    }

    /// The loss of a batch; its gradients are added to those since the last step.
    ///
    /// # Errors
    /// [`Error::Data`] if the loss is not a number.
    pub fn learn(&mut self, batch: &Batch) -> Result<Loss> {
        let loss = self.loss(batch)?;
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
