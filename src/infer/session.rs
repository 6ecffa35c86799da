//! Runs a model with tract.

use super::plan::{datum_of, guarded};
use super::{Card, Dtype, Extra, Plan};
use crate::error::{Error, Result};
use crate::ops::normalize::Normalizer;
use crate::types::{Image, Size};
use std::sync::Arc;
use tract_linalg::multithread::{Executor, multithread_tract_scope, set_threading_panel_threshold};
use tract_onnx::prelude::*;

/// A loaded model. The weights belong to the plan, which other sessions may share; buffers and states are its own.
pub struct Session {
    name: String,
    plan: Arc<Plan>,
    normalizer: Normalizer,
    size: Size,
    /// What an 8-bit input has for 0.
    zero: i16,
    input: Arc<Tensor>,
    /// States of each source that was seen: a model with a memory must not mix two cameras.
    states: Vec<(Arc<str>, Vec<TValue>)>,
    outputs: TVec<TValue>,
    executor: Option<Executor>,
}

/// One output tensor of a run.
#[derive(Clone, Copy)]
pub struct Output<'a> {
    tensor: &'a Tensor,
}

impl Session {
    /// Loads the model of a card for one session alone; lines share plans through [`super::ModelStore::session`].
    ///
    /// # Errors
    /// [`Error::Model`] if the weights are not those of the card or tract cannot run them.
    pub fn load(card: &Card) -> Result<Self> {
        Self::of(card, Arc::new(Plan::load(card, &Extra::default())?), 1)
    }

    /// A session on a plan, working with so many threads.
    ///
    /// # Errors
    /// [`Error::Internal`] if there is no memory for its input.
    pub fn of(card: &Card, plan: Arc<Plan>, threads: usize) -> Result<Self> {
        let spec = &card.fields.input;
        let input = Tensor::zero_dt(datum_of(spec.dtype), &plan.shape)
            .map_err(|e| Error::Internal(format!("input tensor: {e}")))?;
        let executor = (threads > 1).then(|| {
            // tract leaves products of fewer than 64 panels to one thread; on small nets that is all of them.
            set_threading_panel_threshold(0);
            Executor::multithread_with_name(threads, "tract")
        });
        Ok(Self {
            name: card.name.clone(),
            plan,
            normalizer: spec.normalizer(),
            size: spec.size,
            zero: match (spec.scale, spec.dtype) {
                (Some(_), _) => spec.zero_point.clamp(-128, 255) as i16,
                (None, Dtype::I8) => -128,
                (None, _) => 0,
            },
            input: Arc::new(input),
            states: Vec::new(),
            outputs: TVec::new(),
            executor,
        })
    }

    /// Runs the model on a picture of its input's size. `source` says whose states go in and are kept.
    ///
    /// # Errors
    /// [`Error::Model`] if tract fails, [`Error::Internal`] if the picture has another size.
    pub fn run(&mut self, source: &Arc<str>, image: &Image) -> Result<()> {
        self.run_with(source, image, None)
    }

