//! `ocelli models`: which models there are, where to get them, and whether they work.

#[cfg(feature = "pull")]
mod download;
mod new;
mod objections;
mod pull;
mod readings;
mod verify;

/// Replaces downloads in a build without them.
#[cfg(not(feature = "pull"))]
mod download {
    pub(super) fn download(
        _url: &str,
        _part: &std::path::Path,
        _file: &crate::infer::zoo::ZooFile,
    ) -> Result<(), String> {
        Err("this build has no `pull`; build with `--features pull`".into())
    }
}

use super::global::{Global, say};
use crate::error::Result;
use crate::infer::{Card, Extra, ModelStore, Plan};
use crate::onnx::rewrite::PASSES;
use clap::{Args, Subcommand};
use std::fmt::Write as _;
use std::path::Path;
use std::time::Instant;

/// List, describe, verify and download models, and make cards
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ocelli models list
  ocelli models info scene --passes
  ocelli models info scene --blocks
  ocelli models verify
  ocelli models pull yolox_nano
  ocelli models new my_model.onnx

A model is a folder with a card.yaml. Models are looked up in the folders given by --models, in OCELLI_MODELS, \
in `models` in or beside the pipeline's folder, in `models` in the current folder, in ~/.local/share/ocelli/models \
and in /usr/share/ocelli/models; the models of the bundled pipelines are always there.")]
pub struct ModelsArgs {
    #[command(subcommand)]
    verb: ModelsVerb,
}

#[derive(Debug, Subcommand)]
enum ModelsVerb {
    /// List the name, family, input and licence of every model
    List,
    /// Show everything that the card and the graph say about a model
    Info {
        /// Name of the model
        name: String,
        /// Also show what was changed in the graph for tract, and why
        #[arg(long)]
        passes: bool,
        /// Also show the steps that our kernels run, and which nodes tract runs, and why
        #[arg(long)]
        blocks: bool,
    },
    Verify(verify::VerifyArgs),
    Pull(pull::PullArgs),
    New(new::NewArgs),
}

impl ModelsArgs {
    /// Runs the verb.
    ///
    /// # Errors
    /// [`Error::Model`] if a model is faulty.
    pub fn run(&self, global: &Global) -> Result<()> {
        let store = ModelStore::new(&global.models, Path::new("."));
        match &self.verb {
            ModelsVerb::List => list(&store),
            ModelsVerb::Info { name, passes, blocks } => info(&store.card(name)?, *passes, *blocks),
            ModelsVerb::Verify(args) => args.run(&store),
            ModelsVerb::Pull(args) => args.run(&store),
            ModelsVerb::New(args) => args.run(&store),
        }
    }
}

fn list(store: &ModelStore) -> Result<()> {
    let names = store.names();
    if names.is_empty() {
        return say("no models found; name their folder with --models or OCELLI_MODELS, or run `ocelli models pull`\n");
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

/// A setting as a card says it.
fn word(setting: &impl serde::Serialize) -> String {
    match serde_json::to_value(setting) {
        Ok(serde_json::Value::String(word)) => word,
        Ok(other) => other.to_string(),
        Err(_) => "-".into(),
    }
}

fn info(card: &Card, passes: bool, blocks: bool) -> Result<()> {
    let fields = &card.fields;
    let mut out = String::new();
    let _ = writeln!(out, "{} ({})", card.name, card.folder.display());
    let _ = writeln!(out, "  licence  {}\n  source   {}", fields.model.license, fields.model.source);
    let _ = writeln!(out, "  family   {}\n  labels   {}", card.family_name(), shortened(&card.labels));
    let input = &fields.input;
    let _ = writeln!(
        out,
        "  input    {} {} {} {}, fit {}, filter {}",
        input.size,
        word(&input.dtype),
        word(&input.layout),
        word(&input.color),
        word(&input.fit),
        word(&input.filter)
    );
    if let Some(quality) = &fields.quality {
        let _ = writeln!(out, "  quality  {} {} on {}", quality.metric, quality.float, quality.data);
    }
    let start = Instant::now();
    let bytes = card.weights()?.len();
    let plan = Plan::load(card, &Extra::default())?;
    let _ =
        writeln!(out, "  file     {} bytes, hash matches the card; loads in {} ms", bytes, start.elapsed().as_millis());
    let (inputs, outputs) = plan.describe();
    let _ = writeln!(out, "  graph    {} -> {}", inputs.join("; "), outputs.join("; "));
    let on_levels = |block: &crate::infer::Block| block.program.float_macs() == 0;
    let compiled = &plan.compiled.blocks;
    let precision = match plan.quantised {
        true if !compiled.is_empty() && compiled.iter().all(on_levels) => "8-bit integers as in the file",
        true => "floats rounded to 8 bits as in the file",
        false => "floats",
    };
    let _ =
        writeln!(out, "  computes {:.1} million multiplications per frame, in {precision}", plan.macs() as f64 / 1e6);
    let operators: Vec<String> = plan.operators().iter().map(|(name, count)| format!("{name} {count}")).collect();
    let _ = writeln!(out, "  plan     {}", operators.join(", "));
    let done: Vec<String> = plan.passes.iter().map(|(name, places)| format!("{name} {places}")).collect();
    let _ = writeln!(out, "  passes   {}", if done.is_empty() { "none".into() } else { done.join(", ") });
    if passes {
        for pass in PASSES {
            let places = plan.passes.iter().find(|(name, _)| *name == pass.name).map_or(0, |(_, places)| *places);
            let _ = writeln!(out, "    {:22} {places:4}  {} ({})", pass.name, pass.what, pass.tolerance);
        }
    }
    let _ = writeln!(out, "  kernels  {}", kernels(&plan));
    if blocks {
        for (at, block) in plan.compiled.blocks.iter().enumerate() {
            let program = &block.program;
            let _ = writeln!(
                out,
                "    block {}: {} nodes in {} steps, {:.1} MB of memory",
                at + 1,
                block.nodes,
                program.steps(),
                program.bytes(1) as f64 / 1e6
            );
            for name in program.names() {
                let _ = writeln!(out, "      {name}");
            }
        }
        for ((operator, reason), count) in &plan.compiled.left {
            let _ = writeln!(out, "    tract runs {count} {operator}: {reason}");
        }
    }
    say(&out)
}

/// What our kernels run, in a few words.
fn kernels(plan: &Plan) -> String {
    let blocks = &plan.compiled.blocks;
    let Some(first) = blocks.first() else { return "none: tract runs all of it".into() };
    let nodes: usize = blocks.iter().map(|block| block.nodes).sum();
    let left: usize = plan.compiled.left.values().sum();
    let rest = if left == 0 { "all of it".into() } else { format!("tract runs {left} nodes") };
    let count = if blocks.len() == 1 { "1 block".into() } else { format!("{} blocks", blocks.len()) };
    format!("{}: {nodes} nodes in {count}, {rest}", first.program.isa().name())
}

/// The first labels, and the number of labels.
fn shortened(labels: &[String]) -> String {
    match labels.len() {
        0 => "none".into(),
        n if n <= 12 => labels.join(", "),
        n => format!("{}, … ({n})", labels[..10].join(", ")),
    }
}
