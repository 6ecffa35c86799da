//! Any bytes as a class map, and as the colours of one.
//!
//! cargo install cargo-fuzz; cargo +nightly fuzz run labels_masks fuzz/seeds/labels_masks -- -max_len=16384 -rss_limit_mb=2048

#![no_main]

mod shared;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| match bytes.split_first() {
    Some((0, bytes)) => {
        shared::labels::read(&[("a.png", include_bytes!("../seeds/labels_masks/rgb.png")), ("labelmap.txt", bytes)], "");
    }
    _ => shared::labels::read(&[("a.png", bytes)], ""),
});
