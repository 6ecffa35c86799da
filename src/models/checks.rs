//! What several families ask of cards and outputs.

use crate::error::{Error, Result};
use crate::infer::{Card, Outputs};
use crate::yaml::Fault;

/// Refuses an output of another shape, in the words of the card.
pub fn check_shape(outputs: &dyn Outputs, what: &str, found: &[usize], expected: &[usize]) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    Err(Error::Model(format!(
        "model `{}`: output `{what}` has shape {found:?}, the card says {expected:?}",
        outputs.model()
    )))
}

/// Refuses strides that make no grid of the input.
pub fn check_strides(card: &Card, family: &str, strides: &[u32]) -> Result<()> {
    let input = card.fields.input.size;
    let fits = |stride: &u32| (4..=input.width.min(input.height)).contains(stride);
    if !strides.is_empty() && strides.len() <= 8 && strides.iter().all(fits) {
        return Ok(());
    }
    let message = format!("family.{family}.strides: {strides:?}; 1 to 8 numbers between 4 and the input's side");
    Err(card.error(Fault::new(card.family.place, message)))
}
