//! A vector of floats: the few operations that kernels are made of, for each kind of processor.
//!
//! Every operation is one of IEEE 754, in the same order on all processors, and a kernel adds up in one order; so the
//! siblings of a kernel give the same bytes.

/// Lanes of 32-bit floats. All methods but those of [`Plain`] need the processor features of their type, which is why
/// they are unsafe: kernels are entered through functions with these features alone.
#[allow(clippy::missing_safety_doc, reason = "the one condition stands above")]
pub trait Vector: Copy {
    /// The number of lanes.
    const LANES: usize;
    unsafe fn load(from: *const f32) -> Self;
    unsafe fn store(self, to: *mut f32);
    /// Writes the first `count` lanes, at most all of them.
    unsafe fn store_first(self, to: *mut f32, count: usize);
    unsafe fn splat(value: f32) -> Self;
    /// Bytes as floats.
    unsafe fn load_levels(from: *const u8) -> Self;
    /// The first `count` lanes, which are from 0 to 255, as bytes: to the nearest, halves to the even one.
    unsafe fn store_levels(self, to: *mut u8, count: usize);
    /// All lanes, as [`Vector::store_levels`] does it.
    #[inline(always)]
    unsafe fn store_all_levels(self, to: *mut u8) {
        // SAFETY: as of all.
        unsafe { self.store_levels(to, Self::LANES) }
    }
    /// 32-bit integers as floats, each rounded once.
    unsafe fn load_sums(from: *const i32) -> Self;
    /// Integers below 2^24 in magnitude, as floats, plus 32-bit integers, as floats again: rounded once.
    unsafe fn plus_sums(self, more: *const i32) -> Self;
    /// `self * factor + sum`, rounded once.
    unsafe fn fma(self, factor: Self, sum: Self) -> Self;
    unsafe fn add(self, other: Self) -> Self;
    unsafe fn sub(self, other: Self) -> Self;
    unsafe fn mul(self, other: Self) -> Self;
    unsafe fn div(self, other: Self) -> Self;
    /// The greater; `other` where one is not a number.
    unsafe fn max(self, other: Self) -> Self;
    /// The smaller; `other` where one is not a number.
    unsafe fn min(self, other: Self) -> Self;
    /// The greatest of all lanes, which are numbers.
    unsafe fn most(self) -> f32;
    /// To the nearest integer, halves to the even one.
    unsafe fn round(self) -> Self;
    /// `2^self` for integers from -126 to 127.
    unsafe fn power_of_two(self) -> Self;

    /// `self * 2^power` for such integers.
    #[inline(always)]
    unsafe fn scale(self, power: Self) -> Self {
        // SAFETY: as of all.
        unsafe { self.mul(power.power_of_two()) }
    }
}

/// Plain Rust: what the others are tested against, and the form for processors without a sibling.
#[derive(Clone, Copy)]
pub struct Plain([f32; 8]);

impl Plain {
    #[inline(always)]
    fn zip(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        Self(std::array::from_fn(|at| f(self.0[at], other.0[at])))
    }
}

