//! Damaged labels of every format cause an error or a note, never a panic or a hang. Mutations are seeded; the fuzz
//! targets `labels_*` go on from here.
#![allow(clippy::unwrap_used)]

#[path = "support/limit.rs"]
mod limit;

use ocelli::internals::labels::{ClassFit, Counts, Labels, MaskRules, Matching, Notes, Played, Truth};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// Changes some bytes: flips, cuts, repeats, and digits that become other digits.
fn mangle(original: &[u8], seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut roll = |sides: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % sides.max(1) as u64) as usize
    };
    let mut bytes = original.to_vec();
    for _ in 0..=roll(5) {
        if bytes.is_empty() {
            break;
        }
        let at = roll(bytes.len());
        match roll(6) {
            0 => bytes[at] ^= 1 << roll(8),
            1 => bytes[at] = b"0-.,9e\"{}[]<>/\n\0\xFF"[roll(17)],
            2 => bytes.truncate(at),
            3 => {
                let end = (at + roll(40)).min(bytes.len());
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece);
            }
            4 => drop(bytes.splice(at..at, b"99999999999999999999".iter().copied())),
            _ => drop(bytes.drain(at..(at + roll(12)).min(bytes.len()))),
        }
    }
    bytes
}

fn look(path: &Path) {
    let Ok(labels) = Labels::read(&Truth::at(path)) else { return };
    let model: Vec<String> = ["cat", "dog", "x"].map(str::to_owned).to_vec();
    let mut notes = Notes::default();
    let _ = ClassFit::new(&labels, &Counts::of(&labels), &model, &mut notes);
    if let Ok(rules) = MaskRules::find(&labels, &model, &mut notes) {
        labels.pictures.iter().filter_map(|p| p.mask.as_deref()).for_each(|mask| _ = rules.read(mask));
    }
    let played = ["a.jpg", "b/a.png"].map(|name| Played { source: "s".into(), name: name.into(), path: name.into() });
    let _ = Matching::new(&labels).resolve(&labels, &played);
}

#[test]
fn no_damage_is_a_panic() {
    let _limit = limit::within(300);
    let readers = Path::new("tests/readers");
    let voc = readers.join("voc/VOCdevkit/VOC2012");
    let masks = readers.join("masks/VOCdevkit/VOC2012/SegmentationClass");
    let read = |path: std::path::PathBuf| std::fs::read(path).unwrap();
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("l.json", read(readers.join("coco/polygons.json")), "l.json"),
        ("l.json", read(readers.join("coco/crowd-rle.json")), ""),
        ("a.xml", read(voc.join("Annotations/parts-before.xml")), ""),
        (
            "a.txt",
            b"0 0.5 0.5 0.2 0.4\n1 0.1 0.1 0.2 0.1 0.2 0.2 0.1 0.2\n0 0.5 0.5 0.2 0.4 0.45 0.5 2 0 0 0\n".to_vec(),
            "",
        ),
        (
            "data.yaml",
            b"path: .\ntrain: [images, ../x]\nval: v.txt\nkpt_shape: [2, 3]\nnames: {0: cat, 1: dog}\n".to_vec(),
            "data.yaml",
        ),
        ("obj.data", b"classes = 2\ntrain = data/obj.data\nnames = obj.data\nx/a.jpg\n".to_vec(), "obj.data"),
        ("classes.txt", "\u{feff}\"cat\",\n\n1: dog\n- x\n".as_bytes().to_vec(), ""),
        ("a.png", read(masks.join("palette-4.png")), ""),
        ("labelmap.txt", b"# label:color_rgb:parts:actions\ncat:0,0,0::\ndog:128,0,0::\n".to_vec(), ""),
    ];
    for (name, original, path) in cases {
        for seed in 0..400 {
            let folder = tempfile::tempdir().unwrap();
            match name {
                "data.yaml" | "obj.data" | "classes.txt" => {
                    std::fs::write(folder.path().join("a.txt"), "0 0.5 0.5 0.1 0.1\n").unwrap();
                }
                "labelmap.txt" => {
                    std::fs::copy(masks.join("rgb.png"), folder.path().join("a.png")).map(drop).unwrap();
                }
                _ => {}
            }
            std::fs::write(folder.path().join(name), mangle(&original, seed)).unwrap();
            let end = catch_unwind(AssertUnwindSafe(|| look(&folder.path().join(path))));
            assert!(end.is_ok(), "{name}: seed {seed}");
        }
    }
}
