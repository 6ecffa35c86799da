//! Flights: what a run saw, on disk, so that it can be played again to the byte.
//!
//! A flight is a folder of files `00000017.flight`, each a row of entries that begins with [`Begin`]. A run begins a
//! new file; files are begun anew as they grow, and the oldest are removed: the ring is bounded over all runs. A file
//! that was cut anywhere is whole up to the cut.

mod entry;
mod reader;
mod writer;

pub use entry::{Begin, Entry, FormEntry, FrameEntry, Next, SourceEntry, TruthEntry, UnitEntry, nanos, read, write};
pub use reader::{Entries, Flight, SourceFrames};
pub use writer::{FlightWriter, Keep};

use std::path::{Path, PathBuf};

/// The version of the form that this program writes.
pub const FORMAT: u32 = 1;

/// The ending of a flight's files.
const EXTENSION: &str = "flight";

/// The numbered files of a folder, oldest first.
fn files(folder: &Path) -> std::io::Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    for item in std::fs::read_dir(folder)? {
        let path = item?.path();
        let number = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok());
        // Only what a writer would call it: another name would not be found again to be removed.
        if let Some(number) = number.filter(|number| path.file_name() == name(*number).file_name()) {
            found.push((number, path));
        }
    }
    found.sort();
    Ok(found)
}

/// The name of a file.
fn name(number: u64) -> PathBuf {
    PathBuf::from(format!("{number:08}.{EXTENSION}"))
}
