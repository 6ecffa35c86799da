//! Focal loss (Lin et al. 2017, §3), as torchvision's `sigmoid_focal_loss`.

/// The loss of each logit with a target of 0 or 1, and its gradient. `alpha` weighs positives against negatives; below
/// 0, they count the same.
#[must_use]
pub fn focal(logits: &[f32], targets: &[f32], alpha: f64, gamma: f64) -> (Vec<f64>, Vec<f32>) {
    let each = logits.iter().zip(targets).map(|(x, t)| {
        let (x, t) = (f64::from(*x), f64::from(*t));
        let p = 1.0 / (1.0 + (-x).exp());
        let entropy = (-x.abs()).exp().ln_1p() + x.max(0.0) - x * t;
        // The probability of what is not wanted.
        let wrong = p * (1.0 - t) + (1.0 - p) * t;
        let weight = if alpha >= 0.0 { alpha * t + (1.0 - alpha) * (1.0 - t) } else { 1.0 };
        let power = wrong.powf(gamma);
        let slope = if gamma == 0.0 { 0.0 } else { gamma * wrong.powf(gamma - 1.0) * p * (1.0 - p) * (1.0 - 2.0 * t) };
        (weight * entropy * power, (weight * ((p - t) * power + entropy * slope)) as f32)
    });
    each.unzip()
}
