//! Convolution with one kernel for each channel, plane by plane.

use super::sizes::Sizes;
use rayon::prelude::*;

pub(super) fn forward(s: &Sizes, x: &[f32], w: &[f32], bias: Option<&[f32]>, y: &mut [f32]) {
    let ([high, wide], [rows, width]) = (s.map, s.result);
    let taps = s.window.kernel[0] * s.window.kernel[1];
    y.par_chunks_mut((rows * width).max(1)).enumerate().for_each(|(plane, to)| {
        let channel = plane % s.groups;
        let map = &x[plane * high * wide..][..high * wide];
        to.fill(bias.map_or(0.0, |bias| bias[channel]));
        for_taps(s, |tap, y, from, across| {
            let weight = w[channel * taps + tap];
            let to = &mut to[y * width..][across];
            let from = &map[from..];
            if s.window.stride[1] == 1 {
                to.iter_mut().zip(from).for_each(|(to, from)| *to += weight * from);
            } else {
                to.iter_mut().zip(from.iter().step_by(s.window.stride[1])).for_each(|(to, from)| *to += weight * from);
            }
        });
    });
}

/// For each row of the result and each tap that lies on the map there: the tap, the row, where in the map the first of
/// the tap's places lies, and the places of the row.
fn for_taps(s: &Sizes, mut call: impl FnMut(usize, usize, usize, std::ops::Range<usize>)) {
    let ([high, wide], [rows, width]) = (s.map, s.result);
    for y in 0..rows {
        for ty in 0..s.window.kernel[0] {
            let (down, top) = s.window.covered(0, ty, rows, high);
            if !down.contains(&y) {
                continue;
            }
            let row = (top + (y - down.start) * s.window.stride[0]) * wide;
            for tx in 0..s.window.kernel[1] {
                let (across, left) = s.window.covered(1, tx, width, wide);
                if !across.is_empty() {
                    call(ty * s.window.kernel[1] + tx, y, row + left, across);
                }
            }
        }
    }
}

pub(super) fn backward(s: &Sizes, x: &[f32], w: &[f32], g: &[f32], gradients: &mut [Option<Vec<f32>>]) {
    let (area, result) = (s.map[0] * s.map[1], s.result[0] * s.result[1]);
    let taps = s.window.kernel[0] * s.window.kernel[1];
    let (width, stride) = (s.result[1], s.window.stride[1]);
    if let Some(to) = &mut gradients[0] {
        to.par_chunks_mut(area.max(1)).enumerate().for_each(|(plane, to)| {
            let g = &g[plane * result..][..result];
            for_taps(s, |tap, y, from, across| {
                let weight = w[plane % s.groups * taps + tap];
                let (g, to) = (&g[y * width..][across], &mut to[from..]);
                if stride == 1 {
                    to.iter_mut().zip(g).for_each(|(to, g)| *to += weight * g);
                } else {
                    to.iter_mut().step_by(stride).zip(g).for_each(|(to, g)| *to += weight * g);
                }
            });
        });
    }
    if let Some(to) = &mut gradients[1] {
        to.par_chunks_mut(taps).enumerate().for_each(|(channel, to)| {
            for n in 0..s.batch {
                let plane = n * s.groups + channel;
                let (map, g) = (&x[plane * area..][..area], &g[plane * result..][..result]);
                for_taps(s, |tap, y, from, across| {
                    let (g, map) = (&g[y * width..][across], &map[from..]);
                    to[tap] += if stride == 1 {
                        dot(g, map)
                    } else {
                        g.iter().zip(map.iter().step_by(stride)).map(|(g, x)| g * x).sum()
                    };
                });
            }
        });
    }
}

/// A sum of products in eight lanes.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let b = &b[..a.len()];
    let ((a, rest), (b, others)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let mut sums = [0.0_f32; 8];
    for (a, b) in a.iter().zip(b) {
        for lane in 0..8 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    sums.iter().sum::<f32>() + rest.iter().zip(others).map(|(a, b)| a * b).sum::<f32>()
}
