//! `ocelli models new`: proposes a card for an ONNX file.

use super::readings;
use crate::cli::global::say;
use crate::error::{Error, Result};
use crate::infer::{Card, Extra, ModelStore, Plan, selfcheck};
use crate::media::still;
use crate::models::family;
use crate::models::propose::{Proposal, propose};
use crate::onnx::Model;
use crate::pipeline::{Parts, Pipeline};
use crate::stage::Env;
use crate::types::{Image, Size};
use crate::yaml::Document;
use clap::Args;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Inspect an ONNX file and propose a card for it
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ocelli models new yolo11n.onnx                    print the card
  ocelli models new yolo11n.onnx --try street.jpg   also draw what it finds, as street-yolo11n.jpg
  ocelli models new yolo11n.onnx --name door        create models/door with the file and its card
  ocelli models new vit.onnx --size 224x224         for a graph that leaves the size of its input open

A word of the card with a `?` could not be known: the model is refused until somebody writes the right one. With --try, \
the answers to a picture with objects in it often tell; if not, each reading is drawn as a picture of its own. Weights in separate files beside the graph are packed into the \
model's file.")]
pub struct NewArgs {
    /// The ONNX file
    file: PathBuf,
    /// Create a model with this name in the models folder
    #[arg(long)]
    name: Option<String>,
    /// The size of the model's input, if the graph leaves it open
    #[arg(long, value_name = "WIDTHxHEIGHT", value_parser = size)]
    size: Option<Size>,
    /// A picture in which the model should find something: draws what it finds
    #[arg(long = "try", value_name = "PICTURE")]
    picture: Option<PathBuf>,
}

