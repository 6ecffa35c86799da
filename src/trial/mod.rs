//! Trials of whole pipelines: tests, sweeps, benches, and how good their answers are.

pub mod bench;
mod file;
mod judge;
pub mod junit;
mod machine;
mod measure;
mod output;
pub mod sweep;

pub use file::{TestFile, schema};
pub use judge::{Trial, Verdict};
pub use measure::{measure, measuring};
pub use output::write_file;
