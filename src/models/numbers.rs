//! What several families share: formulas, and what the scores of a graph are.

use serde::Deserialize;

/// What scores are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scores {
    /// Probabilities (0–1).
    #[default]
    Probability,
    /// Raw values; Ocelli applies a sigmoid to each (TensorFlow, RT-DETR, RF-DETR).
    Sigmoid,
    /// Raw values; Ocelli applies a softmax to each row (torchvision, Caffe, DETR).
    Softmax,
}

/// Returns `1 / (1 + e^-x)`.
pub fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

/// Returns the number whose sigmoid is `p`; ±infinity for 0 and 1.
pub fn logit(p: f32) -> f32 {
    (p / (1.0 - p)).ln()
}

/// Turns a row of logits into probabilities.
pub fn softmax(row: &mut [f32]) {
    let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    row.iter_mut().for_each(|v| *v = (*v - max).exp());
    let sum: f32 = row.iter().sum();
    row.iter_mut().for_each(|v| *v /= sum);
}

/// Returns the index and value of the largest number in a row; the first one if several are equal. NaN never wins.
pub fn best_of(row: &[f32]) -> (usize, f32) {
    let mut best = (0, f32::NEG_INFINITY);
    for (at, &value) in row.iter().enumerate() {
        if value > best.1 {
            best = (at, value);
        }
    }
    best
}

/// Returns the expected value of a distribution over `0, 1, 2, …` given by its logits. GFL, and YOLO since v8, encode
/// distances this way. Li et al. 2020, Generalized Focal Loss, §3.2.
pub fn expectation(logits: impl Iterator<Item = f32> + Clone) -> f32 {
    let max = logits.clone().fold(f32::NEG_INFINITY, f32::max);
    let (mut sum, mut mean) = (0.0, 0.0);
    for (bin, value) in logits.enumerate() {
        let weight = (value - max).exp();
        sum += weight;
        mean += weight * bin as f32;
    }
    mean / sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn softmax_sums_to_one_for_large_numbers_too() {
        let mut row = [1000.0, 1000.0, -1000.0];
        softmax(&mut row);
        assert_eq!(row, [0.5, 0.5, 0.0]);
    }

    #[test]
    fn an_even_distribution_has_its_middle_as_expectation() {
        assert!((expectation([0.0; 16].into_iter()) - 7.5).abs() < 1e-6);
        assert!((expectation([0.0, 200.0, 0.0].into_iter()) - 1.0).abs() < 1e-6);
    }

    #[test]
    fn nan_never_wins() {
        assert_eq!(best_of(&[f32::NAN, 1.0, 1.0]).0, 1);
    }
}
