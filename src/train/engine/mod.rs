//! Computes an ONNX graph forwards and backwards.
//!
//! A [`Net`] is a graph for one batch size: its steps in order, each with a [`Kernel`] that knows an operator's result and
//! its gradients (reverse-mode differentiation; Griewank and Walther 2008, §3). Tensors are those of ONNX, `[N, C, H, W]`
//! in 32-bit floats. Nothing is computed backwards for what lies before the first trainable weight.
//!
//! Results do not depend on the number of threads: work is shared by pictures or channels, and sums over pictures are
//! added up in a fixed number of parts.

mod kernel;
mod net;
mod ops;
mod tensor;

pub use kernel::{Keeps, Kernel, Pass, Saved};
pub use net::Net;
pub use ops::{Values, read};
pub use tensor::{Pool, Tensor};
