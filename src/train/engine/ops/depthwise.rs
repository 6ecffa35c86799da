//! Convolution with one kernel for each channel, plane by plane.
//!
//! A plane is copied into lines with its padding, one for each row and each place of the stride, so that every tap of a row
//! of the result reads values that lie side by side.

use super::product::lines;
use super::sizes::Sizes;
use crate::kernels::lines::{STEP, padded};
use rayon::prelude::*;

/// Where the values of a padded plane lie.
struct Layout {
    /// Lines of a row: one for each place of the stride.
    phases: usize,
    /// Length of a line.
    line: usize,
    rows: usize,
    /// Length of a row of the result.
    result: usize,
    /// Columns in front of the gradient, for taps that reach back.
    front: usize,
    /// Length of a line of the gradient.
    back: usize,
}

impl Layout {
    fn of(s: &Sizes) -> Self {
        let (w, [high, wide]) = (&s.window, s.map);
        let result = padded(s.result[1]);
        let reach = w.dilation[1] * (w.kernel[1] - 1);
        let front = reach / w.stride[1];
        let columns = (wide + w.pads[1] + w.pads[3]).max((result - 1) * w.stride[1] + reach + 1);
        let line = padded(columns.div_ceil(w.stride[1]));
        let rows = high + w.pads[0] + w.pads[2];
        Self { phases: w.stride[1], line, rows, result, front, back: front + line }
    }

    fn at(&self, row: usize, phase: usize) -> usize {
        (row * self.phases + phase) * self.line
    }

    /// Copies a plane into its lines.
    fn spread(&self, s: &Sizes, map: &[f32], to: &mut Vec<f32>) {
        to.resize(self.rows * self.phases * self.line, 0.0);
        for (row, from) in map.chunks_exact(s.map[1]).enumerate() {
            let row = row + s.window.pads[0];
            if self.phases == 1 {
                to[self.at(row, 0) + s.window.pads[1]..][..from.len()].copy_from_slice(from);
                continue;
            }
            for phase in 0..self.phases {
                // The first column of this phase.
                let first = self.first(s, phase);
                let to = &mut to[self.at(row, phase) + (first + s.window.pads[1]) / self.phases..];
                let from = from.iter().skip(first).step_by(self.phases);
                to.iter_mut().zip(from).for_each(|(to, value)| *to = *value);
            }
        }
    }

    /// The first column of the map that lies in a phase.
    fn first(&self, s: &Sizes, phase: usize) -> usize {
        (phase + self.phases * s.window.pads[1] - s.window.pads[1]) % self.phases
    }

    /// The places of the taps for the first value of the result, and how far those of the next row are.
    fn places(&self, s: &Sizes) -> (Vec<usize>, usize) {
        let w = s.window;
        let [high, wide] = w.kernel;
        let place = |tap: usize| {
            let (row, column) = (tap / wide * w.dilation[0], tap % wide * w.dilation[1]);
            self.at(row, column % self.phases) + column / self.phases
        };
        ((0..high * wide).map(place).collect(), self.at(w.stride[0], 0))
    }
}

pub(super) fn forward(s: &Sizes, x: &[f32], w: &[f32], bias: Option<&[f32]>, bounds: Option<[f32; 2]>, y: &mut [f32]) {
    let (layout, width, area) = (Layout::of(s), s.result[1], s.map[0] * s.map[1]);
    let taps = s.window.kernel[0] * s.window.kernel[1];
    let (places, next) = layout.places(s);
    let rooms = || (Vec::new(), vec![0.0; layout.result]);
    let planes = y.par_chunks_mut((s.result[0] * width).max(1)).enumerate();
    planes.for_each_init(rooms, |(room, line), (plane, to)| {
        layout.spread(s, &x[plane * area..][..area], room);
        let weights = &w[plane % s.groups * taps..][..taps];
        let start = bias.map_or(0.0, |bias| bias[plane % s.groups]);
        for (y, to) in to.chunks_exact_mut(width).enumerate() {
            lines().weigh(line, start, &room[y * next..], &places, weights);
            to.copy_from_slice(&line[..width]);
        }
        if let Some(bounds) = bounds {
            lines().clamp(to, bounds);
        }
    });
}

