//! Any bytes as a YOLO text file.
//!
//! cargo install cargo-fuzz; cargo +nightly fuzz run labels_yolo fuzz/seeds/labels_yolo -- -max_len=16384 -rss_limit_mb=2048

#![no_main]

mod shared;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| shared::labels::read(&[("a.txt", bytes), ("classes.txt", b"person\ncar\n")], ""));
