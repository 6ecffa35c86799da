//! 3×3 convolutions with stride 1 by F(4×4, 3×3) (Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, 2016,
//! section 4.3): a quarter of the multiplications, and an error 3 to 10 times that of the direct sum.

use super::Isa;
use super::arena::Arena;
use super::math::{Finish, FinishFn, finish};
use super::pack::{Kernel, Panel, pack, share};
use super::siblings::{sibling, siblings};
use super::tile::{Tile, TileFn, most_pixels, table};
use super::vector::Vector;
use super::view::Map;
use super::window::{Epilogue, Window};

/// Transformed tiles that are held at once, in floats: they stay in the second cache.
const HELD: usize = 96 << 10;

#[inline(always)]
unsafe fn into<V: Vector>(d: [V; 6]) -> [V; 6] {
    // SAFETY: the caller has the features of `V`.
    unsafe {
        let (four, two, five) = (V::splat(-4.0), V::splat(2.0), V::splat(-5.0));
        let a = d[2].fma(four, d[4]);
        let b = d[1].fma(four, d[3]);
        let (c, e) = (d[4].sub(d[2]), d[3].sub(d[1]));
        let plus = V::splat(4.0);
        [
            d[2].fma(five, d[0].mul(plus)).add(d[4]),
            a.add(b),
            a.sub(b),
            e.fma(two, c),
            e.fma(V::splat(-2.0), c),
            d[3].fma(five, d[1].mul(plus)).add(d[5]),
        ]
    }
}

#[inline(always)]
unsafe fn back<V: Vector>(m: [V; 6]) -> [V; 4] {
    // SAFETY: the caller has the features of `V`.
    unsafe {
        let (sum, less) = (m[1].add(m[2]), m[1].sub(m[2]));
        let (far, wide) = (m[3].add(m[4]), m[3].sub(m[4]));
        [
            m[0].add(sum).add(far),
            wide.fma(V::splat(2.0), less),
            far.fma(V::splat(4.0), sum),
            wide.fma(V::splat(8.0), less).add(m[5]),
        ]
    }
}

siblings! {
    /// A tile of 6×6 pixels into its 36 sums, `apart` floats from each other.
    fn forward<V>(from: *const f32, row: usize, pixel: usize, channels: usize, to: *mut f32, apart: usize) {
        // SAFETY: the caller has the features of `V`; the tile lies in the map and its border.
        unsafe {
            let mut channel = 0;
            while channel < channels {
                let mut rows = [[V::splat(0.0); 6]; 6];
                for y in 0..6 {
                    let p = from.add(y * row + channel);
                    rows[y] = into([
                        V::load(p), V::load(p.add(pixel)), V::load(p.add(2 * pixel)),
                        V::load(p.add(3 * pixel)), V::load(p.add(4 * pixel)), V::load(p.add(5 * pixel)),
                    ]);
                }
                for x in 0..6 {
                    let column = into([rows[0][x], rows[1][x], rows[2][x], rows[3][x], rows[4][x], rows[5][x]]);
                    for y in 0..6 { column[y].store(to.add((y * 6 + x) * apart + channel)); }
                }
                channel += V::LANES;
            }
        }
    }
}

/// Where a tile of results goes.
#[derive(Clone, Copy)]
pub(super) struct Place {
    row: usize,
    pixel: usize,
    rows: usize,
    columns: usize,
    channels: usize,
    spill: bool,
    lo: f32,
    hi: f32,
    /// Distances of what is added, if something is.
    add: Option<[usize; 2]>,
}

siblings! {
    /// 36 sums back into at most 4×4 pixels, with bias.
    fn backward<V>(sums: *const f32, apart: usize, bias: *const f32, place: &Place, to: *mut f32, other: *const f32) {
        // SAFETY: as above.
        unsafe {
            let (lo, hi) = (V::splat(place.lo), V::splat(place.hi));
            let mut channel = 0;
            while channel < place.channels {
                let mut rows = [[V::splat(0.0); 6]; 4];
                let m = sums.add(channel);
                for x in 0..6 {
                    let column = back([
                        V::load(m.add(x * apart)), V::load(m.add((6 + x) * apart)), V::load(m.add((12 + x) * apart)),
                        V::load(m.add((18 + x) * apart)), V::load(m.add((24 + x) * apart)), V::load(m.add((30 + x) * apart)),
                    ]);
                    for y in 0..4 { rows[y][x] = column[y]; }
                }
                let start = V::load(bias.add(channel));
                let whole = place.spill || place.channels - channel >= V::LANES;
                for y in 0..4 {
                    if y < place.rows {
                        let values = back(rows[y]);
                        for x in 0..4 {
                            if x < place.columns {
                                let mut value = values[x].add(start);
                                if let Some([row, pixel]) = place.add {
                                    value = value.add(V::load(other.add(y * row + x * pixel + channel)));
                                }
                                let value = hi.min(lo.max(value));
                                let to = to.add(y * place.row + x * place.pixel + channel);
                                if whole { value.store(to) } else { value.store_first(to, place.channels - channel) }
                            }
                        }
                    }
                }
                channel += V::LANES;
            }
        }
    }
}

