//! Kernels on 8-bit levels: products of bytes are summed exactly in 32 bits, and rounded once as ONNX says.
//!
//! Maps of levels are u8 throughout; an i8 level is stored plus 128.

pub mod conv;
pub mod depthwise;
pub mod dot;
pub mod levels;
pub mod maps;
pub mod table;
mod tile;
