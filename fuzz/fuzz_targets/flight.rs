//! Any bytes as entries of a recording, with correct checksums: a reader must not trust their contents.
//!
//! cargo install cargo-fuzz; cargo +nightly fuzz run flight fuzz/seeds/flight -- -max_len=32768 -rss_limit_mb=3072

#![no_main]

mod shared;

use ocelli::internals::media::flight::Flight;
use ocelli::internals::types::Image;
use std::sync::OnceLock;

/// Cuts bytes at the lengths in front of each piece, and makes each piece an entry with a valid checksum.
fn entries(mut bytes: &[u8]) -> Vec<u8> {
    let mut file = Vec::new();
    while let [a, b, c, d, rest @ ..] = bytes {
        let head = usize::from(u16::from_le_bytes([*a, *b])).min(rest.len());
        let all = (head + usize::from(u16::from_le_bytes([*c, *d]))).min(rest.len());
        let (entry, more) = rest.split_at(all);
        let body = [&(head as u32).to_le_bytes(), entry].concat();
        file.extend((body.len() as u32).to_le_bytes());
        file.extend(crc32fast::hash(&body).to_le_bytes());
        file.extend(body);
        bytes = more;
    }
    file
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    shared::only_what_gets_out();
    static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| tempfile::tempdir().expect("a temporary folder")).path();
    let file = match bytes.split_first() {
        // As it is: with false lengths and checksums.
        Some((0, raw)) => raw.to_vec(),
        Some((_, pieces)) => entries(pieces),
        None => return,
    };
    std::fs::write(folder.join("00000000.flight"), file).expect("the temporary folder");
    let Ok(flight) = Flight::open(folder, None) else { return };
    for source in &flight.begin.sources {
        let (mut frames, mut image) = (flight.frames(&source.id), Image::default());
        for _ in 0..20 {
            if !matches!(frames.next_frame(&mut image), Ok(Some(_))) {
                break;
            }
        }
    }
});
