//! Where answers go: one sink a file.

mod collect;
mod jsonl;
mod output;
mod record;
mod snapshot;

pub use collect::Collect;
pub use jsonl::row;

use crate::registry;

registry! {
    /// All sinks, in the order of the manual.
    SINKS: SinkConfig;
    jsonl => jsonl::Jsonl,
    record => record::Record,
    snapshot => snapshot::Snapshot,
}
