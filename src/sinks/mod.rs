//! Where answers go: one sink per file.

mod collect;
mod deliver;
mod files;
mod jsonl;
mod record;
mod snapshot;

pub use collect::Collect;
pub use deliver::Deliver;
pub use jsonl::row;

use crate::stage::registry;

registry! {
    /// All sinks, in the order of the manual.
    SINKS: SinkConfig;
    jsonl => jsonl::Jsonl,
    record => record::Record,
    snapshot => snapshot::Snapshot,
}
