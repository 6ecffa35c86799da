//! `ocelli check`: looks for faults without running anything.

use super::console;
use super::global::{Global, say};
use crate::error::{Error, Result};
use crate::pipeline::Pipeline;
use crate::stage::Env;
use clap::Args;
use std::path::{Path, PathBuf};

/// Check pipelines without opening a device, and show their graph; check recipes of trainings
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ocelli check pipelines/*.yaml
  ocelli check door.yaml --svg > door.svg
  ocelli check photos.yaml          a recipe of `ocelli train`
  ocelli check door.yaml --dot | dot -Tpng > door.png

Each row of the table is a line of the pipeline: what it is, what it reads, its queue, and what its packets \
carry. If there are faults, all are shown at once, each with its file, line and column, and the exit code is 2.")]
pub struct CheckArgs {
    /// The pipelines' YAML files, or `-` for standard input
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Look at the YAML and the cards only: do not compare models with their cards, or try where sinks write
    #[arg(long)]
    fast: bool,
    /// Print the graph in Graphviz's DOT language
    #[arg(long, conflicts_with = "svg")]
    dot: bool,
    /// Print the graph as SVG
    #[arg(long)]
    svg: bool,
}

impl CheckArgs {
    /// Checks each file, even after a faulty one.
    ///
    /// # Errors
    /// The faults of the first faulty file; those of the others are printed here.
    pub fn run(&self, global: &Global) -> Result<()> {
        if (self.dot || self.svg) && self.files.len() > 1 {
            return Err(Error::Config("only one graph at a time: give one file with --dot or --svg".into()));
        }
        let mut faults = Vec::new();
        for file in &self.files {
            match self.check(file, global) {
                Ok(text) => say(&text)?,
                Err(error) => faults.push(error),
            }
        }
        if faults.is_empty() {
            return Ok(());
        }
        let first = faults.remove(0);
        for fault in &faults {
            console::fault(fault);
        }
        Err(first)
    }

    fn check(&self, file: &Path, global: &Global) -> Result<String> {
        #[cfg(feature = "train")]
        if super::train::is_recipe(file) {
            return super::train::check(file, global, self.fast);
        }
        let checked = Pipeline::read(file)?.check(&Env::for_file(file, &global.models))?;
        if !self.fast {
            checked.look_outside().map_err(|e| e.at(file.display()))?;
        }
        if self.dot {
            return Ok(checked.dot());
        }
        if self.svg {
            return Ok(checked.svg());
        }
        Ok(console::harmless(&format!("{}: valid\n{}", file.display(), checked.text())))
    }
}
