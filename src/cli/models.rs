//! `ocelli models`: what models there are, and whether they work.

use super::{Global, say};
use crate::error::{Error, Result};
use crate::infer::{Card, ModelStore, Session};
use crate::media::still;
use crate::models;
use crate::ops::iou::iou;
use crate::ops::nms::{Nms, Scope};
use crate::ops::resize::{Resize, plan};
use crate::types::{BBox, Detection, Image, PixelFormat};
use clap::{Args, Subcommand};
use std::fmt::Write as _;
use std::path::Path;
use std::time::Instant;

/// List, describe and verify models
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ocelli models list
  ocelli models info scene
  ocelli models verify

A model is a folder with a card.yaml. Folders are looked for in those given by --models, in OCELLI_MODELS,
in `models` in or beside the pipeline's folder, and in `models` here.")]
pub struct ModelsArgs {
    #[command(subcommand)]
    verb: ModelsVerb,
}

#[derive(Debug, Subcommand)]
enum ModelsVerb {
    /// Name, family, input and licence of every model
    List,
    /// All that the card and the graph say of a model
    Info {
        /// Name of the model
        name: String,
    },
    /// Check hash, shapes and golden picture of models (all if none is named)
    Verify {
        /// Names of models
        names: Vec<String>,
    },
}

impl ModelsArgs {
    /// Does what the verb says.
    ///
    /// # Errors
    /// [`Error::Model`] for a faulty model.
    pub fn run(&self, global: &Global) -> Result<()> {
        let store = ModelStore::new(&global.models, Path::new("."));
        match &self.verb {
            ModelsVerb::List => list(&store),
            ModelsVerb::Info { name } => info(&store.card(name)?),
            ModelsVerb::Verify { names } => verify(&store, names),
        }
    }
}

fn list(store: &ModelStore) -> Result<()> {
    let names = store.names();
    if names.is_empty() {
        return say("no models here; give their folder with --models or OCELLI_MODELS\n");
    }
    for name in names {
        match store.card(&name) {
            Ok(card) => {
                let input = &card.fields.input;
                let family = card.family_name();
                say(&format!(
                    "{name}  {family}  {}  {} classes  {}\n",
                    input.size,
                    card.labels.len(),
                    card.fields.model.license
                ))?;
            }
            Err(error) => say(&format!("{name}  faulty: {error}\n"))?,
        }
    }
    Ok(())
}

fn info(card: &Card) -> Result<()> {
    let fields = &card.fields;
    let mut out = String::new();
    let _ = writeln!(out, "{} ({})", card.name, card.folder.display());
    let _ = writeln!(out, "  licence  {}\n  source   {}", fields.model.license, fields.model.source);
    let _ = writeln!(out, "  family   {}\n  labels   {}", card.family_name(), card.labels.join(", "));
    let input = &fields.input;
    let _ = writeln!(
        out,
        "  input    {} {:?} {:?} {:?}, fit {:?}, filter {:?}",
        input.size, input.dtype, input.layout, input.color, input.fit, input.filter
    );
    if let Some(quality) = &fields.quality {
        let _ = writeln!(out, "  quality  {} {} on {}", quality.metric, quality.float, quality.data);
    }
    let start = Instant::now();
    let bytes = card.weights()?.len();
    let session = Session::load(card)?;
    let _ =
        writeln!(out, "  file     {} bytes, hash as the card says; loads in {} ms", bytes, start.elapsed().as_millis());
    let (inputs, outputs) = session.plan().describe();
    let _ = writeln!(out, "  graph    {} -> {}", inputs.join("; "), outputs.join("; "));
    let operators: Vec<String> =
        session.plan().operators().iter().map(|(name, count)| format!("{name} {count}")).collect();
    let _ = writeln!(out, "  plan     {}", operators.join(", "));
    say(&out)
}

fn verify(store: &ModelStore, names: &[String]) -> Result<()> {
    let names = if names.is_empty() { store.names() } else { names.to_vec() };
    if names.is_empty() {
        return Err(Error::Config("no models here; give their folder with --models or OCELLI_MODELS".into()));
    }
    let mut faults = Vec::new();
    for name in names {
        match store.card(&name).and_then(|card| verify_one(&card)) {
            Ok(said) => say(&format!("{name}: good ({said})\n"))?,
            Err(error) => faults.push(format!("{name}: {error}")),
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(Error::Model(faults.join("\n"))) }
}

/// Hash, shapes (by running a grey picture) and, if the card has one, the golden picture.
fn verify_one(card: &Card) -> Result<String> {
    let mut session = Session::load(card)?;
    let mut detector = models::detector(card)?;
    let source = std::sync::Arc::from("");
    let input = &card.fields.input;
    let mut image = Image::new(input.size, PixelFormat::Rgb8);
    let mut found = Vec::new();
    image.data.fill(128);
    let whole = plan(input.size, input.size, input.fit);
    session.run(&source, &image)?;
    detector.decode(&session, &whole.placement, 0.5, &mut found)?;
    let Some(golden) = &card.fields.golden else {
        return Ok("hash and shapes; the card has no golden picture".into());
    };
    let path = card.folder.join(&golden.image);
    let bytes = std::fs::read(&path).map_err(|e| Error::io(&path, e))?;
    let mut picture = Image::default();
    still::decode(&bytes, &mut picture).map_err(|e| e.at(path.display()))?;
    let plan = plan(picture.size, input.size, input.fit);
    Resize::default().apply(&picture, &plan, input.filter, input.pad, &mut image)?;
    session.run(&source, &image)?;
    found.clear();
    detector.decode(&session, &plan.placement, golden.min_score, &mut found)?;
    let kept: Vec<Detection> =
        Nms::default().greedy(&found, 0.5, Scope::Class, 300).iter().map(|&i| found[i as usize].clone()).collect();
    for expected in &golden.expect {
        let [x1, y1, x2, y2] = expected.bbox;
        let real = BBox::new(x1, y1, x2, y2);
        let hit = kept.iter().any(|d| {
            card.labels.get(usize::from(d.class)) == Some(&expected.label) && iou(&d.bbox, &real) >= golden.iou
        });
        if !hit {
            return Err(Error::Model(format!("golden picture: no `{}` at {:?}", expected.label, expected.bbox)));
        }
    }
    if kept.len() != golden.expect.len() {
        return Err(Error::Model(format!(
            "golden picture: {} objects found, {} expected",
            kept.len(),
            golden.expect.len()
        )));
    }
    Ok(format!("hash, shapes, and all {} objects of the golden picture", golden.expect.len()))
}
