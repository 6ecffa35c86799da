//! Any bytes as a picture: JPEG, PNG, BMP, with EXIF data.
//!
//! cargo install cargo-fuzz; cargo +nightly fuzz run picture fuzz/seeds/picture -- -max_len=32768 -rss_limit_mb=3072

#![no_main]

mod shared;

use ocelli::internals::media::still;
use ocelli::internals::types::Image;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    shared::only_what_gets_out();
    let _ = still::decode(bytes, &mut Image::default());
});
