//! Any bytes as a Y4M file.
//!
//! cargo install cargo-fuzz; cargo +nightly fuzz run y4m fuzz/seeds/y4m -- -max_len=32768 -rss_limit_mb=3072

#![no_main]

mod shared;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| shared::play(bytes, 0, b"YUV4MPEG2"));
