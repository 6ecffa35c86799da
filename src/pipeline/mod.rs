//! From YAML to running threads: text → checked graph → run.

mod config;
mod graph;
mod picture;
mod playback;
mod queue;
mod recorder;
mod run;
mod schema;
mod setting;

pub use config::{Every, Line, Part, Pipeline, QueueSetting, WhenFull};
pub use graph::{Graph, Node};
pub use playback::{Origin, Playback, Sinks};
pub use recorder::{RecordSettings, Recorder};
pub use run::{Options, Outcome, Pace, Run, run};
pub use schema::{card_reference, reference, schema};
pub use setting::{Setting, shown};
