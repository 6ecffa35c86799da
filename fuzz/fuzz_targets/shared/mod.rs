//! Code that the targets for files and streams share.
#![allow(dead_code)]

pub mod labels;

use ocelli::internals::media::picture::VideoReader;
use ocelli::internals::media::video;
use ocelli::internals::types::Image;
use std::path::PathBuf;
use std::sync::{Once, OnceLock};

/// Silences panics: those inside other crates that ocelli catches and turns into errors are not findings. One that gets
/// out still ends the fuzzer.
pub fn only_what_gets_out() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| std::panic::set_hook(Box::new(|_| {})));
}

/// Writes the bytes to a file and returns its path.
pub fn file(bytes: &[u8]) -> PathBuf {
    only_what_gets_out();
    static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();
    let path = FOLDER.get_or_init(|| tempfile::tempdir().expect("a temporary folder")).path().join("file");
    std::fs::write(&path, bytes).expect("the temporary folder");
    path
}

/// Plays a recording from a file, if `magic` is at `offset`. Anything else is another format, or goes to ffmpeg.
pub fn play(bytes: &[u8], offset: usize, magic: &[u8]) {
    if bytes.get(offset..).is_some_and(|rest| rest.starts_with(magic)) {
        if let Ok(mut reader) = video::open(&file(bytes)) {
            look(&mut *reader);
        }
    }
}

/// Decodes the first pictures.
pub fn look(reader: &mut dyn VideoReader) {
    let mut image = Image::default();
    for _ in 0..8 {
        match reader.next_picture() {
            Ok(Some(picture)) => _ = picture.pixels.to_rgb(&mut image),
            Ok(None) | Err(_) => break,
        }
    }
}
