//! A pipeline that is played again: other sources, other settings, other sinks.

use super::checked::Checked;
use super::config::Pipeline;
use super::options::Options;
use super::parts::Parts;
use super::playback::{Playback, Sinks};
use super::run::{Outcome, Run};
use super::setting::{Setting, shown};
use crate::error::{Error, Result};
use crate::stage::{Env, Outputs};
use crate::yaml::{Document, Node};
use std::path::{Path, PathBuf};

/// A pipeline ready to be played.
pub struct Play {
    /// The pipeline.
    pub checked: Checked,
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
    /// Folders of models.
    pub models: &'a [PathBuf],
    /// Settings that differ.
    pub settings: Vec<(Setting, Node)>,
    /// What takes the sources' places.
    pub playback: Playback,
    /// What is left of the sinks.
    pub sinks: Sinks,
    /// Where they write.
    pub outputs: Outputs,
}

impl Play {
    /// Reads, changes and checks a pipeline.
    ///
    /// # Errors
    /// What does not fit.
    pub fn prepare(plan: Plan<'_>) -> Result<Self> {
        let mut env = Env::for_file(plan.file, plan.models);
        env.outputs = plan.outputs;
        let mut document = Document::read(plan.file)?;
        let mut changes = Vec::new();
        for (setting, value) in &plan.settings {
            setting.apply(&mut document, value)?;
            changes.push(format!("{}={}", setting.name(), shown(value)));
        }
        let with = |e: Error| {
            if changes.is_empty() { e } else { e.at(format_args!("with {}", changes.join(" "))) }
        };
        let mut pipeline = Pipeline::of(document, &Parts::builtin()).map_err(with)?;
        let left_out = plan.sinks.apply(&mut pipeline)?;
        let (options, notes) = plan.playback.apply(&mut pipeline, &mut env)?;
        let checked = pipeline.check(&env).map_err(|faults| with(faults.into()))?;
        if let Some(live) = checked.graph().nodes.iter().position(|node| node.live) {
            let message = format!(
                "`{}` is live: it never ends, and shows other frames each time; give --from FOLDER-OR-CLIP (`from:` in a test)",
                checked.lines()[live].id
            );
            return Err(Error::Config(message).at(plan.file.display()));
        }
        Ok(Self { checked, options, notes, left_out })
    }

    /// Starts it: models are loaded, and the first frames come.
    ///
    /// # Errors
    /// What kept it from starting.
    pub fn start(&self) -> Result<Run> {
        self.checked.start_with(&self.options)
    }

    /// Runs it to its end.
    ///
    /// # Errors
    /// What kept it from starting; what ended it is in the outcome.
    pub fn run(&self) -> Result<Outcome> {
        Ok(self.start()?.wait())
    }
}
