//! What families see of a model: its graphs to run, and the output tensors as floats.

use super::Session;
use crate::error::{Error, Result};
use crate::types::Image;
use std::sync::Arc;

/// The outputs of a run.
pub trait Outputs {
    /// Returns the name of the model, for messages.
    fn model(&self) -> &str;

    /// Reads output number `index` into `values` and its shape into `shape`; 8-bit values become
    /// `(q - zero_point) * scale`.
    ///
    /// # Errors
    /// [`Error::Model`] if there is no such output, or it does not hold numbers.
    fn read(
        &self,
        index: usize,
        scale: f32,
        zero_point: i32,
        shape: &mut Vec<usize>,
        values: &mut Vec<f32>,
    ) -> Result<()>;
}

/// Runs the graphs of a card. The first one takes pictures; a two-stage model has further graphs, which take tensors.
pub trait Run {
    /// Runs the first graph on a picture of its input size. `source` selects the state to use, if the model has state.
    ///
    /// # Errors
    /// [`Error::Model`] if it cannot be run.
    fn picture(&mut self, source: &Arc<str>, image: &Image) -> Result<&dyn Outputs>;

    /// Runs a further graph on tensors, each given as shape and values, in the order of its inputs.
    ///
    /// # Errors
    /// [`Error::Model`] if the card has no such graph or it cannot be run.
    fn further(&mut self, graph: &str, inputs: &[(&[usize], &[f32])]) -> Result<&dyn Outputs>;
}

impl Run for Session {
    fn picture(&mut self, source: &Arc<str>, image: &Image) -> Result<&dyn Outputs> {
        self.run(source, image)?;
        Ok(self)
    }

    fn further(&mut self, graph: &str, _: &[(&[usize], &[f32])]) -> Result<&dyn Outputs> {
        Err(Error::Model(format!("model `{}`: its card names no graph `{graph}` besides the first", self.name())))
    }
}

impl Outputs for Session {
    fn model(&self) -> &str {
        self.name()
    }

    fn read(
        &self,
        index: usize,
        scale: f32,
        zero_point: i32,
        shape: &mut Vec<usize>,
        values: &mut Vec<f32>,
    ) -> Result<()> {
        let output = self.output(index)?;
        shape.clear();
        shape.extend_from_slice(output.shape());
        output.read(scale, zero_point, values)
    }
}

/// Outputs that did not come from a run: shapes and values, for tests and benchmarks of the families.
pub struct Arrays(pub Vec<(Vec<usize>, Vec<f32>)>);

impl Outputs for Arrays {
    fn model(&self) -> &'static str {
        "arrays"
    }

    fn read(
        &self,
        index: usize,
        _scale: f32,
        _zero_point: i32,
        shape: &mut Vec<usize>,
        values: &mut Vec<f32>,
    ) -> Result<()> {
        let (dims, numbers) =
            self.0.get(index).ok_or_else(|| Error::Model(format!("no array {index}; there are {}", self.0.len())))?;
        shape.clone_from(dims);
        values.clone_from(numbers);
        Ok(())
    }
}
