//! A training as a file: which data, from which model, what stays frozen, how, and where the result goes.

use crate::error::{Error, Result};
use crate::labels::Truth;
use crate::pipeline::set;
use crate::types::Size;
use crate::yaml::{self, Document, Fault, Span};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;
use std::path::{Path, PathBuf};

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

/// Where training starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// From this model.
    Model(String),
    /// From scratch.
    New(New),
}

/// A net to be trained from scratch.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct New {
    /// The net: `classifier`, `mobilenet_v2`, `detector` (YOLOX) or `unet`.
    pub new: String,
    /// Width and height of its input.
    pub size: Size,
}

impl<'de> Deserialize<'de> for Origin {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Origin;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("the name of a model, or `{ new: NET, size: [WIDTH, HEIGHT] }`")
            }
            fn visit_str<E>(self, name: &str) -> Result<Origin, E> {
                Ok(Origin::Model(name.to_owned()))
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<Origin, A::Error> {
                New::deserialize(serde::de::value::MapAccessDeserializer::new(map)).map(Origin::New)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for Origin {
    fn schema_name() -> Cow<'static, str> {
        "Origin".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let new = New::json_schema(generator);
        json_schema!({ "anyOf": [{ "type": "string" }, new] })
    }
}

/// The labelled pictures.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Data {
    /// Labels in any format that `ocelli eval` reads: a path, or a map with `path` and how to read them.
    #[schemars(with = "TruthForm")]
    pub train: Truth,
    /// Labels of the pictures that training is judged by. If not given: the set's own part `val`, else a share of the others.
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

/// What keeps its weights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Freeze {
    /// The layers that extract features.
    Backbone,
    /// All but the last layer of each head.
    AllButHead,
    /// Nothing.
    None,
    /// Weights with names that match one of these patterns.
    Patterns(Vec<String>),
}

impl<'de> Deserialize<'de> for Freeze {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Freeze;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("`backbone`, `all_but_head`, `none`, or a list of patterns for names of weights")
            }
            fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<Freeze, E> {
                match word {
                    "backbone" => Ok(Freeze::Backbone),
                    "all_but_head" => Ok(Freeze::AllButHead),
                    "none" => Ok(Freeze::None),
                    other => {
                        Err(E::custom(format!("unknown `{other}`; expected `backbone`, `all_but_head` or `none`")))
                    }
                }
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut list: A) -> Result<Freeze, A::Error> {
                let mut patterns = Vec::new();
                while let Some(pattern) = list.next_element::<String>()? {
                    glob::Pattern::new(&pattern).map_err(|e| serde::de::Error::custom(format!("`{pattern}`: {e}")))?;
                    patterns.push(pattern);
                }
                Ok(Freeze::Patterns(patterns))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for Freeze {
    fn schema_name() -> Cow<'static, str> {
        "Freeze".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let words = json_schema!({ "enum": ["backbone", "all_but_head", "none"] });
        json_schema!({ "anyOf": [words, { "type": "array", "items": { "type": "string" } }] })
    }
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

/// How pictures are varied, each time in another way.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Augment {
    /// Whether half of the pictures are mirrored.
    pub flip: bool,
    /// The least share (0–1) of a picture's area that is shown; 1 shows all of it.
    #[schemars(range(min = 0.05, max = 1.0))]
    pub crop: f64,
    /// How much brightness, contrast and saturation change (0–1).
    #[schemars(range(min = 0.0, max = 1.0))]
    pub color: f64,
    /// How many variants of each picture are kept, as features of the frozen layers: a number, 4 if not given, or `none`.
    pub cache: Cache,
}

impl Default for Augment {
    fn default() -> Self {
        Self { flip: true, crop: 0.6, color: 0.2, cache: Cache::Variants(4) }
    }
}

/// How many variants of each picture are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cache {
    /// So many.
    Variants(u64),
    /// None: each epoch has its own.
    None,
}

impl<'de> Deserialize<'de> for Cache {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Cache;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a number of variants from 1 to 1000, or `none`")
            }
            fn visit_i64<E: serde::de::Error>(self, count: i64) -> Result<Cache, E> {
                let fits = u64::try_from(count).ok().filter(|count| (1..=1000).contains(count));
                fits.map(Cache::Variants).ok_or_else(|| E::custom(format!("{count} is not between 1 and 1000")))
            }
            fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<Cache, E> {
                if word == "none" {
                    Ok(Cache::None)
                } else {
                    Err(E::custom(format!("unknown `{word}`; expected a number or `none`")))
                }
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for Cache {
    fn schema_name() -> Cow<'static, str> {
        "Cache".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "type": "integer", "minimum": 1, "maximum": 1000 }, { "const": "none", "description": "None: each epoch makes its own." }] })
    }
}

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

