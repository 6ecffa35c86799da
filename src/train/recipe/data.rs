//! The labelled pictures of a recipe.

use crate::labels::Truth;
use schemars::JsonSchema;
use serde::Deserialize;
use std::path::PathBuf;

/// The labelled pictures.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Data {
    /// Labels in any format that `ocelli eval` reads: a path, or a map with `path` and how to read them.
    #[schemars(with = "TruthForm")]
    pub train: Truth,
    /// Labels of the validation pictures. If not given: the set's own part `val`, else a share of the others.
    #[serde(default)]
    #[schemars(with = "TruthForm")]
    pub val: Option<Truth>,
    /// The folder of the pictures, if it is not near the labels.
    #[serde(default)]
    pub pictures: Option<PathBuf>,
    /// The share of pictures (0–1) that is held out if there is no `val`.
    #[serde(default = "default_held_out")]
    #[schemars(range(min = 0.01, max = 0.9))]
    pub held_out: f64,
    /// Only these classes, in this order. If not given: those of the model if it knows all that are labelled, else all that are
    /// labelled, in the order of the alphabet.
    #[serde(default)]
    pub classes: Vec<String>,
}

const fn default_held_out() -> f64 {
    0.2
}

/// The two forms of labels.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
enum TruthForm {
    /// Where they are.
    Path(String),
    /// Where they are, and how to read them.
    Map(Truth),
}
