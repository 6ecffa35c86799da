//! Weights that are levels in the file.

use super::known::Reason;
use crate::onnx::{Index, Model, NodeProto};

/// Levels, and what they stand for: `(level - zero) * scale`, with one zero and scale, or one for each place on an axis.
pub struct Weights {
    shape: Vec<usize>,
    levels: Vec<i64>,
    scales: Vec<f32>,
    zeros: Vec<i64>,
    /// Neighbours with the same scale.
    inner: usize,
}

impl Weights {
    /// What a DequantizeLinear makes floats of.
    ///
    /// # Errors
    /// Why it is none of weights, or one that we cannot read.
    pub fn of(model: &Model, index: &Index, node: &NodeProto) -> Result<Self, Reason> {
        let weight = |at: usize| node.input(at).and_then(|name| index.weight(model.graph(), name));
        let tensor = weight(0).ok_or("its weights are computed")?;
        let shape = tensor.shape();
        let levels = tensor.ints().map_err(|e| e.to_string())?;
        let scales = weight(1).ok_or("its scale is computed")?.floats().map_err(|e| e.to_string())?;
        let zeros = match node.input(2) {
            Some(_) => weight(2).ok_or("its zeros are computed")?.ints().map_err(|e| e.to_string())?,
            None => vec![0; scales.len()],
        };
        if node.int("block_size", 0) != 0 || zeros.len() != scales.len() || scales.is_empty() {
            return Err("its scales are of blocks".into());
        }
        let inner = match scales.len() {
            1 => levels.len(),
            count => {
                let rank = shape.len() as i64;
                let axis = node.int("axis", 1);
                let axis = usize::try_from(if axis < 0 { axis + rank } else { axis }).ok();
                let axis = axis.filter(|axis| shape.get(*axis) == Some(&count)).ok_or("its scales fit no axis")?;
                shape[axis + 1..].iter().product()
            }
        };
        Ok(Self { shape, levels, scales, zeros, inner: inner.max(1) })
    }

    /// Neighbours with the same scale: which one, and their levels less their zero.
    fn less_zeros(&self) -> impl Iterator<Item = (usize, impl Iterator<Item = i64>)> {
        self.levels.chunks(self.inner).enumerate().map(|(at, levels)| {
            let of = at % self.scales.len();
            let zero = self.zeros[of];
            (of, levels.iter().map(move |level| level - zero))
        })
    }

    /// Sides and floats.
    #[must_use]
    pub fn floats(&self) -> (Vec<usize>, Vec<f32>) {
        let mut floats = Vec::with_capacity(self.levels.len());
        for (of, levels) in self.less_zeros() {
            floats.extend(levels.map(|level| level as f32 * self.scales[of]));
        }
        (self.shape.clone(), floats)
    }

    /// Sides, levels less their zeros, and the scale of each output; `None` if a level has more than nine bits, or if scales
    /// are along another axis than the first.
    #[must_use]
    pub fn words(&self) -> Option<(Vec<usize>, Vec<i16>, Vec<f32>)> {
        let first = self.scales.len() == 1 || self.inner * self.scales.len() == self.levels.len();
        let mut words = Vec::with_capacity(self.levels.len());
        for (_, mut levels) in self.less_zeros().filter(|_| first) {
            if !levels.all(|level| {
                words.push(level as i16);
                (-255..=255).contains(&level)
            }) {
                return None;
            }
        }
        first.then(|| (self.shape.clone(), words, self.scales.clone()))
    }
}
