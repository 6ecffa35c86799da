//! Weights of dense convolutions in the order in which a tile reads them, and how output channels are split into panels.

use super::Isa;
use super::tile::{most_pixels, most_vectors};

/// A run of output channels that one tile computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Panel {
    /// Its first channel, and its vectors.
    pub channel: usize,
    pub vectors: usize,
    /// Where its weights begin.
    pub weights: usize,
}

/// Packed weights.
#[derive(Clone, Debug)]
pub struct Packed {
    /// Panel by panel, `[rows][columns][inputs][vectors][lanes]`.
    pub weights: Vec<f32>,
    /// One a channel, with zeros up to whole vectors.
    pub bias: Vec<f32>,
    pub panels: Vec<Panel>,
}

/// Dimensions of a dense kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kernel {
    pub outputs: usize,
    pub inputs: usize,
    pub rows: usize,
    pub columns: usize,
}

/// Cycles of a step of a tile, by the ports that it needs: two products, two loads and about 40 bytes of weights from the
/// second cache in a cycle. A rough model, but the same on each machine: results and speeds do not depend on a
/// measurement at load time.
fn cycles(isa: Isa, pixels: usize, vectors: usize) -> f64 {
    let (p, v) = (pixels as f64, vectors as f64);
    let products = (p * v / 2.0).max(4.0);
    let loads = f64::midpoint(p, v);
    products.max(loads).max(v * isa.lanes() as f64 * 4.0 / 40.0)
}

/// The cost of a run of `pixels` with panels of this many vectors.
fn cost(isa: Isa, pixels: usize, vectors: usize) -> f64 {
    let tiles = pixels.div_ceil(most_pixels(isa, vectors));
    (0..tiles).map(|at| cycles(isa, share(pixels, tiles, at).1, vectors)).sum()
}

/// Part `at` of `parts` nearly equal parts of a length: where it begins and how long it is.
#[must_use]
pub fn share(length: usize, parts: usize, at: usize) -> (usize, usize) {
    let (each, more) = (length / parts, length % parts);
    (at * each + at.min(more), each + usize::from(at < more))
}

/// Part `part` of `parts` of a convolution: of its rows, or of its panels if there are fewer than `enough` rows.
#[must_use]
pub fn shares(rows: usize, enough: usize, panels: usize, part: usize, parts: usize) -> [(usize, usize); 2] {
    if parts == 1 || rows >= enough || panels < parts {
        [share(rows, parts, part), (0, panels)]
    } else {
        [(0, rows), share(panels, parts, part)]
    }
}

/// Splits `vectors` into panels for runs of `pixels`: the cheapest by [`cost`], the widest first.
#[must_use]
pub fn split(isa: Isa, vectors: usize, pixels: usize) -> Vec<usize> {
    let most = most_vectors(isa);
    // Cheapest way to cover the first n vectors, and its last panel.
    let mut best = vec![(0.0, 0_usize); vectors + 1];
    for n in 1..=vectors {
        let ways = (1..=most.min(n)).map(|last| (best[n - last].0 + cost(isa, pixels, last), last));
        // Of equal ones the widest.
        best[n] = ways.fold((f64::INFINITY, 1), |least, way| if way.0 <= least.0 { way } else { least });
    }
    let (mut panels, mut left) = (Vec::new(), vectors);
    while left > 0 {
        panels.push(best[left].1);
        left -= best[left].1;
    }
    panels.sort_by(|a, b| b.cmp(a));
    panels
}

/// Weights below this are taken for zero.
const TINY: f32 = 1.0 / (1_u64 << 63) as f32;

/// Sets weights of a float convolution that are too small to count to zero. Long training with weight decay leaves whole
/// filters of 1e-30, whose products are subnormal numbers: processors take up to a hundred times longer for those.
pub fn flush_tiny(weights: &mut [f32]) {
    weights.iter_mut().filter(|weight| weight.abs() < TINY).for_each(|weight| *weight = 0.0);
}

/// Packs weights `[outputs][inputs][rows][columns]` for runs of `pixels`.
#[must_use]
pub fn pack(isa: Isa, kernel: Kernel, weights: &[f32], bias: &[f32], pixels: usize) -> Packed {
    let Kernel { outputs, inputs, rows, columns } = kernel;
    let lanes = isa.lanes();
    let taps = rows * columns;
    let mut packed = Packed { weights: Vec::new(), bias: bias.to_vec(), panels: Vec::new() };
    let mut channel = 0;
    for vectors in split(isa, outputs.div_ceil(lanes), pixels) {
        let start = packed.weights.len();
        packed.panels.push(Panel { channel, vectors, weights: start });
        let width = vectors * lanes;
        packed.weights.resize(start + taps * inputs * width, 0.0);
        for output in channel..(channel + width).min(outputs) {
            let of = &weights[output * inputs * taps..][..inputs * taps];
            for (input, of) in of.chunks_exact(taps.max(1)).enumerate() {
                for (tap, weight) in of.iter().enumerate() {
                    packed.weights[start + (tap * inputs + input) * width + output - channel] = *weight;
                }
            }
        }
        channel += width;
    }
    packed.bias.resize(channel, 0.0);
    packed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiny_weights_become_zero() {
        let mut weights = [1e-30, -1e-19, 1.5e-19, -0.25, f32::from_bits(1), 0.0];
        flush_tiny(&mut weights);
        assert_eq!(weights, [0.0, 0.0, 1.5e-19, -0.25, 0.0, 0.0]);
    }
}
