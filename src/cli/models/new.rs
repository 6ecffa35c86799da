//! `ocelli models new`: proposes a card for an ONNX file.

use crate::cli::global::say;
use crate::error::{Error, Result};
use crate::infer::{Card, Extra, ModelStore, Plan, selfcheck};
use crate::models::propose::propose;
use crate::onnx::Model;
use clap::Args;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Inspect an ONNX file and propose a card for it
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ocelli models new yolo11n.onnx             print the card
  ocelli models new yolo11n.onnx --name door create models/door with the file and its card

Weights in separate files beside the graph are packed into the model's file.")]
pub struct NewArgs {
    /// The ONNX file
    file: PathBuf,
    /// Create a model with this name in the models folder
    #[arg(long)]
    name: Option<String>,
}

impl NewArgs {
    /// Inspects the file, and prints a card or creates the model.
    ///
    /// # Errors
    /// [`Error::Model`] if the file is not a model that takes a picture.
    pub fn run(&self, store: &ModelStore) -> Result<()> {
        let bytes = std::fs::read(&self.file).map_err(|e| Error::io(&self.file, e))?;
        let beside = self.file.parent().unwrap_or(Path::new("."));
        let model = Model::decode_with_files(bytes.clone(), beside).map_err(|e| e.at(self.file.display()))?;
        // The file is copied unchanged unless weights had to be packed into it.
        let packed = Model::decode(bytes.clone()).is_err();
        let bytes = if packed { model.encode() } else { bytes };
        let proposal = propose(&model).map_err(|e| e.at(self.file.display()))?;
        let hash = Sha256::digest(&bytes).iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        });
        let card = proposal.card.replace("SHA256", &hash);
        let mut notes = String::new();
        for guess in &proposal.guesses {
            let _ = writeln!(notes, "note: {guess}");
        }
        let Some(name) = &self.name else {
            let labels = if proposal.labels.is_empty() {
                String::new()
            } else {
                format!("# labels.txt: {}\n", proposal.labels.join(", "))
            };
            eprint!("{notes}");
            return say(&format!("{card}{labels}"));
        };
        if name.is_empty() || name.contains(['/', '\\']) || name.starts_with('.') {
            return Err(Error::Config(format!("`{name}` is not a valid folder name")));
        }
        let folder = store.home().join(name);
        if folder.exists() {
            return Err(Error::Config(format!("{} already exists; give another --name", folder.display())));
        }
        std::fs::create_dir_all(&folder).map_err(|e| Error::io(&folder, e))?;
        let write = |file: &str, bytes: &[u8]| {
            let path = folder.join(file);
            std::fs::write(&path, bytes).map_err(|e| Error::io(&path, e))
        };
        write("model.onnx", &bytes)?;
        write("card.yaml", card.as_bytes())?;
        if !proposal.labels.is_empty() {
            write("labels.txt", (proposal.labels.join("\n") + "\n").as_bytes())?;
        }
        eprint!("{notes}");
        let card = Card::read(&folder)?;
        let plan = Arc::new(Plan::load(&card, &Extra::default())?);
        selfcheck::ensure(&card, &plan)?;
        crate::models::family(&card)?;
        say(&format!(
            "{}: {} on {}; review its card, then run `ocelli models verify {name}`\n",
            folder.display(),
            card.family_name(),
            card.fields.input.size
        ))
    }
}
