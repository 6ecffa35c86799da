//! The trained model as files: the graph with its new weights, its card, its labels.

use super::weights::Weights;
use crate::error::{Error, Result};
use crate::infer::Card;
use crate::onnx::{Model, TensorProto};
use crate::yaml::{Document, Node, Value};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::path::Path;

/// What the files say besides the graph.
#[derive(Clone, Debug)]
pub struct Package<'a> {
    /// The model that training started from.
    pub base: &'a Card,
    /// The names of the classes.
    pub classes: &'a [String],
    /// The licence of the weights.
    pub license: String,
    /// Where they come from.
    pub source: String,
}

/// How good a model is, and on what.
#[derive(Clone, Debug)]
pub struct Quality {
    /// The name of what was measured.
    pub metric: &'static str,
    /// Its value.
    pub value: f64,
    /// On what.
    pub data: String,
}

/// The graph with other weights. All others stay as they are, byte for byte.
///
/// # Errors
/// [`Error::Internal`] if a weight has another size.
pub fn with_weights(model: &Model, weights: &Weights) -> Result<Model> {
    let mut changed = model.clone();
    for tensor in &mut changed.graph_mut().initializer {
        let Some(values) = weights.get(tensor.label()) else { continue };
        if tensor.volume() != Some(values.len()) {
            return Err(Error::Internal(format!("the weight `{}` has another size", tensor.label())));
        }
        *tensor = TensorProto::of_f32(tensor.label(), &tensor.shape(), values);
    }
    Ok(changed)
}

impl Package<'_> {
    /// Writes a model's folder.
    ///
    /// # Errors
    /// [`Error::Io`], or what is wrong with the card of the model that training started from.
    pub fn write(&self, folder: &Path, model: &Model, quality: Option<&Quality>) -> Result<()> {
        let bytes = model.encode();
        let card = self.card(&bytes, quality)?;
        std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, e))?;
        let labels = self.classes.join("\n") + "\n";
        for (file, bytes) in
            [("model.onnx", bytes.as_slice()), ("labels.txt", labels.as_bytes()), ("card.yaml", card.as_bytes())]
        {
            crate::host::replace(&folder.join(file), bytes)?;
        }
        Ok(())
    }

    fn card(&self, bytes: &[u8], quality: Option<&Quality>) -> Result<String> {
        let document = Document::read(&self.base.folder.join("card.yaml"))?;
        let hash = Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        });
        let mut card = format!("# Written by `ocelli train`.\nmodel:\n  file: model.onnx\n  sha256: {hash}\n");
        let _ = writeln!(card, "  license: {}\n  source: {}", quoted(&self.license), quoted(&self.source));
        // Inputs that are the same for every picture are weights of the graph by now.
        let own = ["file", "sha256", "license", "source", "constants"];
        for (key, value) in entries(document.root.find(&["model"])).filter(|(key, _)| !own.contains(key)) {
            let _ = writeln!(card, "  {key}: {}", flow(value));
        }
        for name in ["input", "family"] {
            if let Some(node) = document.root.find(&[name]) {
                let _ = writeln!(card, "{name}: {}", flow(node));
            }
        }
        card.push_str("labels: labels.txt\n");
        if let Some(quality) = quality {
            let (metric, value, data) = (quality.metric, quality.value, quoted(&quality.data));
            let _ = writeln!(card, "quality: {{ metric: {metric}, float: {value:.4}, data: {data} }}");
        }
        Ok(card)
    }
}

fn entries(node: Option<&Node>) -> impl Iterator<Item = (&str, &Node)> {
    let map = match node.map(|node| &node.value) {
        Some(Value::Map(entries)) => entries.as_slice(),
        _ => &[],
    };
    map.iter().filter_map(|(key, value)| Some((key.text()?, value)))
}

/// A node in one line.
fn flow(node: &Node) -> String {
    match &node.value {
        Value::Null => "~".into(),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Float(value) => value.to_string(),
        Value::Text(text) => quoted(text),
        Value::List(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Value::Map(_) => {
            let all: Vec<String> =
                entries(Some(node)).map(|(key, value)| format!("{}: {}", quoted(key), flow(value))).collect();
            format!("{{ {} }}", all.join(", "))
        }
    }
}

/// A text as YAML reads it; words stay as they are.
fn quoted(text: &str) -> String {
    let word = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/'))
        && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"].contains(&text.to_lowercase().as_str());
    if word { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}
