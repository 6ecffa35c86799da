//! Any bytes as a list of names, as `data.yaml`, and as `obj.data`, by the first byte.
//!
//! cargo install cargo-fuzz; cargo +nightly fuzz run labels_names fuzz/seeds/labels_names -- -max_len=16384 -rss_limit_mb=2048

#![no_main]

mod shared;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    const LABELS: (&str, &[u8]) = ("a.txt", b"0 0.5 0.5 0.1 0.1\n2 0.5 0.5 0.1 0.1\n");
    let Some((kind, bytes)) = bytes.split_first() else { return };
    match kind % 3 {
        0 => shared::labels::read(&[LABELS, ("classes.txt", bytes)], ""),
        1 => shared::labels::read(&[LABELS, ("data.yaml", bytes)], "data.yaml"),
        _ => shared::labels::read(&[LABELS, ("train.txt", bytes), ("obj.data", bytes)], "obj.data"),
    }
});
