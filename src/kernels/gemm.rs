//! The product of two matrices, over the tile that inference's convolutions are made of.
//!
//! The blocks are those of Goto and van de Geijn 2008, Anatomy of High-Performance Matrix Multiplication, §4: columns of
//! `b` are packed into panels that stay in the first cache, and rows of `a` pass by. Each sum is added up in the order of
//! `k`, in blocks of `DEPTH`, whatever runs beside it.

use super::Isa;
use super::tile::{Tile, TileFn, most_pixels, table};
use std::cell::RefCell;

/// Values of `k` in a block.
const DEPTH: usize = 256;
/// Columns of `b` in a block.
const COLUMNS: usize = 512;
/// Rows of `a` in a block.
const ROWS: usize = 60;
/// Vectors in a row of a tile.
const VECTORS: usize = 2;
/// The most pixels of a tile times the most lanes of its vectors.
const EDGE: usize = 14 * VECTORS * 16;

/// A matrix in memory: the value at row `i`, column `j` is `values[i * row + j * column]`.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a> {
    pub values: &'a [f32],
    pub row: usize,
    pub column: usize,
}

impl<'a> Matrix<'a> {
    /// Rows one after the other.
    #[must_use]
    pub const fn rows(values: &'a [f32], row: usize) -> Self {
        Self { values, row, column: 1 }
    }

    /// The transpose of rows one after the other.
    #[must_use]
    pub const fn turned(values: &'a [f32], row: usize) -> Self {
        Self { values, row: 1, column: row }
    }
}

#[derive(Default)]
struct Packs {
    a: Vec<f32>,
    b: Vec<f32>,
}

thread_local! {
    static PACKS: RefCell<Packs> = RefCell::default();
}

/// What a product is added to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Start<'a> {
    /// Nothing.
    Zero,
    /// What is there.
    Kept,
    /// A number for each row.
    Rows(&'a [f32]),
}

impl Start<'_> {
    fn of(self, row: usize) -> f32 {
        match self {
            Self::Rows(rows) => rows[row],
            Self::Zero | Self::Kept => 0.0,
        }
    }
}

/// Multiplies matrices with the kernels of a processor.
pub struct Gemm {
    tiles: Vec<TileFn>,
    lanes: usize,
    pixels: usize,
}

impl Gemm {
    /// For a kind of processor, which must be one of [`Isa::here`].
    ///
    /// # Panics
    /// If this processor cannot run it.
    #[must_use]
    pub fn new(isa: Isa) -> Self {
        assert!(Isa::here().contains(&isa), "kernels of another processor");
        Self { tiles: table(isa).swap_remove(VECTORS), lanes: isa.lanes(), pixels: most_pixels(isa, VECTORS) }
    }

