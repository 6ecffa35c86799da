//! A pipeline that was checked. Only checked pipelines can run.

use super::config::{Line, Pipeline};
use super::graph::Graph;
use super::settings::Settings;
use crate::error::Result;
use crate::host::can_write;
use crate::models;
use crate::stage::{Env, Tap};
use crate::yaml::{Document, Faults};
use std::path::Path;
use std::sync::Arc;

/// A pipeline whose lines fit together, with the environment in which it was checked.
pub struct Checked {
    pipeline: Pipeline,
    graph: Graph,
    env: Env,
}

impl Pipeline {
    /// Checks whether the lines fit together, without opening a device.
    ///
    /// # Errors
    /// All faults, each with its place.
    pub fn check(self, env: &Env) -> Result<Checked, Faults> {
        match Graph::of(&self, env) {
            Ok(graph) => Ok(Checked { pipeline: self, graph, env: env.clone() }),
            Err(list) => Err(self.document.faults(list)),
        }
    }
}

impl Checked {
    /// Takes the pipeline out again, to change it.
    #[must_use]
    #[doc(hidden)]
    pub fn into_pipeline(self) -> Pipeline {
        self.pipeline
    }

    /// The lines, from top to bottom.
    #[must_use]
    #[doc(hidden)]
    pub fn lines(&self) -> &[Line] {
        &self.pipeline.lines
    }

    /// The file it was read from.
    #[must_use]
    #[doc(hidden)]
    pub const fn document(&self) -> &Document {
        &self.pipeline.document
    }

    /// The graph, with one node per line.
    #[must_use]
    #[doc(hidden)]
    pub const fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The environment of its parts.
    #[must_use]
    #[doc(hidden)]
    pub const fn env(&self) -> &Env {
        &self.env
    }

    /// Remarks that are worth knowing but are not faults.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.graph.notes
    }

    /// Looks at what lies outside the YAML: compares the files of models with their cards, and finds out whether sinks
    /// could write. Nothing is loaded or created.
    ///
    /// # Errors
    /// The first fault, with its line.
    #[doc(hidden)]
    pub fn look_outside(&self) -> Result<()> {
        for (line, node) in self.pipeline.lines.iter().zip(&self.graph.nodes) {
            match &line.settings {
                Settings::Stage(stage) => {
                    let Some(model) = stage.model() else { continue };
                    let card = self.env.models.card(model)?;
                    models::check(&card).map_err(|e| e.at(&line.id))?;
                }
                Settings::Sink(sink) => {
                    let Some(path) = sink.writes().filter(|path| path != Path::new("-")) else { continue };
                    let path = self.env.outputs.path(&path.to_string_lossy()).to_string_lossy().into_owned();
                    // What the first field of the name will be is not known yet, but its folder is.
                    let known = path.split('{').next().unwrap_or_default();
                    let known = if known.len() < path.len() { format!("{known}_") } else { known.to_owned() };
                    can_write(Path::new(&known), node.live).map_err(|e| e.at(&line.id))?;
                }
                Settings::Source(_) => {}
            }
        }
        Ok(())
    }

    /// Returns the graph as a plain-text table.
    #[must_use]
    pub fn text(&self) -> String {
        self.graph.text(&self.pipeline)
    }

    /// Returns the graph in Graphviz's DOT language.
    #[must_use]
    pub fn dot(&self) -> String {
        self.graph.dot(&self.pipeline)
    }

    /// Returns the graph as SVG.
    #[must_use]
    pub fn svg(&self) -> String {
        self.graph.svg(&self.pipeline)
    }

    /// Attaches a listener, such as a recorder, to its runs.
    #[must_use]
    #[doc(hidden)]
    pub fn with_tap(mut self, tap: Arc<dyn Tap>) -> Self {
        self.env.tap = Some(tap);
        self
    }
}
