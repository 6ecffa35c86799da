//! Checks of cards and outputs that several families share.

use crate::error::{Error, Result};
use crate::infer::{Card, Outputs};
use crate::yaml::Fault;

/// Rejects an output whose shape does not match the card.
pub fn check_shape(outputs: &dyn Outputs, what: &str, found: &[usize], expected: &[usize]) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    Err(Error::Model(format!(
        "model `{}`: output `{what}` has shape {found:?}, but the card says {expected:?}",
        outputs.model()
    )))
}

/// Rejects strides that cannot form a grid on the input.
pub fn check_strides(card: &Card, family: &str, strides: &[u32]) -> Result<()> {
    let input = card.fields.input.size;
    let fits = |stride: &u32| (4..=input.width.min(input.height)).contains(stride);
    if !strides.is_empty() && strides.len() <= 8 && strides.iter().all(fits) {
        return Ok(());
    }
    let message =
        format!("family.{family}.strides: {strides:?}; expected 1 to 8 numbers between 4 and the input's side");
    Err(card.error(Fault::new(card.family.place, message)))
}
