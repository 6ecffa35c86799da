//! Depthwise convolutions of levels. Levels and weights are multiplied as floats: their sums stay below 2^24, so they are
//! exact.

use super::super::Isa;
use super::super::arena::Arena;
use super::super::math::{FinishFn, finish};
use super::super::pack::shares;
use super::super::siblings::{sibling, siblings, unroll};
use super::super::view::Map;
use super::super::window::Window;
use super::conv::{Numbers, Out};

/// The most taps whose sums are exact: each product is at most 255 * 255.
pub const MOST_TAPS: usize = 256;

/// A row of one vector of channels. Strides of the input are in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    width: usize,
    row: usize,
    tap: usize,
    step: usize,
    to_pixel: usize,
    kernel: [usize; 2],
    lo: f32,
    hi: f32,
    zero: f32,
    last: usize,
    /// Whether sums with their bias are exact as floats.
    exact: bool,
}

type LineFn = unsafe fn(&Line, *const u8, *const f32, *const i32, *const f32, *const f32, *mut u8, *mut f32);

macro_rules! store {
    ($line:ident, $sum:expr, $bias:ident, $scale:ident, $levels:ident, $floats:ident, $at:expr) => {{
        let sum = if $line.exact { $sum } else { $sum.plus_sums($bias) };
        let value = sum.mul($scale);
        if $floats.is_null() {
            let level = V::splat($line.hi).min(V::splat($line.lo).max(value)).round().add(V::splat($line.zero));
            if $line.last == V::LANES {
                level.store_all_levels($levels.add($at))
            } else {
                level.store_levels($levels.add($at), $line.last)
            }
        } else if $line.last == V::LANES {
            value.store($floats.add($at));
        } else {
            value.store_first($floats.add($at), $line.last);
        }
    }};
}

siblings! {
    /// Square windows of `K`, stride `S`, undilated: a column is loaded once for all windows that it is in.
    fn known<V, const K: usize, const S: usize>(
        line: &Line, from: *const u8, weights: *const f32, bias: *const i32, biases: *const f32, scales: *const f32,
        levels: *mut u8, floats: *mut f32,
    ) {
        // SAFETY: the caller has the features of `V`; the row reaches as far as `line` says.
        unsafe {
            let (scale, start) = (V::load(scales), if line.exact { V::load(biases) } else { V::splat(0.0) });
            let mut x = 0;
            while x + 8 <= line.width {
                let mut sums = [start; 8];
                for ky in 0..K {
                    let row = from.add(ky * line.row + x * line.step);
                    let mut taps = [scale; K];
                    for kx in 0..K { taps[kx] = V::load(weights.add((ky * K + kx) * V::LANES)); }
                    unroll!(@ C, 7 * S + K, {
                        let column = V::load_levels(row.add(C * line.tap));
                        for kx in 0..K {
                            if C >= kx && (C - kx) % S == 0 && (C - kx) / S < 8 {
                                sums[(C - kx) / S] = column.fma(taps[kx], sums[(C - kx) / S]);
                            }
                        }
                    }, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18);
                }
                unroll!(P, 8, { store!(line, sums[P], bias, scale, levels, floats, (x + P) * line.to_pixel); });
                x += 8;
            }
            while x < line.width {
                let mut sum = start;
                for ky in 0..K {
                    let row = from.add(ky * line.row + x * line.step);
                    for kx in 0..K {
                        let level = V::load_levels(row.add(kx * line.tap));
                        sum = level.fma(V::load(weights.add((ky * K + kx) * V::LANES)), sum);
                    }
                }
                store!(line, sum, bias, scale, levels, floats, x * line.to_pixel);
                x += 1;
            }
        }
    }
}

siblings! {
    /// Windows of any size, stride and dilation.
    fn any<V>(
        line: &Line, from: *const u8, weights: *const f32, bias: *const i32, biases: *const f32, scales: *const f32,
        levels: *mut u8, floats: *mut f32,
    ) {
        // SAFETY: as above.
        unsafe {
            let (scale, start) = (V::load(scales), if line.exact { V::load(biases) } else { V::splat(0.0) });
            let [rows, columns] = line.kernel;
            let mut x = 0;
            while x + 6 <= line.width {
                let mut sums = [start; 6];
                for ky in 0..rows {
                    for kx in 0..columns {
                        let weight = V::load(weights.add((ky * columns + kx) * V::LANES));
                        let at = from.add(ky * line.row + kx * line.tap + x * line.step);
                        unroll!(P, 6, { sums[P] = V::load_levels(at.add(P * line.step)).fma(weight, sums[P]); });
                    }
                }
                unroll!(P, 6, { store!(line, sums[P], bias, scale, levels, floats, (x + P) * line.to_pixel); });
                x += 6;
            }
            while x < line.width {
                let mut sum = start;
                for ky in 0..rows {
                    for kx in 0..columns {
                        let level = V::load_levels(from.add(ky * line.row + kx * line.tap + x * line.step));
                        sum = level.fma(V::load(weights.add((ky * columns + kx) * V::LANES)), sum);
                    }
                }
                store!(line, sum, bias, scale, levels, floats, x * line.to_pixel);
                x += 1;
            }
        }
    }
}

