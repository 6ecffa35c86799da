//! YAML with places: every value knows its line and column, and every fault says where it is.
//!
//! `serde_yaml` (serde-saphyr) parses the text into a tree of [`Node`]s; each part of a pipeline is then
//! read from its own node, so that one fault does not hide the next.

mod de;
mod document;
mod fault;
mod node;
mod place;
pub mod schema;
mod substitute;
mod units;
mod wording;

pub use de::read;
pub use document::{Document, MAX_FILE_BYTES};
pub use fault::{Fault, Faults, nearest, one_of};
pub use node::{Node, Value, parse};
pub use place::Place;
pub use units::{Bytes, Span};
