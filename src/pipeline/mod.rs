//! From YAML to running threads: text → checked graph → run.

mod config;
mod graph;
mod picture;
mod queue;
mod run;
mod schema;

pub use config::{Every, Line, Part, Pipeline, QueueSetting, WhenFull};
pub use graph::{Graph, Node};
pub use run::{Outcome, Run, run};
pub use schema::{card_reference, reference, schema};
