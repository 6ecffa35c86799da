//! Any bytes as an AVI file.
//!
//! cargo install cargo-fuzz; cargo +nightly fuzz run avi fuzz/seeds/avi -- -max_len=32768 -rss_limit_mb=3072

#![no_main]

mod shared;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| shared::play(bytes, 8, b"AVI "));
