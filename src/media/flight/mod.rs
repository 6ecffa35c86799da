//! Flights: what a run saw, stored on disk, so that it can be replayed byte for byte.
//!
//! A flight is a folder of files such as `00000017.flight`. Each file is a sequence of entries that begins with
//! [`Begin`]. A run begins a new file, and another one whenever the current file has grown large. The oldest files are
//! removed: the ring is bounded over all runs. A file that is cut off anywhere is intact up to the cut.

mod entry;
mod reader;
mod writer;

pub use entry::{Begin, Entry, FormEntry, FrameEntry, Next, SourceEntry, TruthEntry, UnitEntry, nanos, read, write};
pub use reader::{Entries, Flight, SourceFrames};
pub use writer::{FlightWriter, Keep};

use std::path::{Path, PathBuf};

/// The version of the format that this program writes.
pub const FORMAT: u32 = 1;

/// The file name extension of a flight's files.
const EXTENSION: &str = "flight";

/// Returns the numbered files of a folder, oldest first.
fn files(folder: &Path) -> std::io::Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    for item in std::fs::read_dir(folder)? {
        let path = item?.path();
        let number = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok());
        // Accept only the name that a writer would use: a file with another name could not be found again for removal.
        if let Some(number) = number.filter(|number| path.file_name() == name(*number).file_name()) {
            found.push((number, path));
        }
    }
    found.sort();
    Ok(found)
}

/// Returns the name of the file with this number.
fn name(number: u64) -> PathBuf {
    PathBuf::from(format!("{number:08}.{EXTENSION}"))
}
