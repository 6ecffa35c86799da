//! Any bytes as COCO's JSON.
//!
//! cargo install cargo-fuzz; cargo +nightly fuzz run labels_coco fuzz/seeds/labels_coco -- -max_len=16384 -rss_limit_mb=2048

#![no_main]

mod shared;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| shared::labels::read(&[("l.json", bytes)], "l.json"));
