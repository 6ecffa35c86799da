//! Damaged and hostile files cause an error, never a panic or a hang. Mutations are seeded, so failures can be
//! reproduced; the seed of the failing round is in the message.
#![allow(clippy::unwrap_used)]

#[path = "support/limit.rs"]
mod limit;
mod support;

use ocelli::internals::media::{still, video};
use ocelli::internals::types::Image;
use ocelli::internals::yaml::{Document, read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::Command;

/// A xorshift generator, good enough for choosing bytes.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides.max(1) as u64) as usize
    }
}

/// Flips a bit, overwrites a byte, cuts, repeats a piece or makes a number huge, somewhere.
fn mangle(original: &[u8], seed: u64) -> Vec<u8> {
    let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let mut bytes = original.to_vec();
    for _ in 0..=dice.roll(4) {
        if bytes.is_empty() {
            break;
        }
        // Headers are the most vulnerable part: half of all changes go to the first 2 KiB.
        let reach = if dice.roll(2) == 0 { bytes.len().min(2048) } else { bytes.len() };
        let at = dice.roll(reach);
        match dice.roll(5) {
            0 => bytes[at] ^= 1 << dice.roll(8),
            1 => bytes[at] = [0, 0xFF, 0x7F, 0x80][dice.roll(4)],
            2 => bytes.truncate(at),
            3 => (0..4)
                .filter(|i| at + i < bytes.len())
                .collect::<Vec<_>>()
                .into_iter()
                .for_each(|i| bytes[at + i] = 0xFF),
            _ => {
                let end = (at + dice.roll(64)).min(bytes.len());
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece);
            }
        }
    }
    bytes
}

fn survives(name: &str, original: &[u8], rounds: u64, work: impl Fn(&[u8])) {
    for seed in 0..rounds {
        let bytes = mangle(original, seed);
        assert!(catch_unwind(AssertUnwindSafe(|| work(&bytes))).is_ok(), "{name}: round {seed} panicked");
    }
}

fn play(path: &Path) {
    let Ok(mut reader) = video::open(path) else { return };
    let mut image = Image::default();
    for _ in 0..10 {
        match reader.next_picture() {
            Ok(Some(picture)) => _ = picture.pixels.to_rgb(&mut image),
            Ok(None) | Err(_) => break,
        }
    }
}

#[test]
fn pictures() {
    let _limit = limit::within(300);
    let mut scene = ocelli::internals::sources::scene::Renderer::new(
        ocelli::internals::sources::scene::Setting::Street,
        1,
        4,
        4.0,
        ocelli::internals::types::Size::new(64, 48),
    );
    let (mut image, mut truth) = (Image::default(), Vec::new());
    scene.render(3.0, 0, &mut image, &mut truth);
    let (mut jpeg, mut png) = (Vec::new(), Vec::new());
    ocelli::internals::media::jpeg::encode(&image, 80, &mut jpeg).unwrap();
    ocelli::internals::media::png::encode(&image, &mut png).unwrap();
    let mut bmp = b"BM\0\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\x40\0\0\0\x30\0\0\0\x01\0\x18\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0".to_vec();
    bmp.extend_from_slice(&image.data);
    for (name, bytes) in [("jpeg", &jpeg), ("png", &png), ("bmp", &bmp)] {
        still::decode(bytes, &mut Image::default()).unwrap_or_else(|e| panic!("{name}: {e}"));
        survives(name, bytes, 1500, |bytes| _ = still::decode(bytes, &mut Image::default()));
    }
}

#[test]
fn videos() {
    let _limit = limit::within(300);
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let text = format!(
        "pipeline:\n- scene: {{ frames: 20, size: [64, 48] }}\n- {{ id: avi, record: {{ path: '{}' }} }}\n",
        at("a.avi").display()
    );
    support::pipe::play(&text, &support::pipe::env(&[])).result.unwrap();
    let mut y4m = b"YUV4MPEG2 W16 H16 F10:1 C420jpeg\n".to_vec();
    (0..8).for_each(|_| {
        y4m.extend(b"FRAME\n");
        y4m.extend([77; 384]);
    });
    let clip = std::fs::read("examples/street.mp4").unwrap();
    // Only the clip's first fragment, which is small enough for many rounds.
    let cut = clip.windows(4).enumerate().filter(|(_, w)| w == b"moof").nth(1).map_or(clip.len(), |(at, _)| at - 4);
    let mut samples = vec![("a.avi", std::fs::read(at("a.avi")).unwrap(), 400), ("a.y4m", y4m, 800)];
    if cfg!(feature = "h264") {
        samples.push(("a.mp4", clip[..cut].to_vec(), 80));
    }
    if support::ffmpeg_is_installed() {
        std::fs::write(at("clip.mp4"), &clip[..cut]).unwrap();
        let made = Command::new("ffmpeg")
            .args(["-v", "error", "-i"])
            .arg(at("clip.mp4"))
            .args(["-c", "copy"])
            .arg(at("a.mkv"))
            .status();
        assert!(made.unwrap().success());
        samples.push(("a.mkv", std::fs::read(at("a.mkv")).unwrap(), 80));
    }
    // A file that is no longer recognised would go to ffmpeg, which is not tested here.
    let magic = |bytes: &[u8], original: &[u8]| bytes.len() >= 12 && bytes[..12] == original[..12];
    for (name, original, rounds) in samples {
        let path = at(&format!("mangled-{name}"));
        survives(name, &original, rounds, |bytes| {
            if magic(bytes, &original) {
                std::fs::write(&path, bytes).unwrap();
                play(&path);
            }
        });
    }
}

#[test]
fn yaml() {
    let _limit = limit::within(300);
    for file in ["pipelines/quickstart.yaml", "models/scene/card.yaml"] {
        let original = std::fs::read(file).unwrap();
        survives(file, &original, 3000, |bytes| {
            let Ok(text) = String::from_utf8(bytes.to_vec()) else { return };
            if let Ok(document) = Document::parse("m.yaml", text, |_| Err("no".into())) {
                let _ = read::<ocelli::internals::models::Family>(&document.root);
                if let Ok(pipeline) = ocelli::internals::pipeline::Pipeline::of(document, &ocelli::Parts::builtin()) {
                    let _ = pipeline.check(&support::pipe::env(&[]));
                }
            }
        });
    }
}