    /// `c = a · b`, or `c += a · b` if `start` is [`Start::Kept`], with `a` `[m, k]`, `b` `[k, n]` and `c` `[m, n]`, whose rows are `row` apart.
    ///
    /// # Panics
    /// If a matrix does not reach as far as its size says.
    pub fn multiply(
        &self,
        [m, n, k]: [usize; 3],
        a: Matrix<'_>,
        b: Matrix<'_>,
        c: &mut [f32],
        row: usize,
        start: Start<'_>,
    ) {
        let reach = |matrix: Matrix<'_>, rows: usize, columns: usize| {
            rows == 0 || columns == 0 || (rows - 1) * matrix.row + (columns - 1) * matrix.column < matrix.values.len()
        };
        assert!(reach(a, m, k) && reach(b, k, n), "a factor is shorter than its size");
        assert!(m == 0 || n == 0 || (row >= n && (m - 1) * row + n <= c.len()), "the product is shorter than its size");
        let add = !matches!(start, Start::Zero);
        if k == 0 && start != Start::Kept {
            (0..m).for_each(|at| c[at * row..at * row + n].fill(start.of(at)));
        }
        PACKS.with_borrow_mut(|packs| {
            for from in (0..n).step_by(COLUMNS) {
                let columns = COLUMNS.min(n - from);
                for begin in (0..k).step_by(DEPTH) {
                    let depth = DEPTH.min(k - begin);
                    self.pack(b, begin..begin + depth, from..from + columns, &mut packs.b);
                    for top in (0..m).step_by(ROWS) {
                        let rows = ROWS.min(m - top);
                        let first = top * a.row + begin * a.column;
                        let (values, pixel): (&[f32], usize) = if a.column == 1 {
                            (&a.values[first..], a.row)
                        } else {
                            gather(&a, top..top + rows, begin..begin + depth, &mut packs.a);
                            (&packs.a, depth)
                        };
                        let to = &mut c[top * row + from..];
                        if let (0, Start::Rows(_)) = (begin, start) {
                            // Just before they are read again.
                            let lines = to.chunks_mut(row).take(rows).enumerate();
                            lines.for_each(|(at, line)| line[..columns].fill(start.of(top + at)));
                        }
                        self.block([rows, columns, depth], values, pixel, &packs.b, to, row, add || begin > 0);
                    }
                }
            }
        });
    }

    /// Packs columns into panels `[depth][VECTORS * lanes]`; what is missing in the last one is zero.
    fn pack(&self, b: Matrix<'_>, k: std::ops::Range<usize>, n: std::ops::Range<usize>, to: &mut Vec<f32>) {
        let (wide, depth) = (VECTORS * self.lanes, k.len());
        let len = n.len().div_ceil(wide) * wide * depth;
        if to.len() < len {
            to.resize(len, 0.0);
        }
        for (panel, left) in to.chunks_exact_mut(wide * depth).zip(n.clone().step_by(wide)) {
            let columns = wide.min(n.end - left);
            if b.column == 1 {
                for (line, at) in panel.chunks_exact_mut(wide).zip(k.clone()) {
                    let from = at * b.row + left;
                    line[..columns].copy_from_slice(&b.values[from..from + columns]);
                    line[columns..].fill(0.0);
                }
            } else {
                // Columns lie one after the other: sixteen values of each at a time, so that the panel stays in the cache.
                for (group, at) in panel.chunks_mut(wide * 16).zip(k.clone().step_by(16)) {
                    for column in 0..columns {
                        let from = at * b.row + (left + column) * b.column;
                        let lines = group.chunks_exact_mut(wide);
                        lines.enumerate().for_each(|(i, line)| line[column] = b.values[from + i * b.row]);
                    }
                    group.chunks_exact_mut(wide).for_each(|line| line[columns..].fill(0.0));
                }
            }
        }
    }

    fn block(
        &self,
        [rows, columns, depth]: [usize; 3],
        a: &[f32],
        pixel: usize,
        panels: &[f32],
        c: &mut [f32],
        row: usize,
        add: bool,
    ) {
        let wide = VECTORS * self.lanes;
        let zero = [0.0; VECTORS * 16];
        let mut edge = [0.0_f32; EDGE];
        let mut tile = Tile {
            rows: 1,
            row: 0,
            taps: 1,
            tap: 0,
            depth,
            pixel,
            to_pixel: row,
            add_pixel: row,
            lo: f32::NEG_INFINITY,
            hi: f32::INFINITY,
            last: self.lanes,
        };
        for (at, panel) in panels.chunks_exact(wide * depth).take(columns.div_ceil(wide)).enumerate() {
            let (left, whole) = (at * wide, columns - at * wide >= wide);
            for top in (0..rows).step_by(self.pixels) {
                let pixels = self.pixels.min(rows - top);
                let from = &a[top * pixel..];
                debug_assert!((pixels - 1) * pixel + depth <= from.len());
                if whole {
                    let to = &mut c[top * row + left..];
                    debug_assert!((pixels - 1) * row + wide <= to.len());
                    let to = to.as_mut_ptr();
                    tile.to_pixel = row;
                    let added = if add { to.cast_const() } else { std::ptr::null() };
                    // SAFETY: `multiply` checked that the factors and the product reach as far as their sizes; a panel has
                    // `depth` rows of two vectors, and the tile reads each place of the product before it writes it.
                    unsafe { self.tiles[pixels](&tile, from.as_ptr(), panel.as_ptr(), zero.as_ptr(), to, added) };
                } else {
                    tile.to_pixel = wide;
                    let (to, none) = (edge.as_mut_ptr(), std::ptr::null());
                    // SAFETY: as above; `edge` has room for the largest tile.
                    unsafe { self.tiles[pixels](&tile, from.as_ptr(), panel.as_ptr(), zero.as_ptr(), to, none) };
                    for (line, sums) in edge.chunks_exact(wide).take(pixels).enumerate() {
                        let from = (top + line) * row + left;
                        let to = &mut c[from..from + columns - left];
                        if add {
                            to.iter_mut().zip(sums).for_each(|(to, sum)| *to += sum);
                        } else {
                            to.copy_from_slice(&sums[..to.len()]);
                        }
                    }
                }
            }
        }
    }
}

