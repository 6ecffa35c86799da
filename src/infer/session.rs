//! Runs a model with tract.

use super::{Card, Dtype};
use crate::error::{Error, Result};
use crate::ops::normalize::Normalizer;
use crate::types::{Image, Size};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::infer::Factoid;

/// A loaded model. The weights are shared between clones of the plan; the input buffer is its own.
pub struct Session {
    name: String,
    plan: Arc<TypedRunnableModel>,
    normalizer: Normalizer,
    dtype: Dtype,
    size: Size,
    input: Arc<Tensor>,
    outputs: TVec<TValue>,
}

/// One output tensor of a run.
#[derive(Clone, Copy)]
pub struct Output<'a> {
    tensor: &'a Tensor,
}

impl Session {
    /// Loads the model of a card: reads, checks the hash and the input's shape, optimises.
    ///
    /// # Errors
    /// [`Error::Model`] if the weights are not those of the card or tract cannot run them.
    pub fn load(card: &Card) -> Result<Self> {
        let bytes = card.weights()?;
        let spec = &card.fields.input;
        let shape = spec.shape();
        let datum = match spec.dtype {
            Dtype::F32 => f32::datum_type(),
            Dtype::U8 => u8::datum_type(),
            Dtype::I8 => i8::datum_type(),
        };
        // tract is not free of panics on strange graphs; a model must never take the program down.
        let loaded = catch_unwind(AssertUnwindSafe(|| load_plan(&bytes, shape, datum)));
        let plan = match loaded {
            Ok(Ok(plan)) => plan,
            Ok(Err(message)) => return Err(Error::Model(format!("model `{}`: {message}", card.name))),
            Err(_) => {
                return Err(Error::Model(format!("model `{}`: tract cannot read this graph (it panicked)", card.name)));
            }
        };
        let input = Tensor::zero_dt(datum, &shape).map_err(|e| Error::Internal(format!("input tensor: {e}")))?;
        Ok(Self {
            name: card.name.clone(),
            plan,
            normalizer: spec.normalizer(),
            dtype: spec.dtype,
            size: spec.size,
            input: Arc::new(input),
            outputs: TVec::new(),
        })
    }

    /// Runs the model on a picture of its input's size.
    ///
    /// # Errors
    /// [`Error::Model`] if tract fails, [`Error::Internal`] if the picture has another size.
    pub fn run(&mut self, image: &Image) -> Result<()> {
        if image.size != self.size {
            return Err(Error::Internal(format!("model `{}` takes {}, got {}", self.name, self.size, image.size)));
        }
        self.outputs.clear();
        self.fill(image)?;
        let input = TValue::from_const(Arc::clone(&self.input));
        let run = catch_unwind(AssertUnwindSafe(|| self.plan.run(tvec![input])));
        self.outputs = match run {
            Ok(Ok(outputs)) => outputs,
            Ok(Err(e)) => return Err(Error::Model(format!("model `{}`: {e:#}", self.name))),
            Err(_) => return Err(Error::Model(format!("model `{}`: tract panicked while running it", self.name))),
        };
        Ok(())
    }

