//! Cross-entropy: of one class among several, and of each class by itself.

/// Softmax cross-entropy over classes, as PyTorch's `cross_entropy`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CrossEntropy {
    /// A weight for each class; empty if all count the same. The mean is over the weights.
    pub weights: Vec<f32>,
    /// The target that does not count.
    pub ignore: Option<usize>,
    /// How much of the target is spread over all classes (Szegedy et al. 2016, §7).
    pub smoothing: f32,
}

impl CrossEntropy {
    /// The mean over all targets that count, and its gradient. `logits` is `[batch, classes, places]`, and `targets`
    /// `[batch, places]`.
    ///
    /// # Panics
    /// If a target is not a class.
    #[must_use]
    pub fn mean(&self, logits: &[f32], [batch, classes, places]: [usize; 3], targets: &[usize]) -> (f64, Vec<f32>) {
        let weight = |class: usize| self.weights.get(class).map_or(1.0, |weight| f64::from(*weight));
        let (mut gradient, mut loss, mut total) = (vec![0.0; logits.len()], 0.0, 0.0);
        let smoothing = f64::from(self.smoothing);
        let (keep, spread) = (1.0 - smoothing, smoothing / classes as f64);
        let all: f64 = (0..classes).map(weight).sum();
        for (at, target) in targets.iter().copied().enumerate().take(batch * places) {
            if self.ignore == Some(target) {
                continue;
            }
            assert!(target < classes, "the target {target} is not one of {classes} classes");
            let place = |class: usize| (at / places * classes + class) * places + at % places;
            let logit = |class: usize| f64::from(logits[place(class)]);
            let most = (0..classes).map(logit).fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = (0..classes).map(|class| (logit(class) - most).exp()).sum();
            let log = sum.ln() + most;
            // The target's share, and each class's part of what is spread, times the weight of that class.
            loss += keep * weight(target) * (log - logit(target));
            if spread > 0.0 {
                loss += (0..classes).map(|class| spread * weight(class) * (log - logit(class))).sum::<f64>();
            }
            total += weight(target);
            let factor = keep * weight(target) + spread * all;
            for class in 0..classes {
                let share = (logit(class) - log).exp();
                let wanted = spread * weight(class) + if class == target { keep * weight(target) } else { 0.0 };
                gradient[place(class)] = (factor * share - wanted) as f32;
            }
        }
        let total = if total == 0.0 { 1.0 } else { total };
        gradient.iter_mut().for_each(|g| *g = (f64::from(*g) / total) as f32);
        (loss / total, gradient)
    }
}

/// Cross-entropy of each logit with a target from 0 to 1, as PyTorch's `binary_cross_entropy_with_logits`: the loss of
/// each, and its gradient. `positive` has a weight of the positive part for each class, which repeat; empty is 1.
#[must_use]
pub fn binary(logits: &[f32], targets: &[f32], positive: &[f32]) -> (Vec<f64>, Vec<f32>) {
    let each = logits.iter().zip(targets).enumerate().map(|(at, (x, t))| {
        let (x, t) = (f64::from(*x), f64::from(*t));
        let weight = if positive.is_empty() { 1.0 } else { f64::from(positive[at % positive.len()]) };
        // ln(1 + exp(-x)) and ln(1 + exp(x)), without overflow.
        let (right, wrong) = ((-x.abs()).exp().ln_1p() + (-x).max(0.0), (-x.abs()).exp().ln_1p() + x.max(0.0));
        let p = 1.0 / (1.0 + (-x).exp());
        let gradient = weight * t * (p - 1.0) + (1.0 - t) * p;
        (weight * t * right + (1.0 - t) * wrong, gradient as f32)
    });
    each.unzip()
}
