//! Any bytes as a recording in a file.
//!
//! cargo install cargo-fuzz; cargo +nightly fuzz run mp4 fuzz/seeds/mp4 -- -max_len=65536 -rss_limit_mb=3072

#![no_main]

use libfuzzer_sys::fuzz_target;
use ocelli::media::video;
use ocelli::types::Image;
use std::sync::{Once, OnceLock};

/// Panics inside other crates that ocelli catches and turns into errors are no findings; one that gets out still ends
/// the fuzzer.
fn only_what_gets_out() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| std::panic::set_hook(Box::new(|_| {})));
}

fuzz_target!(|bytes: &[u8]| {
    only_what_gets_out();
    // What begins as another format, or is read by ffmpeg, is not tried here.
    let ours = match bytes {
        [b'Y', b'U', b'V', b'4', b'M', b'P', b'E', b'G', b'2', ..] => "y4m",
        [b'R', b'I', b'F', b'F', _, _, _, _, b'A', b'V', b'I', b' ', ..] => "avi",
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => "mp4",
        _ => return,
    };
    if ours != "mp4" {
        return;
    }
    static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();
    let path = FOLDER.get_or_init(|| tempfile::tempdir().expect("a temporary folder")).path().join("file");
    std::fs::write(&path, bytes).expect("the temporary folder");
    let Ok(mut reader) = video::open(&path) else { return };
    let mut image = Image::default();
    for _ in 0..8 {
        match reader.next_picture() {
            Ok(Some(picture)) => _ = picture.pixels.to_rgb(&mut image),
            Ok(None) | Err(_) => break,
        }
    }
});
