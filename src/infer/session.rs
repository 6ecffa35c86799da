//! Runs a model with tract.

use super::compile::{Kind, datum, on_team};
use super::guarded::guarded;
use super::plan::datum_of;
use super::{Card, Dtype, Extra, Plan};
use crate::error::{Error, Result};
use crate::kernels::program::Memory;
use crate::kernels::team::Team;
use crate::ops::normalize::Normalizer;
use crate::types::{Image, Size};
use std::sync::Arc;
use tract_linalg::multithread::{Executor, multithread_tract_scope, set_threading_panel_threshold};
use tract_onnx::prelude::*;

/// A loaded model. The weights belong to the plan, which other sessions may share; each session has its own buffers and
/// states.
pub struct Session {
    name: String,
    plan: Arc<Plan>,
    normalizer: Normalizer,
    size: Size,
    /// The value that represents 0 in an 8-bit input.
    zero: i16,
    input: Arc<Tensor>,
    /// The states of each source seen so far: a model with state must not mix two cameras.
    states: Vec<(Arc<str>, Vec<TValue>)>,
    outputs: TVec<TValue>,
    executor: Option<Executor>,
    team: Option<Arc<Team>>,
    /// If one block is the whole graph: its memory, and its outputs.
    direct: Option<(Memory, Vec<Tensor>)>,
    /// Indices before they are integers.
    indices: Vec<f32>,
    /// Whether the outputs are those of the last run.
    ran: bool,
}

/// One output tensor of a run.
#[derive(Clone, Copy)]
pub struct Output<'a> {
    tensor: &'a Tensor,
}

impl Session {
    /// Loads the model of a card for a single session; lines share plans through [`super::ModelStore::session`].
    ///
    /// # Errors
    /// [`Error::Model`] if the weights do not match the card or tract cannot run them.
    pub fn load(card: &Card) -> Result<Self> {
        Self::of(card, Arc::new(Plan::load(card, &Extra::default())?), 1)
    }

    /// Creates a session that runs a plan on this many threads.
    ///
    /// # Errors
    /// [`Error::Internal`] if its input tensor cannot be allocated.
    pub fn of(card: &Card, plan: Arc<Plan>, threads: usize) -> Result<Self> {
        let spec = &card.fields.input;
        let input = Tensor::zero_dt(datum_of(spec.dtype), &plan.shape)
            .map_err(|e| Error::Internal(format!("input tensor: {e}")))?;
        let team = (threads > 1 && !plan.compiled.blocks.is_empty()).then(|| Team::new(threads)).transpose();
        let team = team.map_err(|e| Error::Internal(format!("threads for the model: {e}")))?.map(Arc::new);
        let direct = match &plan.whole {
            Some((block, order)) => {
                let tensor = |at: &usize| Tensor::zero_dt(datum(block.outputs[*at].kind), &block.outputs[*at].sides);
                let tensors: TractResult<Vec<Tensor>> = order.iter().map(tensor).collect();
                let tensors = tensors.map_err(|e| Error::Internal(format!("output tensor: {e}")))?;
                Some((block.program.memory(team.as_deref().map_or(1, Team::size)), tensors))
            }
            None => None,
        };
        let executor = (threads > 1 && direct.is_none()).then(|| {
            // tract runs products of fewer than 64 panels on one thread; in small networks that is all of them.
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
            team,
            direct,
            indices: Vec::new(),
            ran: false,
        })
    }

    /// Runs the model on a picture of its input size. `source` selects the states to use and update.
    ///
    /// # Errors
    /// [`Error::Model`] if tract fails, [`Error::Internal`] if the picture has another size.
    pub fn run(&mut self, source: &Arc<str>, image: &Image) -> Result<()> {
        self.run_with(source, image, None)
    }

