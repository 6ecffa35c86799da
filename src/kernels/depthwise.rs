//! Depthwise convolutions: each channel by itself, a vector of channels at a time.

use super::Isa;
use super::arena::Arena;
use super::math::{FinishFn, finish};
use super::pack::shares;
use super::siblings::{sibling, siblings, unroll};
use super::view::Map;
use super::window::{Bases, Epilogue, Window};

/// A row of one vector of channels. Strides are in floats.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    width: usize,
    /// Distances of the input: rows of the window, taps, windows.
    row: usize,
    tap: usize,
    step: usize,
    to_pixel: usize,
    kernel: [usize; 2],
    lo: f32,
    hi: f32,
    /// How many lanes are written.
    last: usize,
}

type LineFn = unsafe fn(&Line, *const f32, *const f32, *const f32, *mut f32);

macro_rules! store {
    ($line:ident, $value:expr, $to:expr) => {{
        let value = V::splat($line.hi).min(V::splat($line.lo).max($value));
        if $line.last == V::LANES { value.store($to) } else { value.store_first($to, $line.last) }
    }};
}

siblings! {
    /// Square windows of `K`, stride `S`, undilated: a column of the input is loaded once for all windows that it is in.
    fn known<V, const K: usize, const S: usize>(
        line: &Line, from: *const f32, weights: *const f32, bias: *const f32, to: *mut f32,
    ) {
        // SAFETY: the caller has the features of `V`; the row reaches as far as `line` says.
        unsafe {
            let start = V::load(bias);
            let mut x = 0;
            while x + 8 <= line.width {
                let mut sums = [start; 8];
                for ky in 0..K {
                    let row = from.add(ky * line.row + x * line.step);
                    let mut taps = [start; K];
                    for kx in 0..K { taps[kx] = V::load(weights.add((ky * K + kx) * V::LANES)); }
                    unroll!(@ C, 7 * S + K, {
                        let column = V::load(row.add(C * line.tap));
                        for kx in 0..K {
                            if C >= kx && (C - kx) % S == 0 && (C - kx) / S < 8 {
                                sums[(C - kx) / S] = column.fma(taps[kx], sums[(C - kx) / S]);
                            }
                        }
                    }, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18);
                }
                unroll!(P, 8, { store!(line, sums[P], to.add((x + P) * line.to_pixel)); });
                x += 8;
            }
            while x < line.width {
                let mut sum = start;
                for ky in 0..K {
                    let row = from.add(ky * line.row + x * line.step);
                    for kx in 0..K {
                        sum = V::load(row.add(kx * line.tap)).fma(V::load(weights.add((ky * K + kx) * V::LANES)), sum);
                    }
                }
                store!(line, sum, to.add(x * line.to_pixel));
                x += 1;
            }
        }
    }
}

