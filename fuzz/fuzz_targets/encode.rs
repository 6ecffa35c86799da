//! Any pictures, as videos: what the H.264 encoder writes, our decoder reads, picture for picture.
//!
//! cargo install cargo-fuzz; cargo +nightly fuzz run encode -- -max_len=65536 -rss_limit_mb=3072

#![no_main]

mod shared;

use libfuzzer_sys::fuzz_target;
use ocelli::internals::media::h264_encode::H264Encoder;
use ocelli::internals::media::h264_live::LiveDecoder;
use ocelli::internals::types::{Image, PixelFormat, Size};
use std::time::Duration;

fuzz_target!(|bytes: &[u8]| {
    shared::only_what_gets_out();
    let [width, height, qp, rest @ ..] = bytes else { return };
    let size = Size::new(16 + u32::from(*width) % 80, 16 + u32::from(*height) % 80);
    let mut encoder = H264Encoder::new(size, 25.0, 10 + qp % 42).expect("a size that fits");
    let (mut decoder, mut image, mut bits, mut shown) = (LiveDecoder::default(), Image::default(), Vec::new(), 0);
    image.reshape(size, PixelFormat::Rgb8);
    let count = image.data.len();
    // A picture is a piece of the input again and again, so that small inputs make noise, too.
    let pictures = rest.chunks(97).take(6).enumerate();
    let total = pictures.len();
    for (at, piece) in pictures {
        (0..count).for_each(|i| image.data[i] = piece[i % piece.len()]);
        bits.clear();
        let key = at == 0 || piece[0] & 7 == 0;
        encoder.encode(&image, key, &mut bits).expect("an encoder that does not fail");
        decoder.push(&bits, Duration::from_millis(at as u64 * 40), key).expect("what we write can be decoded");
        while decoder.next_picture().is_some() {
            shown += 1;
        }
    }
    // The parameter set promises the order of display, so nothing is held back.
    assert_eq!(shown, total);
});