/// Copies a part of a matrix into rows one after the other.
fn gather(a: &Matrix<'_>, rows: std::ops::Range<usize>, columns: std::ops::Range<usize>, to: &mut Vec<f32>) {
    let wide = columns.len();
    to.resize(ROWS * DEPTH, 0.0);
    if a.row == 1 {
        // Its columns lie one after the other: read them so.
        for (at, column) in columns.enumerate() {
            let from = &a.values[column * a.column + rows.start..][..rows.len()];
            from.iter().enumerate().for_each(|(row, value)| to[row * wide + at] = *value);
        }
    } else {
        for (line, row) in to.chunks_exact_mut(wide).zip(rows) {
            let columns = columns.clone();
            line.iter_mut().zip(columns).for_each(|(to, column)| *to = a.values[row * a.row + column * a.column]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(count: usize, seed: u32) -> Vec<f32> {
        let mut state = seed.wrapping_mul(2_654_435_761).max(1);
        let next = || {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        std::iter::repeat_with(next).take(count).collect()
    }

    #[test]
    fn products_are_those_of_three_loops() {
        let _limit = crate::limit::within(60);
        for isa in Isa::here() {
            let gemm = Gemm::new(isa);
            for (at, [m, n, k]) in
                [[1, 1, 1], [7, 33, 5], [13, 16, 300], [61, 70, 17], [5, 530, 9], [3, 1, 600], [0, 3, 2], [2, 3, 0]]
                    .into_iter()
                    .enumerate()
            {
                let (a, b) = (numbers(m * k, 1 + at as u32), numbers(k * n, 77 + at as u32));
                let rows = numbers(m, 9);
                for kind in 0..4 {
                    let left = if kind & 1 == 0 { Matrix::rows(&a, k) } else { Matrix::turned(&a, m) };
                    let right = if kind & 2 == 0 { Matrix::rows(&b, n) } else { Matrix::turned(&b, k) };
                    for start in [Start::Zero, Start::Kept, Start::Rows(&rows)] {
                        let row = n + 3;
                        let before = numbers(m * row, 5);
                        let mut c = before.clone();
                        gemm.multiply([m, n, k], left, right, &mut c, row, start);
                        for (place, found) in c.iter().enumerate() {
                            let (i, j) = (place / row, place % row);
                            if j >= n {
                                assert_eq!(*found, before[place], "{isa:?} wrote beyond a row");
                                continue;
                            }
                            let product = |p: usize| {
                                let (a, b) = (i * left.row + p * left.column, p * right.row + j * right.column);
                                f64::from(left.values[a]) * f64::from(right.values[b])
                            };
                            let sum: f64 = (0..k).map(product).sum::<f64>()
                                + f64::from(if start == Start::Kept { before[place] } else { start.of(i) });
                            // Each of `k` additions rounds a sum of at most `k`.
                            assert!((f64::from(*found) - sum).abs() < 1e-6 * (k + 1) as f64, "{isa:?} {m} {n} {k}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn all_processors_give_the_same_bytes() {
        let (m, n, k) = (37, 53, 700);
        let (a, b) = (numbers(m * k, 3), numbers(k * n, 4));
        let products: Vec<Vec<u32>> = Isa::here()
            .into_iter()
            .map(|isa| {
                let mut c = vec![0.0; m * n];
                Gemm::new(isa).multiply([m, n, k], Matrix::rows(&a, k), Matrix::rows(&b, n), &mut c, n, Start::Zero);
                c.into_iter().map(f32::to_bits).collect()
            })
            .collect();
        assert!(products.windows(2).all(|two| two[0] == two[1]));
    }
}
