//! Streams are recorded as received, H.264 and JPEG without re-encoding, and replay with identical pixels.
#![cfg(all(feature = "http", feature = "rtsp"))]
#![allow(clippy::unwrap_used)]

#[path = "support/limit.rs"]
mod limit;
mod support;

use ocelli::internals::media::flight::{Entry, Flight, FormEntry};
use rustix::process::Signal;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};
use support::flights::{How, Of, record_until, replay_of};
use support::servers::{PLAIN, Server, WITH_B, free_port, rtsp};

fn lines(rows: &[u8]) -> Vec<&str> {
    std::str::from_utf8(rows).unwrap().lines().collect()
}

/// Waits until a line has received `count` frames.
fn frames(run: &ocelli::internals::pipeline::Run, line: &str, count: u64) {
    let end = Instant::now() + Duration::from_secs(40);
    while run.board.line(line).unwrap().received.load(Relaxed) < count {
        assert!(Instant::now() < end && !run.is_finished(), "no {count} frames: {:?}", run.board.line(line));
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Returns the number of entries of each kind in a flight, and its size in bytes.
fn forms(folder: &Path) -> (BTreeMap<&'static str, u64>, usize) {
    let flight = Flight::open(folder, None).unwrap();
    let (mut entries, mut payload, mut counts, mut bytes) = (flight.entries(), Vec::new(), BTreeMap::new(), 0);
    while let Some(entry) = entries.next_entry(&mut payload).unwrap() {
        bytes += payload.len();
        let name = match entry {
            Entry::Frame(frame) => match frame.form {
                FormEntry::Jpeg => "jpeg",
                FormEntry::Png => "png",
                FormEntry::Unit(_) => "of a unit",
                FormEntry::Remade => "remade",
            },
            Entry::Unit(_) => "unit",
            _ => continue,
        };
        *counts.entry(name).or_default() += 1;
    }
    (counts, bytes)
}

/// A slow sink drops frames, and the server dies and comes back. Units are recorded all the time, and every frame that
/// the live run saw replays with identical pixels.
#[test]
fn h264_is_recorded_as_it_came_with_and_without_b_frames() {
    let _limit = limit::within(240);
    for (name, encoder) in [("plain", PLAIN), ("B-frames", WITH_B)] {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let Some(server) = rtsp(port, encoder, &[]) else { return };
        let text = format!(
            "pipeline:\n- id: cam\n  rtsp: {{ url: 'rtsp://127.0.0.1:{port}/cam' }}\n- {{ id: out, jsonl: {{}} }}\n"
        );
        let mut again: Option<Server> = None;
        let live = record_until(&text, folder.path(), Of::Pixels, &[("out", 50)], |run| {
            frames(run, "out", 30);
            server.signal(Signal::KILL);
            std::thread::sleep(Duration::from_millis(500));
            again = rtsp(port, encoder, &[]);
            frames(run, "out", 60);
        });
        let replayed = replay_of(&text, folder.path(), Of::Pixels, How::default());
        let (live, replayed) = (lines(&live), lines(&replayed));
        let (counts, bytes) = forms(folder.path());
        eprintln!("{name}: {} frames live, {} replayed, {counts:?}, {bytes} bytes", live.len(), replayed.len());
        assert!(live.len() >= 60 && replayed.len() > live.len(), "{name}");
        assert!(counts["unit"] >= counts["of a unit"] && !counts.contains_key("png") && !counts.contains_key("jpeg"));
        // Recorded as received: far smaller than pictures encoded one by one.
        assert!(bytes < 320 * 240 * replayed.len() / 4, "{name}: {bytes} bytes");
        for row in &live {
            assert!(replayed.contains(row), "{name}: missing, or with other pixels: {row}");
        }
        let as_it_was = replay_of(&text, folder.path(), Of::Pixels, How { drops: true, ..How::default() });
        assert_eq!(lines(&as_it_was), live, "{name}");
        drop(again);
    }
}

/// A flight whose beginning is gone, as after the ring buffer has wrapped around: frames before the first keyframe
/// are left out, and the others are the same.
#[test]
fn h264_without_its_beginning_starts_at_a_key_picture() {
    let _limit = limit::within(240);
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let Some(_server) = rtsp(port, WITH_B, &[]) else { return };
    let text = format!(
        "pipeline:\n- id: cam\n  rtsp: {{ url: 'rtsp://127.0.0.1:{port}/cam' }}\n- {{ id: out, jsonl: {{}} }}\n"
    );
    let live = record_until(&text, folder.path(), Of::Pixels, &[], |run| frames(run, "out", 60));
    let path = folder.path().join("00000000.flight");
    let bytes = std::fs::read(&path).unwrap();
    // The first entry stays; of the others, the first third is cut away.
    let (mut ends, mut input) = (Vec::new(), &bytes[..]);
    while matches!(
        ocelli::internals::media::flight::read(&mut input, &mut Vec::new()),
        Ok(ocelli::internals::media::flight::Next::Entry(_))
    ) {
        ends.push(bytes.len() - input.len());
    }
    let cut = [&bytes[..ends[0]], &bytes[ends[ends.len() / 3]..]].concat();
    std::fs::write(&path, cut).unwrap();
    let replayed = replay_of(&text, folder.path(), Of::Pixels, How::default());
    let (live, replayed) = (lines(&live), lines(&replayed));
    eprintln!("{} live, {} without the beginning", live.len(), replayed.len());
    assert!(replayed.len() >= 20 && replayed.len() < live.len());
    assert!(live.ends_with(&replayed), "the pictures differ");
}

#[test]
fn jpeg_is_recorded_as_it_came() {
    let _limit = limit::within(240);
    if !support::ffmpeg_is_installed() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let command =
        "[ffmpeg, -v, error, -re, -f, lavfi, -i, 'testsrc2=size=320x240:rate=30', -c:v, mjpeg, -f, mjpeg, '-']";
    // Frames that are damaged on purpose are no longer as received.
    let text = format!(
        "pipeline:\n- id: cam\n  exec: {{ command: {command}, format: mjpeg }}\n  faulty: {{ corrupt: [10, 20], drop: [15] }}\n- {{ id: out, jsonl: {{}} }}\n"
    );
    let live = record_until(&text, folder.path(), Of::Pixels, &[], |run| frames(run, "out", 60));
    let (counts, bytes) = forms(folder.path());
    let replayed = replay_of(&text, folder.path(), Of::Pixels, How::default());
    eprintln!("{counts:?}, {bytes} bytes");
    assert_eq!(counts.get("png"), Some(&2));
    assert!(counts["jpeg"] >= 57 && !counts.contains_key("remade"));
    let (live, replayed) = (lines(&live), lines(&replayed));
    assert!(live.iter().all(|row| replayed.contains(row)), "the pictures differ");
}
