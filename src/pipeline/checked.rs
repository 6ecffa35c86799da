//! A pipeline that was checked. Only checked pipelines can run.

use super::config::{Line, Pipeline};
use super::graph::Graph;
use crate::stage::{Env, Tap};
use crate::yaml::{Document, Faults};
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
