//! The tile of 8-bit convolutions: as that of floats, four inputs at a time.

use super::super::Isa;
use super::super::siblings::{dot_sibling, dot_siblings, tile_of, unroll};
use super::super::vector::Vector;
use super::dot::{Form, form};
use std::arch::asm;

/// Where a tile reads and writes. Lengths of the input are in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Tile {
    /// Rows of the kernel, and their distance.
    pub rows: usize,
    pub row: usize,
    /// Taps in a row that do not lie side by side, and their distance.
    pub taps: usize,
    pub tap: usize,
    /// Groups of four inputs in a tap.
    pub groups: usize,
    /// The distance of the windows of two pixels.
    pub pixel: usize,
    /// The distance of two pixels of the output, in its own elements.
    pub to_pixel: usize,
    /// Bytes of weights for a group and a vector.
    pub weights: usize,
    /// Groups whose weights do not fit in a byte: where they begin in the input, and the rest of their weights.
    pub extras: usize,
    pub places: *const usize,
    pub rest: *const u8,
    /// Bounds before `zero` is added, if levels are written; floats are not bounded.
    pub lo: f32,
    pub hi: f32,
    pub zero: f32,
    /// Lanes of the last vector that are written.
    pub last: usize,
}

/// `(tile, input, weights, bias, scales, levels or null, floats or null)`.
pub type TileFn = unsafe fn(&Tile, *const u8, *const u8, *const i32, *const f32, *mut u8, *mut f32);

#[inline(always)]
fn hide(mut pointer: *const u8) -> *const u8 {
    // SAFETY: the text is a comment; the register is returned as it is.
    unsafe { asm!("/* {0} */", inout(reg) pointer, options(pure, nomem, nostack, preserves_flags)) };
    pointer
}

dot_siblings! {
    /// `PIXELS` pixels times `VECTORS` vectors of channels.
    fn tile<D, const PIXELS: usize, const VECTORS: usize>(
        t: &Tile, a: *const u8, b: *const u8, bias: *const i32, scales: *const f32, levels: *mut u8, floats: *mut f32,
    ) {
        // SAFETY: the caller has the features of `D`; input, weights and output reach as far as `t` says.
        unsafe {
            let lanes = <D::Floats as Vector>::LANES;
            let mut sums = [[D::load(bias); VECTORS]; PIXELS];
            for vector in 1..VECTORS {
                let start = D::load(bias.add(vector * lanes));
                unroll!(P, PIXELS, { sums[P][vector] = start; });
            }
            let pixel = t.pixel;
            let (mut row, mut b) = (a, b);
            for _ in 0..t.rows {
                let mut tap = row;
                for _ in 0..t.taps {
                    let mut base = [tap; 5];
                    unroll!(G, 5, { if G > 0 && G * 3 < PIXELS { base[G] = hide(tap.add(G * 3 * pixel)); } });
                    macro_rules! step { ($at:literal) => {{
                        let mut weights = [D::weights(b.add($at * VECTORS * t.weights)); VECTORS];
                        for vector in 1..VECTORS { weights[vector] = D::weights(b.add(($at * VECTORS + vector) * t.weights)); }
                        unroll!(P, PIXELS, {
                            let x = D::input(base[P / 3].add((P % 3) * pixel + 4 * $at));
                            for vector in 0..VECTORS { sums[P][vector] = sums[P][vector].dot(x, weights[vector]); }
                        });
                    }} }
                    let mut left = t.groups;
                    while left >= 2 {
                        step!(0);
                        step!(1);
                        unroll!(G, 5, { if G * 3 < PIXELS { base[G] = base[G].add(8); } });
                        b = b.add(2 * VECTORS * t.weights);
                        left -= 2;
                    }
                    if left != 0 {
                        step!(0);
                        b = b.add(VECTORS * t.weights);
                    }
                    tap = tap.add(t.tap);
                }
                row = row.add(t.row);
            }
            for extra in 0..t.extras {
                let at = a.add(*t.places.add(extra));
                let mut weights = [D::weights(t.rest.add(extra * VECTORS * t.weights)); VECTORS];
                for vector in 1..VECTORS { weights[vector] = D::weights(t.rest.add((extra * VECTORS + vector) * t.weights)); }
                unroll!(P, PIXELS, {
                    let x = D::input(at.add(P * pixel));
                    for vector in 0..VECTORS { sums[P][vector] = sums[P][vector].dot(x, weights[vector]); }
                });
            }
            let (lo, hi, zero) = (D::Floats::splat(t.lo), D::Floats::splat(t.hi), D::Floats::splat(t.zero));
            for vector in 0..VECTORS {
                let scale = D::Floats::load(scales.add(vector * lanes));
                let count = if vector + 1 == VECTORS { t.last } else { lanes };
                if !levels.is_null() && count == lanes {
                    unroll!(P, PIXELS, {
                        let value = sums[P][vector].floats().mul(scale);
                        hi.min(lo.max(value)).round().add(zero).store_all_levels(levels.add(P * t.to_pixel + vector * lanes));
                    });
                } else if !levels.is_null() {
                    unroll!(P, PIXELS, {
                        let value = sums[P][vector].floats().mul(scale);
                        hi.min(lo.max(value)).round().add(zero).store_levels(levels.add(P * t.to_pixel + vector * lanes), count);
                    });
                } else {
                    unroll!(P, PIXELS, {
                        let value = sums[P][vector].floats().mul(scale);
                        let to = floats.add(P * t.to_pixel + vector * lanes);
                        if count == lanes { value.store(to) } else { value.store_first(to, count) }
                    });
                }
            }
        }
    }
}

/// Lanes of 32-bit sums.
#[must_use]
pub fn lanes(isa: Isa) -> usize {
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Vnni => 16,
        #[cfg(target_arch = "aarch64")]
        Isa::Neon | Isa::NeonDot => 4,
        _ => 8,
    }
}

/// The most vectors of a tile, and the most pixels with so many vectors.
#[must_use]
pub fn most_vectors(isa: Isa) -> usize {
    if lanes(isa) != 8 && form(isa).is_bytes() { 4 } else { 2 }
}

#[must_use]
pub fn most_pixels(isa: Isa, vectors: usize) -> usize {
    match (lanes(isa), form(isa), vectors) {
        // Of 32 registers; 16-bit numbers take four for each vector of weights.
        (4, Form::Lanes, 2) => 8,
        (4, Form::Lanes, _) => 14,
        (4 | 16, _, 4) => 6,
        (4 | 16, _, 3) => 8,
        (4 | 16, _, 2) => 12,
        (4 | 16, ..) => 14,
        // Of 16 registers; 16-bit numbers take two for each vector of weights and for the input.
        (_, Form::Bytes | Form::Signed, 2) => 6,
        (_, Form::Bytes | Form::Signed, _) => 12,
        (_, Form::Pairs | Form::Lanes, 2) => 5,
        (_, Form::Pairs | Form::Lanes, _) => 8,
    }
}

/// All tiles, by vectors and pixels; sizes above the most have that of the most.
#[must_use]
pub fn table(isa: Isa) -> Vec<Vec<TileFn>> {
    let tile = |pixels: usize, vectors: usize| -> TileFn {
        tile_of!(dot_sibling, isa, pixels.min(most_pixels(isa, vectors)), vectors)
    };
    (0..=most_vectors(isa)).map(|vectors| (0..=14).map(|pixels| tile(pixels, vectors)).collect()).collect()
}
