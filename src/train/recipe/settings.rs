//! All that a recipe says.

use super::augment::Augment;
use super::data::Data;
use super::freeze::Freeze;
use super::origin::Origin;
use super::schedule::Schedule;
use crate::yaml;
use schemars::JsonSchema;
use serde::Deserialize;
use std::path::PathBuf;

/// The contents of a recipe. Paths are relative to it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// The labelled pictures.
    pub data: Data,
    /// The model to start from: a folder with a `card.yaml` that `--models` finds, as in pipelines; or a net to be trained from
    /// scratch: `{ new: unet, size: [256, 256] }`.
    pub model: Origin,
    /// What keeps its weights. If not given, the heads are trained first, then everything at a tenth of the rate; the
    /// second part counts only if it is better.
    #[serde(default)]
    pub freeze: Option<Freeze>,
    /// What is trained at the end of the model; if not given, it follows from the model's family.
    #[serde(default)]
    pub heads: Heads,
    /// How pictures are varied.
    #[serde(default)]
    pub augment: Augment,
    /// How long, how fast.
    #[serde(default)]
    pub schedule: Schedule,
    /// Where the trained model goes.
    pub export: Export,
}

/// Settings of the heads.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Heads {
    /// How much of a class's share is spread over all classes (label smoothing, Szegedy et al. 2016).
    #[schemars(range(min = 0.0, max = 0.9))]
    pub smoothing: f32,
    /// Whether rare classes count more: the weight of a class is the number of pictures over that of its own.
    pub balance: bool,
    /// Whether the last layer begins anew even if the model knows all classes.
    pub fresh: bool,
}

/// Where the trained model goes.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Export {
    /// The model's folder; its name is the model's name in pipelines.
    pub to: PathBuf,
    /// SPDX identifier of the licence of the new weights; that of the model it starts from if not given.
    #[serde(default)]
    pub license: Option<String>,
}

/// Returns the JSON Schema of a recipe.
#[must_use]
pub fn schema() -> serde_json::Value {
    yaml::schema::document("Ocelli training", Recipe::json_schema(&mut yaml::schema::generator()).as_value())
}