fn size(text: &str) -> Result<Size, String> {
    let sides = text.split_once('x').and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?)));
    match sides {
        Some((width @ 1..=16384, height @ 1..=16384)) => Ok(Size::new(width, height)),
        _ => Err("expected width and height in pixels, such as 640x480".into()),
    }
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
        let mut picture = None;
        if let Some(path) = &self.picture {
            let bytes = std::fs::read(path).map_err(|e| Error::io(path, e))?;
            let _ = still::decode(&bytes, picture.insert(Image::default())).map_err(|e| e.at(path.display()))?;
        }
        let mut proposal = propose(&model, self.size, picture.as_ref()).map_err(|e| e.at(self.file.display()))?;
        let hash = Sha256::digest(&bytes).iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        });
        proposal.card = proposal.card.replace("SHA256", &hash);
        let Some(name) = &self.name else {
            let labels = if proposal.labels.is_empty() {
                String::new()
            } else {
                format!("# labels.txt: {}\n", proposal.labels.join(", "))
            };
            tell(&proposal);
            say(&format!("{}{labels}", proposal.card))?;
            return self.draw_alone(&bytes, &proposal);
        };
        if name.is_empty() || name.contains(['/', '\\']) || name.starts_with('.') {
            return Err(Error::Config(format!("`{name}` is not a valid folder name")));
        }
        let folder = store.home().join(name);
        if folder.exists() {
            return Err(Error::Config(format!("{} already exists; give another --name", folder.display())));
        }
        // Whole or not at all: it gets its name when everything is there and runs.
        std::fs::create_dir_all(store.home()).map_err(|e| Error::io(store.home(), e))?;
        let draft = tempfile::Builder::new().prefix(".new-").tempdir_in(store.home());
        let draft = draft.map_err(|e| Error::io(store.home(), e))?;
        let inside = draft.path().join(name);
        let card = install(&inside, &bytes, &proposal)?;
        let plan = Arc::new(Plan::load(&card, &Extra::default())?);
        selfcheck::ensure(&card, &plan)?;
        std::fs::rename(&inside, &folder).map_err(|e| Error::io(&folder, e))?;
        tell(&proposal);
        let next = match family(&card) {
            Ok(_) => format!("review its card, then run `ocelli models verify {name}`"),
            Err(_) => "it is refused until the words with a `?` in its card are right".into(),
        };
        let (family, size) = (card.family_name(), card.fields.input.size);
        say(&format!("{}: {family} on {size}; {next}\n", folder.display()))?;
        self.draw(&store.home(), name)
    }

    /// Tries a card that is not kept.
    fn draw_alone(&self, bytes: &[u8], proposal: &Proposal) -> Result<()> {
        if self.picture.is_none() {
            return Ok(());
        }
        let folder = tempfile::tempdir().map_err(|e| Error::io("temporary folder", e))?;
        let name = self.file.file_stem().map_or_else(|| "model".into(), |stem| stem.to_string_lossy().into_owned());
        install(&folder.path().join(&name), bytes, proposal)?;
        self.draw(folder.path(), &name)
    }

    /// Draws what a model finds in the picture; if its card holds guesses, once for each reading of them.
    fn draw(&self, models: &Path, name: &str) -> Result<()> {
        let Some(picture) = &self.picture else { return Ok(()) };
        let folder = models.join(name);
        let card = Card::read(&folder)?;
        let Err(guess) = family(&card) else { return self.draw_one(models, name, name) };
        let path = folder.join("card.yaml");
        let text = std::fs::read_to_string(&path).map_err(|e| Error::io(&path, e))?;
        let readings = readings::of(&text);
        if readings.is_empty() {
            return Err(guess);
        }
        say(&format!(
            "the card can be read in {} ways; compare the pictures and write the right words into the card:\n",
            readings.len()
        ))?;
        for reading in readings {
            let root = tempfile::tempdir().map_err(|e| Error::io("temporary folder", e))?;
            let inside = root.path().join(name);
            std::fs::create_dir_all(&inside).map_err(|e| Error::io(&inside, e))?;
            let (from, to) = (folder.join("model.onnx"), inside.join("model.onnx"));
            std::fs::copy(&from, to).map_err(|e| Error::io(&from, e))?;
            let count = card.labels.len().saturating_add_signed(reading.labels);
            let label = |class: usize| card.labels.get(class).cloned().unwrap_or_else(|| format!("class {class}"));
            let labels: String = (0..count).map(|class| label(class) + "\n").collect();
            for (file, text) in [("card.yaml", &reading.card), ("labels.txt", &labels)] {
                let path = inside.join(file);
                std::fs::write(&path, text).map_err(|e| Error::io(&path, e))?;
            }
            if let Err(error) = self.draw_one(root.path(), name, &format!("{name}-{}", reading.name)) {
                let picture = picture.display();
                say(&format!("{}: this cannot be right for {picture}: {error}\n", reading.name.replace('-', ", ")))?;
            }
        }
        Ok(())
    }

    /// Draws what a model finds in the picture, as a file that is called after the picture and `title`.
    fn draw_one(&self, models: &Path, name: &str, title: &str) -> Result<()> {
        let Some(picture) = &self.picture else { return Ok(()) };
        let card = Card::read(&models.join(name))?;
        let stage = family(&card)?.stage();
        let nms = if stage == "detect" { "- nms\n" } else { "" };
        let stem = picture.file_stem().map_or_else(|| "picture".into(), |stem| stem.to_string_lossy().into_owned());
        let out = format!("{stem}-{title}.jpg");
        let quoted = |text: &str| text.replace('\'', "''");
        let text = format!(
            "pipeline:\n- images: {{ path: '{}' }}\n- resize: {{ for: '{name}' }}\n- {stage}: {{ model: '{name}' }}\n{nms}- annotate\n- snapshot: {{ path: '{}' }}\n",
            quoted(&picture.display().to_string()),
            quoted(&out),
            name = quoted(name),
        );
        let lookup = |name: &str| Err(format!("no `{name}`"));
        let pipeline = Pipeline::of(Document::parse("the trial", text, lookup)?, &Parts::builtin())?;
        let checked = pipeline.check(&Env::new(".", &[models.to_path_buf()]))?;
        checked.run()?.result?;
        say(&format!("{out}: what it finds in {}\n", picture.display()))
    }
}

/// Writes a model's folder.
fn install(folder: &Path, bytes: &[u8], proposal: &Proposal) -> Result<Card> {
    std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, e))?;
    let write = |file: &str, bytes: &[u8]| {
        let path = folder.join(file);
        std::fs::write(&path, bytes).map_err(|e| Error::io(&path, e))
    };
    write("model.onnx", bytes)?;
    write("card.yaml", proposal.card.as_bytes())?;
    if !proposal.labels.is_empty() {
        write("labels.txt", (proposal.labels.join("\n") + "\n").as_bytes())?;
    }
    Card::read(folder)
}

fn tell(proposal: &Proposal) {
    let mut notes = String::new();
    for guess in &proposal.guesses {
        let _ = writeln!(notes, "note: {guess}");
    }
    eprint!("{notes}");
}
