//! What an operator is to the engine.

use super::tensor::Tensor;

/// Which values an operator needs to go back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keeps {
    /// Those of its inputs.
    pub inputs: bool,
    /// Its result.
    pub output: bool,
}

impl Keeps {
    /// Nothing but the shapes.
    pub const NOTHING: Self = Self { inputs: false, output: false };
    /// Its inputs.
    pub const INPUTS: Self = Self { inputs: true, output: false };
    /// Its result.
    pub const OUTPUT: Self = Self { inputs: false, output: true };
}

/// What an operator notes on the way forward for the way back.
#[derive(Clone, Debug, Default)]
pub struct Saved {
    /// Places, such as those of the greatest values.
    pub places: Vec<u32>,
    /// Numbers, such as means and deviations.
    pub values: Vec<f32>,
}

/// A step on its way back.
pub struct Pass<'a> {
    /// The inputs. Their values are there only if the operator keeps them; their shapes always are.
    pub inputs: &'a [&'a Tensor],
    /// The result, in the same sense.
    pub output: &'a Tensor,
    /// The gradient of the result; nobody reads it afterwards.
    pub gradient: &'a mut [f32],
    /// Which gradients of the inputs hold nothing yet, if the operator asked for them as they are.
    pub fresh: &'a [bool],
    /// What the operator noted on the way forward.
    pub saved: &'a Saved,
}

/// An operator: its result and its gradients.
pub trait Kernel: Send + Sync {
    /// The shape of the result. A message says what does not fit.
    ///
    /// # Errors
    /// If the operator cannot take inputs of these shapes.
    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String>;

    /// Which values the way back needs.
    fn keeps(&self) -> Keeps;

    /// Computes the result. `output` holds what was last in its memory.
    fn forward(&self, inputs: &[&Tensor], output: &mut Tensor, saved: &mut Saved);

    /// Adds to the gradient of each input that has one. Those that nobody asked for are `None`.
    fn backward(&self, pass: Pass<'_>, gradients: &mut [Option<Vec<f32>>]);

    /// Whether the way back writes over fresh gradients. For others they are zeros.
    fn overwrites(&self) -> bool {
        false
    }

    /// Takes over the bounds of a clip behind the operator, if it can.
    fn bound(&mut self, _lo: f32, _hi: f32) -> bool {
        false
    }

    /// The bounds, if the operator does nothing but clip.
    fn bounds(&self) -> Option<[f32; 2]> {
        None
    }

    /// Changed by the way forward in training, such as the running mean of a batch normalisation: the new values by the
    /// number of the input.
    fn updates(&self, _saved: &Saved) -> Vec<(usize, Vec<f32>)> {
        Vec::new()
    }
}
