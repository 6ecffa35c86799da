//! What comes out of RTP: any bytes as access units of H.264, with losses and times of all kinds between them.
//! (`retina` assembles the packets, and it does not accept packets from us.)
//!
//! cargo install cargo-fuzz; cargo +nightly fuzz run rtp fuzz/seeds/rtp -- -max_len=16384 -rss_limit_mb=3072

#![no_main]

mod shared;

use libfuzzer_sys::fuzz_target;
use ocelli::internals::media::h264_live::LiveDecoder;
use ocelli::internals::types::Image;
use std::time::Duration;

fuzz_target!(|bytes: &[u8]| {
    shared::only_what_gets_out();
    let mut decoder = LiveDecoder::default();
    let mut image = Image::default();
    let (mut rest, mut time) = (bytes, 0u64);
    // Each unit: flags (1: key, 2: lost, the rest: a time step), two bytes of length, then the unit.
    while let [flags, high, low, tail @ ..] = rest {
        let length = (usize::from(*high) << 8 | usize::from(*low)).min(tail.len());
        if flags & 2 != 0 {
            decoder.lost();
        }
        time = (time + u64::from(flags >> 2) * 37) % 1000;
        let _ = decoder.push(&tail[..length], Duration::from_millis(time), flags & 1 != 0);
        while let Some((_, pixels)) = decoder.next_picture() {
            let _ = pixels.to_rgb(&mut image);
        }
        rest = &tail[length..];
    }
});
