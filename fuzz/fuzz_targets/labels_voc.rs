//! Any bytes as an annotation of Pascal VOC.
//!
//! cargo install cargo-fuzz; cargo +nightly fuzz run labels_voc fuzz/seeds/labels_voc -- -max_len=16384 -rss_limit_mb=2048

#![no_main]

mod shared;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| shared::labels::read(&[("a.xml", bytes)], ""));
