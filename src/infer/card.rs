//! The model card: everything that turns pixels into the input tensor and output tensors into answers.

use super::constant::Constant;
use crate::error::{Error, Result};
use crate::onnx::Model;
use crate::ops::normalize::{ChannelOrder, Layout, Normalizer};
use crate::ops::resize::{Filter, Fit};
use crate::types::Size;
use crate::yaml::{self, Document, Fault, Node, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The weights: their file, its expected hash, their licence and their source.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelSpec {
    /// File name of the ONNX graph, relative to the card.
    pub file: String,
    /// SHA-256 of that file, as 64 hexadecimal digits.
    #[schemars(regex(pattern = "^[0-9a-fA-F]{64}$"))]
    pub sha256: String,
    /// SPDX identifier of the licence of the weights.
    pub license: String,
    /// Where the weights come from.
    pub source: String,
    /// Names of graph values to use as outputs, in order, instead of the graph's own outputs. Name the raw heads to
    /// leave out decoding and NMS inside the graph.
    #[serde(default)]
    pub outputs: Vec<String>,
    /// How a quantised model is computed.
    #[serde(default)]
    pub precision: Precision,
    /// Further inputs that are the same for every picture, by name: lists of numbers, or of `width` and `height` of the
    /// model input, such as `orig_target_sizes: [width, height]`.
    #[serde(default)]
    pub constants: BTreeMap<String, Vec<Constant>>,
    /// Inputs that receive an output of the previous frame; they are zero for the first frame.
    #[serde(default)]
    pub state: Vec<State>,
}

/// How a quantised model is computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// `int8` if the processor has AVX-VNNI, AVX-512 VNNI or SDOT, every convolution of the graph is 8-bit, and no Concat
    /// rounds scores away with the scale of coordinates; else `float`.
    #[default]
    Auto,
    /// In floats: the weights as stored, the activations not rounded.
    Float,
    /// With every rounding inside the graph, in 8-bit integers where our kernels can. Only the roundings at inputs and outputs
    /// are left out: tract gets them wrong.
    AsIs,
    /// Another word for `as_is`.
    Int8,
}

/// An input that receives an output of the previous frame.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Name of the input.
    pub input: String,
    /// Name of the output that becomes this input for the next frame.
    pub output: String,
}

/// Element type of the input tensor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Dtype {
    /// Floats, normalised with `mean` and `std`.
    #[default]
    F32,
    /// Unchanged levels (0–255), unless `scale` is given.
    U8,
    /// Levels minus 128, unless `scale` is given.
    I8,
}

/// How pixels become the input tensor.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InputSpec {
    /// Name of the graph input that receives the picture; the first input if not given.
    #[serde(default)]
    pub name: Option<String>,
    /// Width and height of the input in pixels.
    pub size: Size,
    /// How a frame with a different aspect ratio is fitted into the input.
    #[serde(default)]
    pub fit: Fit,
    /// Level (0–255) that fills the empty area of a letterbox.
    #[serde(default = "default_pad")]
    pub pad: u8,
    /// Interpolation filter used for resizing.
    #[serde(default)]
    pub filter: Filter,
    /// Order of the colour channels.
    #[serde(default)]
    pub color: ChannelOrder,
    /// Order of the tensor's axes.
    #[serde(default)]
    pub layout: Layout,
    /// Element type of the tensor.
    #[serde(default)]
    pub dtype: Dtype,
    /// Values subtracted from the levels (0–255), one per channel, in the tensor's channel order.
    #[serde(default)]
    pub mean: [f32; 3],
    /// Values to divide by after subtracting `mean`, one per channel.
    #[serde(default = "default_std")]
    #[schemars(extend("items" = { "type": "number", "not": { "const": 0 } }))]
    pub std: [f32; 3],
    /// Scale of an 8-bit input that takes normalised values: `round(value / scale) + zero_point`.
    #[serde(default)]
    #[schemars(extend("not" = { "const": 0 }))]
    pub scale: Option<f32>,
    /// Value that represents 0 in an 8-bit input with a `scale`.
    #[serde(default)]
    #[schemars(range(min = -255, max = 255))]
    pub zero_point: i32,
}

