//! Compares decoded frames with ffmpeg's, picture by picture (MD5 of the planes).
#![allow(clippy::unwrap_used)]

#[path = "support/limit.rs"]
mod limit;
mod support;

use md5::{Digest, Md5};
use ocelli::internals::media::picture::Pixels;
use ocelli::internals::media::video;
use ocelli::internals::types::Image;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::{ffmpeg_is_installed, folder};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Returns the MD5 and time (microseconds) of each picture as we decode it.
fn ours(path: &Path) -> Vec<(String, u128)> {
    let mut reader = video::open(path).unwrap_or_else(|e| panic!("{e}"));
    let mut all = Vec::new();
    while let Some(picture) = reader.next_picture().unwrap_or_else(|e| panic!("{e}")) {
        let Pixels::Yuv(planes, _) = picture.pixels else { panic!("expected planes") };
        let mut hash = Md5::new();
        for plane in [planes.y, planes.u, planes.v] {
            hash.update(plane);
        }
        all.push((hex(&hash.finalize()), picture.pts.as_micros()));
    }
    all
}

/// Returns the same from `ffmpeg -f framemd5`.
fn theirs(path: &Path) -> Vec<(String, u128)> {
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-i"])
        .arg(path)
        .args(["-map", "0:v:0", "-vsync", "passthrough", "-enc_time_base", "1:1000000", "-f", "framemd5", "-"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let base = text.lines().find_map(|l| l.strip_prefix("#tb 0: ")).unwrap();
    let (num, den) =
        base.split_once('/').map(|(n, d)| (n.parse::<u128>().unwrap(), d.parse::<u128>().unwrap())).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let read = |line: &str| {
        let fields: Vec<&str> = line.split(',').map(str::trim).collect();
        (fields[5].to_owned(), fields[2].parse::<u128>().unwrap() * num * 1_000_000 / den)
    };
    let mut all: Vec<_> = lines.map(read).collect();
    let start = all[0].1;
    all.iter_mut().for_each(|(_, pts)| *pts -= start);
    all
}

fn assert_equal(path: &Path) {
    let (ours, theirs) = (ours(path), theirs(path));
    let name = path.file_name().unwrap().to_string_lossy();
    assert_eq!(ours.len(), theirs.len(), "{name}: number of pictures");
    for (index, (a, b)) in ours.iter().zip(&theirs).enumerate() {
        assert_eq!(a.0, b.0, "{name}: picture {index}");
        assert!(a.1.abs_diff(b.1) <= 1000, "{name}: picture {index}: at {} us, ffmpeg at {} us", a.1, b.1);
    }
    eprintln!("{name}: {} pictures equal bit for bit", ours.len());
}

/// Makes a clip with ffmpeg in `folder`.
fn make(folder: &Path, name: &str, args: &str) -> PathBuf {
    let path = folder.join(name);
    let status = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-y"])
        .args(args.split_whitespace())
        .arg(&path)
        .status()
        .unwrap();
    assert!(status.success(), "{name}");
    path
}

#[test]
fn field_clips_decode_as_ffmpeg_decodes_them() {
    let _limit = limit::within(300);
    let Some(field) = folder("OCELLI_FIELD") else { return };
    if !ffmpeg_is_installed() {
        return;
    }
    for name in
        ["one-by-one-person-detection.mp4", "bottle-detection.mp4", "carnd_test_video.mp4", "person_320x180.y4m"]
    {
        assert_equal(&field.join("video").join(name));
    }
}

#[cfg(feature = "h264")]
#[test]
fn h264_of_every_common_kind_decodes_as_ffmpeg_decodes_it() {
    let _limit = limit::within(300);
    if !ffmpeg_is_installed() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let source = "-f lavfi -i testsrc2=size=320x240:rate=25:duration=2 -pix_fmt yuv420p -c:v libx264";
    let kinds = [
        ("baseline.mp4", "-profile:v baseline"),
        ("main_cavlc.mp4", "-profile:v main -coder 0 -bf 2"),
        ("high_b.mp4", "-profile:v high -bf 3 -g 12"),
        ("pyramid.mp4", "-bf 4 -b-pyramid normal -weightp 2 -refs 4"),
        ("slices.mp4", "-slices 4 -bf 2"),
        ("open_gop.mp4", "-x264-params open-gop=1:keyint=10:bframes=3"),
        ("fragments.mp4", "-bf 2 -movflags frag_keyframe+empty_moov"),
        ("front.mp4", "-bf 2 -movflags faststart"),
        ("interlaced.mp4", "-flags +ildct+ilme -x264opts tff=1"),
        ("full_range.mp4", "-color_range pc -colorspace bt709"),
    ];
    for (name, args) in kinds {
        assert_equal(&make(folder.path(), name, &format!("{source} {args}")));
    }
    let odd = "-f lavfi -i testsrc2=size=318x182:rate=30:duration=1 -pix_fmt yuv420p -c:v libx264 -bf 2";
    assert_equal(&make(folder.path(), "cropped.mp4", odd));
}

#[cfg(feature = "h264")]
#[test]
fn matroska_decodes_as_ffmpeg_decodes_it() {
    let _limit = limit::within(300);
    if !ffmpeg_is_installed() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let source = "-f lavfi -i testsrc2=size=320x240:rate=25:duration=2 -pix_fmt yuv420p -c:v libx264 -bf 3";
    assert_equal(&make(folder.path(), "b.mkv", source));
}

#[test]
fn raw_layouts_decode_as_ffmpeg_decodes_them() {
    let _limit = limit::within(300);
    if !ffmpeg_is_installed() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for format in ["yuv420p", "yuv422p", "yuv444p", "gray"] {
        let args = format!("-f lavfi -i testsrc2=size=322x182:rate=30000/1001:duration=1 -pix_fmt {format} -strict -1");
        assert_equal(&make(folder.path(), &format!("{format}.y4m"), &args));
    }
}

#[test]
fn other_formats_come_through_ffmpeg() {
    let _limit = limit::within(300);
    if !ffmpeg_is_installed() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let source = "-f lavfi -i testsrc2=size=160x120:rate=25:duration=1 -pix_fmt yuv420p";
    for (name, codec) in [
        ("mpeg2.ts", "-c:v mpeg2video"),
        ("vp8.webm", "-c:v libvpx"),
        ("part2.avi", "-c:v mpeg4"),
        ("part2.mp4", "-c:v mpeg4"),
    ] {
        assert_equal(&make(folder.path(), name, &format!("{source} {codec}")));
    }
}

/// JPEG decoders may differ (ISO/IEC 10918-1 leaves the IDCT and the chroma filter open). The mean difference is at
/// most 1.5 levels.
#[test]
fn mjpeg_is_close_to_ffmpeg() {
    let _limit = limit::within(300);
    if !ffmpeg_is_installed() {
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    let made = make(
        temp.path(),
        "m.avi",
        "-f lavfi -i testsrc2=size=320x240:rate=12.5:duration=2 -pix_fmt yuvj420p -c:v mjpeg -q:v 3",
    );
    let field = folder("OCELLI_FIELD").map(|field| field.join("video/person_mjpeg.avi"));
    for path in [Some(made), field].into_iter().flatten() {
        let output = Command::new("ffmpeg")
            .args(["-nostdin", "-v", "error", "-i"])
            .arg(&path)
            .args(["-f", "rawvideo", "-pix_fmt", "rgb24", "-sws_flags", "accurate_rnd+full_chroma_int+bilinear", "-"])
            .output()
            .unwrap();
        let mut reader = video::open(&path).unwrap();
        let (mut image, mut count) = (Image::default(), 0);
        while let Some(picture) = reader.next_picture().unwrap() {
            picture.pixels.to_rgb(&mut image).unwrap();
            let expect = &output.stdout[count * image.data.len()..(count + 1) * image.data.len()];
            let sum: u64 = image.data.iter().zip(expect).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
            let mean = sum as f64 / expect.len() as f64;
            assert!(mean <= 1.5, "{}: picture {count}: mean difference {mean:.2}", path.display());
            count += 1;
        }
        assert_eq!(output.stdout.len(), count * image.data.len(), "number of pictures");
        eprintln!("{}: {count} pictures close to ffmpeg's", path.display());
    }
}

/// ffmpeg and ocelli read the same pictures from what `record` writes.
#[test]
fn what_we_record_others_can_play() {
    let _limit = limit::within(300);
    if !ffmpeg_is_installed() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for name in if cfg!(feature = "h264") { &["o.mp4", "o.avi"][..] } else { &["o.avi"][..] } {
        let path = folder.path().join(name);
        let text = format!(
            "pipeline:\n- scene: {{ frames: 25, size: [322, 182], fps: 12.5 }}\n- record: {{ path: '{}' }}\n",
            path.display()
        );
        support::pipe::play(&text, &support::pipe::env(&[])).result.unwrap();
        let probe = Command::new("ffprobe")
            .args([
                "-v",
                "error",
                "-count_frames",
                "-show_entries",
                "stream=nb_read_frames,width,height,r_frame_rate",
                "-of",
                "csv=p=0",
            ])
            .arg(&path)
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&probe.stdout).trim(), "322,182,25/2,25", "{name}");
        if name.ends_with("mp4") {
            assert_equal(&path);
        }
    }
}

/// The H.264 that we write, of noise, flat pictures, hard cuts and odd sizes, at the finest and the coarsest quality: our
/// decoder and ffmpeg give the same pictures, one for each that went in, close to it at the finest quality.
#[cfg(feature = "h264")]
#[test]
fn every_picture_that_we_encode_comes_back() {
    let _limit = limit::within(300);
    use ocelli::internals::media::video_writer::{VideoFormat, VideoSettings, VideoWriter};
    use ocelli::internals::types::{PixelFormat, Size};
    use std::time::Duration;
    if !ffmpeg_is_installed() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut noise = 1u32;
    let mut random = move || {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (noise >> 24) as u8
    };
    for (size, qp) in [((16, 16), 10), ((17, 31), 51), ((322, 182), 10), ((642, 482), 26)] {
        let size = Size::new(size.0, size.1);
        let settings = VideoSettings { format: VideoFormat::Mp4, qp, quality: 85 };
        let mut writer = VideoWriter::new(settings, size, 10.0).unwrap();
        let (mut image, mut bytes) = (Image::default(), Vec::new());
        image.reshape(size, PixelFormat::Rgb8);
        for at in 0..45u64 {
            match at % 9 {
                // Noise, a flat picture, a picture that moves, the same once more.
                0 => image.data.iter_mut().for_each(|byte| *byte = random()),
                1 => image.data.fill(random()),
                2..=6 => image.data.rotate_right(3 + 3 * size.width as usize),
                _ => {}
            }
            writer.push(&image, Duration::from_millis(at * 100), &mut bytes).unwrap();
        }
        assert_eq!(writer.finish(&mut bytes), None);
        let path = folder.path().join(format!("{size}.mp4"));
        std::fs::write(&path, &bytes).unwrap();
        assert_equal(&path);
        assert_eq!(ours(&path).len(), 45);
    }
}
