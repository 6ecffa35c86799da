//! Where answers go: one sink a file.

mod jsonl;
mod output;
mod record;
mod snapshot;

use crate::registry;

registry! {
    /// All sinks, in the order of the manual.
    SINKS: SinkConfig;
    jsonl => jsonl::Jsonl,
    record => record::Record,
    snapshot => snapshot::Snapshot,
}