impl Vector for Plain {
    const LANES: usize = 8;

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller gives eight values.
        Self(unsafe { from.cast::<[f32; 8]>().read() })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller gives room for eight values.
        unsafe { to.cast::<[f32; 8]>().write(self.0) }
    }

    #[inline(always)]
    unsafe fn store_first(self, to: *mut f32, count: usize) {
        for (at, value) in self.0.iter().enumerate().take(count) {
            // SAFETY: the caller gives room for `count` values.
            unsafe { to.add(at).write(*value) }
        }
    }

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Self([value; 8])
    }

    #[inline(always)]
    unsafe fn load_levels(from: *const u8) -> Self {
        // SAFETY: the caller gives eight bytes.
        Self(unsafe { from.cast::<[u8; 8]>().read() }.map(f32::from))
    }

    #[inline(always)]
    unsafe fn store_levels(self, to: *mut u8, count: usize) {
        for (at, value) in self.0.iter().enumerate().take(count) {
            // SAFETY: the caller gives room for `count` bytes.
            unsafe { to.add(at).write(value.round_ties_even() as u8) }
        }
    }

    #[inline(always)]
    unsafe fn load_sums(from: *const i32) -> Self {
        // SAFETY: the caller gives eight integers.
        Self(unsafe { from.cast::<[i32; 8]>().read_unaligned() }.map(|sum| sum as f32))
    }

    #[inline(always)]
    unsafe fn plus_sums(self, more: *const i32) -> Self {
        // SAFETY: the caller gives eight integers.
        let more = unsafe { more.cast::<[i32; 8]>().read_unaligned() };
        Self(std::array::from_fn(|at| (self.0[at] as i32).wrapping_add(more[at]) as f32))
    }

    #[inline(always)]
    unsafe fn fma(self, factor: Self, sum: Self) -> Self {
        Self(std::array::from_fn(|at| self.0[at].mul_add(factor.0[at], sum.0[at])))
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| a + b)
    }

    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        self.zip(other, |a, b| a - b)
    }

    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        self.zip(other, |a, b| a * b)
    }

    #[inline(always)]
    unsafe fn div(self, other: Self) -> Self {
        self.zip(other, |a, b| a / b)
    }

    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        self.zip(other, |a, b| if a > b { a } else { b })
    }

    #[inline(always)]
    unsafe fn min(self, other: Self) -> Self {
        self.zip(other, |a, b| if a < b { a } else { b })
    }

    #[inline(always)]
    unsafe fn most(self) -> f32 {
        self.0.into_iter().fold(f32::NEG_INFINITY, f32::max)
    }

    #[inline(always)]
    unsafe fn round(self) -> Self {
        Self(self.0.map(f32::round_ties_even))
    }

    #[inline(always)]
    unsafe fn power_of_two(self) -> Self {
        Self(self.0.map(|power| f32::from_bits(((power as i32 + 127) as u32) << 23)))
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::Vector;
    use std::arch::x86_64::*;

    macro_rules! vector {
        ($type:ty, $lanes:literal, $load:ident, $store:ident, $splat:ident, $fma:ident, $add:ident, $sub:ident, $mul:ident,
         $div:ident, $max:ident, $min:ident, |$to:ident, $value:ident, $count:ident| $store_first:expr,
         |$rounded:ident| $round:expr, |$power:ident| $power_of_two:expr, {$($more:tt)*}) => {
            // SAFETY of all: kernels call them from functions with the processor features of the type, and give pointers
            // to as many values as there are lanes.
            impl Vector for $type {
                const LANES: usize = $lanes;

                #[inline(always)]
                unsafe fn load(from: *const f32) -> Self {
                    unsafe { $load(from) }
                }

                #[inline(always)]
                unsafe fn store(self, to: *mut f32) {
                    unsafe { $store(to, self) }
                }

                #[inline(always)]
                unsafe fn store_first(self, $to: *mut f32, $count: usize) {
                    let $value = self;
                    unsafe { $store_first }
                }

                #[inline(always)]
                unsafe fn splat(value: f32) -> Self {
                    unsafe { $splat(value) }
                }

                #[inline(always)]
                unsafe fn fma(self, factor: Self, sum: Self) -> Self {
                    unsafe { $fma(self, factor, sum) }
                }

                #[inline(always)]
                unsafe fn add(self, other: Self) -> Self {
                    unsafe { $add(self, other) }
                }

                #[inline(always)]
                unsafe fn sub(self, other: Self) -> Self {
                    unsafe { $sub(self, other) }
                }

                #[inline(always)]
                unsafe fn mul(self, other: Self) -> Self {
                    unsafe { $mul(self, other) }
                }

                #[inline(always)]
                unsafe fn div(self, other: Self) -> Self {
                    unsafe { $div(self, other) }
                }

                #[inline(always)]
                unsafe fn max(self, other: Self) -> Self {
                    unsafe { $max(self, other) }
                }

                #[inline(always)]
                unsafe fn min(self, other: Self) -> Self {
                    unsafe { $min(self, other) }
                }

                #[inline(always)]
                unsafe fn round(self) -> Self {
                    let $rounded = self;
                    unsafe { $round }
                }

                #[inline(always)]
                unsafe fn power_of_two(self) -> Self {
                    let $power = self;
                    unsafe { $power_of_two }
                }

                $($more)*
            }
        };
    }

    vector!(
        __m256,
        8,
        _mm256_loadu_ps,
        _mm256_storeu_ps,
        _mm256_set1_ps,
        _mm256_fmadd_ps,
        _mm256_add_ps,
        _mm256_sub_ps,
        _mm256_mul_ps,
        _mm256_div_ps,
        _mm256_max_ps,
        _mm256_min_ps,
        |to, value, count| {
            let lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
            let mask = _mm256_cmpgt_epi32(_mm256_set1_epi32(count as i32), lanes);
            _mm256_maskstore_ps(to, mask, value);
        },
        |value| _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(value),
        |power| _mm256_castsi256_ps(_mm256_slli_epi32::<23>(_mm256_add_epi32(
            _mm256_cvtps_epi32(power),
            _mm256_set1_epi32(127)
        ))),
        {
            #[inline(always)]
            unsafe fn load_levels(from: *const u8) -> Self {
                unsafe { _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64(from.cast()))) }
            }

            #[inline(always)]
            unsafe fn store_levels(self, to: *mut u8, count: usize) {
                unsafe {
                    let words = _mm256_cvtps_epi32(self);
                    let halves = _mm_packs_epi32(_mm256_castsi256_si128(words), _mm256_extracti128_si256::<1>(words));
                    let bytes = _mm_packus_epi16(halves, halves);
                    if count >= 8 {
                        _mm_storel_epi64(to.cast(), bytes);
                    } else {
                        let bytes = _mm_cvtsi128_si64(bytes).to_le_bytes();
                        std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, count);
                    }
                }
            }

            #[inline(always)]
            unsafe fn most(self) -> f32 {
                unsafe {
                    let four = _mm_max_ps(_mm256_castps256_ps128(self), _mm256_extractf128_ps::<1>(self));
                    let two = _mm_max_ps(four, _mm_movehl_ps(four, four));
                    _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)))
                }
            }

            #[inline(always)]
            unsafe fn load_sums(from: *const i32) -> Self {
                unsafe { _mm256_cvtepi32_ps(_mm256_loadu_si256(from.cast())) }
            }

            #[inline(always)]
            unsafe fn plus_sums(self, more: *const i32) -> Self {
                unsafe {
                    let sums = _mm256_add_epi32(_mm256_cvtps_epi32(self), _mm256_loadu_si256(more.cast()));
                    _mm256_cvtepi32_ps(sums)
                }
            }
        }
    );

    vector!(
        __m512,
        16,
        _mm512_loadu_ps,
        _mm512_storeu_ps,
        _mm512_set1_ps,
        _mm512_fmadd_ps,
        _mm512_add_ps,
        _mm512_sub_ps,
        _mm512_mul_ps,
        _mm512_div_ps,
        _mm512_max_ps,
        _mm512_min_ps,
        |to, value, count| _mm512_mask_storeu_ps(to, (0xffff_u32 >> (16 - count.min(16))) as u16, value),
        |value| _mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(value),
        |power| _mm512_castsi512_ps(_mm512_slli_epi32::<23>(_mm512_add_epi32(
            _mm512_cvtps_epi32(power),
            _mm512_set1_epi32(127)
        ))),
        {
            #[inline(always)]
            unsafe fn load_levels(from: *const u8) -> Self {
                unsafe { _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128(from.cast()))) }
            }

            #[inline(always)]
            unsafe fn store_levels(self, to: *mut u8, count: usize) {
                unsafe {
                    let bytes = _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(self));
                    _mm_mask_storeu_epi8(to.cast(), (0xffff_u32 >> (16 - count.min(16))) as u16, bytes);
                }
            }

            #[inline(always)]
            unsafe fn store_all_levels(self, to: *mut u8) {
                unsafe { _mm_storeu_si128(to.cast(), _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(self))) }
            }

            #[inline(always)]
            unsafe fn most(self) -> f32 {
                unsafe { _mm512_reduce_max_ps(self) }
            }

            #[inline(always)]
            unsafe fn load_sums(from: *const i32) -> Self {
                unsafe { _mm512_cvtepi32_ps(_mm512_loadu_si512(from.cast())) }
            }

            #[inline(always)]
            unsafe fn plus_sums(self, more: *const i32) -> Self {
                unsafe {
                    let sums = _mm512_add_epi32(_mm512_cvtps_epi32(self), _mm512_loadu_si512(more.cast()));
                    _mm512_cvtepi32_ps(sums)
                }
            }

            #[inline(always)]
            unsafe fn scale(self, power: Self) -> Self {
                unsafe { _mm512_scalef_ps(self, power) }
            }
        }
    );
}

