//! A recipe to begin with.

use super::augment::Augment;
use super::schedule::Schedule;
use crate::error::{Error, Result};
use std::path::Path;

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
    let from = if from.as_os_str().is_empty() { Path::new(".") } else { from };
    let name = recipe.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let to = text(&Path::new("models").join(name))?;
    let defaults = (Augment::default(), Schedule::default());
    Ok(format!(
        "# What is trained, and how: docs/training.md. Train it with `ocelli train {}`.\n\
         data: {{ train: {} }}   # `val:` names a validation set; without it a fifth is held out\n\
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