/// A recipe for a set and a model, with the most important settings.
///
/// # Errors
/// [`Error::Config`] if the paths are not text.
pub fn proposal(data: &Path, model: &str, recipe: &Path) -> Result<String> {
    let text = |path: &Path| {
        let text = path.to_str().map(|text| serde_json::Value::from(text).to_string());
        text.ok_or_else(|| Error::Config(format!("{}: this path cannot be written into YAML", path.display())))
    };
    let folder = recipe.parent().unwrap_or(Path::new(""));
    let from = data.strip_prefix(folder).unwrap_or(data);
    let name = recipe.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let to = text(&Path::new("models").join(name))?;
    let defaults = (Augment::default(), Schedule::default());
    Ok(format!(
        "# What is trained, and how: docs/training.md. Train it with `ocelli train {}`.\n\
         data: {{ train: {} }}   # with `val:` for pictures of their own to judge by; else a fifth is held out\n\
         model: {model}\n\
         # freeze: backbone      # train the heads only; without this line, then all layers, too\n\
         augment: {{ flip: {}, crop: {}, color: {} }}\n\
         schedule: {{ epochs: {}, batch: {}, rate: {} }}\n\
         export: {{ to: {to} }}\n",
        recipe.display(),
        text(from)?,
        defaults.0.flip,
        defaults.0.crop,
        defaults.0.color,
        defaults.1.epochs,
        defaults.1.batch,
        defaults.1.rate,
    ))
}

/// A recipe, and where it was read.
#[derive(Clone, Debug)]
pub struct Written {
    /// What it says.
    pub recipe: Recipe,
    /// Its file.
    pub file: PathBuf,
    /// Its text, with what was changed by `--set` behind it.
    pub text: String,
    document: Document,
}

impl Written {
    /// Reads a recipe; each of `settings` changes it: `schedule.epochs=3`.
    ///
    /// # Errors
    /// [`Error::File`] with the place of the fault, [`Error::Config`] if a setting has another form.
    pub fn read(path: &Path, settings: &[String]) -> Result<Self> {
        let mut document = Document::read(path)?;
        let mut text = document.text.clone();
        for setting in settings {
            let form = || Error::Config(format!("--set {setting}: write SETTING=VALUE, such as schedule.epochs=10"));
            let (name, value) = setting.split_once('=').ok_or_else(form)?;
            let names: Vec<String> = name.split('.').map(|part| part.trim().to_owned()).collect();
            if names.iter().any(String::is_empty) {
                return Err(form());
            }
            let value =
                yaml::parse(value).map_err(|fault| Error::Config(format!("--set {setting}: {}", fault.message)))?;
            set(&mut document.root, &names, &value);
            text.push_str(&format!("# --set {setting}\n"));
        }
        let recipe: Recipe = yaml::read(&document.root).map_err(|fault| document.error(&[fault]))?;
        let written = Self { recipe, file: path.to_path_buf(), text, document };
        let faults = written.out_of_range();
        if faults.is_empty() { Ok(written) } else { Err(written.document.error(&faults)) }
    }

    /// Changes the recipe so that a few pictures are learnt by heart: as they are, until nothing is wrong.
    pub fn for_dry_run(&mut self) {
        self.recipe.augment = Augment { flip: false, crop: 1.0, color: 0.0, cache: Cache::Variants(1) };
        let s = &mut self.recipe.schedule;
        (s.epochs, s.unfrozen, s.batch, s.measure, s.patience) = (100, 0, 8, Some(25), 0);
        (s.curve, s.decay, s.ema, s.accumulate) = (Curve::Constant, 0.0, 0.0, 1);
        self.recipe.freeze.get_or_insert(Freeze::Backbone);
        self.recipe.heads = Heads { smoothing: 0.0, balance: false, ..self.recipe.heads.clone() };
    }

    /// An error at a place of the recipe.
    #[must_use]
    pub fn error(&self, path: &[&str], message: impl Into<String>) -> Error {
        let place = self.document.root.find(path).unwrap_or(&self.document.root).place;
        self.document.error(&[Fault::new(place, message)])
    }

    /// A path of the recipe.
    #[must_use]
    pub fn beside(&self, path: &Path) -> PathBuf {
        self.file.parent().unwrap_or(Path::new("")).join(path)
    }

    fn out_of_range(&self) -> Vec<Fault> {
        let (r, mut faults) = (&self.recipe, Vec::new());
        let mut within = |path: [&str; 2], value: f64, least: f64, most: f64| {
            if !(least..=most).contains(&value) {
                let place = self.document.root.find(&path).unwrap_or(&self.document.root).place;
                let message = format!("{}: {value} is out of range; expected {least} to {most}", path.join("."));
                faults.push(Fault::new(place, message));
            }
        };
        let s = &r.schedule;
        within(["data", "held_out"], r.data.held_out, 0.01, 0.9);
        within(["heads", "smoothing"], f64::from(r.heads.smoothing), 0.0, 0.9);
        within(["augment", "crop"], r.augment.crop, 0.05, 1.0);
        within(["augment", "color"], r.augment.color, 0.0, 1.0);
        within(["schedule", "epochs"], s.epochs as f64, 1.0, 1e5);
        within(["schedule", "unfrozen"], s.unfrozen as f64, 0.0, 1e5);
        within(["schedule", "batch"], s.batch as f64, 1.0, 4096.0);
        within(["schedule", "accumulate"], s.accumulate as f64, 1.0, 4096.0);
        within(["schedule", "rate"], s.rate, 0.0, 100.0);
        within(["schedule", "warmup"], s.warmup, 0.0, 1000.0);
        within(["schedule", "momentum"], s.momentum, 0.0, 0.9999);
        within(["schedule", "decay"], s.decay, 0.0, 1.0);
        within(["schedule", "clip"], s.clip, 0.0, f64::MAX);
        within(["schedule", "ema"], s.ema, 0.0, 0.99999);
        within(["schedule", "measure"], s.measure.unwrap_or(1) as f64, 1.0, 1e5);
        faults
    }
}
