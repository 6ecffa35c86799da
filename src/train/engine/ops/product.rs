//! The kernels of this processor.

use crate::kernels::gemm::Gemm;
use crate::kernels::lines::Lines;
use crate::kernels::{Isa, Kernels};
use std::sync::OnceLock;

fn isa() -> Isa {
    match Kernels::chosen() {
        Ok(Kernels::On(isa)) => isa,
        _ => Isa::Plain,
    }
}

/// The product of matrices.
pub(super) fn gemm() -> &'static Gemm {
    static GEMM: OnceLock<Gemm> = OnceLock::new();
    GEMM.get_or_init(|| Gemm::new(isa()))
}

/// Lines of values.
pub(super) fn lines() -> &'static Lines {
    static LINES: OnceLock<Lines> = OnceLock::new();
    LINES.get_or_init(|| Lines::new(isa()))
}