type Forward = unsafe fn(*const f32, usize, usize, usize, *mut f32, usize);
type Backward = unsafe fn(*const f32, usize, *const f32, &Place, *mut f32, *const f32);

/// A convolution by Winograd's minimal filtering, with its weights and places.
pub struct Winograd {
    isa: Isa,
    from: Map,
    to: Map,
    before: [usize; 2],
    epilogue: Epilogue,
    /// 36 matrices.
    weights: Arena,
    matrix: usize,
    panels: Vec<Panel>,
    bias: Arena,
    zeros: Arena,
    spill: bool,
    /// Tiles held at once, and channels of transformed inputs and sums.
    held: usize,
    inputs: usize,
    outputs: usize,
    tiles: Vec<Vec<TileFn>>,
    forward: Forward,
    backward: Backward,
    finish: FinishFn,
}

/// G of F(4, 3).
const G: [[f64; 3]; 6] = [
    [0.25, 0.0, 0.0],
    [-1.0 / 6.0, -1.0 / 6.0, -1.0 / 6.0],
    [-1.0 / 6.0, 1.0 / 6.0, -1.0 / 6.0],
    [1.0 / 24.0, 1.0 / 12.0, 1.0 / 6.0],
    [1.0 / 24.0, -1.0 / 12.0, 1.0 / 6.0],
    [0.0, 0.0, 1.0],
];

/// `G g Gᵀ` of a kernel, row by row.
fn transform(kernel: &[f32; 9]) -> [f32; 36] {
    let mut sums = [0.0; 36];
    for (at, weight) in kernel.iter().enumerate() {
        let (y, x) = (at / 3, at % 3);
        for (row, left) in sums.as_chunks_mut::<6>().0.iter_mut().zip(&G) {
            let scaled = left[y] * f64::from(*weight);
            row.iter_mut().zip(&G).for_each(|(sum, right)| *sum += scaled * right[x]);
        }
    }
    sums.map(|sum| sum as f32)
}

