//! Turns YAML into running threads: text → checked graph → run.

mod checked;
mod config;
mod detector;
mod gate;
mod graph;
mod manual;
mod options;
mod packets;
mod parts;
mod picture;
mod play;
mod playback;
mod queue;
mod recorder;
mod run;
mod schema;
mod setting;
mod settings;
mod slot;
mod worker;

pub use checked::Checked;
pub use config::{Every, Line, Pipeline, QueueSetting, WhenFull};
pub use detector::Detector;
pub use graph::{Graph, Node};
pub use manual::{card_reference, fields, reference};
pub use options::{DEFAULT_MAX_FAULTS, Options, Pace};
pub use packets::Packets;
pub use parts::{AnyPart, Parts};
pub use play::{Plan, Play};
pub use playback::{Origin, Playback, Sinks};
pub use recorder::{RecordSettings, Recorder};
pub use run::{Outcome, Run};
pub use schema::schema;
pub use setting::{Setting, set, shown};
pub use settings::Settings;