#[cfg(target_arch = "aarch64")]
mod neon {
    use super::Vector;
    use std::arch::aarch64::*;

    // SAFETY of all: every 64-bit ARM has NEON; the caller gives pointers to four values.
    impl Vector for float32x4_t {
        const LANES: usize = 4;

        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            unsafe { vld1q_f32(from) }
        }

        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            unsafe { vst1q_f32(to, self) }
        }

        #[inline(always)]
        unsafe fn store_first(self, to: *mut f32, count: usize) {
            let mut values = [0.0_f32; 4];
            unsafe {
                vst1q_f32(values.as_mut_ptr(), self);
                std::ptr::copy_nonoverlapping(values.as_ptr(), to, count.min(4));
            }
        }

        #[inline(always)]
        unsafe fn splat(value: f32) -> Self {
            unsafe { vdupq_n_f32(value) }
        }

        #[inline(always)]
        unsafe fn fma(self, factor: Self, sum: Self) -> Self {
            unsafe { vfmaq_f32(sum, self, factor) }
        }

        #[inline(always)]
        unsafe fn add(self, other: Self) -> Self {
            unsafe { vaddq_f32(self, other) }
        }

        #[inline(always)]
        unsafe fn sub(self, other: Self) -> Self {
            unsafe { vsubq_f32(self, other) }
        }

        #[inline(always)]
        unsafe fn mul(self, other: Self) -> Self {
            unsafe { vmulq_f32(self, other) }
        }

        #[inline(always)]
        unsafe fn div(self, other: Self) -> Self {
            unsafe { vdivq_f32(self, other) }
        }

        #[inline(always)]
        unsafe fn load_levels(from: *const u8) -> Self {
            let bytes = unsafe { from.cast::<[u8; 4]>().read() }.map(u32::from);
            unsafe { vcvtq_f32_u32(vld1q_u32(bytes.as_ptr())) }
        }

        #[inline(always)]
        unsafe fn store_levels(self, to: *mut u8, count: usize) {
            let mut words = [0_u32; 4];
            unsafe {
                vst1q_u32(words.as_mut_ptr(), vcvtnq_u32_f32(self));
                let bytes = words.map(|word| word as u8);
                std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, count.min(4));
            }
        }

        #[inline(always)]
        unsafe fn load_sums(from: *const i32) -> Self {
            unsafe { vcvtq_f32_s32(vld1q_s32(from)) }
        }

        #[inline(always)]
        unsafe fn plus_sums(self, more: *const i32) -> Self {
            unsafe { vcvtq_f32_s32(vaddq_s32(vcvtnq_s32_f32(self), vld1q_s32(more))) }
        }

        // Comparison and choice, not fmax: what is not a number goes the way it goes on x86.
        #[inline(always)]
        unsafe fn max(self, other: Self) -> Self {
            unsafe { vbslq_f32(vcgtq_f32(self, other), self, other) }
        }

        #[inline(always)]
        unsafe fn min(self, other: Self) -> Self {
            unsafe { vbslq_f32(vcltq_f32(self, other), self, other) }
        }

        #[inline(always)]
        unsafe fn most(self) -> f32 {
            unsafe { vmaxvq_f32(self) }
        }

        #[inline(always)]
        unsafe fn round(self) -> Self {
            unsafe { vrndnq_f32(self) }
        }

        #[inline(always)]
        unsafe fn power_of_two(self) -> Self {
            unsafe { vreinterpretq_f32_s32(vshlq_n_s32::<23>(vaddq_s32(vcvtnq_s32_f32(self), vdupq_n_s32(127)))) }
        }
    }
}
