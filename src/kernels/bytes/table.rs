//! Levels to levels, or to floats, by a table of all 256.

use super::super::Isa;

/// Looks up `count` levels.
pub type LookUp = unsafe fn(&[u8; 256], usize, *const u8, *mut u8);

/// Looks up the floats of `count` levels.
pub type LookUpFloats = unsafe fn(&[f32; 256], usize, *const u8, *mut f32);

/// The fastest way to floats.
#[must_use]
pub fn best_floats(isa: Isa) -> LookUpFloats {
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 | Isa::Vnni => gather,
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
unsafe fn plain_floats(table: &[f32; 256], count: usize, from: *const u8, to: *mut f32) {
    for at in 0..count {
        // SAFETY: see above.
        unsafe { *to.add(at) = table[usize::from(*from.add(at))] };
    }
}

/// # Safety
/// As [`plain_floats`], on a processor with AVX-512 F and VL.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vl,avx512bw")]
unsafe fn gather(table: &[f32; 256], count: usize, from: *const u8, to: *mut f32) {
    use std::arch::x86_64::{
        _mm_maskz_loadu_epi8, _mm512_cvtepu8_epi32, _mm512_i32gather_ps, _mm512_mask_storeu_ps, _mm512_storeu_ps,
    };
    // SAFETY: a level is a place in the table, and masks keep loads and stores within the lines.
    unsafe {
        let mut at = 0;
        while at + 16 <= count {
            let levels = _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(u16::MAX, from.add(at).cast()));
            _mm512_storeu_ps(to.add(at), _mm512_i32gather_ps::<4>(levels, table.as_ptr()));
            at += 16;
        }
        if at < count {
            let mask = u16::MAX >> (16 - (count - at));
            let levels = _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(mask, from.add(at).cast()));
            _mm512_mask_storeu_ps(to.add(at), mask, _mm512_i32gather_ps::<4>(levels, table.as_ptr()));
        }
    }
}

/// # Safety
/// As [`plain`], on a processor with AVX-512 F, BW and VBMI.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
unsafe fn vbmi(table: &[u8; 256], count: usize, from: *const u8, to: *mut u8) {
    use std::arch::x86_64::{
        __m512i, _mm512_loadu_si512, _mm512_mask_blend_epi8, _mm512_mask_storeu_epi8, _mm512_maskz_loadu_epi8,
        _mm512_movepi8_mask, _mm512_permutex2var_epi8,
    };
    // SAFETY: a quarter of the table is 64 bytes, and masks keep loads and stores within the lines.
    unsafe {
        let quarters = table.as_ptr().cast::<__m512i>();
        let (a, b) = (_mm512_loadu_si512(quarters), _mm512_loadu_si512(quarters.add(1)));
        let (c, d) = (_mm512_loadu_si512(quarters.add(2)), _mm512_loadu_si512(quarters.add(3)));
        for at in (0..count).step_by(64) {
            let mask = u64::MAX >> (64 - (count - at).min(64));
            let levels = _mm512_maskz_loadu_epi8(mask, from.add(at).cast());
            // Seven bits of a level choose within a half, the eighth chooses the half.
            let low = _mm512_permutex2var_epi8(a, levels, b);
            let high = _mm512_permutex2var_epi8(c, levels, d);
            let both = _mm512_mask_blend_epi8(_mm512_movepi8_mask(levels), low, high);
            _mm512_mask_storeu_epi8(to.add(at).cast(), mask, both);
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
                // SAFETY: as above.
                unsafe { best_floats(isa)(&table.map(f32::from), count, levels.as_ptr(), to.as_mut_ptr()) };
                for at in 0..count {
                    assert_eq!(to[at], f32::from(table[usize::from(levels[at])]), "{isa:?}: {at} of {count}");
                }
                assert!(to[count..].iter().all(|value| *value == 7.0), "{isa:?} wrote behind {count}");
            }
        }
    }
}