siblings! {
    /// Windows of any size, stride and dilation.
    fn any<V>(line: &Line, from: *const f32, weights: *const f32, bias: *const f32, to: *mut f32) {
        // SAFETY: as above.
        unsafe {
            let start = V::load(bias);
            let [rows, columns] = line.kernel;
            let mut x = 0;
            while x + 6 <= line.width {
                let mut sums = [start; 6];
                for ky in 0..rows {
                    for kx in 0..columns {
                        let weight = V::load(weights.add((ky * columns + kx) * V::LANES));
                        let at = from.add(ky * line.row + kx * line.tap + x * line.step);
                        unroll!(P, 6, { sums[P] = V::load(at.add(P * line.step)).fma(weight, sums[P]); });
                    }
                }
                unroll!(P, 6, { store!(line, sums[P], to.add((x + P) * line.to_pixel)); });
                x += 6;
            }
            while x < line.width {
                let mut sum = start;
                for ky in 0..rows {
                    for kx in 0..columns {
                        let at = from.add(ky * line.row + kx * line.tap + x * line.step);
                        sum = V::load(at).fma(V::load(weights.add((ky * columns + kx) * V::LANES)), sum);
                    }
                }
                store!(line, sum, to.add(x * line.to_pixel));
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
    epilogue: Epilogue,
    weights: Arena,
    bias: Arena,
    lanes: usize,
    spill: bool,
    line: LineFn,
    finish: FinishFn,
}

impl Depthwise {
    /// Packs weights `[channels][rows][columns]`.
    #[must_use]
    pub fn new(
        isa: Isa,
        [from, to]: [Map; 2],
        spill: bool,
        window: Window,
        epilogue: Epilogue,
        weights: &[f32],
        bias: &[f32],
    ) -> Self {
        let lanes = isa.lanes();
        let taps: usize = window.kernel.iter().product();
        let blocks = to.channels.div_ceil(lanes);
        let mut packed = vec![0.0; blocks * taps * lanes];
        for (channel, of) in weights.chunks_exact(taps).enumerate() {
            for (tap, weight) in of.iter().enumerate() {
                packed[(channel / lanes * taps + tap) * lanes + channel % lanes] = *weight;
            }
        }
        let mut padded = bias.to_vec();
        padded.resize(blocks * lanes, 0.0);
        let line: LineFn = match (window.kernel, window.stride, window.dilation) {
            ([3, 3], [1, 1], [1, 1]) => sibling!(isa, known::<3, 1>),
            ([3, 3], [2, 2], [1, 1]) => sibling!(isa, known::<3, 2>),
            ([5, 5], [1, 1], [1, 1]) => sibling!(isa, known::<5, 1>),
            ([5, 5], [2, 2], [1, 1]) => sibling!(isa, known::<5, 2>),
            _ => sibling!(isa, any),
        };
        let (weights, bias) = (Arena::of(&packed), Arena::of(&padded));
        Self { from, to, window, epilogue, weights, bias, lanes, spill, line, finish: sibling!(isa, finish) }
    }

    /// Multiplications in a run.
    #[must_use]
    pub fn macs(&self) -> usize {
        self.to.height * self.to.width * self.to.channels * self.window.kernel.iter().product::<usize>()
    }

    /// Computes part `part` of `parts`.
    ///
    /// # Safety
    /// As of [`super::Conv::run`].
    pub(super) unsafe fn run(&self, memory: *mut f32, part: usize, parts: usize) {
        let to = &self.to;
        let blocks = to.channels.div_ceil(self.lanes);
        let [rows, blocks] = shares(to.height, 2 * parts, blocks, part, parts);
        // SAFETY: the caller's promise.
        unsafe { self.range(&Bases::all(memory), rows, blocks) };
    }

    /// Computes `count` rows from `first` on.
    ///
    /// # Safety
    /// As of [`super::Conv::rows`].
    pub(super) unsafe fn rows(&self, bases: &Bases, first: usize, count: usize) {
        // SAFETY: the caller's promise.
        unsafe { self.range(bases, (first, count), (0, self.to.channels.div_ceil(self.lanes))) };
    }

    unsafe fn range(&self, bases: &Bases, rows: (usize, usize), blocks: (usize, usize)) {
        let (from, to, window) = (&self.from, &self.to, &self.window);
        let (lo, hi, adds, rest) = self.epilogue.split();
        // A line adds nothing by itself.
        let rest = match (adds, rest) {
            (true, _) => Some(super::math::Finish { act: super::Act::NONE, add: true, then: self.epilogue.then }),
            (false, rest) => rest,
        };
        let (lo, hi) = if adds { (f32::NEG_INFINITY, f32::INFINITY) } else { (lo, hi) };
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
                    last: if whole { self.lanes } else { channels },
                };
                let corner = window.corner(from, y).wrapping_add(channel);
                // SAFETY: the maps were checked against the arena; windows reach as far as the border.
                unsafe {
                    let out = bases.to.wrapping_add(to.offset + y * to.row + channel);
                    let weights = self.weights.at(block * taps * self.lanes);
                    (self.line)(&line, bases.from.wrapping_add(corner), weights, self.bias.at(channel), out);
                    if let Some(rest) = &rest {
                        let add = self.epilogue.add;
                        let other = add
                            .map_or(std::ptr::null(), |add| bases.add.wrapping_add(add.offset + y * add.row + channel));
                        let other_pixel = add.map_or(0, |add| add.pixel);
                        (self.finish)(rest, to.width, channels, whole, out, to.pixel, other, other_pixel);
                    }
                }
            }
        }
    }
}