/// A depthwise convolution with its weights and places.
pub struct Depthwise {
    from: Map,
    to: Map,
    window: Window,
    out: Out,
    lanes: usize,
    spill: bool,
    weights: Arena,
    bias: Vec<i32>,
    biases: Arena,
    exact: bool,
    scales: Arena,
    line: LineFn,
    finish: FinishFn,
}

impl Depthwise {
    /// Packs weights `[channels][rows][columns]`.
    #[must_use]
    pub fn new(isa: Isa, [from, to]: [Map; 2], spill: bool, window: Window, numbers: &Numbers, out: Out) -> Self {
        let lanes = isa.lanes();
        let taps: usize = window.kernel.iter().product();
        let blocks = to.channels.div_ceil(lanes);
        let mut weights = vec![0.0; blocks * taps * lanes];
        for (channel, of) in numbers.weights.chunks_exact(taps).enumerate() {
            for (tap, weight) in of.iter().enumerate() {
                weights[(channel / lanes * taps + tap) * lanes + channel % lanes] = f32::from(*weight);
            }
        }
        let (mut bias, mut scales) = (numbers.start(0), numbers.scales.clone());
        bias.resize(blocks * lanes, 0);
        scales.resize(blocks * lanes, 0.0);
        let line: LineFn = match (window.kernel, window.stride, window.dilation) {
            ([3, 3], [1, 1], [1, 1]) => sibling!(isa, known::<3, 1>),
            ([3, 3], [2, 2], [1, 1]) => sibling!(isa, known::<3, 2>),
            ([5, 5], [1, 1], [1, 1]) => sibling!(isa, known::<5, 1>),
            ([5, 5], [2, 2], [1, 1]) => sibling!(isa, known::<5, 2>),
            _ => sibling!(isa, any),
        };
        let (weights, scales) = (Arena::of(&weights), Arena::of(&scales));
        let biases: Vec<f32> = bias.iter().map(|bias| *bias as f32).collect();
        // Sums that stay below 2^24 with their bias are exact as floats.
        let most = (1_u32 << 24).saturating_sub(taps as u32 * 255 * 255);
        let (biases, exact) = (Arena::of(&biases), bias.iter().all(|bias| bias.unsigned_abs() < most));
        let finish = sibling!(isa, finish);
        Self { from, to, window, out, lanes, spill, weights, bias, biases, exact, scales, line, finish }
    }

    /// Multiplications in a run.
    #[must_use]
    pub fn macs(&self) -> usize {
        self.to.height * self.to.width * self.to.channels * self.window.kernel.iter().product::<usize>()
    }

    /// Computes part `part` of `parts`.
    ///
    /// # Safety
    /// As of [`super::super::Conv::run`].
    pub(in super::super) unsafe fn run(&self, memory: *mut f32, part: usize, parts: usize) {
        let (from, to, window) = (&self.from, &self.to, &self.window);
        let blocks = to.channels.div_ceil(self.lanes);
        let [rows, blocks] = shares(to.height, 2 * parts, blocks, part, parts);
        let (zero, lo, hi) = match self.out {
            Out::Levels { zero, lo, hi } => {
                let zero = f32::from(zero);
                (zero, f32::from(lo) - zero, f32::from(hi) - zero)
            }
            Out::Floats(_) => (0.0, 0.0, 0.0),
        };
        let taps: usize = window.kernel.iter().product();
        for y in rows.0..rows.0 + rows.1 {
            for block in blocks.0..blocks.0 + blocks.1 {
                let channel = block * self.lanes;
                let channels = (to.channels - channel).min(self.lanes);
                let whole = self.spill || channels == self.lanes;
                let line = Line {
                    width: to.width,
                    row: window.dilation[0] * from.row,
                    tap: window.dilation[1] * from.pixel,
                    step: window.stride[1] * from.pixel,
                    to_pixel: to.pixel,
                    kernel: window.kernel,
                    lo,
                    hi,
                    zero,
                    last: if whole { self.lanes } else { channels },
                    exact: self.exact,
                };
                let corner = window.corner(from, y).wrapping_add(channel);
                let place = to.offset + y * to.row + channel;
                let (weights, bias) = (self.weights.at(block * taps * self.lanes), self.bias[channel..].as_ptr());
                let (biases, scales) = (self.biases.at(channel), self.scales.at(channel));
                // SAFETY: the maps were checked against the arena; windows reach as far as the border.
                unsafe {
                    let a = memory.cast::<u8>().cast_const().add(corner);
                    match &self.out {
                        Out::Levels { .. } => {
                            let levels = memory.cast::<u8>().add(place);
                            (self.line)(&line, a, weights, bias, biases, scales, levels, std::ptr::null_mut());
                        }
                        Out::Floats(epilogue) => {
                            let floats = memory.add(place);
                            (self.line)(&line, a, weights, bias, biases, scales, std::ptr::null_mut(), floats);
                            if let Some(rest) = epilogue.whole() {
                                let add = epilogue.add;
                                let other = add.map_or(std::ptr::null(), |add| {
                                    memory.add(add.offset + y * add.row + channel).cast_const()
                                });
                                let pixel = add.map_or(0, |add| add.pixel);
                                (self.finish)(&rest, to.width, channels, whole, floats, to.pixel, other, pixel);
                            }
                        }
                    }
                }
            }
        }
    }
}
