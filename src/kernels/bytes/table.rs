//! Levels to levels, or to floats, by a table of all 256.

use super::super::Isa;

/// Looks up `count` levels.
pub type LookUp = unsafe fn(&[u8; 256], usize, *const u8, *mut u8);

/// Looks up the floats of `count` levels.
pub type LookUpFloats = unsafe fn(&Floats, usize, *const u8, *mut f32);

/// The floats of all levels, and their first bytes, second bytes, and so on.
pub struct Floats {
    values: [f32; 256],
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
    planes: [[u8; 256]; 4],
}

impl Floats {
    #[must_use]
    pub fn new(values: [f32; 256]) -> Self {
        let bytes = values.map(f32::to_le_bytes);
        Self { values, planes: std::array::from_fn(|plane| bytes.map(|bytes| bytes[plane])) }
    }
}

/// The fastest way to floats.
#[must_use]
pub fn best_floats(isa: Isa) -> LookUpFloats {
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 | Isa::Vnni if is_x86_feature_detected!("avx512vbmi") => vbmi_floats,
        _ => plain_floats,
    }
}

/// The fastest way to levels.
#[must_use]
pub fn best(isa: Isa) -> LookUp {
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 | Isa::Vnni if is_x86_feature_detected!("avx512vbmi") => vbmi,
        _ => plain,
    }
}

/// # Safety
/// Both lines have `count` levels.
unsafe fn plain(table: &[u8; 256], count: usize, from: *const u8, to: *mut u8) {
    for at in 0..count {
        // SAFETY: see above.
        unsafe { *to.add(at) = table[usize::from(*from.add(at))] };
    }
}

/// # Safety
/// Both lines have `count` values.
unsafe fn plain_floats(table: &Floats, count: usize, from: *const u8, to: *mut f32) {
    for at in 0..count {
        // SAFETY: see above.
        unsafe { *to.add(at) = table.values[usize::from(*from.add(at))] };
    }
}

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{
    __m512i, _mm512_loadu_si512, _mm512_mask_blend_epi8, _mm512_mask_storeu_epi8, _mm512_mask_storeu_epi32,
    _mm512_maskz_loadu_epi8, _mm512_movepi8_mask, _mm512_permutex2var_epi8, _mm512_permutexvar_epi32,
    _mm512_setr_epi32, _mm512_storeu_si512, _mm512_unpackhi_epi8, _mm512_unpackhi_epi16, _mm512_unpacklo_epi8,
    _mm512_unpacklo_epi16,
};

/// Looks up 64 bytes.
///
/// # Safety
/// On a processor with AVX-512 F, BW and VBMI.
#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
unsafe fn bytes(table: &[u8; 256], levels: __m512i) -> __m512i {
    // SAFETY: a quarter of the table is 64 bytes.
    unsafe {
        let quarters = table.as_ptr().cast::<__m512i>();
        let (a, b) = (_mm512_loadu_si512(quarters), _mm512_loadu_si512(quarters.add(1)));
        let (c, d) = (_mm512_loadu_si512(quarters.add(2)), _mm512_loadu_si512(quarters.add(3)));
        // Seven bits of a level choose within a half, the eighth chooses the half.
        let low = _mm512_permutex2var_epi8(a, levels, b);
        let high = _mm512_permutex2var_epi8(c, levels, d);
        _mm512_mask_blend_epi8(_mm512_movepi8_mask(levels), low, high)
    }
}

/// # Safety
/// As [`plain`], on a processor with AVX-512 F, BW and VBMI.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
unsafe fn vbmi(table: &[u8; 256], count: usize, from: *const u8, to: *mut u8) {
    for at in (0..count).step_by(64) {
        let mask = u64::MAX >> (64 - (count - at).min(64));
        // SAFETY: masks keep loads and stores within the lines.
        unsafe {
            let levels = _mm512_maskz_loadu_epi8(mask, from.add(at).cast());
            _mm512_mask_storeu_epi8(to.add(at).cast(), mask, bytes(table, levels));
        }
    }
}

/// Looks up each byte of the floats, then puts them together. Gathering them takes six times as long on an AMD processor.
///
/// # Safety
/// As [`plain_floats`], on a processor with AVX-512 F, BW and VBMI.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
unsafe fn vbmi_floats(table: &Floats, count: usize, from: *const u8, to: *mut f32) {
    // Bytes are put together within the quarters of a register, four of each at a time: so the first quarter needs levels
    // 0 to 3, 16 to 19, 32 to 35 and 48 to 51, to give the first four floats of four registers.
    let order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    for at in (0..count).step_by(64) {
        let left = (count - at).min(64);
        // SAFETY: masks keep loads and stores within the lines.
        unsafe {
            let levels = _mm512_maskz_loadu_epi8(u64::MAX >> (64 - left), from.add(at).cast());
            let levels = _mm512_permutexvar_epi32(order, levels);
            let [a, b, c, d] = &table.planes;
            let (a, b, c, d) = (bytes(a, levels), bytes(b, levels), bytes(c, levels), bytes(d, levels));
            let (low, high) = (_mm512_unpacklo_epi8(a, b), _mm512_unpacklo_epi8(c, d));
            let first = [_mm512_unpacklo_epi16(low, high), _mm512_unpackhi_epi16(low, high)];
            let (low, high) = (_mm512_unpackhi_epi8(a, b), _mm512_unpackhi_epi8(c, d));
            let second = [_mm512_unpacklo_epi16(low, high), _mm512_unpackhi_epi16(low, high)];
            for (quarter, floats) in [first[0], first[1], second[0], second[1]].into_iter().enumerate() {
                let (start, to) = (16 * quarter, to.add(at + 16 * quarter));
                if left >= start + 16 {
                    _mm512_storeu_si512(to.cast(), floats);
                } else if left > start {
                    _mm512_mask_storeu_epi32(to.cast(), u16::MAX >> (16 - (left - start)), floats);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_ways_look_up_the_same() {
        let table: [u8; 256] = std::array::from_fn(|at| (at * 167 + 13) as u8);
        let levels: Vec<u8> = (0..1000).map(|at: usize| (at * at * 31 + at) as u8).collect();
        for count in (0..=130).chain([1000]) {
            for isa in Isa::here() {
                let mut to = vec![7; 1001];
                // SAFETY: both lines are long enough.
                unsafe { best(isa)(&table, count, levels.as_ptr(), to.as_mut_ptr()) };
                for at in 0..count {
                    assert_eq!(to[at], table[usize::from(levels[at])], "{isa:?}: {at} of {count}");
                }
                assert!(to[count..].iter().all(|level| *level == 7), "{isa:?} wrote behind {count}");
                let mut to = vec![7.0; 1001];
                // All four bytes differ.
                let floats = table.map(|level| (f32::from(level) - 100.0) * 1.234_567_8);
                // SAFETY: as above.
                unsafe { best_floats(isa)(&Floats::new(floats), count, levels.as_ptr(), to.as_mut_ptr()) };
                for at in 0..count {
                    assert_eq!(to[at], floats[usize::from(levels[at])], "{isa:?}: {at} of {count}");
                }
                assert!(to[count..].iter().all(|value| *value == 7.0), "{isa:?} wrote behind {count}");
            }
        }
    }
}
