//! Any bytes as an ONNX file: it is read and rewritten, a card is proposed, and tract optimises and runs it.
//!
//! cargo install cargo-fuzz; cargo +nightly fuzz run onnx fuzz/seeds/onnx -- -max_len=16384 -rss_limit_mb=512

#![no_main]

use libfuzzer_sys::fuzz_target;
use ocelli::internals::infer::{Card, Session};
use ocelli::internals::models::propose::propose;
use ocelli::internals::onnx::Model;
use ocelli::internals::types::{Image, PixelFormat};
use sha2::{Digest, Sha256};
use std::sync::{Arc, OnceLock};

fuzz_target!(|bytes: &[u8]| {
    let Ok(model) = Model::decode(bytes.to_vec()) else { return };
    let _ = propose(&model);
    static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| tempfile::tempdir().expect("a temporary folder")).path();
    let hash: String = Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect();
    let card = format!(
        "model: {{ file: m.onnx, sha256: {hash}, license: MIT, source: fuzz }}\ninput: {{ size: [8, 8] }}\nfamily: {{ reconstruction: {{}} }}\n"
    );
    std::fs::write(folder.join("m.onnx"), bytes).expect("the temporary folder");
    std::fs::write(folder.join("card.yaml"), card).expect("the temporary folder");
    let Ok(card) = Card::read(folder) else { return };
    if let Ok(mut session) = Session::load(&card) {
        let _ = session.run(&Arc::from(""), &Image::new(card.fields.input.size, PixelFormat::Rgb8));
    }
});