const fn default_pad() -> u8 {
    114
}

const fn default_std() -> [f32; 3] {
    [1.0; 3]
}

/// The form of a model input before it becomes a tensor, for comparing what a `resize` produces with what a model
/// expects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InputForm {
    /// Width and height in pixels.
    pub size: Size,
    /// How the pixels are produced, if a card says so.
    pub look: Option<InputLook>,
}

/// How the pixels of a model input are produced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct InputLook {
    fit: Fit,
    filter: Filter,
    pad: u8,
    color: ChannelOrder,
}

impl InputForm {
    /// Returns a form of which only the size is known.
    #[must_use]
    pub const fn of_size(size: Size) -> Self {
        Self { size, look: None }
    }

    /// Returns the settings that differ, in card words, each as this form's and `other`'s value. If only the sizes are
    /// known, only they are compared.
    #[must_use]
    pub fn differences(&self, other: &Self) -> Vec<(String, String)> {
        if self.size != other.size {
            return vec![(self.size.to_string(), other.size.to_string())];
        }
        let (Some(own), Some(theirs)) = (self.look, other.look) else { return Vec::new() };
        let words = |look: InputLook| match serde_json::to_value(look) {
            Ok(serde_json::Value::Object(map)) => map,
            _ => serde_json::Map::new(),
        };
        let (own, theirs) = (words(own), words(theirs));
        let plain = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        // The padding level matters only if something is left empty.
        let letterboxed = own.get("fit").is_some_and(|fit| plain(fit).starts_with("letterbox"));
        own.iter()
            .filter_map(|(key, value)| Some((key, value, theirs.get(key)?)))
            .filter(|(key, value, other)| value != other && (*key != "pad" || letterboxed))
            .map(|(key, value, other)| (format!("{key} {}", plain(value)), format!("{key} {}", plain(other))))
            .collect()
    }
}

impl InputSpec {
    /// Returns the form that a `resize` must produce for this input.
    #[must_use]
    pub const fn form(&self) -> InputForm {
        let look = InputLook { fit: self.fit, filter: self.filter, pad: self.pad, color: self.color };
        InputForm { size: self.size, look: Some(look) }
    }

    /// Returns the shape of the input tensor.
    #[must_use]
    pub fn shape(&self) -> [usize; 4] {
        let channels = if self.color == ChannelOrder::Gray { 1 } else { 3 };
        let (w, h) = (self.size.width as usize, self.size.height as usize);
        match self.layout {
            Layout::Nchw => [1, channels, h, w],
            Layout::Nhwc => [1, h, w, channels],
        }
    }

    /// Returns the tables that normalise levels.
    #[must_use]
    pub fn normalizer(&self) -> Normalizer {
        let (scale, zero) = (self.scale, self.zero_point as f32);
        let low = if self.dtype == Dtype::I8 { -128.0 } else { 0.0 };
        Normalizer::new(self.color, self.layout, self.mean, self.std).with_bytes(|level, value| match scale {
            Some(scale) => ((value / scale).round_ties_even() + zero).clamp(low, low + 255.0) as i16 as u8,
            None if self.dtype == Dtype::I8 => level.wrapping_sub(128),
            None => level,
        })
    }
}

/// The measured quality of the model, for information only.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Quality {
    /// Name of the metric, such as `map50`.
    pub metric: String,
    /// Its value for the float model.
    pub float: f64,
    /// The data on which it was measured.
    pub data: String,
}

/// A picture and what must be found in it, for `ocelli models verify`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Golden {
    /// File name of the picture, relative to the card.
    pub image: String,
    /// For detectors: the objects in the picture.
    #[serde(default)]
    pub expect: Vec<Expected>,
    /// For detectors: minimum score of an answer that counts.
    #[serde(default = "default_golden_score")]
    pub min_score: f32,
    /// For detectors: minimum IoU of a found box and the expected box.
    #[serde(default = "default_golden_iou")]
    pub iou: f32,
    /// For classifiers: the label of the best class.
    #[serde(default)]
    pub label: Option<String>,
    /// For segmentation: the share (0–1) of the picture that each label covers, within 0.02.
    #[serde(default)]
    pub shares: Vec<Share>,
}

