//! The counters of a recording.

use std::sync::atomic::AtomicU64;

/// Counts frames and bytes.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) frames: AtomicU64,
    pub(super) missed: AtomicU64,
    pub(super) bytes: AtomicU64,
}
