//! How the learning rate changes from step to step: the schedules of PyTorch's `torch.optim.lr_scheduler`.

use std::f64::consts::PI;

/// A schedule.
#[derive(Clone, Debug, PartialEq)]
pub enum Schedule {
    /// Always the same.
    Constant,
    /// Times `gamma` every `every` steps.
    Step {
        /// Steps between two changes.
        every: u64,
        /// The factor.
        gamma: f64,
    },
    /// Times `gamma` at each of these steps.
    MultiStep {
        /// The steps.
        at: Vec<u64>,
        /// The factor.
        gamma: f64,
    },
    /// Times `gamma` at each step.
    Exponential {
        /// The factor.
        gamma: f64,
    },
    /// Half a wave of a cosine from the rate to `least` (Loshchilov and Hutter 2017, §3).
    Cosine {
        /// Steps of the half wave.
        steps: u64,
        /// The rate at its end.
        least: f64,
    },
    /// Falls to 0 like a power of the steps that are left.
    Poly {
        /// Steps until 0.
        steps: u64,
        /// The power.
        power: f64,
    },
    /// Up and down again, each half a wave of a cosine (Smith and Topin 2019).
    OneCycle {
        /// All steps.
        steps: u64,
        /// The part of them that leads up.
        rise: f64,
        /// The rate divided by this is the first.
        first: f64,
        /// The first rate divided by this is the last.
        last: f64,
    },
}

/// A schedule after a start in which the rate rises in a line.
#[derive(Clone, Debug, PartialEq)]
pub struct Rate {
    /// The rate that the schedule starts from.
    pub base: f64,
    /// Steps until the rate is the base.
    pub warmup: u64,
    /// The part of the base at the first step.
    pub from: f64,
    /// What comes then.
    pub schedule: Schedule,
}

impl Rate {
    /// The rate of a step, from 0.
    #[must_use]
    pub fn at(&self, step: u64) -> f64 {
        if step < self.warmup {
            let part = self.from + (1.0 - self.from) * step as f64 / self.warmup as f64;
            return self.base * part;
        }
        self.schedule.at(self.base, step - self.warmup)
    }
}

impl Schedule {
    fn at(&self, base: f64, step: u64) -> f64 {
        let wave = |from: f64, to: f64, part: f64| to + (from - to) / 2.0 * (1.0 + (PI * part).cos());
        match self {
            Self::Constant => base,
            Self::Step { every, gamma } => base * gamma.powf((step / (*every).max(1)) as f64),
            Self::MultiStep { at, gamma } => base * gamma.powf(at.iter().filter(|at| **at <= step).count() as f64),
            Self::Exponential { gamma } => base * gamma.powf(step as f64),
            Self::Cosine { steps, least } => wave(base, *least, step.min(*steps) as f64 / (*steps).max(1) as f64),
            Self::Poly { steps, power } => base * (1.0 - step.min(*steps) as f64 / (*steps).max(1) as f64).powf(*power),
            Self::OneCycle { steps, rise, first, last } => {
                let (top, end) = (rise * *steps as f64 - 1.0, *steps as f64 - 1.0);
                let (low, at) = (base / first, (step as f64).min(end));
                if at <= top { wave(low, base, at / top) } else { wave(base, low / last, (at - top) / (end - top)) }
            }
        }
    }
}
