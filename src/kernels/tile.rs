//! The tile that all dense convolutions are made of: a few pixels times a few vectors of output channels, summed in
//! registers over the kernel's rows, taps and input channels.

use super::Isa;
use super::siblings::{sibling, siblings, tile_of, unroll};
use std::arch::asm;

/// Where a tile reads and writes. Lengths and strides are in floats.
#[derive(Clone, Copy, Debug)]
pub struct Tile {
    /// Rows of the kernel, and the distance of two rows of the input.
    pub rows: usize,
    pub row: usize,
    /// Taps in a row that do not lie side by side, and their distance.
    pub taps: usize,
    pub tap: usize,
    /// Values of a tap.
    pub depth: usize,
    /// The distance of the windows of two pixels.
    pub pixel: usize,
    /// The distance of two pixels of the output, and of what is added.
    pub to_pixel: usize,
    pub add_pixel: usize,
    /// Bounds of the result.
    pub lo: f32,
    pub hi: f32,
    /// How many lanes of the last vector are written.
    pub last: usize,
}

/// `(tile, input, weights, bias, output, what is added before the bounds or null)`.
pub type TileFn = unsafe fn(&Tile, *const f32, *const f32, *const f32, *mut f32, *const f32);

/// Hides from the compiler where a pointer comes from, so that it keeps it in a register instead of computing all
/// addresses of the tile from one.
#[inline(always)]
fn hide(mut pointer: *const f32) -> *const f32 {
    // SAFETY: the text is a comment; the register is returned as it is.
    unsafe { asm!("/* {0} */", inout(reg) pointer, options(pure, nomem, nostack, preserves_flags)) };
    pointer
}

siblings! {
    /// `PIXELS` pixels times `VECTORS` vectors of channels. Weights lie as `[rows][taps][depth][VECTORS][LANES]`.
    fn tile<V, const PIXELS: usize, const VECTORS: usize>(
        t: &Tile, a: *const f32, b: *const f32, bias: *const f32, to: *mut f32, add: *const f32,
    ) {
        // SAFETY: the caller has the features of `V`; input, weights and output reach as far as `t` says.
        unsafe {
            let mut sums = [[V::splat(0.0); VECTORS]; PIXELS];
            for vector in 0..VECTORS {
                let start = V::load(bias.add(vector * V::LANES));
                unroll!(P, PIXELS, { sums[P][vector] = start; });
            }
            let pixel = t.pixel;
            let (mut row, mut b) = (a, b);
            for _ in 0..t.rows {
                let mut tap = row;
                for _ in 0..t.taps {
                    // Three pixels share a base, so that an address is base + {0, 1, 2} * pixel + constant.
                    let mut base = [tap; 5];
                    unroll!(G, 5, { if G > 0 && G * 3 < PIXELS { base[G] = hide(tap.add(G * 3 * pixel)); } });
                    macro_rules! step { ($at:literal) => {{
                        let mut weights = [V::splat(0.0); VECTORS];
                        for vector in 0..VECTORS { weights[vector] = V::load(b.add(($at * VECTORS + vector) * V::LANES)); }
                        unroll!(P, PIXELS, {
                            let x = V::splat(*base[P / 3].add((P % 3) * pixel + $at));
                            for vector in 0..VECTORS { sums[P][vector] = x.fma(weights[vector], sums[P][vector]); }
                        });
                    }} }
                    macro_rules! advance { ($by:literal) => {{
                        unroll!(G, 5, { if G * 3 < PIXELS { base[G] = base[G].add($by); } });
                        b = b.add($by * VECTORS * V::LANES);
                    }} }
                    let mut left = t.depth;
                    while left >= 4 { step!(0); step!(1); step!(2); step!(3); advance!(4); left -= 4; }
                    while left != 0 { step!(0); advance!(1); left -= 1; }
                    tap = tap.add(t.tap);
                }
                row = row.add(t.row);
            }
            if !add.is_null() {
                unroll!(P, PIXELS, {
                    for vector in 0..VECTORS {
                        let other = V::load(add.add(P * t.add_pixel + vector * V::LANES));
                        sums[P][vector] = sums[P][vector].add(other);
                    }
                });
            }
            let (lo, hi) = (V::splat(t.lo), V::splat(t.hi));
            if t.last == V::LANES {
                unroll!(P, PIXELS, {
                    for vector in 0..VECTORS {
                        hi.min(lo.max(sums[P][vector])).store(to.add(P * t.to_pixel + vector * V::LANES));
                    }
                });
            } else {
                unroll!(P, PIXELS, {
                    for vector in 0..VECTORS {
                        let (value, to) = (hi.min(lo.max(sums[P][vector])), to.add(P * t.to_pixel + vector * V::LANES));
                        if vector + 1 == VECTORS { value.store_first(to, t.last) } else { value.store(to) }
                    }
                });
            }
        }
    }
}

/// The most pixels of a tile with this many vectors: what fits in the registers beside the weights and one input.
#[must_use]
pub fn most_pixels(isa: Isa, vectors: usize) -> usize {
    match (isa.registers(), vectors) {
        (32, 4) => 6,
        (32, 3) => 8,
        (32, 2) => 12,
        (32, _) => 14,
        (_, 3) => 3,
        (_, 2) => 6,
        _ => 12,
    }
}

/// The most vectors of a tile.
#[must_use]
pub fn most_vectors(isa: Isa) -> usize {
    if isa.registers() == 32 { 4 } else { 3 }
}

/// All tiles, by vectors and pixels; sizes above the most have that of the most.
#[must_use]
pub fn table(isa: Isa) -> Vec<Vec<TileFn>> {
    let tile = |pixels: usize, vectors: usize| -> TileFn {
        tile_of!(sibling, isa, pixels.min(most_pixels(isa, vectors)), vectors)
    };
    (0..=most_vectors(isa)).map(|vectors| (0..=14).map(|pixels| tile(pixels, vectors)).collect()).collect()
}
