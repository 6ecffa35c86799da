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
    /// The same, but 128 is taken off each level first, since both factors are signed.
    Signed,
    /// 16-bit numbers `[2][lanes][2]`: the first and third of four inputs, then the second and fourth.
    Pairs,
    /// 16-bit numbers `[4][lanes]`.
    Lanes,
}

impl Form {
    /// Bytes of the weights of four inputs for a lane.
    #[must_use]
    pub const fn bytes(self) -> usize {
        if self.is_bytes() { 4 } else { 8 }
    }

    /// Whether weights are bytes, and what does not fit comes extra.
    #[must_use]
    pub const fn is_bytes(self) -> bool {
        matches!(self, Self::Bytes | Self::Signed)
    }
}

/// The form of a kind of processor.
#[must_use]
pub fn form(isa: Isa) -> Form {
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::AvxVnni | Isa::Vnni => Form::Bytes,
        #[cfg(target_arch = "aarch64")]
        Isa::Neon => Form::Lanes,
        #[cfg(target_arch = "aarch64")]
        Isa::NeonDot => Form::Signed,
        _ => Form::Pairs,
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

#[cfg(target_arch = "aarch64")]
pub use arm::{Neon, NeonDot};

#[cfg(target_arch = "aarch64")]
mod arm {
    use super::Dot;
    use std::arch::aarch64::*;
    use std::arch::asm;

    /// NEON: products of 16-bit numbers.
    #[derive(Clone, Copy)]
    pub struct Neon(int32x4_t);

    // SAFETY of all: as on x86.
    impl Dot for Neon {
        type Floats = float32x4_t;
        type Input = int16x4_t;
        type Weights = [int16x4_t; 4];

        #[inline(always)]
        unsafe fn load(from: *const i32) -> Self {
            unsafe { Self(vld1q_s32(from)) }
        }

        #[inline(always)]
        unsafe fn input(from: *const u8) -> int16x4_t {
            unsafe {
                let four = vcreate_u8(u64::from(from.cast::<u32>().read_unaligned()));
                vget_low_s16(vreinterpretq_s16_u16(vmovl_u8(four)))
            }
        }

        #[inline(always)]
        unsafe fn weights(from: *const u8) -> [int16x4_t; 4] {
            unsafe {
                let from = from.cast::<i16>();
                [vld1_s16(from), vld1_s16(from.add(4)), vld1_s16(from.add(8)), vld1_s16(from.add(12))]
            }
        }

        #[inline(always)]
        unsafe fn dot(self, input: int16x4_t, weights: [int16x4_t; 4]) -> Self {
            unsafe {
                let sum = vmlal_lane_s16::<0>(self.0, weights[0], input);
                let sum = vmlal_lane_s16::<1>(sum, weights[1], input);
                let sum = vmlal_lane_s16::<2>(sum, weights[2], input);
                Self(vmlal_lane_s16::<3>(sum, weights[3], input))
            }
        }

        #[inline(always)]
        unsafe fn floats(self) -> float32x4_t {
            unsafe { vcvtq_f32_s32(self.0) }
        }
    }

    /// NEON with SDOT: four products and their sum in one instruction, exact.
    #[derive(Clone, Copy)]
    pub struct NeonDot(int32x4_t);

    impl Dot for NeonDot {
        type Floats = float32x4_t;
        type Input = int8x16_t;
        type Weights = int8x16_t;

        #[inline(always)]
        unsafe fn load(from: *const i32) -> Self {
            unsafe { Self(vld1q_s32(from)) }
        }

        #[inline(always)]
        unsafe fn input(from: *const u8) -> int8x16_t {
            unsafe { vreinterpretq_s8_u32(vdupq_n_u32(from.cast::<u32>().read_unaligned() ^ 0x8080_8080)) }
        }

        #[inline(always)]
        unsafe fn weights(from: *const u8) -> int8x16_t {
            unsafe { vld1q_s8(from.cast()) }
        }

        #[inline(always)]
        unsafe fn dot(self, input: int8x16_t, weights: int8x16_t) -> Self {
            let mut sum = self.0;
            // The intrinsic, vdotq_s32, is not stable yet.
            unsafe {
                asm!(
                    "sdot {sum:v}.4s, {weights:v}.16b, {input:v}.16b",
                    sum = inout(vreg) sum, weights = in(vreg) weights, input = in(vreg) input,
                    options(pure, nomem, nostack, preserves_flags)
                );
            }
            Self(sum)
        }

        #[inline(always)]
        unsafe fn floats(self) -> float32x4_t {
            unsafe { vcvtq_f32_s32(self.0) }
        }
    }
}