impl Winograd {
    /// Transforms and packs weights `[outputs][inputs][3][3]`.
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
        let (inputs, outputs) = (from.channels.next_multiple_of(lanes), to.channels.next_multiple_of(lanes));
        let count = to.height.div_ceil(4) * to.width.div_ceil(4);
        let held = (HELD / (36 * (inputs + outputs))).max(most_pixels(isa, 2)).min(count.max(1));
        let kernel = Kernel { outputs: to.channels, inputs: from.channels, rows: 1, columns: 1 };
        let kernels = to.channels * from.channels;
        let mut transformed = vec![0.0; 36 * kernels];
        for (at, kernel) in weights.as_chunks::<9>().0.iter().enumerate() {
            for (matrix, value) in transform(kernel).into_iter().enumerate() {
                transformed[matrix * kernels + at] = value;
            }
        }
        let (mut all, mut matrix, mut panels) = (Vec::new(), 0, Vec::new());
        for of in transformed.chunks_exact(kernels) {
            let packed = pack(isa, kernel, of, &[], held);
            (matrix, panels) = (packed.weights.len(), packed.panels);
            all.reserve_exact(if all.is_empty() { 36 * matrix } else { 0 });
            all.extend(packed.weights);
        }
        let mut padded = bias.to_vec();
        padded.resize(outputs, 0.0);
        Self {
            isa,
            from,
            to,
            before: window.before,
            epilogue,
            weights: Arena::of(&all),
            matrix,
            panels,
            bias: Arena::of(&padded),
            zeros: Arena::new(outputs + 64),
            spill,
            held,
            inputs,
            outputs,
            tiles: table(isa),
            forward: sibling!(isa, forward),
            backward: sibling!(isa, backward),
            finish: sibling!(isa, finish),
        }
    }

    /// Multiplications of the direct sum.
    #[must_use]
    pub fn macs(&self) -> usize {
        self.to.height * self.to.width * self.to.channels * self.from.channels * 9
    }

    /// Floats of scratch that a part needs.
    #[must_use]
    pub fn scratch(&self) -> usize {
        36 * self.held * (self.inputs + self.outputs) + 64
    }

    /// Computes part `part` of `parts`.
    ///
    /// # Safety
    /// As of [`super::Conv::run`]; `scratch` has [`Winograd::scratch`] floats for this part alone.
    pub(super) unsafe fn run(&self, memory: *mut f32, scratch: *mut f32, part: usize, parts: usize) {
        let (down, across) = (self.to.height.div_ceil(4), self.to.width.div_ceil(4));
        let (first, count) = share(down * across, parts, part);
        let held = count.div_ceil(count.div_ceil(self.held).max(1));
        let mut start = first;
        while start < first + count {
            let n = held.min(first + count - start);
            // SAFETY: as of this function.
            unsafe { self.group(memory, scratch, start, n, across) };
            start += n;
        }
    }

    /// `n` tiles from `start` on.
    unsafe fn group(&self, memory: *mut f32, scratch: *mut f32, start: usize, n: usize, across: usize) {
        let (from, to) = (&self.from, &self.to);
        let (lo, hi, adds, rest) = self.epilogue.split();
        let into = n * self.inputs;
        let out = n * self.outputs;
        // SAFETY: tiles lie in the maps and their borders; scratch is large enough for `held` tiles.
        unsafe {
            let sums = scratch.add(36 * into);
            for at in 0..n {
                let (y, x) = ((start + at) / across * 4, (start + at) % across * 4);
                let corner = from.offset + (y * from.row + x * from.pixel)
                    - self.before[0] * from.row
                    - self.before[1] * from.pixel;
                (self.forward)(
                    memory.add(corner),
                    from.row,
                    from.pixel,
                    from.channels,
                    scratch.add(at * self.inputs),
                    into,
                );
            }
            let tile = Tile {
                rows: 1,
                row: 0,
                taps: 1,
                tap: 0,
                depth: from.channels,
                pixel: self.inputs,
                to_pixel: self.outputs,
                add_pixel: 0,
                lo: f32::NEG_INFINITY,
                hi: f32::INFINITY,
                last: self.isa.lanes(),
            };
            for matrix in 0..36 {
                for panel in &self.panels {
                    let weights = self.weights.at(matrix * self.matrix + panel.weights);
                    let tiles = n.div_ceil(most_pixels(self.isa, panel.vectors));
                    for at in 0..tiles {
                        let (first, pixels) = share(n, tiles, at);
                        let a = scratch.add(matrix * into + first * self.inputs);
                        let c = sums.add(matrix * out + first * self.outputs + panel.channel);
                        let kernel = self.tiles[panel.vectors][pixels];
                        kernel(&tile, a, weights, self.zeros.at(0), c, std::ptr::null());
                    }
                }
            }
            for at in 0..n {
                let (y, x) = ((start + at) / across * 4, (start + at) % across * 4);
                let (rows, columns) = ((to.height - y).min(4), (to.width - x).min(4));
                let add = self.epilogue.add;
                let place = Place {
                    row: to.row,
                    pixel: to.pixel,
                    rows,
                    columns,
                    channels: to.channels,
                    spill: self.spill,
                    lo,
                    hi,
                    add: add.filter(|_| adds).map(|add| [add.row, add.pixel]),
                };
                let c = memory.add(to.offset + y * to.row + x * to.pixel);
                let other = add
                    .map_or(std::ptr::null(), |add| memory.add(add.offset + y * add.row + x * add.pixel).cast_const());
                (self.backward)(sums.add(at * self.outputs), out, self.bias.at(0), &place, c, other);
                if let Some(rest) = &rest {
                    self.finish(rest, &place, c, other);
                }
            }
        }
    }

    /// What follows a tile's sums.
    unsafe fn finish(&self, rest: &Finish, place: &Place, c: *mut f32, other: *const f32) {
        let add = self.epilogue.add;
        for y in 0..place.rows {
            // SAFETY: as of [`Winograd::group`].
            unsafe {
                let other = if other.is_null() { other } else { other.add(y * add.map_or(0, |add| add.row)) };
                let to = c.add(y * place.row);
                let pixel = add.map_or(0, |add| add.pixel);
                (self.finish)(rest, place.columns, place.channels, place.spill, to, place.pixel, other, pixel);
            }
        }
    }
}
