//! Distances of numbers.

/// What a distance costs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Distance {
    /// Its size.
    L1,
    /// Its square.
    Mse,
    /// Half its square over beta below beta, its size less half of beta above (Girshick 2015, §2.3, with beta 1).
    SmoothL1(f64),
    /// Half its square below delta, delta times its size less half of delta above (Huber 1964).
    Huber(f64),
}

/// The cost of each number, and its gradient.
#[must_use]
pub fn regression(distance: Distance, found: &[f32], wanted: &[f32]) -> (Vec<f64>, Vec<f32>) {
    let each = found.iter().zip(wanted).map(|(x, t)| {
        let d = f64::from(*x) - f64::from(*t);
        let sign = if d == 0.0 { 0.0 } else { d.signum() };
        let (cost, slope) = match distance {
            Distance::L1 => (d.abs(), sign),
            Distance::Mse => (d * d, 2.0 * d),
            Distance::SmoothL1(beta) if d.abs() < beta => (0.5 * d * d / beta, d / beta),
            Distance::SmoothL1(beta) => (d.abs() - 0.5 * beta, sign),
            Distance::Huber(delta) if d.abs() <= delta => (0.5 * d * d, d),
            Distance::Huber(delta) => (delta * (d.abs() - 0.5 * delta), delta * sign),
        };
        (cost, slope as f32)
    });
    each.unzip()
}
