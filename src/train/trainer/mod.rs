//! Trains a model as a recipe says, part by part, epoch by epoch, so that it can be interrupted at any moment and go on.

mod event;
mod learner;
mod part;
mod phase;
mod run;
mod state;
mod training;

pub use event::{Ending, Event, Phase, Step};
pub use phase::LEAST;
pub use state::{Best, Progress, Row, State};
pub use training::Training;
