//! Sums over pictures and places.

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

/// A sum in eight lanes.
pub fn sum(values: &[f32]) -> f32 {
    let (lanes, rest) = values.as_chunks::<8>();
    let mut sums = [0.0_f32; 8];
    for lane in lanes {
        sums.iter_mut().zip(lane).for_each(|(sum, value)| *sum += value);
    }
    sums.iter().chain(rest).sum()
}
