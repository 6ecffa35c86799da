//! Progress bars: on a terminal only, always on standard error, and never between lines of JSON.

use super::console;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;

/// A bar for `total` things; hidden if standard error is not a terminal.
#[must_use]
pub fn counted(total: u64, things: &'static str) -> ProgressBar {
    if console::is_json() || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(total).with_message(things);
    let style = ProgressStyle::with_template("{bar:32} {pos}/{len} {msg}, {eta} left");
    if let Ok(style) = style { bar.with_style(style) } else { bar }
}

#[cfg(feature = "pull")]
/// A bar for a download of `total` bytes (0 if unknown), of which `have` are already here.
#[must_use]
pub fn bytes(total: u64, have: u64) -> ProgressBar {
    if console::is_json() || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = if total > 0 { ProgressBar::new(total) } else { ProgressBar::no_length() };
    bar.set_position(have);
    let style = ProgressStyle::with_template("{bar:32} {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left");
    if let Ok(style) = style { bar.with_style(style) } else { bar }
}
