//! The product of matrices, with the kernels of this processor.

use crate::kernels::gemm::Gemm;
use crate::kernels::{Isa, Kernels};
use std::sync::OnceLock;

/// The product of matrices on this processor.
pub(super) fn gemm() -> &'static Gemm {
    static GEMM: OnceLock<Gemm> = OnceLock::new();
    GEMM.get_or_init(|| {
        let isa = match Kernels::chosen() {
            Ok(Kernels::On(isa)) => isa,
            _ => Isa::Plain,
        };
        Gemm::new(isa)
    })
}
