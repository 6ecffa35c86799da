//! Any bytes as a Matroska file, without the `ffmpeg` that would go on where our reader cannot.
//!
//! cargo install cargo-fuzz; cargo +nightly fuzz run mkv fuzz/seeds/mkv -- -max_len=32768 -rss_limit_mb=3072

#![no_main]

mod shared;

use ocelli::internals::media::h264::H264Reader;
use ocelli::internals::media::mkv;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(Ok(packets)) = mkv::open(&shared::file(bytes)) {
        if let Ok(mut reader) = H264Reader::new(packets) {
            shared::look(&mut reader);
        }
    }
});
