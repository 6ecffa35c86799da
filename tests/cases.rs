//! Files as people have them (`OCELLI_FIELD`, `cases`): each folder's README says where its right values come from.
#![allow(clippy::unwrap_used)]

#[path = "support/limit.rs"]
mod limit;
mod support;

#[cfg(feature = "h264")]
use ocelli::internals::media::{
    h264::PacketSource,
    h264_live::{LiveDecoder, can_begin_with},
    mkv,
};
use ocelli::internals::media::{still, video};
use ocelli::internals::types::{Image, Size};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use support::{folder, pipe};

/// The folder of some cases.
fn cases(name: &str) -> Option<PathBuf> {
    folder("OCELLI_FIELD").map(|field| field.join("cases").join(name))
}

fn decoded(path: &Path) -> Image {
    let mut image = Image::default();
    let bytes = std::fs::read(path).unwrap();
    let damage = still::decode(&bytes, &mut image).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    assert_eq!(damage, None, "{}", path.display());
    image
}

/// The mean absolute difference of levels.
fn difference(a: &Image, b: &Image) -> f64 {
    assert_eq!(a.size, b.size);
    let sum: u64 = a.data.iter().zip(&b.data).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
    sum as f64 / a.data.len() as f64
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Plays an `images` line and returns the numbers and names of its frames, or the error's text.
fn images(settings: &str) -> Result<Vec<(u64, String)>, String> {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("rows.jsonl");
    let text = format!("pipeline:\n- images: {{ {settings} }}\n- jsonl: {{ path: '{}' }}\n", out.display());
    pipe::play(&text, &pipe::env(&[])).result.map_err(|e| e.to_string())?;
    let rows = std::fs::read_to_string(out).unwrap();
    let row = |line: &str| -> (u64, String) {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        (row["seq"].as_u64().unwrap(), row["name"].as_str().unwrap().to_owned())
    };
    Ok(rows.lines().map(row).collect())
}

/// Pillow's `exif_transpose` and OpenCV's `imread` agree. JPEG: base.png within 3 levels on average.
#[test]
fn pictures_are_turned_upright() {
    let _limit = limit::within(60);
    let Some(folder) = cases("exif_orientation") else { return };
    let base = decoded(&folder.join("base.png"));
    // What is stored is turned by the tag, so that each picture shows something else; the README tells how.
    for (name, turned) in [("exif1", 0), ("exif2", 2), ("exif4", 4), ("exif6", 6)] {
        let found = decoded(&folder.join(format!("{name}.jpg")));
        let expected = if turned == 0 { base.clone() } else { turn(&base, turned) };
        let off = difference(&found, &expected);
        assert!(off < 3.0, "{name}: {off}");
    }
}

/// Turns a picture as EXIF defines it: the tag says where the first row and column are to be shown.
fn turn(image: &Image, tag: u8) -> Image {
    let (w, h) = (image.size.width, image.size.height);
    let size = if tag < 5 { image.size } else { Size::new(h, w) };
    let mut turned = Image::new(size, image.format);
    for y in 0..size.height {
        for x in 0..size.width {
            let (sx, sy) = match tag {
                2 => (w - 1 - x, y),
                3 => (w - 1 - x, h - 1 - y),
                4 => (x, h - 1 - y),
                5 => (y, x),
                6 => (y, h - 1 - x),
                7 => (w - 1 - y, h - 1 - x),
                8 => (w - 1 - y, x),
                _ => (x, y),
            };
            let from = (sy * w + sx) as usize * 3;
            let to = (y * size.width + x) as usize * 3;
            turned.data[to..to + 3].copy_from_slice(&image.data[from..from + 3]);
        }
    }
    turned
}

/// Pillow and OpenCV read the same pixels: their hashes.
#[test]
fn bitmaps_are_read_as_pillow_and_opencv_read_them() {
    let _limit = limit::within(60);
    let Some(folder) = cases("bmp") else { return };
    for (name, hash) in [
        ("1_16.bmp", "41e25eb511729e2c848c3a58fd5f5ca3a072387a53a31e368808946ab6306885"),
        ("4_10.bmp", "b3813cadeffb7e479ab48cf45f4ba1517b3dea0505b2ead7727df421688cc954"),
        ("4_12.bmp", "7cd1492303cf3a17054efd95072a25ea2569e9f7fd7d9e9fcba800e58cecc5b5"),
    ] {
        assert_eq!(sha256(&decoded(&folder.join(name)).data), hash, "{name}");
    }
}

/// base.png, within 2 levels on average (Pillow, OpenCV: 1).
#[test]
fn jpegs_of_all_layouts_are_read() {
    let _limit = limit::within(60);
    let Some(folder) = cases("jpeg_non_interleaved") else { return };
    let base = decoded(&folder.join("base.png"));
    for name in ["ni_1x2.jpg", "ni_2x2.jpg"] {
        let off = difference(&decoded(&folder.join(name)), &base);
        assert!(off < 2.0, "{name}: {off}");
    }
    let Some(folder) = cases("jpeg_without_tables") else { return };
    for name in ["webcam_bare.jpg", "webcam_jfif.jpg"] {
        let off = difference(&decoded(&folder.join(name)), &base);
        assert!(off < 2.0, "{name}: {off}");
    }
    let mut reader = video::open(&folder.join("interlaced.avi")).unwrap();
    let (mut frames, mut image) = (0, Image::default());
    while let Some(picture) = reader.next_picture().unwrap() {
        assert_eq!(picture.pixels.to_rgb(&mut image).unwrap(), None);
        assert_eq!(image.size, Size::new(200, 120));
        frames += 1;
    }
    assert_eq!(frames, 6);
}

#[test]
fn folders_are_read_as_people_have_them() {
    let _limit = limit::within(60);
    let Some(folder) = cases("folder") else { return };
    let path = |below: &str| folder.join(below).display().to_string();
    let names =
        |settings: &str| -> Vec<(u64, String)> { images(settings).unwrap_or_else(|e| panic!("{settings}: {e}")) };
    let one = |number: u64, name: &str| (number, name.to_owned());
    for pattern in ["mac", "mac/*", "mac/*.jpg", "[run 1]", "[run 1]/*.jpg", "[run 1]/**"] {
        assert_eq!(names(&format!("path: '{}'", path(pattern))), [one(0, "a.jpg")], "{pattern}");
    }
    // git keeps neither empty folders nor broken links.
    let own = tempfile::tempdir().unwrap();
    let picture = folder.join("mac/a.jpg");
    for below in ["b.jpg", "b.jpg/deep", ".hidden", "c"] {
        std::fs::create_dir(own.path().join(below)).unwrap();
        std::fs::copy(&picture, own.path().join(below).join("a.jpg")).unwrap();
    }
    std::os::unix::fs::symlink("nowhere", own.path().join("x.jpg")).unwrap();
    std::fs::copy(&picture, own.path().join("a.jpg")).unwrap();
    std::fs::write(own.path().join("c/b.webp"), "RIFF").unwrap();
    let own = own.path().display();
    assert_eq!(names(&format!("path: '{own}'")), [one(0, "a.jpg")]);
    let all = ["a.jpg", "b.jpg/a.jpg", "b.jpg/deep/a.jpg", "c/a.jpg"];
    for pattern in ["**", "**/*", "**/*.jpg"] {
        let found: Vec<String> = names(&format!("path: '{own}/{pattern}'")).into_iter().map(|(_, name)| name).collect();
        assert_eq!(found, all, "{pattern}");
    }
    // What is named is read, whatever it is called.
    std::fs::copy(&picture, format!("{own}/snapshot.tmp")).unwrap();
    assert_eq!(names(&format!("path: '{own}/snapshot.tmp'")), [one(0, "snapshot.tmp")]);
    // One picture is cut.
    let corrupt = path("corrupt");
    let stopped = images(&format!("path: '{corrupt}'")).unwrap_err();
    assert!(stopped.contains("2.jpg") && stopped.contains("on_bad: skip"), "{stopped}");
    assert_eq!(names(&format!("path: '{corrupt}', on_bad: skip")), [one(0, "1.jpg"), one(2, "3.jpg")]);
}

/// The times of a video's pictures in milliseconds, rounded.
#[cfg(feature = "h264")]
fn times(path: &Path) -> Result<Vec<u128>, String> {
    let mut reader = video::open(path).map_err(|e| e.to_string())?;
    let mut all = Vec::new();
    while let Some(picture) = reader.next_picture().map_err(|e| e.to_string())? {
        all.push((picture.pts.as_nanos() + 500_000) / 1_000_000);
    }
    Ok(all)
}

/// Counts and times from ffmpeg and OpenCV, as each README tells.
#[cfg(feature = "h264")]
#[test]
fn films_are_read_as_ffmpeg_reads_them() {
    let _limit = limit::within(120);
    let Some(field) = folder("OCELLI_FIELD") else { return };
    let every = |step: u128, count: u128| -> Vec<u128> { (0..count).map(|n| n * step).collect() };
    let read = |path: &str| times(&field.join("cases").join(path)).unwrap_or_else(|e| panic!("{path}: {e}"));
    assert_eq!(read("edit_list/trim_edit.mp4").len(), 32);
    assert_eq!(read("edit_list/edit_cut_start.mp4").len(), 25);
    assert_eq!(read("trun_negative_cts/cmaf.mp4"), every(40, 50));
    for name in ["tail_3bytes.mp4", "tail_text.mp4", "udta_zero_end.mov"] {
        assert_eq!(read(&format!("mp4_trailers/{name}")).len(), 50, "{name}");
    }
    assert_eq!(read("cut_files/fast_cut_1.mp4").len(), 49);
    let cut = read("cut_files/trunc_fast.mp4").len();
    assert!((27..=29).contains(&cut), "{cut}");
    assert_eq!(read("cut_files/trunc.mkv").len(), 29);
    assert_eq!(read("starts_without_key/nokey0.mp4"), every(40, 30));
    assert_eq!(read("starts_without_key/og_cut.mkv"), every(40, 40));
    if support::ffmpeg_is_installed() {
        assert_eq!(read("h264_not_supported/hi444.mp4").len(), 50);
    }
}

/// A camera's stream that begins at a recovery point: the pictures that follow it but are shown before it build on what
/// was never sent. 40 pictures, as ffmpeg and the recording's own test above count them, with the same pixels.
#[cfg(feature = "h264")]
#[test]
fn a_live_stream_begins_at_a_recovery_point() {
    let _limit = limit::within(60);
    let Some(folder) = cases("starts_without_key") else { return };
    let path = folder.join("og_cut.mkv");
    let mut packets = mkv::open(&path).unwrap().unwrap();
    // `AVCDecoderConfigurationRecord` with one set of each kind: a count and a length stand in front of each.
    let config = packets.config().to_vec();
    let length = |at: usize| usize::from(config[at]) << 8 | usize::from(config[at + 1]);
    let (sps, pps) = (8..8 + length(6), 11 + length(6)..11 + length(6) + length(9 + length(6)));
    let mut parameters = Vec::new();
    for set in [sps, pps] {
        parameters.extend([&[0, 0, 0, 1], &config[set]].concat());
    }
    let mut decoder = LiveDecoder::default();
    let mut recorded = video::open(&path).unwrap();
    let (mut data, mut shown) = (Vec::new(), 0);
    let (mut image, mut expected) = (Image::default(), Image::default());
    while let Some(stamp) = packets.next_packet(&mut data).unwrap() {
        let mut unit = parameters.clone();
        let mut rest = data.as_slice();
        while let Some((length, more)) = rest.split_first_chunk::<4>() {
            let (nal, more) = more.split_at(u32::from_be_bytes(*length) as usize);
            unit.extend([&[0, 0, 0, 1], nal].concat());
            rest = more;
        }
        // Some are negative.
        let time = std::time::Duration::from_nanos(u64::try_from(1_000_000_000 + stamp.nanos).unwrap());
        let key = can_begin_with(&unit);
        decoder.push(&unit, time, key).unwrap();
        while let Some((_, pixels)) = decoder.next_picture() {
            let _ = pixels.to_rgb(&mut image).unwrap();
            let _ = recorded.next_picture().unwrap().unwrap().pixels.to_rgb(&mut expected).unwrap();
            assert!(image == expected, "picture {shown}");
            shown += 1;
        }
    }
    // The last ones wait for others that might be shown before them.
    assert!((36..=40).contains(&shown), "{shown}");
}

/// Times from `ffprobe -show_frames`, pixels from ffmpeg's own RGB; we interpolate no chroma, which makes up to 4 levels on
/// average in these pictures.
#[cfg(feature = "h264")]
#[test]
fn what_goes_through_ffmpeg_keeps_its_times_and_colours() {
    let _limit = limit::within(120);
    let Some(field) = folder("OCELLI_FIELD") else { return };
    if !support::ffmpeg_is_installed() {
        return;
    }
    let cases = field.join("cases");
    let right = times(&cases.join("vfr_via_ffmpeg/vfr.mp4")).unwrap();
    assert_eq!((right.len(), right[24]), (25, 2640));
    for name in ["vfr_hevc.mp4", "vfr_rot90.mp4"] {
        assert_eq!(times(&cases.join("vfr_via_ffmpeg").join(name)).unwrap(), right, "{name}");
    }
    assert_eq!(times(&cases.join("vfr_via_ffmpeg/gap_hevc.mp4")).unwrap().len(), 10);
    assert_eq!(times(&cases.join("vfr_via_ffmpeg/vfr.gif")).unwrap().len(), 5);
    for name in ["col_bt709_tv_hevc", "col_smpte170m_tv_hevc", "col_bt2020nc_tv_hevc", "h264_709_480_rot"] {
        let path = cases.join("colour_via_ffmpeg").join(format!("{name}.mp4"));
        let output = std::process::Command::new("ffmpeg")
            .args(["-v", "error", "-i", path.to_str().unwrap(), "-vsync", "0", "-pix_fmt", "rgb24"])
            .args(["-sws_flags", "accurate_rnd+full_chroma_int+bilinear", "-f", "rawvideo", "-"])
            .output()
            .unwrap();
        let mut reader = video::open(&path).unwrap();
        let (mut at, mut image) = (0, Image::default());
        while let Some(picture) = reader.next_picture().unwrap() {
            let _ = picture.pixels.to_rgb(&mut image).unwrap();
            let expected = Image { data: output.stdout[at..at + image.data.len()].to_vec(), ..image.clone() };
            let off = difference(&image, &expected);
            assert!(off < 4.0, "{name}: {off}");
            at += image.data.len();
        }
        assert_eq!(at, output.stdout.len(), "{name}");
    }
}

/// What the container says of colours counts where the stream says nothing, as in ffmpeg. The same levels of a flat picture,
/// read as BT.601 and BT.709, differ by 12 on average; rounding makes up to 2.
#[cfg(feature = "h264")]
#[test]
fn colours_are_those_that_the_container_states() {
    let _limit = limit::within(60);
    if !support::ffmpeg_is_installed() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let run = |words: &[&str], to: &str| -> Vec<u8> {
        let output =
            std::process::Command::new("ffmpeg").args(["-v", "error"]).args(words).arg(path(to)).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        std::fs::read(path(to)).unwrap()
    };
    let flat = ["-f", "lavfi", "-i", "color=0xC02030:size=64x48:rate=25:duration=0.2"];
    run(&[&flat[..], &["-c:v", "libx264", "-pix_fmt", "yuv420p"]].concat(), "plain.mp4");
    run(&[&flat[..], &["-c:v", "rawvideo", "-pix_fmt", "gray"]].concat(), "grey.avi");
    let plain = path("plain.mp4").display().to_string();
    let copy = ["-i", &plain, "-c", "copy", "-colorspace", "bt709"];
    run(&[&copy[..], &["-movflags", "+write_colr"]].concat(), "said.mp4");
    run(&copy, "said.mkv");
    for name in ["plain.mp4", "said.mp4", "said.mkv", "grey.avi"] {
        let from = path(name).display().to_string();
        let raw = format!("{name}.rgb");
        let flags = ["-pix_fmt", "rgb24", "-sws_flags", "accurate_rnd", "-frames:v", "1", "-f", "rawvideo"];
        let right = run(&[&["-i", &from][..], &flags].concat(), &raw);
        let mut image = Image::default();
        let mut reader = video::open(&path(name)).unwrap();
        let _ = reader.next_picture().unwrap().unwrap().pixels.to_rgb(&mut image).unwrap();
        let off = difference(&image, &Image { data: right, ..image.clone() });
        assert!(off < 4.0, "{name}: {off}");
    }
}

/// A name that looks like an address is still a file.
#[test]
fn a_file_may_be_called_anything() {
    let _limit = limit::within(60);
    if !support::ffmpeg_is_installed() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for name in ["10:30:05.webm", "file:x.webm", "concat:a|b.webm", "rtsp:cam.webm", "-i.webm", "%d.webm"] {
        let path = folder.path().join(name);
        let made = std::process::Command::new("ffmpeg")
            .args(["-v", "error", "-f", "lavfi", "-i", "testsrc2=size=64x48:rate=25:duration=0.2", "-f", "webm"])
            .arg(format!("file:{}", path.display()))
            .status();
        assert!(made.unwrap().success());
        let mut reader = video::open(&path).unwrap_or_else(|e| panic!("{name}: {e}"));
        let mut count = 0;
        while reader.next_picture().unwrap().is_some() {
            count += 1;
        }
        assert_eq!(count, 5, "{name}");
    }
}

/// Of twelve pictures each third is cut in half; the next begins inside it. The others come whole.
#[test]
fn a_torn_picture_does_not_spoil_the_next() {
    let _limit = limit::within(60);
    let Some(folder) = cases("torn_mjpeg") else { return };
    let file = std::fs::File::open(folder.join("torn.mjpeg")).unwrap();
    let mut reader = ocelli::internals::media::mjpeg::MjpegReader::new(file);
    let (mut whole, mut torn, mut image) = (0, 0, Image::default());
    loop {
        match reader.next_picture() {
            Ok(Some(picture)) => {
                ocelli::internals::media::jpeg::LiveJpeg::default().decode(picture, &mut image).unwrap();
                assert_eq!(image.size, Size::new(160, 120));
                whole += 1;
            }
            Ok(None) => break,
            Err(error) => {
                assert!(error.to_string().contains("torn"), "{error}");
                torn += 1;
            }
        }
    }
    assert_eq!((whole, torn), (8, 4));
}