const fn default_golden_score() -> f32 {
    0.5
}

const fn default_golden_iou() -> f32 {
    0.75
}

/// How much of a golden picture a label covers.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Share {
    /// The label.
    pub label: String,
    /// Its share of the pixels, 0–1.
    pub share: f32,
}

/// One object in a golden picture.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// Its label.
    pub label: String,
    /// `[x1, y1, x2, y2]` in pixels of the picture.
    #[serde(rename = "box")]
    pub bbox: [f32; 4],
}

/// Names of the classes.
#[derive(Clone, Debug, JsonSchema)]
#[schemars(untagged)]
pub enum Labels {
    /// A file with one name per line, relative to the card.
    File(String),
    /// The names themselves.
    #[schemars(extend("maxItems" = 65535))]
    List(Vec<String>),
}

impl Default for Labels {
    fn default() -> Self {
        Self::List(Vec::new())
    }
}

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> serde::de::Visitor<'de> for Either {
            type Value = Labels;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a file name or a list of labels")
            }

            fn visit_str<E: serde::de::Error>(self, file: &str) -> Result<Labels, E> {
                Ok(Labels::File(file.to_owned()))
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut list: A) -> Result<Labels, A::Error> {
                let mut labels = Vec::new();
                while let Some(label) = list.next_element()? {
                    labels.push(label);
                }
                Ok(Labels::List(labels))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// All fields of the card except `family`, which the floor above reads.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CardFields {
    /// The weights.
    pub model: ModelSpec,
    /// How pixels become the input tensor.
    pub input: InputSpec,
    /// Names of the classes: a file with one name per line, relative to the card, or a list.
    #[serde(default)]
    pub labels: Labels,
    /// The measured quality of the model.
    #[serde(default)]
    pub quality: Option<Quality>,
    /// A picture and what must be found in it.
    #[serde(default)]
    pub golden: Option<Golden>,
}

/// A model card that has been read and checked.
#[derive(Clone, Debug)]
pub struct Card {
    /// The folder's name, which is the model's name in YAML.
    pub name: String,
    /// The folder.
    pub folder: PathBuf,
    /// All fields except `family`.
    pub fields: CardFields,
    /// How tensors become answers; read by `models`.
    pub family: Node,
    /// Class names.
    pub labels: Arc<[String]>,
    document: Document,
}

