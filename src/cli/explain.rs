//! `ocelli explain`: where a classifier looked.

use super::console::harmless;
use super::global::{Global, say};
use crate::error::{Error, Result};
use crate::infer::ModelStore;
use crate::media::{jpeg, png, still};
use crate::ops::resize::{Resize, plan};
use crate::stage::{Emitter, Env, LineEnv};
use crate::train::explain::{Explainer, Method};
use crate::train::judge::config;
use crate::trial::write_file;
use crate::types::{Class, Found, Frame, Heatmap, Image, Maker, Packet};
use crate::yaml::nearest;
use clap::Args;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Draw where a classifier looked, from the gradient of its answer
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ocelli explain scene_tags street.jpg                          the best answer, as street-why.jpg in this folder
  ocelli explain scene_tags street.jpg --class dog --method layercam
  ocelli explain mobilenet_v2 cat.jpg --out why.png

This works for every classifier that ends in layers with a gradient; the stage `cam` needs none, but a last layer behind an \
average. Red is what speaks for the class. A map shows what a model uses, right or wrong.")]
pub struct ExplainArgs {
    /// Name of the model
    model: String,
    /// The picture
    picture: PathBuf,
    /// The class to explain; the best answer if not given
    #[arg(long)]
    class: Option<String>,
    /// How the map is computed
    #[arg(long, value_enum, default_value_t)]
    method: Method,
    /// Name of the value in the graph that is looked at; the last map if not given
    #[arg(long, value_name = "VALUE")]
    features: Option<String>,
    /// The picture to write, .jpg or .png; PICTURE-why.jpg in the working folder if not given
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl ExplainArgs {
    /// Explains.
    ///
    /// # Errors
    /// What is wrong with the model or the picture, or if the result cannot be written.
    pub fn run(&self, global: &Global) -> Result<()> {
        let card = ModelStore::new(&global.models, Path::new(".")).card(&self.model)?;
        let number = |name: &String| {
            card.labels.iter().position(|label| label == name).ok_or_else(|| {
                let near = nearest(name, card.labels.iter().map(String::as_str));
                let hint = near.map_or(String::new(), |near| format!("; did you mean `{near}`?"));
                Error::Config(format!("model `{}` has no class `{name}`{hint}", self.model))
            })
        };
        let class = self.class.as_ref().map(number).transpose()?;
        // In the working folder: beside a picture, it could become one of a set.
        let out = self.out.clone().unwrap_or_else(|| {
            let stem = self.picture.file_stem().unwrap_or_default().to_string_lossy();
            PathBuf::from(format!("{stem}-why.jpg"))
        });
        let ending = out.extension().map(|ending| ending.to_string_lossy().to_lowercase()).unwrap_or_default();
        if !["jpg", "jpeg", "png"].contains(&ending.as_str()) {
            return Err(Error::Config(format!("--out {}: expected a name that ends in .jpg or .png", out.display())));
        }
        if out.canonicalize().is_ok_and(|out| self.picture.canonicalize().is_ok_and(|picture| picture == out)) {
            return Err(Error::Config(format!("--out {}: this is the picture itself", out.display())));
        }
        let (path, mut image) = (&self.picture, Image::default());
        let bytes = std::fs::read(path).map_err(|e| Error::io(path, e))?;
        let _ = still::decode(&bytes, &mut image).map_err(|e| e.at(path.display()))?;
        let mut explainer = Explainer::load(&card, self.features.as_deref())?;
        let input = &card.fields.input;
        let plan = plan(image.size, input.size, input.fit);
        let mut seen = Image::default();
        Resize::default().apply(&image, &plan, input.filter, input.pad, &mut seen)?;
        let explained = explainer.explain(&seen, class, self.method)?;
        let name = |class: u16| card.labels.get(usize::from(class)).cloned().unwrap_or_else(|| class.to_string());
        let mut order: Vec<u16> = (0..explained.scores.len() as u16).collect();
        let score = |class: u16| explained.scores[usize::from(class)];
        order.sort_by(|a, b| score(*b).total_cmp(&score(*a)).then(a.cmp(b)));
        let best: Vec<Class> = order.into_iter().take(5).map(|class| Class { class, score: score(class) }).collect();
        let mut text: String = best.iter().map(|best| format!("  {:.3}  {}\n", best.score, name(best.class))).collect();
        if explained.most <= 0.0 {
            text.push_str("nothing in the picture speaks for it: the map is empty\n");
        }
        let class = explained.class as u16;
        let map = Heatmap {
            size: explained.size,
            values: explained.map,
            range: (0.0, explained.most),
            class: Some(class),
            input: input.size,
            placement: plan.placement,
        };
        let by = Maker::new(&card.name, Arc::clone(&card.labels));
        let mut packet = Packet::new(Arc::new(Frame { image, ..Frame::default() }));
        packet.heatmap = Some(Found::new(Arc::new(map), &by));
        packet.classes = Some(Found::new(Arc::new(best), &by));
        let env = LineEnv::alone(&Env::new(".", &[]), "annotate");
        let mut drawn = Emitter::default();
        config("annotate", "{}")?.build(&env)?.process(packet, &mut drawn)?;
        let canvas = drawn.drain().next().and_then(|packet| packet.canvas);
        let canvas = canvas.ok_or_else(|| Error::Internal("`annotate` drew nothing".into()))?;
        let mut coded = Vec::new();
        if out.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("png")) {
            png::encode(&canvas, &mut coded)?;
        } else {
            jpeg::encode(&canvas, 90, &mut coded)?;
        }
        write_file(&out, &coded)?;
        say(&harmless(&format!("{text}{}: why `{}`\n", out.display(), name(class))))
    }
}
