//! How weights follow their gradients: the rules of PyTorch's `torch.optim`.

/// A rule.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rule {
    /// Stochastic gradient descent, with momentum (Sutskever et al. 2013).
    Sgd {
        /// The share of the last step that stays.
        momentum: f64,
        /// The share of a gradient that its momentum does not take.
        dampening: f64,
        /// Whether the step looks ahead.
        nesterov: bool,
    },
    /// Adam (Kingma and Ba 2015).
    Adam {
        /// The shares of the mean and of the mean square that stay.
        betas: [f64; 2],
        /// Keeps the fraction finite.
        epsilon: f64,
        /// Whether the weight decay is that of AdamW (Loshchilov and Hutter 2019).
        decoupled: bool,
        /// Whether the greatest mean square counts (Reddi et al. 2018).
        amsgrad: bool,
    },
    /// RMSprop (Tieleman and Hinton 2012).
    RmsProp {
        /// The share of the mean square that stays.
        alpha: f64,
        /// Keeps the fraction finite.
        epsilon: f64,
        /// The share of the last step that stays.
        momentum: f64,
    },
    /// Adagrad (Duchi et al. 2011).
    Adagrad {
        /// Keeps the fraction finite.
        epsilon: f64,
    },
}

impl Rule {
    /// Plain momentum.
    #[must_use]
    pub const fn momentum(momentum: f64) -> Self {
        Self::Sgd { momentum, dampening: 0.0, nesterov: false }
    }

    /// Adam with its usual numbers; with a weight decay, AdamW.
    #[must_use]
    pub const fn adam(decoupled: bool) -> Self {
        Self::Adam { betas: [0.9, 0.999], epsilon: 1e-8, decoupled, amsgrad: false }
    }
}

/// The memory of a rule for one weight.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Memory {
    /// Steps that were made.
    pub steps: u64,
    /// Means, mean squares and the like, each as long as the weight.
    pub moments: [Vec<f32>; 3],
}

/// One step of a weight.
///
/// # Panics
/// If the gradient has another length than the weight.
pub fn step(rule: Rule, weight: &mut [f32], gradient: &[f32], memory: &mut Memory, rate: f64, decay: f64) {
    assert_eq!(weight.len(), gradient.len(), "a gradient of another length");
    memory.steps += 1;
    let first = memory.steps == 1;
    for moment in &mut memory.moments {
        moment.resize(weight.len(), 0.0);
    }
    let steps = memory.steps as f64;
    let [a, b, c] = &mut memory.moments;
    for at in 0..weight.len() {
        let w = f64::from(weight[at]);
        let mut g = f64::from(gradient[at]);
        let decoupled = matches!(rule, Rule::Adam { decoupled: true, .. });
        if !decoupled {
            g += decay * w;
        }
        let moved = match rule {
            Rule::Sgd { momentum: 0.0, .. } => w - rate * g,
            Rule::Sgd { momentum, dampening, nesterov } => {
                let kept = if first { g } else { momentum * f64::from(a[at]) + (1.0 - dampening) * g };
                a[at] = kept as f32;
                w - rate * if nesterov { g + momentum * kept } else { kept }
            }
            Rule::Adam { betas, epsilon, amsgrad, .. } => {
                let w = if decoupled { w - rate * decay * w } else { w };
                let mean = betas[0] * f64::from(a[at]) + (1.0 - betas[0]) * g;
                let square = betas[1] * f64::from(b[at]) + (1.0 - betas[1]) * g * g;
                (a[at], b[at]) = (mean as f32, square as f32);
                let mut spread = square;
                if amsgrad {
                    c[at] = c[at].max(square as f32);
                    spread = f64::from(c[at]);
                }
                let (near, far) = (1.0 - betas[0].powf(steps), 1.0 - betas[1].powf(steps));
                w - rate / near * mean / ((spread / far).sqrt() + epsilon)
            }
            Rule::RmsProp { alpha, epsilon, momentum } => {
                let square = alpha * f64::from(a[at]) + (1.0 - alpha) * g * g;
                a[at] = square as f32;
                let move_by = g / (square.sqrt() + epsilon);
                let kept = momentum * f64::from(b[at]) + move_by;
                b[at] = kept as f32;
                w - rate * kept
            }
            Rule::Adagrad { epsilon } => {
                let sum = f64::from(a[at]) + g * g;
                a[at] = sum as f32;
                w - rate * g / (sum.sqrt() + epsilon)
            }
        };
        weight[at] = moved as f32;
    }
}

/// Shortens gradients together so that their norm is at most `most`; returns the norm they had.
pub fn clip<'a>(gradients: impl IntoIterator<Item = &'a mut [f32]>, most: f64) -> f64 {
    let mut all: Vec<&mut [f32]> = gradients.into_iter().collect();
    let norm = all.iter().flat_map(|g| g.iter()).map(|g| f64::from(*g) * f64::from(*g)).sum::<f64>().sqrt();
    // PyTorch adds this to the norm (`clip_grad_norm_`).
    let factor = most / (norm + 1e-6);
    if factor < 1.0 {
        all.iter_mut().flat_map(|g| g.iter_mut()).for_each(|g| *g = (f64::from(*g) * factor) as f32);
    }
    norm
}
