//! What verbs have in common that play a pipeline again: where its frames come from, and which settings differ.

use super::{Global, folder_of};
use crate::error::{Error, Result};
use crate::pipeline::{Graph, Options, Origin, Outcome, Pipeline, Playback, Run, Setting, Sinks};
use crate::stage::{Env, Outputs};
use crate::yaml::{Document, Node};
use clap::Args;
use std::path::{Path, PathBuf};

/// Where frames come from.
#[derive(Clone, Debug, Default, Args)]
pub struct PlayArgs {
    /// A recording's folder or a video in the place of the source; with several sources ID=PATH, once for each;
    /// ID=PATH#RECORDED-ID takes a source that had another id
    #[arg(long, value_name = "[ID=]PATH", value_parser = parse_origin)]
    pub from: Vec<Origin>,
    /// The recording's run; the last one if not given
    #[arg(long)]
    pub run: Option<u64>,
    /// Stop after so many frames of each source
    #[arg(long)]
    pub frames: Option<u64>,
    /// Threads that work on one frame in each line with a model
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=64))]
    pub threads: Option<u64>,
}

/// `PATH`, `ID=PATH`, `ID=PATH#RECORDED`.
fn parse_origin(text: &str) -> Result<Origin, String> {
    let (source, path) = match text.split_once('=') {
        Some((id, path)) if !id.contains('/') => (Some(id.to_owned()), path),
        _ => (None, text),
    };
    let (path, recorded) = match path.rsplit_once('#') {
        Some((path, id)) if !Path::new(text).exists() => (path, Some(id.to_owned())),
        _ => (path, None),
    };
    if path.is_empty() {
        return Err("write PATH, ID=PATH or ID=PATH#RECORDED-ID".into());
    }
    Ok(Origin { source, path: path.into(), recorded })
}

/// Settings of one value each.
///
/// # Errors
/// [`Error::Config`] for a row of values.
pub fn single(settings: &[Setting]) -> Result<Vec<(Setting, Node)>> {
    let one = |setting: &Setting| match setting.values.as_slice() {
        [value] => Ok((setting.clone(), value.clone())),
        _ => Err(Error::Config(format!(
            "{}: several values are for `ocelli sweep`; a list is written [a, b]",
            setting.name()
        ))),
    };
    settings.iter().map(one).collect()
}

/// A pipeline ready to be played.
pub struct Play {
    /// The pipeline.
    pub pipeline: Pipeline,
    /// Its graph.
    pub graph: Graph,
    /// Its environment.
    pub env: Env,
    /// How it is run.
    pub options: Options,
    /// What is worth knowing.
    pub notes: Vec<String>,
    /// Sinks that were left out.
    pub left_out: Vec<String>,
}

/// What is to be played.
pub struct Plan<'a> {
    /// The pipeline's file.
    pub file: &'a Path,
    /// Settings that differ.
    pub settings: Vec<(Setting, Node)>,
    /// What takes the sources' places.
    pub playback: Playback,
    /// What is left of the sinks.
    pub sinks: Sinks,
    /// Where they write.
    pub outputs: Outputs,
}

impl PlayArgs {
    /// As the library has it.
    pub fn playback(&self) -> Playback {
        Playback {
            from: self.from.clone(),
            run: self.run,
            frames: self.frames,
            threads: self.threads.map(|threads| threads as usize),
            ..Playback::default()
        }
    }
}

impl Play {
    /// Reads, changes and checks a pipeline.
    ///
    /// # Errors
    /// What does not fit.
    pub fn prepare(global: &Global, plan: Plan<'_>) -> Result<Self> {
        let mut env = global.env(&folder_of(plan.file));
        env.outputs = plan.outputs;
        let mut document = Document::read(plan.file)?;
        let mut changes = Vec::new();
        for (setting, value) in &plan.settings {
            setting.apply(&mut document, value)?;
            changes.push(format!("{}={}", setting.name(), crate::pipeline::shown(value)));
        }
        let with = |e: Error| {
            if changes.is_empty() { e } else { e.at(format_args!("with {}", changes.join(" "))) }
        };
        let mut pipeline = Pipeline::of(document).map_err(with)?;
        let left_out = plan.sinks.apply(&mut pipeline)?;
        let (options, notes) = plan.playback.apply(&mut pipeline, &mut env)?;
        let graph = Graph::check(&pipeline, &env).map_err(with)?;
        if let Some(live) = graph.nodes.iter().position(|node| node.live) {
            let message = format!(
                "`{}` is live: it never ends, and shows other frames each time; give --from FOLDER-OR-CLIP (`from:` in a test)",
                pipeline.lines[live].id
            );
            return Err(Error::Config(message).at(plan.file.display()));
        }
        Ok(Self { pipeline, graph, env, options, notes, left_out })
    }

    /// Starts it: models are loaded, and the first frames come.
    ///
    /// # Errors
    /// What kept it from starting.
    pub fn start(&self) -> Result<Run> {
        Run::start_with(&self.pipeline, &self.graph, &self.env, &self.options)
    }

    /// Runs it to its end.
    ///
    /// # Errors
    /// What kept it from starting; what ended it is in the outcome.
    pub fn run(&self) -> Result<Outcome> {
        Ok(self.start()?.wait())
    }
}

/// Writes a file of results; its folder is made if it is missing.
///
/// # Errors
/// [`crate::error::Error::Io`].
pub fn write_file(path: &PathBuf, bytes: &[u8]) -> Result<()> {
    let io = |e| Error::io(path, e);
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(io)?;
    }
    std::fs::write(path, bytes).map_err(io)
}
