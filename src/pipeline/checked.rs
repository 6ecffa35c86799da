//! A pipeline that was checked: the only kind that runs.

use super::config::{Line, Pipeline};
use super::graph::Graph;
use crate::stage::{Env, Tap};
use crate::yaml::{Document, Faults};
use std::sync::Arc;

/// A pipeline whose lines fit each other, in the environment that it was checked in.
pub struct Checked {
    pipeline: Pipeline,
    graph: Graph,
    env: Env,
}

impl Pipeline {
    /// Checks whether the lines fit each other, without opening a device.
    ///
    /// # Errors
    /// All that is wrong, each with its place.
    pub fn check(self, env: &Env) -> Result<Checked, Faults> {
        match Graph::of(&self, env) {
            Ok(graph) => Ok(Checked { pipeline: self, graph, env: env.clone() }),
            Err(list) => Err(self.document.faults(list)),
        }
    }
}

impl Checked {
    /// The lines, top to bottom.
    #[must_use]
    #[doc(hidden)]
    pub fn lines(&self) -> &[Line] {
        &self.pipeline.lines
    }

    /// The file that it came from.
    #[must_use]
    #[doc(hidden)]
    pub const fn document(&self) -> &Document {
        &self.pipeline.document
    }

    /// Who reads from whom; a node a line.
    #[must_use]
    #[doc(hidden)]
    pub const fn graph(&self) -> &Graph {
        &self.graph
    }

    /// What its parts may use.
    #[must_use]
    #[doc(hidden)]
    pub const fn env(&self) -> &Env {
        &self.env
    }

    /// What is not wrong but worth knowing.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.graph.notes
    }

    /// The graph as a table for people.
    #[must_use]
    pub fn text(&self) -> String {
        self.graph.text(&self.pipeline)
    }

    /// The graph in Graphviz's language.
    #[must_use]
    pub fn dot(&self) -> String {
        self.graph.dot(&self.pipeline)
    }

    /// The graph as an SVG picture.
    #[must_use]
    pub fn svg(&self) -> String {
        self.graph.svg(&self.pipeline)
    }

    /// Lets somebody listen to its runs: a recorder.
    #[must_use]
    #[doc(hidden)]
    pub fn heard_by(mut self, tap: Arc<dyn Tap>) -> Self {
        self.env.tap = Some(tap);
        self
    }
}
