//! Sums of four products of bytes: the one operation that 8-bit convolutions are made of.

use super::super::Isa;
use super::super::vector::{self, Vector};

/// Lanes of 32-bit sums. All methods need the processor features of their type.
#[allow(clippy::missing_safety_doc, reason = "the one condition stands above")]
pub trait Dot: Copy {
    /// Floats of as many lanes.
    type Floats: Vector;
    /// Four levels, ready to be multiplied.
    type Input: Copy;
    /// Weights of four inputs for all lanes.
    type Weights: Copy;
    unsafe fn load(from: *const i32) -> Self;
    unsafe fn input(from: *const u8) -> Self::Input;
    /// [`Form`] says how they lie.
    unsafe fn weights(from: *const u8) -> Self::Weights;
    unsafe fn dot(self, input: Self::Input, weights: Self::Weights) -> Self;
    unsafe fn floats(self) -> Self::Floats;
}

/// How weights lie in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Bytes `[lanes][4]`; what does not fit in a byte comes extra.
    Bytes,
    /// 16-bit numbers `[2][lanes][2]`: the first and third of four inputs, then the second and fourth.
    Words,
}

/// The form of a kind of processor.
#[must_use]
pub fn form(isa: Isa) -> Form {
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::AvxVnni | Isa::Vnni => Form::Bytes,
        _ => Form::Words,
    }
}

/// Plain Rust.
#[derive(Clone, Copy)]
pub struct Plain([i32; 8]);

impl Dot for Plain {
    type Floats = vector::Plain;
    type Input = [i32; 4];
    type Weights = [i16; 32];

    #[inline(always)]
    unsafe fn load(from: *const i32) -> Self {
        // SAFETY: the caller gives eight sums.
        Self(unsafe { from.cast::<[i32; 8]>().read_unaligned() })
    }

    #[inline(always)]
    unsafe fn input(from: *const u8) -> [i32; 4] {
        // SAFETY: the caller gives four bytes.
        unsafe { from.cast::<[u8; 4]>().read() }.map(i32::from)
    }

    #[inline(always)]
    unsafe fn weights(from: *const u8) -> [i16; 32] {
        // SAFETY: the caller gives 32 numbers.
        unsafe { from.cast::<[i16; 32]>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn dot(self, input: [i32; 4], weights: [i16; 32]) -> Self {
        let lane = |at: usize| {
            let weight = |k: usize| i32::from(weights[16 * (k % 2) + 2 * at + k / 2]);
            (0..4).fold(self.0[at], |sum, k| sum.wrapping_add(input[k] * weight(k)))
        };
        Self(std::array::from_fn(lane))
    }

    #[inline(always)]
    unsafe fn floats(self) -> vector::Plain {
        // SAFETY: eight sums.
        unsafe { vector::Plain::load_sums(self.0.as_ptr()) }
    }
}

#[cfg(target_arch = "x86_64")]
pub use x86::{Avx2, AvxVnni, Vnni};

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::Dot;
    use std::arch::x86_64::*;

    /// AVX2: bytes are widened to 16 bits, so nothing saturates.
    #[derive(Clone, Copy)]
    pub struct Avx2(__m256i);

    // SAFETY of all: kernels call them from functions with the features.
    impl Dot for Avx2 {
        type Floats = __m256;
        type Input = [__m256i; 2];
        type Weights = [__m256i; 2];

        #[inline(always)]
        unsafe fn load(from: *const i32) -> Self {
            unsafe { Self(_mm256_loadu_si256(from.cast())) }
        }

        #[inline(always)]
        unsafe fn input(from: *const u8) -> Self::Input {
            unsafe {
                let four = _mm256_set1_epi32(from.cast::<i32>().read_unaligned());
                [_mm256_and_si256(four, _mm256_set1_epi32(0x00ff_00ff)), _mm256_srli_epi16::<8>(four)]
            }
        }

        #[inline(always)]
        unsafe fn weights(from: *const u8) -> Self::Weights {
            unsafe { [_mm256_loadu_si256(from.cast()), _mm256_loadu_si256(from.add(32).cast())] }
        }

        #[inline(always)]
        unsafe fn dot(self, input: Self::Input, weights: Self::Weights) -> Self {
            unsafe {
                let sum = _mm256_add_epi32(self.0, _mm256_madd_epi16(input[0], weights[0]));
                Self(_mm256_add_epi32(sum, _mm256_madd_epi16(input[1], weights[1])))
            }
        }

        #[inline(always)]
        unsafe fn floats(self) -> __m256 {
            unsafe { _mm256_cvtepi32_ps(self.0) }
        }
    }

    /// Four products and their sum in one instruction, exact.
    macro_rules! vnni {
        ($(#[$doc:meta])* $name:ident, $lanes:ty, $floats:ty, $load:ident, $set:ident, $dot:ident, $to_floats:ident) => {
            $(#[$doc])*
            #[derive(Clone, Copy)]
            pub struct $name($lanes);

            impl Dot for $name {
                type Floats = $floats;
                type Input = $lanes;
                type Weights = $lanes;

                #[inline(always)]
                unsafe fn load(from: *const i32) -> Self {
                    unsafe { Self($load(from.cast())) }
                }

                #[inline(always)]
                unsafe fn input(from: *const u8) -> $lanes {
                    unsafe { $set(from.cast::<i32>().read_unaligned()) }
                }

                #[inline(always)]
                unsafe fn weights(from: *const u8) -> $lanes {
                    unsafe { $load(from.cast()) }
                }

                #[inline(always)]
                unsafe fn dot(self, input: $lanes, weights: $lanes) -> Self {
                    unsafe { Self($dot(self.0, input, weights)) }
                }

                #[inline(always)]
                unsafe fn floats(self) -> $floats {
                    unsafe { $to_floats(self.0) }
                }
            }
        };
    }

    vnni! {
        /// AVX-VNNI: eight lanes.
        AvxVnni, __m256i, __m256, _mm256_loadu_si256, _mm256_set1_epi32, _mm256_dpbusd_avx_epi32, _mm256_cvtepi32_ps
    }

    vnni! {
        /// AVX-512 VNNI: sixteen lanes.
        Vnni, __m512i, __m512, _mm512_loadu_si512, _mm512_set1_epi32, _mm512_dpbusd_epi32, _mm512_cvtepi32_ps
    }
}
