//! Class activation maps: why a classifier answers as it does. Features are planes `[K, H, W]`.

use super::upsample::{Axis, bilinear};

/// Zhou et al. 2016, Learning Deep Features for Discriminative Localization, §2: the sum of the features, each times
/// the weight that its mean has for the class. No ReLU, no bias.
pub fn zhou(features: &[f32], weights: &[f32], map: &mut Vec<f32>) {
    let plane = features.len() / weights.len().max(1);
    map.clear();
    map.resize(plane, 0.0);
    for (feature, weight) in features.chunks_exact(plane.max(1)).zip(weights) {
        map.iter_mut().zip(feature).for_each(|(sum, value)| *sum += weight * value);
    }
}

/// Wang et al. 2020, Score-CAM, §3: each feature, scaled to the input's size and to 0–1, masks the input; the softmax
/// over the class's scores for these masks weights the features. `forward` returns the class's score for a mask of the
/// input, `[H, W]` of `input` pixels. Same numbers as pytorch-grad-cam (upsampling with aligned corners).
///
/// # Errors
/// Returns the errors of `forward`.
pub fn score<E>(
    features: &[f32],
    (width, height): (usize, usize),
    input: (usize, usize),
    mut forward: impl FnMut(&[f32]) -> Result<f32, E>,
    map: &mut Vec<f32>,
) -> Result<(), E> {
    let (down, across) = (Axis::align_corners(height, input.1), Axis::align_corners(width, input.0));
    let mut mask = Vec::new();
    let mut scores = Vec::new();
    for feature in features.chunks_exact((width * height).max(1)) {
        bilinear(feature, width, &down, &across, &mut mask);
        let (low, high) = range(&mask);
        mask.iter_mut().for_each(|v| *v = (*v - low) / (high - low + 1e-8));
        scores.push(forward(&mask)?);
    }
    let most = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    scores.iter_mut().for_each(|s| *s = (*s - most).exp());
    let sum: f32 = scores.iter().sum();
    scores.iter_mut().for_each(|s| *s /= sum);
    zhou(features, &scores, map);
    Ok(())
}

/// Muhammad and Yeasin 2020, Eigen-CAM, §3: the features' first principal component, which needs no class. Its sign
/// is arbitrary; here it agrees with the sum of the features.
pub fn eigen(features: &[f32], channels: usize, map: &mut Vec<f32>) {
    let plane = features.len() / channels.max(1);
    // Rows are places, columns are centred channels; the map is the rows times the first right singular vector.
    let mut rows = vec![0.0_f64; plane * channels];
    let mut total = vec![0.0_f64; plane];
    for (k, feature) in features.chunks_exact(plane.max(1)).enumerate() {
        let mean = feature.iter().map(|&v| f64::from(v)).sum::<f64>() / plane as f64;
        for (at, &value) in feature.iter().enumerate() {
            rows[at * channels + k] = f64::from(value) - mean;
            total[at] += f64::from(value) - mean;
        }
    }
    let row = |at: usize| &rows[at * channels..][..channels];
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
    // Power iteration on the rows themselves, without building a matrix. It starts from the sum of the features, which
    // is never orthogonal to the component unless there is nothing to find.
    let mut along: Vec<f64> = total.clone();
    let mut vector = vec![0.0_f64; channels];
    for _ in 0..1000 {
        let mut next = vec![0.0_f64; channels];
        for (at, share) in along.iter().enumerate() {
            next.iter_mut().zip(row(at)).for_each(|(sum, value)| *sum += share * value);
        }
        let norm = dot(&next, &next).sqrt();
        if norm == 0.0 {
            break;
        }
        next.iter_mut().for_each(|v| *v /= norm);
        let moved: f64 = next.iter().zip(&vector).map(|(a, b)| (a - b).abs()).sum();
        vector = next;
        for (at, place) in along.iter_mut().enumerate() {
            *place = dot(row(at), &vector);
        }
        if moved < 1e-12 {
            break;
        }
    }
    let sign = if dot(&along, &total) < 0.0 { -1.0 } else { 1.0 };
    let found = vector.iter().any(|v| *v != 0.0);
    map.clear();
    map.extend(along.iter().map(|v| if found { (v * sign) as f32 } else { 0.0 }));
}

/// The smallest and the largest value.
#[must_use]
pub fn range(map: &[f32]) -> (f32, f32) {
    map.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), &v| (low.min(v), high.max(v)))
}

/// Scales a map to 0–1: `(v - smallest) / (largest - smallest)`; a constant map becomes 0. Returns its original range.
pub fn to_unit(map: &mut [f32]) -> (f32, f32) {
    let (low, high) = range(map);
    let width = high - low;
    map.iter_mut().for_each(|v| *v = if width > 0.0 { (*v - low) / width } else { 0.0 });
    (low, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_feature_explains_itself() {
        let features = [0.0, 1.0, 2.0, 3.0];
        let mut map = Vec::new();
        zhou(&features, &[2.0], &mut map);
        assert_eq!(map, [0.0, 2.0, 4.0, 6.0]);
        eigen(&features, 1, &mut map);
        for (found, expect) in map.iter().zip([-1.5, -0.5, 0.5, 1.5]) {
            assert!((found - expect).abs() < 1e-5, "{map:?}");
        }
        assert_eq!(to_unit(&mut map), (-1.5, 1.5));
    }

    #[test]
    fn a_flat_map_is_nothing() {
        let mut map = vec![3.0; 4];
        assert_eq!(to_unit(&mut map), (3.0, 3.0));
        assert_eq!(map, [0.0; 4]);
        eigen(&[1.0; 8], 2, &mut map);
        assert_eq!(map, [0.0; 4]);
    }
}