impl Card {
    /// Reads `card.yaml` in a model's folder and the labels it names. The weights are not read.
    ///
    /// # Errors
    /// [`Error::Model`] with every fault in the card.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join("card.yaml");
        let as_model = |e: Error| match e {
            Error::Config(message) => Error::Model(message),
            other => other,
        };
        let mut document = Document::read(&path).map_err(as_model)?;
        let mut faults = Vec::new();
        let mut family = Node::null();
        if let Value::Map(entries) = &mut document.root.value {
            if let Some(at) = entries.iter().position(|(key, _)| key.text() == Some("family")) {
                family = entries.remove(at).1;
            } else if let Some((key, _)) = entries.iter().find(|(key, _)| is_family(key)) {
                let message = format!("unknown field `{}`; did you mean `family`?", key.text().unwrap_or_default());
                let fault = Fault::new(key.place, message);
                return Err(as_model(document.error(&[fault])));
            } else {
                faults.push(Fault::new(document.root.place, "`family` is missing: it says how tensors become answers"));
            }
        }
        let fields: CardFields = match yaml::read(&document.root) {
            Ok(fields) => fields,
            Err(fault) => {
                faults.push(fault);
                return Err(as_model(document.error(&faults)));
            }
        };
        faults.extend(out_of_range(&fields, &document.root));
        if !faults.is_empty() {
            return Err(as_model(document.error(&faults)));
        }
        let labels = match &fields.labels {
            Labels::File(file) => read_labels(&folder.join(file))?,
            Labels::List(list) => list.clone().into(),
        };
        let name =
            folder.file_name().map_or_else(|| folder.display().to_string(), |n| n.to_string_lossy().into_owned());
        Ok(Self { name, folder: folder.to_path_buf(), fields, family, labels, document })
    }

    /// Returns the word under `family:`.
    #[must_use]
    pub fn family_name(&self) -> &str {
        match &self.family.value {
            Value::Map(entries) => entries.first().and_then(|(key, _)| key.text()).unwrap_or("?"),
            _ => self.family.text().unwrap_or("?"),
        }
    }

    /// Turns a fault in this card into an error with file, line and column.
    #[must_use]
    pub fn error(&self, fault: Fault) -> Error {
        Error::Model(self.document.error(&[fault]).to_string())
    }

    /// Reads the weights and checks their hash.
    ///
    /// # Errors
    /// [`Error::Model`] if the file is missing or does not have the hash in the card.
    pub fn weights(&self) -> Result<Vec<u8>> {
        let path = self.folder.join(&self.fields.model.file);
        let bytes = std::fs::read(&path).map_err(|e| {
            Error::Model(format!(
                "model `{}`: {}: {e}; its source: {}",
                self.name,
                path.display(),
                self.fields.model.source
            ))
        })?;
        let found = hex(&Sha256::digest(&bytes));
        if found != self.fields.model.sha256.to_lowercase() {
            return Err(Error::Model(format!(
                "model `{}`: {} has sha256 {found}, but the card says {}; get the file again, or put the new hash in the card if you changed the model",
                self.name,
                path.display(),
                self.fields.model.sha256
            )));
        }
        Ok(bytes)
    }

    /// Reads the weights and puts the card's constants in place of the inputs that they are for.
    ///
    /// # Errors
    /// [`Error::Model`] if the file does not have the hash in the card, is no model, or has no such input.
    pub fn graph(&self) -> Result<Model> {
        let mut model = Model::decode(self.weights()?)?;
        for (name, values) in &self.fields.model.constants {
            let values: Vec<f64> = values.iter().map(|value| value.of(self.fields.input.size)).collect();
            model.fix_input(name, &values)?;
        }
        Ok(model)
    }
}

/// Returns whether a key is meant to be `family`.
fn is_family(key: &Node) -> bool {
    key.text().is_some_and(|word| {
        yaml::nearest(word, ["model", "input", "labels", "quality", "golden", "family"]) == Some("family")
    })
}

/// Returns what serde could not know to be wrong.
fn out_of_range(fields: &CardFields, root: &Node) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut fault = |path: &[&str], message: String| {
        faults.push(Fault::new(root.find(path).unwrap_or(root).place, message));
    };
    let input = &fields.input;
    let hash = &fields.model.sha256;
    if hash.len() != 64 || !hash.chars().all(|digit| digit.is_ascii_hexdigit()) {
        let message =
            format!("model.sha256: {hash:?} is not a hash: expected 64 hexadecimal digits, as `sha256sum` prints");
        fault(&["model", "sha256"], message);
    }
    if input.std.contains(&0.0) {
        fault(&["input", "std"], "input.std: it is a divisor, so no value may be 0".into());
    }
    if input.scale == Some(0.0) {
        fault(&["input", "scale"], "input.scale: it is a divisor, so it must not be 0".into());
    }
    if !(-255..=255).contains(&input.zero_point) {
        let message = format!("input.zero_point: {} is out of range; expected -255 to 255", input.zero_point);
        fault(&["input", "zero_point"], message);
    }
    if let Err(what) = input.fit.check(input.size) {
        fault(&["input", "fit"], format!("input.fit.crop_from: {what}"));
    }
    if matches!(&fields.labels, Labels::List(list) if list.len() > usize::from(u16::MAX)) {
        fault(&["labels"], "labels: more than 65535 entries".into());
    }
    faults
}

fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(nibble.into(), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

fn read_labels(path: &Path) -> Result<Arc<[String]>> {
    let text = std::fs::read_to_string(path)
        .map_err(|e| Error::Model(format!("{}: {e}; the card names it as its labels file", path.display())))?;
    let labels: Vec<String> = text.lines().map(|line| line.trim_end().to_owned()).collect();
    if labels.is_empty() || labels.len() > usize::from(u16::MAX) {
        return Err(Error::Model(format!("{}: {} labels; write one per line", path.display(), labels.len())));
    }
    Ok(labels.into())
}
