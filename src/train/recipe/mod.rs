//! A training as a file: which data, from which model, what stays frozen, how, and where the result goes.

mod augment;
mod data;
mod freeze;
mod origin;
mod proposal;
mod schedule;
mod settings;
mod written;

pub use augment::{Augment, Cache};
pub use data::Data;
pub use freeze::Freeze;
pub use origin::{New, Origin};
pub use proposal::proposal;
pub use schedule::{Curve, Optimizer, Schedule};
pub use settings::{Export, Heads, Recipe, schema};
pub use written::Written;
