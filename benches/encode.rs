//! The H.264 encoders of `record`: ours (`rusty_h264`) and, with `--features openh264`, Cisco's.
//!
//! `cargo bench --bench encode -- VIDEO…` encodes up to 100 pictures of each video (examples/street.mp4 without one)
//! with the default QP, decodes them again, and prints bytes, PSNR of luma and milliseconds a picture. A build has one
//! encoder, so a comparison takes two runs: `scripts/encoders.sh` does both and prints one table.
#![allow(clippy::unwrap_used, missing_docs)]

use ocelli::internals::media::video;
use ocelli::internals::media::video_writer::{VideoFormat, VideoSettings, VideoWriter};
use ocelli::internals::types::Image;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

fn pictures(path: &Path, most: usize) -> Vec<Image> {
    let mut reader = video::open(path).unwrap();
    let mut all = Vec::new();
    while let Some(picture) = (all.len() < most).then(|| reader.next_picture().unwrap()).flatten() {
        let mut image = Image::default();
        picture.pixels.to_rgb(&mut image).unwrap();
        all.push(image);
    }
    all
}

fn luma(image: &Image) -> impl Iterator<Item = f64> {
    image.data.chunks_exact(3).map(|p| 0.299 * f64::from(p[0]) + 0.587 * f64::from(p[1]) + 0.114 * f64::from(p[2]))
}

fn psnr(a: &Image, b: &Image) -> f64 {
    let sum: f64 = luma(a).zip(luma(b)).map(|(a, b)| (a - b) * (a - b)).sum();
    10.0 * (255.0 * 255.0 / (sum / a.size.pixels() as f64).max(1e-9)).log10()
}

fn main() {
    let given: Vec<PathBuf> =
        std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).map(PathBuf::from).collect();
    let videos = if given.is_empty() { vec![PathBuf::from("examples/street.mp4")] } else { given };
    let encoder = if cfg!(feature = "openh264") { "openh264" } else { "rusty_h264" };
    println!("{:28} {:10} {:>9} {:>8} {:>9} {:>9}", "video", "encoder", "bytes", "PSNR dB", "ms (med)", "ms (max)");
    for path in &videos {
        let given = pictures(path, 100);
        let settings = VideoSettings { format: VideoFormat::Mp4, qp: 26, quality: 85 };
        let mut writer = VideoWriter::new(settings, given[0].size, 25.0).unwrap();
        let (mut bytes, mut times) = (Vec::new(), Vec::new());
        for (at, image) in given.iter().enumerate() {
            let start = Instant::now();
            writer.push(image, Duration::from_millis(at as u64 * 40), &mut bytes).unwrap();
            times.push(start.elapsed().as_secs_f64() * 1e3);
        }
        writer.finish(&mut bytes);
        let file = std::env::temp_dir().join(format!("ocelli-bench-encode-{}.mp4", std::process::id()));
        std::fs::write(&file, &bytes).unwrap();
        let got = pictures(&file, 100);
        std::fs::remove_file(&file).unwrap();
        assert_eq!(got.len(), given.len());
        let mean = given.iter().zip(&got).map(|(a, b)| psnr(a, b)).sum::<f64>() / given.len() as f64;
        times.sort_by(f64::total_cmp);
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let (median, most) = (times[times.len() / 2], times[times.len() - 1]);
        println!("{name:28} {encoder:10} {:9} {mean:8.2} {median:9.2} {most:9.2}", bytes.len());
    }
}