pub(super) fn backward(s: &Sizes, x: &[f32], w: &[f32], g: &[f32], gradients: &mut [Option<Vec<f32>>], fresh: bool) {
    let (layout, area, result) = (Layout::of(s), s.map[0] * s.map[1], s.result[0] * s.result[1]);
    let taps = s.window.kernel[0] * s.window.kernel[1];
    if let Some(to) = &mut gradients[0] {
        // Rows without gradient above and below, for taps that reach beyond the result.
        let (stride, reach) = (s.window.stride[0], s.window.dilation[0] * (s.window.kernel[0] - 1));
        let above = reach / stride;
        let below = (layout.rows - 1) / stride;
        let patterns: Vec<Pattern> = (0..stride * layout.phases).map(|at| Pattern::of(s, &layout, at, above)).collect();
        let rooms =
            || (vec![0.0; (above + below.max(s.result[0]) + 1) * layout.back], vec![0.0; layout.line], Vec::new());
        to.par_chunks_mut(area.max(1)).enumerate().for_each_init(rooms, |(room, line, weights), (plane, to)| {
            for (row, from) in g[plane * result..][..result].chunks_exact(s.result[1]).enumerate() {
                room[(above + row) * layout.back + layout.front..][..from.len()].copy_from_slice(from);
            }
            let own = &w[plane % s.groups * taps..][..taps];
            for (row, to) in to.chunks_exact_mut(s.map[1]).enumerate() {
                let row = row + s.window.pads[0];
                for phase in 0..layout.phases {
                    let pattern = &patterns[row % stride * layout.phases + phase];
                    weights.clear();
                    weights.extend(pattern.taps.iter().map(|tap| own[*tap]));
                    lines().weigh(line, 0.0, &room[row / stride * layout.back..], &pattern.places, weights);
                    // The columns of the map that lie in this line.
                    let first = layout.first(s, phase);
                    let from = &line[(first + s.window.pads[1]) / layout.phases..];
                    let pairs = to.iter_mut().skip(first).step_by(layout.phases).zip(from);
                    if fresh {
                        pairs.for_each(|(to, g)| *to = *g);
                    } else {
                        pairs.for_each(|(to, g)| *to += g);
                    }
                }
            }
        });
    }
    if let Some(to) = &mut gradients[1] {
        let (places, next) = layout.places(s);
        let rooms = || (Vec::new(), vec![0.0; layout.result]);
        to.par_chunks_mut(taps).enumerate().for_each_init(rooms, |(room, line), (channel, to)| {
            let mut sums = vec![[0.0; STEP]; taps];
            for n in 0..s.batch {
                let plane = n * s.groups + channel;
                layout.spread(s, &x[plane * area..][..area], room);
                for (y, from) in g[plane * result..][..result].chunks_exact(s.result[1]).enumerate() {
                    line[..from.len()].copy_from_slice(from);
                    lines().dots(&mut sums, line, &room[y * next..], &places);
                }
            }
            to.iter_mut().zip(&sums).for_each(|(to, sums)| *to += sums.iter().sum::<f32>());
        });
    }
}

/// The lines of the gradient that reach a row of the map in one place of the stride.
struct Pattern {
    /// For the first row of its kind, with the rows above.
    places: Vec<usize>,
    taps: Vec<usize>,
}

impl Pattern {
    /// That of the rows and columns at a place of the stride.
    fn of(s: &Sizes, layout: &Layout, at: usize, above: usize) -> Self {
        let (w, row, phase) = (&s.window, at / layout.phases, at % layout.phases);
        let (mut places, mut taps) = (Vec::new(), Vec::new());
        for tap in 0..w.kernel[0] * w.kernel[1] {
            let (down, column) = (tap / w.kernel[1] * w.dilation[0], tap % w.kernel[1] * w.dilation[1]);
            // Row `row + stride * n` less `down` is a row of the result times the stride.
            let (from, lag) = (row + above * w.stride[0], down);
            if (from - lag.min(from)).is_multiple_of(w.stride[0]) && lag <= from && column % layout.phases == phase {
                places.push((from - lag) / w.stride[0] * layout.back + layout.front - column / layout.phases);
                taps.push(tap);
            }
        }
        Self { places, taps }
    }
}
