//! Any bytes as an MP4 or QuickTime file, without the `ffmpeg` that would go on where our reader cannot.
//!
//! cargo install cargo-fuzz; cargo +nightly fuzz run mp4 fuzz/seeds/mp4 -- -max_len=32768 -rss_limit_mb=3072

#![no_main]

mod shared;

use ocelli::internals::media::h264::H264Reader;
use ocelli::internals::media::mp4;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(Ok(packets)) = mp4::open(&shared::file(bytes)) {
        if let Ok(mut reader) = H264Reader::new(packets) {
            shared::look(&mut reader);
        }
    }
});
