//! Dice: how little two maps overlap (Milletari et al. 2016, §3), as segmentation_models_pytorch's `DiceLoss`.

/// Of one class and its logits, over the whole batch: the loss and its gradient. `smooth` is added to both sides of the
/// fraction for each of the two maps.
#[must_use]
pub fn binary(logits: &[f32], targets: &[f32], smooth: f64, least: f64) -> (f64, Vec<f32>) {
    let p: Vec<f64> = logits.iter().map(|x| 1.0 / (1.0 + (-f64::from(*x)).exp())).collect();
    let (overlap, all) = p.iter().zip(targets).fold((0.0, 0.0), |(overlap, all), (p, t)| {
        let t = f64::from(*t);
        (overlap + p * t, all + p + t)
    });
    if targets.iter().all(|t| *t == 0.0) {
        return (0.0, vec![0.0; logits.len()]);
    }
    let (above, below) = (2.0 * overlap + 2.0 * smooth, (all + 2.0 * smooth).max(least));
    let slope = |(p, t): (&f64, &f32)| {
        let by_p = (2.0 * f64::from(*t) * below - above) / (below * below);
        (-by_p * p * (1.0 - p)) as f32
    };
    (1.0 - above / below, p.iter().zip(targets).map(slope).collect())
}

/// Of several classes, over the batch: the mean of all classes, of which those that are nowhere count 0. `logits` is
/// `[batch, classes, places]`, and `targets` `[batch, places]`.
#[must_use]
pub fn classes(
    logits: &[f32],
    [batch, classes, places]: [usize; 3],
    targets: &[usize],
    smooth: f64,
    least: f64,
) -> (f64, Vec<f32>) {
    let place = |at: usize, class: usize| (at / places * classes + class) * places + at % places;
    let mut p = vec![0.0_f64; logits.len()];
    for at in 0..batch * places {
        let logit = |class: usize| f64::from(logits[place(at, class)]);
        let most = (0..classes).map(logit).fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = (0..classes).map(|class| (logit(class) - most).exp()).sum();
        (0..classes).for_each(|class| p[place(at, class)] = (logit(class) - most).exp() / sum);
    }
    let (mut loss, mut by_p) = (0.0, vec![0.0_f64; logits.len()]);
    for class in 0..classes {
        let (mut overlap, mut all, mut there) = (0.0, 0.0, false);
        for (at, target) in targets.iter().enumerate() {
            let share = p[place(at, class)];
            let wanted = *target == class;
            overlap += if wanted { share } else { 0.0 };
            all += share + f64::from(u8::from(wanted));
            there |= wanted;
        }
        if !there {
            continue;
        }
        let (above, below) = (2.0 * overlap + 2.0 * smooth, (all + 2.0 * smooth).max(least));
        loss += (1.0 - above / below) / classes as f64;
        for (at, target) in targets.iter().enumerate() {
            let wanted = f64::from(u8::from(*target == class));
            by_p[place(at, class)] = -(2.0 * wanted * below - above) / (below * below) / classes as f64;
        }
    }
    let mut gradient = vec![0.0; logits.len()];
    for at in 0..batch * places {
        let dot: f64 = (0..classes).map(|class| p[place(at, class)] * by_p[place(at, class)]).sum();
        for class in 0..classes {
            gradient[place(at, class)] = (p[place(at, class)] * (by_p[place(at, class)] - dot)) as f32;
        }
    }
    (loss, gradient)
}
