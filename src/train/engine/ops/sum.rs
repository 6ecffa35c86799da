//! Sums over pictures and places.

use super::product::lines;
use rayon::prelude::*;

/// Adds up a gradient over pictures and places.
pub fn bias_gradient(g: &[f32], area: usize, bias: &mut [f32]) {
    let channels = bias.len();
    bias.par_iter_mut().enumerate().for_each(|(channel, bias)| {
        for plane in g.chunks_exact(area).skip(channel).step_by(channels) {
            *bias += sum(plane);
        }
    });
}

/// A sum of values.
pub fn sum(values: &[f32]) -> f32 {
    lines().total(values)
}
