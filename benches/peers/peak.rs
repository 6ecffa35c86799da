//! What a core can do at most: products and sums of independent vectors in registers.

/// Billions of products of floats in a second; 0 where there is no AVX2.
pub fn floats() -> f64 {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") {
            // SAFETY: the processor has the feature.
            return best(16 * 12, |rounds| unsafe { x86::floats_512(rounds) });
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: the processor has the features.
            return best(8 * 12, |rounds| unsafe { x86::floats_256(rounds) });
        }
    }
    0.0
}

/// Billions of products of bytes in a second; 0 where there is no AVX-512 VNNI.
pub fn bytes() -> f64 {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vnni") {
        // SAFETY: the processor has the features.
        return best(64 * 12, |rounds| unsafe { x86::bytes_512(rounds) });
    }
    0.0
}

#[cfg(target_arch = "x86_64")]
fn best(products: usize, run: impl Fn(usize) -> f32) -> f64 {
    const ROUNDS: usize = 1_000_000;
    let one = || {
        let start = std::time::Instant::now();
        std::hint::black_box(run(std::hint::black_box(ROUNDS)));
        (products * ROUNDS) as f64 / start.elapsed().as_nanos() as f64
    };
    (0..20).map(|_| one()).fold(0.0, f64::max)
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        _mm_cvtss_f32, _mm256_castps256_ps128, _mm256_fmadd_ps, _mm256_set1_ps, _mm512_dpbusd_epi32, _mm512_fmadd_ps,
        _mm512_reduce_add_epi32, _mm512_reduce_add_ps, _mm512_set1_epi32, _mm512_set1_ps,
    };

    macro_rules! peak {
        ($name:ident, $features:literal, $zero:expr, $step:expr, $sum:expr) => {
            #[target_feature(enable = $features)]
            pub fn $name(rounds: usize) -> f32 {
                let mut all = std::hint::black_box([$zero; 12]);
                for _ in 0..rounds {
                    for one in &mut all {
                        *one = $step(*one);
                    }
                }
                let mut sum = 0.0;
                for one in all {
                    sum += $sum(one);
                }
                sum
            }
        };
    }

    peak!(
        floats_512,
        "avx512f",
        _mm512_set1_ps(1.0),
        |one| _mm512_fmadd_ps(one, _mm512_set1_ps(0.999), _mm512_set1_ps(0.001)),
        |one| _mm512_reduce_add_ps(one)
    );
    peak!(
        floats_256,
        "avx2,fma",
        _mm256_set1_ps(1.0),
        |one| _mm256_fmadd_ps(one, _mm256_set1_ps(0.999), _mm256_set1_ps(0.001)),
        |one| _mm_cvtss_f32(_mm256_castps256_ps128(one))
    );
    peak!(
        bytes_512,
        "avx512f,avx512vnni",
        _mm512_set1_epi32(1),
        |one| _mm512_dpbusd_epi32(one, one, _mm512_set1_epi32(0x0101_0101)),
        |one| _mm512_reduce_add_epi32(one) as f32
    );
}
