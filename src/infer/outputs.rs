//! What families see of a run: its output tensors as floats.

use super::Session;
use crate::error::{Error, Result};

/// The outputs of a run.
pub trait Outputs {
    /// Name of the model, for messages.
    fn model(&self) -> &str;

    /// Puts output number `index` into `values` and its shape into `shape`; 8-bit numbers become
    /// `(q - zero_point) * scale`.
    ///
    /// # Errors
    /// [`Error::Model`] if there is no such output, or it holds no numbers.
    fn read(
        &self,
        index: usize,
        scale: f32,
        zero_point: i32,
        shape: &mut Vec<usize>,
        values: &mut Vec<f32>,
    ) -> Result<()>;
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

/// Outputs that did not come from a run: shapes and numbers, for tests and benches of the families.
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
            self.0.get(index).ok_or_else(|| Error::Model(format!("{} arrays, number {index} asked", self.0.len())))?;
        shape.clone_from(dims);
        values.clone_from(numbers);
        Ok(())
    }
}