    /// Like [`Session::run`], but multiplies each pixel's normalised values by its value in `mask`, `[H, W]`.
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
        self.ran = false;
        let written = mask.is_none() && self.write(image);
        if !written {
            self.fill(image, mask)?;
        }
        if let (Some((block, order)), Some((memory, tensors))) = (&self.plan.whole, &mut self.direct) {
            let broken = |e: TractError| Error::Internal(format!("a tensor of `{}`: {e}", self.name));
            match block.inputs[0].kind {
                _ if written => {}
                Kind::Floats | Kind::Indices => {
                    let values = self.input.try_as_plain_ram().map_err(broken)?;
                    block.program.load(memory, 0, values.as_slice::<f32>().map_err(broken)?);
                }
                levels @ Kind::Levels { .. } => {
                    block.program.load_levels(memory, 0, self.input.as_bytes(), levels.flip());
                }
            }
            if !block.program.run(memory, self.team.as_deref()) {
                return Err(Error::Internal(format!("a kernel panicked in model `{}`", self.name)));
            }
            for (at, tensor) in order.iter().zip(tensors) {
                match block.outputs[*at].kind {
                    Kind::Floats => {
                        let mut values = tensor.try_as_plain_ram_mut().map_err(broken)?;
                        block.program.read(memory, *at, values.as_slice_mut::<f32>().map_err(broken)?);
                    }
                    Kind::Indices => {
                        self.indices.resize(tensor.len(), 0.0);
                        block.program.read(memory, *at, &mut self.indices);
                        let mut values = tensor.try_as_plain_ram_mut().map_err(broken)?;
                        let whole = values.as_slice_mut::<i64>().map_err(broken)?.iter_mut();
                        whole.zip(&self.indices).for_each(|(whole, index)| *whole = *index as i64);
                    }
                    levels @ Kind::Levels { .. } => {
                        block.program.read_levels(memory, *at, tensor.as_bytes_mut(), levels.flip());
                    }
                }
            }
            self.ran = true;
            return Ok(());
        }
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
        self.outputs = guarded(|| on_team(self.team.as_ref(), run).map_err(|e| format!("{e:#}")))
            .map_err(|message| Error::Model(format!("model `{}`: {message}", self.name)))?;
        // A masked run looks at the same frame again, so its states are not kept.
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
            // There are no states to keep apart.
            self.states.clear();
        }
        self.states.push((Arc::clone(source), values));
        Ok(self.states.len() - 1)
    }

    /// Writes a picture where the block that is the whole graph reads it; `false` if there is none.
    fn write(&mut self, image: &Image) -> bool {
        let (Some((block, _)), Some((memory, _))) = (&self.plan.whole, &mut self.direct) else { return false };
        let normalizer = &self.normalizer;
        match block.inputs[0].kind {
            levels @ Kind::Levels { .. } => {
                let room = block.program.level_room(memory, 0);
                let places = normalizer.places_by(room.first, room.strides);
                places.inspect(|places| normalizer.spread_u8(image, room.values, places, levels.flip())).is_some()
            }
            Kind::Floats if self.plan.datum == f32::datum_type() => {
                let room = block.program.room(memory, 0);
                let places = normalizer.places_by(room.first, room.strides);
                places.inspect(|places| normalizer.spread_f32(image, room.values, places)).is_some()
            }
            _ => false,
        }
    }

    fn fill(&mut self, image: &Image, mask: Option<&[f32]>) -> Result<()> {
        if Arc::get_mut(&mut self.input).is_none() {
            // tract kept the last input: use a new buffer rather than write into one that it may still read.
            self.input = Arc::new((*self.input).clone());
        }
        let broken = |e: TractError| Error::Internal(format!("input tensor: {e}"));
        let Some(tensor) = Arc::get_mut(&mut self.input) else {
            return Err(Error::Internal("a new input tensor has two owners".into()));
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

    /// Returns output number `index` of the last run.
    ///
    /// # Errors
    /// [`Error::Model`] if the model has fewer outputs.
    pub fn output(&self, index: usize) -> Result<Output<'_>> {
        let tensor = match &self.direct {
            Some((_, tensors)) => tensors.get(index).filter(|_| self.ran),
            None => self.outputs.get(index).map(|value| &**value),
        };
        let tensor = tensor.ok_or_else(|| {
            Error::Model(format!(
                "model `{}` has {} outputs, but its card names output {index} (counted from 0)",
                self.name,
                self.plan.outputs.len()
            ))
        })?;
        Ok(Output { tensor })
    }

    /// Returns an output of the last run by its name.
    ///
    /// # Errors
    /// [`Error::Model`] if the model has no such output.
    pub fn output_named(&self, name: &str) -> Result<Output<'_>> {
        let at = self.plan.outputs.iter().position(|output| output == name);
        let at = at.ok_or_else(|| Error::Model(format!("model `{}` has no output `{name}`", self.name)))?;
        self.output(at)
    }

    /// Returns the name of the model, for messages.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the plan that this session runs.
    #[must_use]
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// Reads the input tensor of the last run as floats. Reconstructions are compared with it.
    ///
    /// # Errors
    /// As [`Output::read`].
    pub fn input_values(&self, scale: f32, zero_point: i32, values: &mut Vec<f32>) -> Result<()> {
        Output { tensor: &self.input }.read(scale, zero_point, values)
    }
}

impl Output<'_> {
    /// Returns the tensor's shape.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        self.tensor.shape()
    }

    /// Reads the tensor into `values` as floats; 8-bit values become `(q - zero_point) * scale`.
    ///
    /// # Errors
    /// [`Error::Model`] if it does not hold numbers.
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
            let cast = self.tensor.cast_to::<f32>();
            let cast = cast.map_err(|_| Error::Model(format!("an output has type {datum:?}; numbers are expected")))?;
            let view = cast.try_as_plain_ram().map_err(broken)?;
            values.extend_from_slice(view.as_slice::<f32>().map_err(broken)?);
        }
        Ok(())
    }
}
