//! How long a training takes, and how fast it goes.

use crate::yaml::Span;
use schemars::JsonSchema;
use serde::Deserialize;

/// How weights follow their gradients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Optimizer {
    /// Stochastic gradient descent with momentum.
    Sgd,
    /// Adam.
    Adam,
    /// Adam with decoupled weight decay.
    #[default]
    Adamw,
}

/// How the rate falls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Curve {
    /// Half a wave of a cosine, down to 0.
    #[default]
    Cosine,
    /// To a tenth after two thirds of the epochs, and again after nine tenths.
    Step,
    /// Like the power 0.9 of what is left (DeepLab).
    Poly,
    /// Not at all.
    Constant,
}

/// How long, how fast.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Schedule {
    /// How often all pictures are seen.
    #[schemars(range(min = 1, max = 100_000))]
    pub epochs: u64,
    /// Epochs of the second part, in which nothing is frozen; only if `freeze` is not given.
    #[schemars(range(min = 0, max = 100_000))]
    pub unfrozen: u64,
    /// Pictures of one step.
    #[schemars(range(min = 1, max = 4096))]
    pub batch: u64,
    /// Steps whose gradients are added up before the weights change.
    #[schemars(range(min = 1, max = 4096))]
    pub accumulate: u64,
    /// How weights follow their gradients.
    pub optimizer: Optimizer,
    /// The learning rate.
    #[schemars(range(min = 0.0, max = 100.0))]
    pub rate: f64,
    /// How the rate falls.
    pub curve: Curve,
    /// Epochs in which the rate rises from a hundredth of itself.
    #[schemars(range(min = 0.0, max = 1000.0))]
    pub warmup: f64,
    /// The share of the last step that stays (SGD).
    #[schemars(range(min = 0.0, max = 0.9999))]
    pub momentum: f64,
    /// Whether SGD looks ahead.
    pub nesterov: bool,
    /// Weight decay. Biases and normalisations have none.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub decay: f64,
    /// Gradients are shortened to this norm; 0 leaves them as they are.
    #[schemars(range(min = 0.0))]
    pub clip: f64,
    /// Weights are averaged over time, keeping this share of the mean at each step (EMA); 0 does not.
    #[schemars(range(min = 0.0, max = 0.99999))]
    pub ema: f64,
    /// Training ends if so many epochs in a row were no better; 0 never ends it.
    pub patience: u64,
    /// Training ends after this time.
    pub time: Option<Span>,
    /// Epochs from one evaluation to the next; a tenth of all if not given.
    #[schemars(range(min = 1))]
    pub measure: Option<u64>,
    /// All random numbers follow from this one.
    pub seed: u64,
}

impl Default for Schedule {
    fn default() -> Self {
        Self {
            epochs: 30,
            unfrozen: 10,
            batch: 16,
            accumulate: 1,
            optimizer: Optimizer::default(),
            rate: 1e-3,
            curve: Curve::default(),
            warmup: 1.0,
            momentum: 0.9,
            nesterov: false,
            decay: 1e-2,
            clip: 10.0,
            ema: 0.0,
            patience: 0,
            time: None,
            measure: None,
            seed: 1,
        }
    }
}