    /// As [`Session::run`], with each pixel's normalised values multiplied by its value in `mask`, `[H, W]`.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub fn run_masked(&mut self, source: &Arc<str>, image: &Image, mask: &[f32]) -> Result<()> {
        self.run_with(source, image, Some(mask))
    }

    fn run_with(&mut self, source: &Arc<str>, image: &Image, mask: Option<&[f32]>) -> Result<()> {
        if image.size != self.size {
            return Err(Error::Internal(format!("model `{}` takes {}, got {}", self.name, self.size, image.size)));
        }
        self.outputs.clear();
        self.fill(image, mask)?;
        let state = self.state_of(source)?;
        let picture = TValue::from_const(Arc::clone(&self.input));
        let mut inputs: TVec<TValue> = tvec![picture; self.plan.inputs];
        for (slot, value) in self.plan.states.iter().zip(&self.states[state].1) {
            inputs[slot.input] = value.clone();
        }
        let run = || match &self.executor {
            Some(executor) => multithread_tract_scope(executor.clone(), || self.plan.runnable.run(inputs)),
            None => self.plan.runnable.run(inputs),
        };
        self.outputs = guarded(|| run().map_err(|e| format!("{e:#}")))
            .map_err(|message| Error::Model(format!("model `{}`: {message}", self.name)))?;
        // A masked run looks at the same frame again; what it leaves behind is not the frame's memory.
        let slots = if mask.is_some() { &[] } else { self.plan.states.as_slice() };
        for (slot, value) in slots.iter().zip(&mut self.states[state].1) {
            *value = self.outputs[slot.output].clone();
        }
        Ok(())
    }

    fn state_of(&mut self, source: &Arc<str>) -> Result<usize> {
        if let Some(at) = self.states.iter().position(|(name, _)| name == source) {
            return Ok(at);
        }
        let zero = |slot: &super::plan::StateSlot| {
            Tensor::zero_dt(slot.datum, &slot.shape).map(|t| TValue::from_const(Arc::new(t)))
        };
        let values: TractResult<Vec<TValue>> = self.plan.states.iter().map(zero).collect();
        let values = values.map_err(|e| Error::Internal(format!("state tensor: {e}")))?;
        if self.plan.states.is_empty() {
            // Nothing to keep apart.
            self.states.clear();
        }
        self.states.push((Arc::clone(source), values));
        Ok(self.states.len() - 1)
    }

    fn fill(&mut self, image: &Image, mask: Option<&[f32]>) -> Result<()> {
        if Arc::get_mut(&mut self.input).is_none() {
            // tract kept the last input: take a new buffer rather than write into what it may still read.
            self.input = Arc::new((*self.input).clone());
        }
        let broken = |e: TractError| Error::Internal(format!("input tensor: {e}"));
        let Some(tensor) = Arc::get_mut(&mut self.input) else {
            return Err(Error::Internal("a fresh input tensor has two owners".into()));
        };
        if self.plan.datum == f32::datum_type() {
            let mut view = tensor.try_as_plain_ram_mut().map_err(broken)?;
            let values = view.as_slice_mut::<f32>().map_err(broken)?;
            self.normalizer.fill_f32(image, values);
            if let Some(mask) = mask {
                self.normalizer.mask(mask, values, |value, share| value * share);
            }
        } else {
            let bytes = tensor.as_bytes_mut();
            self.normalizer.fill_u8(image, bytes);
            if let Some(mask) = mask {
                let zero = self.zero;
                let signed = self.plan.datum == i8::datum_type();
                let number = move |byte: u8| if signed { i16::from(byte.cast_signed()) } else { i16::from(byte) };
                let share = |byte: u8, share: f32| (f32::from(number(byte) - zero) * share).round() as i16 + zero;
                self.normalizer.mask(mask, bytes, |byte, part| share(byte, part) as u8);
            }
        }
        Ok(())
    }

    /// Output number `index` of the last run.
    ///
    /// # Errors
    /// [`Error::Model`] if the model has fewer outputs.
    pub fn output(&self, index: usize) -> Result<Output<'_>> {
        let tensor = self.outputs.get(index).ok_or_else(|| {
            Error::Model(format!(
                "model `{}` has {} outputs, its card speaks of number {index} (counted from 0)",
                self.name,
                self.plan.outputs.len()
            ))
        })?;
        Ok(Output { tensor })
    }

    /// The output of a name, of the last run.
    ///
    /// # Errors
    /// [`Error::Model`] if the model has no such output.
    pub fn output_named(&self, name: &str) -> Result<Output<'_>> {
        let at = self.plan.outputs.iter().position(|output| output == name);
        let at = at.ok_or_else(|| Error::Model(format!("model `{}` has no output `{name}`", self.name)))?;
        self.output(at)
    }

    /// Name of the model, for messages.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What is run.
    #[must_use]
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// The picture's tensor of the last run, as floats: what a reconstruction is compared with.
    ///
    /// # Errors
    /// As [`Output::read`].
    pub fn input_values(&self, scale: f32, zero_point: i32, values: &mut Vec<f32>) -> Result<()> {
        Output { tensor: &self.input }.read(scale, zero_point, values)
    }
}

impl Output<'_> {
    /// The tensor's shape.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        self.tensor.shape()
    }

    /// The numbers as floats into `values`; 8-bit ones as `(q - zero_point) * scale`.
    ///
    /// # Errors
    /// [`Error::Model`] for types other than f32, i64, i32, u8 and i8.
    pub fn read(&self, scale: f32, zero_point: i32, values: &mut Vec<f32>) -> Result<()> {
        values.clear();
        let datum = self.tensor.datum_type().unquantized();
        let broken = |e: TractError| Error::Internal(format!("output tensor: {e}"));
        if datum == f32::datum_type() {
            let view = self.tensor.try_as_plain_ram().map_err(broken)?;
            values.extend_from_slice(view.as_slice::<f32>().map_err(broken)?);
        } else if datum == u8::datum_type() {
            values.extend(self.tensor.as_bytes().iter().map(|&q| (f32::from(q) - zero_point as f32) * scale));
        } else if datum == i8::datum_type() {
            let level = |&q: &u8| (f32::from(q.cast_signed()) - zero_point as f32) * scale;
            values.extend(self.tensor.as_bytes().iter().map(level));
        } else if datum == i64::datum_type() {
            let view = self.tensor.try_as_plain_ram().map_err(broken)?;
            values.extend(view.as_slice::<i64>().map_err(broken)?.iter().map(|&v| v as f32));
        } else if datum == i32::datum_type() {
            let view = self.tensor.try_as_plain_ram().map_err(broken)?;
            values.extend(view.as_slice::<i32>().map_err(broken)?.iter().map(|&v| v as f32));
        } else {
            return Err(Error::Model(format!("an output of {datum:?}; f32, i64, i32, u8 and i8 can be read")));
        }
        Ok(())
    }
}
