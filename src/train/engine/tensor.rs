//! Tensors, and the memory that they use again.

use std::collections::HashMap;

/// Floats with a shape.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tensor {
    /// The lengths of its sides.
    pub shape: Vec<usize>,
    /// Its values, the last side first.
    pub values: Vec<f32>,
}

impl Tensor {
    /// A tensor of these values.
    ///
    /// # Panics
    /// If the shape has another number of values.
    #[must_use]
    pub fn new(shape: &[usize], values: Vec<f32>) -> Self {
        assert_eq!(shape.iter().product::<usize>(), values.len(), "the shape {shape:?} has another number of values");
        Self { shape: shape.to_vec(), values }
    }

    /// A tensor of zeros.
    #[must_use]
    pub fn zeros(shape: &[usize]) -> Self {
        Self { shape: shape.to_vec(), values: vec![0.0; shape.iter().product()] }
    }

    /// Batch, channels, and the product of the other sides.
    #[must_use]
    pub fn planes(&self) -> [usize; 3] {
        let side = |at: usize| self.shape.get(at).copied().unwrap_or(1);
        [side(0), side(1), self.shape.iter().skip(2).product()]
    }

    /// Batch, channels, height, width; missing sides are 1.
    #[must_use]
    pub fn sides(&self) -> [usize; 4] {
        std::array::from_fn(|at| self.shape.get(at).copied().unwrap_or(1))
    }
}

/// Memory of tensors that are gone, for those to come.
#[derive(Debug, Default)]
pub struct Pool(HashMap<usize, Vec<Vec<f32>>>);

impl Pool {
    /// Memory for so many values. They are what they last were.
    pub fn take(&mut self, len: usize) -> Vec<f32> {
        self.0.get_mut(&len).and_then(Vec::pop).unwrap_or_else(|| vec![0.0; len])
    }

    /// As many zeros.
    pub fn zeros(&mut self, len: usize) -> Vec<f32> {
        let Some(mut values) = self.0.get_mut(&len).and_then(Vec::pop) else { return vec![0.0; len] };
        values.fill(0.0);
        values
    }

    /// Takes memory back.
    pub fn give(&mut self, values: Vec<f32>) {
        if !values.is_empty() {
            self.0.entry(values.len()).or_default().push(values);
        }
    }
}
