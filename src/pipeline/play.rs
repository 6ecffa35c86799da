//! Plays a pipeline with other sources, settings and sinks.

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
    /// The options of the run.
    pub options: Options,
    /// Remarks that are worth knowing.
    pub notes: Vec<String>,
    /// The ids and words of the sinks that were removed.
    pub left_out: Vec<(String, String)>,
}

/// What is to be played.
pub struct Plan<'a> {
    /// The pipeline's file.
    pub file: &'a Path,
    /// The folders of the models.
    pub models: &'a [PathBuf],
    /// Settings to change.
    pub settings: Vec<(Setting, Node)>,
    /// What replaces the sources.
    pub playback: Playback,
    /// Which sinks are kept.
    pub sinks: Sinks,
    /// Where the sinks write.
    pub outputs: Outputs,
}

impl Play {
    /// Reads, changes and checks a pipeline.
    ///
    /// # Errors
    /// If the pipeline has faults, or the plan does not fit it.
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
                "`{}` is live: it never ends and delivers different frames each time; give --from FOLDER-OR-CLIP (`from:` in a test)",
                checked.lines()[live].id
            );
            return Err(Error::Config(message).at(plan.file.display()));
        }
        Ok(Self { checked, options, notes, left_out })
    }

    /// Starts it: loads the models, opens sources and sinks, and starts the threads.
    ///
    /// # Errors
    /// Why it could not start.
    pub fn start(&self) -> Result<Run> {
        self.checked.start_with(&self.options)
    }

    /// Runs it to the end.
    ///
    /// # Errors
    /// Why it could not start. What ended a started run is in the outcome.
    pub fn run(&self) -> Result<Outcome> {
        Ok(self.start()?.wait())
    }
}
