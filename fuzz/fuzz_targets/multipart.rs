//! Any bytes as a stream of JPEG pictures, in chunks whose sizes come from the first bytes.
//!
//! cargo install cargo-fuzz; cargo +nightly fuzz run multipart fuzz/seeds/multipart -- -max_len=65536

#![no_main]

use libfuzzer_sys::fuzz_target;
use ocelli::internals::error::Error;
use ocelli::internals::media::{jpeg, mjpeg::MjpegReader};
use ocelli::internals::types::Image;
use std::io::Read;

struct Chunks<'a>(&'a [u8], &'a [u8], usize);

impl Read for Chunks<'_> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let wish = self.1.get(self.2 % self.1.len().max(1)).map_or(1, |b| usize::from(*b) + 1);
        self.2 += 1;
        let count = wish.min(out.len()).min(self.0.len());
        out[..count].copy_from_slice(&self.0[..count]);
        self.0 = &self.0[count..];
        Ok(count)
    }
}

fuzz_target!(|bytes: &[u8]| {
    let (sizes, stream) = bytes.split_at(bytes.len().min(4));
    let mut reader = MjpegReader::new(Chunks(stream, sizes, 0));
    let mut image = Image::default();
    for _ in 0..64 {
        match reader.next_picture() {
            // Only small pictures are decoded: what is tested here is where they end.
            Ok(Some(picture)) if picture.len() < 4096 => _ = jpeg::decode(picture, &mut image),
            Ok(Some(_)) | Err(Error::Data(_)) => {}
            Ok(None) | Err(_) => return,
        }
    }
});
