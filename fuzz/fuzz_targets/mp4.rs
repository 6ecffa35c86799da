//! Any bytes as an MP4 file.
//!
//! cargo install cargo-fuzz; cargo +nightly fuzz run mp4 fuzz/seeds/mp4 -- -max_len=32768 -rss_limit_mb=3072

#![no_main]

mod shared;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| shared::play(bytes, 4, b"ftyp"));
