//! Values of 8 bits.

use crate::kernels::bytes::levels::Quant;
use crate::kernels::view::View;

/// Where levels lie and what they stand for.
#[derive(Clone, Debug, PartialEq)]
pub struct Level {
    pub view: View,
    /// Unknown for what comes from outside, until it is dequantised.
    pub quant: Option<Quant>,
    /// Whether the graph's levels are i8; they are stored plus 128.
    pub signed: bool,
    /// Whether this is the tensor of levels itself, and not what they stand for.
    pub raw: bool,
}