    fn fill(&mut self, image: &Image) -> Result<()> {
        if Arc::get_mut(&mut self.input).is_none() {
            // tract kept the last input: take a new buffer rather than write into what it may still read.
            self.input = Arc::new((*self.input).clone());
        }
        let broken = |e: TractError| Error::Internal(format!("input tensor: {e}"));
        let Some(tensor) = Arc::get_mut(&mut self.input) else {
            return Err(Error::Internal("a fresh input tensor has two owners".into()));
        };
        match self.dtype {
            Dtype::F32 => {
                let mut view = tensor.try_as_plain_ram_mut().map_err(broken)?;
                self.normalizer.fill_f32(image, view.as_slice_mut::<f32>().map_err(broken)?);
            }
            Dtype::U8 => self.normalizer.fill_u8(image, 0, tensor.as_bytes_mut()),
            Dtype::I8 => self.normalizer.fill_u8(image, 128, tensor.as_bytes_mut()),
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
                self.outputs.len()
            ))
        })?;
        Ok(Output { tensor })
    }

    /// Name of the model, for messages.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// For each input or output of the graph its type and shape, as text.
    #[must_use]
    pub fn describe(&self) -> (Vec<String>, Vec<String>) {
        let model = self.plan.model();
        let inputs = (0..model.inputs.len()).filter_map(|i| model.input_fact(i).ok()).map(|f| format!("{f:?}"));
        let outputs = (0..model.outputs.len()).filter_map(|i| model.output_fact(i).ok()).map(|f| format!("{f:?}"));
        (inputs.collect(), outputs.collect())
    }

    /// Each kind of operator of the optimised plan and how often it occurs.
    #[must_use]
    pub fn operators(&self) -> std::collections::BTreeMap<String, usize> {
        let mut count = std::collections::BTreeMap::new();
        for node in &self.plan.model().nodes {
            *count.entry(node.op.name().into_owned()).or_insert(0) += 1;
        }
        count
    }
}

fn load_plan(bytes: &[u8], shape: [usize; 4], datum: DatumType) -> Result<Arc<TypedRunnableModel>, String> {
    let mut cursor = std::io::Cursor::new(bytes);
    let model = tract_onnx::onnx()
        .model_for_read(&mut cursor)
        .map_err(|e| format!("not an ONNX graph tract can read: {e:#}"))?;
    let declared = model.input_fact(0).map_err(|e| format!("no input: {e:#}"))?;
    if let Some(type_) = declared.datum_type.concretize().filter(|t| t.unquantized() != datum) {
        return Err(format!("the graph takes {type_:?}, the card says {datum:?}; put the right `dtype` in the card"));
    }
    let dims: Vec<Option<i64>> = declared.shape.dims().map(|d| d.concretize().and_then(|d| d.to_i64().ok())).collect();
    let fits = declared.shape.rank().concretize().is_none_or(|rank| rank == 4)
        && dims.iter().zip(shape).all(|(dim, ours)| dim.is_none_or(|d| d == ours as i64));
    if !fits {
        let shown: Vec<String> = dims.iter().map(|d| d.map_or("?".into(), |d| d.to_string())).collect();
        return Err(format!(
            "the graph takes [{}], the card says {shape:?}; put the right `size` and `layout` in the card",
            shown.join(", ")
        ));
    }
    model
        .with_input_fact(0, InferenceFact::dt_shape(datum, shape))
        .and_then(tract_onnx::prelude::InferenceModelExt::into_optimized)
        .and_then(tract_onnx::prelude::IntoRunnable::into_runnable)
        .map_err(|e| format!("tract cannot run this graph: {e:#}"))
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
    /// [`Error::Model`] for types other than f32, u8 and i8.
    pub fn read(&self, scale: f32, zero_point: i32, values: &mut Vec<f32>) -> Result<()> {
        values.clear();
        let datum = self.tensor.datum_type().unquantized();
        let broken = |e: TractError| Error::Internal(format!("output tensor: {e}"));
        if datum == f32::datum_type() {
            let view = self.tensor.try_as_plain_ram().map_err(broken)?;
            values.extend_from_slice(view.as_slice::<f32>().map_err(broken)?);
        } else if datum == u8::datum_type() {
            values.extend(self.tensor.as_bytes().iter().map(|&q| (i32::from(q) - zero_point) as f32 * scale));
        } else if datum == i8::datum_type() {
            let level = |&q: &u8| (i32::from(q.cast_signed()) - zero_point) as f32 * scale;
            values.extend(self.tensor.as_bytes().iter().map(level));
        } else {
            return Err(Error::Model(format!("an output of {datum:?}; f32, u8 and i8 can be read")));
        }
        Ok(())
    }
}
