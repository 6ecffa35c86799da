//! Work on graphs that can come from anywhere.

use crate::host::catch;

/// Runs `work` and turns a panic into an error: tract can panic on unusual graphs, and a model must never crash the
/// program.
pub fn guarded<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch(work).unwrap_or_else(|said| {
        let said = if said.is_empty() { "without a message" } else { &said };
        Err(format!("this graph made tract or a rewrite panic: {said}"))
    })
}
