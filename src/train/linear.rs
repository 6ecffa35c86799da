//! Linear models on features, as R-CNN puts them on a frozen net (Girshick et al. 2014, §2.3 and appendix C): a support vector
//! machine for each class, ridge regression for boxes. Same objectives as scikit-learn's `LinearSVC` and `Ridge`.

use super::random::Random;

/// A support vector machine with two classes. The bias is part of the weights, and regularised with them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Svm {
    /// How much a wrong answer costs.
    pub cost: f64,
    /// Whether the hinge is squared.
    pub squared: bool,
}

/// Weights and a bias.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Linear {
    /// A weight for each feature.
    pub weights: Vec<f64>,
    /// What is added.
    pub bias: f64,
}

impl Linear {
    /// The score of a row of features.
    #[must_use]
    pub fn score(&self, row: &[f64]) -> f64 {
        self.bias + dot(&self.weights, row)
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Rounds at most, and the greatest change of a round at which they end.
const ROUNDS: u64 = 10_000;
const ENOUGH: f64 = 1e-8;

impl Svm {
    /// What training makes small: half the square of all weights, plus the cost of all rows on the wrong side of the margin.
    #[must_use]
    pub fn objective(&self, model: &Linear, rows: &[f64], is_class: &[bool]) -> f64 {
        let width = model.weights.len();
        let loss = |(row, is): (&[f64], &bool)| {
            let short = (1.0 - if *is { 1.0 } else { -1.0 } * model.score(row)).max(0.0);
            if self.squared { short * short } else { short }
        };
        let losses: f64 = rows.chunks(width.max(1)).zip(is_class).map(loss).sum();
        0.5 * (dot(&model.weights, &model.weights) + model.bias * model.bias) + self.cost * losses
    }

    /// Trains by coordinate descent in the dual (Hsieh et al. 2008, algorithm 1). `rows` has `width` features for each row.
    #[must_use]
    pub fn train(&self, rows: &[f64], width: usize, is_class: &[bool]) -> Linear {
        let (most, diagonal) = if self.squared { (f64::INFINITY, 0.5 / self.cost) } else { (self.cost, 0.0) };
        let mut model = Linear { weights: vec![0.0; width], bias: 0.0 };
        let mut alphas = vec![0.0; is_class.len()];
        let squares: Vec<f64> = rows.chunks(width.max(1)).map(|row| dot(row, row) + 1.0 + diagonal).collect();
        for round in 0..ROUNDS {
            let mut change = 0.0_f64;
            for at in Random::of(&[round]).order(is_class.len()) {
                let row = &rows[at * width..][..width];
                let sign = if is_class[at] { 1.0 } else { -1.0 };
                let slope = sign * model.score(row) - 1.0 + diagonal * alphas[at];
                let new = (alphas[at] - slope / squares[at]).clamp(0.0, most);
                let by = (new - alphas[at]) * sign;
                change = change.max(by.abs());
                alphas[at] = new;
                model.weights.iter_mut().zip(row).for_each(|(weight, x)| *weight += by * x);
                model.bias += by;
            }
            if change < ENOUGH {
                break;
            }
        }
        model
    }
}

/// Ridge regression of one value: the squares of the errors, plus `lambda` times those of the weights; the bias is free. `rows` has
/// `width` features for each row.
#[must_use]
pub fn ridge(rows: &[f64], width: usize, values: &[f64], lambda: f64) -> Linear {
    let count = values.len().max(1) as f64;
    let mut means = vec![0.0; width];
    for row in rows.chunks(width.max(1)) {
        means.iter_mut().zip(row).for_each(|(mean, x)| *mean += x / count);
    }
    let mean = values.iter().sum::<f64>() / count;
    // The normal equations of centred data.
    let (mut matrix, mut right) = (vec![0.0; width * width], vec![0.0; width]);
    for (row, value) in rows.chunks(width.max(1)).zip(values) {
        let centred: Vec<f64> = row.iter().zip(&means).map(|(x, mean)| x - mean).collect();
        for (i, x) in centred.iter().enumerate() {
            right[i] += x * (value - mean);
            matrix[i * width..][..width].iter_mut().zip(&centred).for_each(|(sum, y)| *sum += x * y);
        }
    }
    (0..width).for_each(|i| matrix[i * width + i] += lambda);
    solve(&mut matrix, &mut right, width);
    let bias = mean - dot(&right, &means);
    Linear { weights: right, bias }
}

/// Solves a symmetric positive system (Cholesky); the solution takes the place of the right side.
fn solve(matrix: &mut [f64], right: &mut [f64], n: usize) {
    for j in 0..n {
        for i in j..n {
            let sum: f64 = (0..j).map(|k| matrix[i * n + k] * matrix[j * n + k]).sum();
            let rest = matrix[i * n + j] - sum;
            matrix[i * n + j] = if i == j { rest.max(f64::MIN_POSITIVE).sqrt() } else { rest / matrix[j * n + j] };
        }
    }
    for i in 0..n {
        let sum: f64 = (0..i).map(|k| matrix[i * n + k] * right[k]).sum();
        right[i] = (right[i] - sum) / matrix[i * n + i];
    }
    for i in (0..n).rev() {
        let sum: f64 = (i + 1..n).map(|k| matrix[k * n + i] * right[k]).sum();
        right[i] = (right[i] - sum) / matrix[i * n + i];
    }
}
