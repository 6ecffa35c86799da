//! Recordings replay byte for byte: after faults, under load, cut at any byte, on a full disk.
#![allow(clippy::unwrap_used)]

#[path = "support/limit.rs"]
mod limit;
mod support;

use ocelli::internals::media::flight::{Begin, Entry, Flight, FlightWriter, Next, read};
use ocelli::internals::types::Image;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};
use support::flights::{How, KEEP, record, replay};

fn lines(rows: &[u8]) -> Vec<&str> {
    std::str::from_utf8(rows).unwrap().lines().collect()
}

/// Keeps every processor busy until it is dropped.
struct Load(Arc<AtomicBool>);

impl Load {
    fn new() -> Self {
        let over = Arc::<AtomicBool>::default();
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            let over = Arc::clone(&over);
            std::thread::spawn(move || while !over.load(Relaxed) {});
        }
        Self(over)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

/// The main promise: a minute at 30 frames per second, with everything that goes wrong with cameras, in front of a line
/// that cannot keep up.
#[test]
fn a_minute_with_faults_replays_to_the_byte() {
    let _limit = limit::within(400);
    let folder = tempfile::tempdir().unwrap();
    let text = "pipeline:
- id: door
  scene: { live: true, fps: 30, size: [320, 192], noise: 2, seed: 4 }
  faulty: { drop: 0.02, corrupt: 0.01, unplug: [300, 900], unplug_for: 1s, slow: [600], slow_by: 400ms, freeze: [1200], freeze_for: 3s, seed: 3 }
- resize: { for: scene }
- detect: { model: scene, min_score: 0.3 }
- nms
- { jsonl: {}, every: 2 }
";
    let live = record(text, folder.path(), Duration::from_mins(1), &[("detect", 40)]);
    let (processed, load) = (lines(&live), Load::new());
    let first = replay(text, folder.path(), How::default());
    let all = lines(&first);
    eprintln!("{} rows live, {} replayed", processed.len(), all.len());
    // Half of 30 frames per second, minus 8 s of outages; the slow line let through at most two thirds of them.
    assert!(all.len() > 600 && processed.len() > 200 && processed.len() < all.len(), "faults or drops are missing");
    for round in 1..5 {
        let how = How { threads: Some(1 + round % 2), shake: Some(round as u64), drops: false };
        let again = replay(text, folder.path(), how);
        assert!(again == first, "round {round} gave different bytes");
    }
    let as_it_was = How { drops: true, threads: Some(2), shake: Some(9) };
    assert!(replay(text, folder.path(), as_it_was) == live, "with its drops, the replay must equal the live run");
    drop(load);
    // Without `every`, which counts the packets that arrive, each row of the live run is also in the replay.
    let text = text.replace(", every: 2", "");
    let every_frame = replay(&text, folder.path(), How::default());
    let known: BTreeSet<&str> = lines(&every_frame).into_iter().collect();
    assert!(processed.iter().all(|row| known.contains(row)), "a live row is not in the replay");
    // The states of the sources are recorded, too.
    let flight = Flight::open(folder.path(), None).unwrap();
    let (mut entries, mut payload, mut states) = (flight.entries(), Vec::new(), Vec::new());
    while let Some(entry) = entries.next_entry(&mut payload).unwrap() {
        if let Entry::State { state, .. } = entry {
            states.push(state);
        }
    }
    assert!(states.iter().filter(|state| *state == "backoff").count() >= 3, "{states:?}");
}

const SMALL: &str = "pipeline:
- scene: { live: true, fps: 200, frames: 12, size: [48, 32] }
- { jsonl: { truth: true }, queue: { capacity: 16 } }
";

/// A recording that was cut anywhere gives the frames before the cut, without an error.
#[test]
fn a_recording_cut_at_any_byte_replays_up_to_the_cut() {
    let _limit = limit::within(400);
    let folder = tempfile::tempdir().unwrap();
    let live = record(SMALL, folder.path(), Duration::from_secs(10), &[]);
    let whole = replay(SMALL, folder.path(), How::default());
    assert_eq!((lines(&live).len(), whole.clone()), (12, live));
    let bytes = std::fs::read(folder.path().join("00000000.flight")).unwrap();
    let cut = tempfile::tempdir().unwrap();
    let path = cut.path().join("00000000.flight");
    let (mut frames, mut most) = (Vec::new(), 0);
    for end in 0..=bytes.len() {
        std::fs::write(&path, &bytes[..end]).unwrap();
        let Ok(flight) = Flight::open(cut.path(), None) else {
            assert!(most == 0, "cut at {end}: can no longer be opened");
            continue;
        };
        let (mut reader, mut image, mut count) = (flight.frames("scene"), Image::default(), 0);
        while let Some(frame) = reader.next_frame(&mut image).unwrap_or_else(|e| panic!("cut at {end}: {e}")) {
            assert_eq!(frame.seq, count);
            count += 1;
        }
        assert!(count >= most, "cut at {end}");
        if count > most {
            frames.push(end);
            most = count;
        }
    }
    assert_eq!(most, 12);
    // End to end, through a pipeline, cut wherever a frame has just become complete, and one byte earlier.
    for (index, end) in frames.iter().enumerate() {
        // Without any frames, there is nothing to play, and a message says so.
        for (cut_at, rows) in [(*end, index + 1), (*end - 1, index)].into_iter().filter(|(_, rows)| *rows > 0) {
            std::fs::write(&path, &bytes[..cut_at]).unwrap();
            let replayed = replay(SMALL, cut.path(), How::default());
            assert_eq!(lines(&replayed), lines(&whole)[..rows], "cut at {cut_at}");
        }
    }
}

/// Damage inside a file costs what follows it in that file. What comes before is unchanged, and nothing panics.
#[test]
fn a_damaged_recording_gives_a_prefix() {
    let _limit = limit::within(400);
    let folder = tempfile::tempdir().unwrap();
    record(SMALL, folder.path(), Duration::from_secs(10), &[]);
    let path = folder.path().join("00000000.flight");
    let bytes = std::fs::read(&path).unwrap();
    let play = || {
        let Ok(flight) = Flight::open(folder.path(), None) else { return Vec::new() };
        let (mut reader, mut image, mut frames) = (flight.frames("scene"), Image::default(), Vec::new());
        while let Ok(Some(frame)) = reader.next_frame(&mut image) {
            frames.push((frame.seq, frame.pts_ns, image.clone()));
        }
        frames
    };
    let (whole, mut opened, mut most) = (play(), 0, 0);
    for at in (0..bytes.len()).step_by(37) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x41;
        std::fs::write(&path, &damaged).unwrap();
        let frames = play();
        assert!(frames.len() < 13 && frames[..] == whole[..frames.len()], "damaged at {at}");
        (opened, most) = (opened + usize::from(!frames.is_empty()), most.max(frames.len()));
    }
    assert!(whole.len() == 12 && opened > bytes.len() / 37 / 2 && most >= 11, "{opened} opened, {most} frames");
    let mut lie = bytes[..12].to_vec();
    lie[..4].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(read(&mut &lie[..], &mut Vec::new()).unwrap(), Next::Torn, "a false length");
}

/// Returns the number of frames in a run.
fn frames(folder: &Path, run: Option<u64>) -> usize {
    let (mut entries, mut payload) = (Flight::open(folder, run).unwrap().entries(), Vec::new());
    std::iter::from_fn(|| entries.next_entry(&mut payload).unwrap()).filter(|e| matches!(e, Entry::Frame(_))).count()
}

fn ocelli() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ocelli"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).current_dir(env!("CARGO_MANIFEST_DIR"));
    command
}

fn street(folder: &Path) -> PathBuf {
    let path = folder.join("street.yaml");
    let rows = folder.join("live.jsonl");
    let text = format!(
        "pipeline:\n- scene: {{ live: true, fps: 25, size: [320, 192] }}\n- resize: {{ for: scene }}\n- detect: {{ model: scene }}\n- nms\n- jsonl: {{ path: '{}' }}\n",
        rows.display()
    );
    std::fs::write(&path, text).unwrap();
    path
}

fn rows_of(yaml: &Path, flights: &Path) -> Vec<u8> {
    let mut command = ocelli();
    command.args(["replay", "-q"]).arg(yaml).arg("--from").arg(flights).arg("--drops").stdout(Stdio::piped());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

#[test]
fn a_recorder_killed_at_work_leaves_all_but_the_last_moment() {
    let _limit = limit::within(400);
    let folder = tempfile::tempdir().unwrap();
    let (yaml, flights) = (street(folder.path()), folder.path().join("flights"));
    let mut child = ocelli().arg("record").arg(&yaml).arg("--to").arg(&flights).stderr(Stdio::null()).spawn().unwrap();
    let live = folder.path().join("live.jsonl");
    let deadline = Instant::now() + Duration::from_secs(30);
    let count = || std::fs::read(&live).map_or(0, |rows| lines(&rows).len());
    while count() < 60 {
        assert!(Instant::now() < deadline, "no rows arrived");
        std::thread::sleep(Duration::from_millis(50));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let rows = std::fs::read(&live).unwrap();
    let whole = rows.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let (live, replayed) = (lines(&rows[..whole]), rows_of(&yaml, &flights));
    let replayed = lines(&replayed);
    // Both were cut, a few frames apart: the recorder writes what it has whenever nothing is waiting. The half second
    // allows for busy machines.
    let both = live.len().min(replayed.len());
    eprintln!("killed: {} rows live, {} replayed", live.len(), replayed.len());
    assert!(
        both >= 45 && live.len().abs_diff(replayed.len()) <= 12,
        "{} live, {} replayed",
        live.len(),
        replayed.len()
    );
    assert_eq!(live[..both], replayed[..both]);
    // The next run continues in the same folder.
    let status = ocelli().args(["record", "-q"]).arg(&yaml).arg("--to").arg(&flights).spawn().and_then(|mut child| {
        std::thread::sleep(Duration::from_secs(2));
        support::send(rustix::process::Signal::INT, &child);
        child.wait()
    });
    assert!(status.unwrap().success());
    let flight = Flight::open(&flights, None).unwrap();
    assert_eq!((flight.runs.clone(), flight.begin.run), (vec![0, 1], 1));
    assert!(frames(&flights, Some(0)) >= 55);
}

/// A full disk stops the recording, not the run. Here, files cannot grow beyond 400 KiB.
#[test]
fn a_full_disk_stops_the_recording_not_the_run() {
    let _limit = limit::within(400);
    let folder = tempfile::tempdir().unwrap();
    let flights = folder.path().join("flights");
    let yaml = folder.path().join("p.yaml");
    let text = "pipeline:\n- scene: { live: true, fps: 50, frames: 100, size: [320, 192] }\n- jsonl\n";
    std::fs::write(&yaml, text).unwrap();
    let script = "trap '' XFSZ; ulimit -f 400; exec \"$0\" record \"$1\" --to \"$2\"";
    let output = Command::new("bash")
        .args(["-c", script, env!("CARGO_BIN_EXE_ocelli")])
        .arg(&yaml)
        .arg(&flights)
        .output()
        .unwrap();
    let (said, rows) = (String::from_utf8_lossy(&output.stderr), lines(&output.stdout).len());
    assert!(output.status.success() && rows == 100, "{rows} rows: {said}");
    assert!(said.contains("the recording stops, the run goes on") && said.contains("missed"), "{said}");
    let kept = frames(&flights, None);
    assert!(kept > 0 && kept < 50, "{kept} frames kept");
    // Missing frames are recorded as missed, except those that were still in the buffer.
    let (mut entries, mut payload) = (Flight::open(&flights, None).unwrap().entries(), Vec::new());
    let all = std::iter::from_fn(|| entries.next_entry(&mut payload).unwrap());
    let missed: u64 = all.map(|entry| if let Entry::Missed { frames, .. } = entry { frames } else { 0 }).sum();
    assert!(kept as u64 + missed >= 95, "{kept} frames kept, {missed} recorded as missed");
}

/// A USB stick that is pulled out: the folder is gone.
#[test]
fn a_folder_that_vanishes_stops_the_recording_not_the_run() {
    let _limit = limit::within(400);
    let folder = tempfile::tempdir().unwrap();
    let flights = folder.path().join("flights");
    let yaml = folder.path().join("p.yaml");
    std::fs::write(&yaml, "pipeline:\n- scene: { live: true, fps: 50, frames: 100, size: [320, 192] }\n- jsonl\n")
        .unwrap();
    let mut command = ocelli();
    command.arg("record").arg(&yaml).arg("--to").arg(&flights).args(["--keep-bytes", "2MB"]).stdout(Stdio::piped());
    let child = command.spawn().unwrap();
    std::thread::sleep(Duration::from_millis(700));
    std::fs::remove_dir_all(&flights).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && lines(&output.stdout).len() == 100, "{said}");
    assert!(said.contains("the recording stops, the run goes on"), "{said}");
}

/// Passwords in the YAML are not recorded, whether they are written there or come from the environment.
#[test]
fn no_secret_is_recorded() {
    let _limit = limit::within(400);
    let folder = tempfile::tempdir().unwrap();
    let yaml = folder.path().join("p.yaml");
    let text = "pipeline:\n- id: a\n  rtsp: { url: 'rtsp://me:planted-one@127.0.0.1:9/x', password: planted-two }\n- { id: b, mjpeg_http: { url: 'http://127.0.0.1:9/', user: me, password: '${PLANTED}' } }\n- { from: [a, b], jsonl: {} }\n";
    std::fs::write(&yaml, text).unwrap();
    let mut command = ocelli();
    command.arg("record").arg(&yaml).arg("--to").arg(folder.path().join("f")).env("PLANTED", "planted-three");
    let mut child = command.stderr(Stdio::null()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(1500));
    support::send(rustix::process::Signal::INT, &child);
    child.wait().unwrap();
    let bytes = std::fs::read(folder.path().join("f/00000000.flight")).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    assert!(text.contains("backoff") && text.contains("mjpeg_http"), "nothing was recorded: {text}");
    assert!(!text.contains("planted"), "a password was recorded: {text}");
}

/// A flight that does not fit the command or the pipeline is reported before anything runs.
#[test]
fn what_does_not_fit_is_told() {
    let _limit = limit::within(400);
    let folder = tempfile::tempdir().unwrap();
    let says = |args: &[&str]| {
        let output = ocelli().args(args).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let empty = folder.path().display().to_string();
    let cases: [(&[&str], i32, &str); 6] = [
        (&["replay", "pipelines/live/street.yaml"], 2, "--from FOLDER-OR-CLIP"),
        (&["replay", "pipelines/live/street.yaml", "--from", &empty], 5, "`ocelli record` makes one"),
        (&["replay", "pipelines/live/street.yaml", "--from", "nowhere"], 2, "no such recording or video"),
        (&["replay", "pipelines/live/street.yaml", "--from", "cam=examples/flight"], 2, "no source `cam`"),
        (
            &["replay", "pipelines/live/street.yaml", "--from", "examples/flight", "--run", "7"],
            2,
            "no run 7; the runs are 0",
        ),
        (
            &["replay", "pipelines/live/street.yaml", "--from", "examples/flight", "--set", "detct.min_score=1"],
            2,
            "did you mean `detect`?",
        ),
    ];
    for (args, code, part) in cases {
        let (found, said) = says(args);
        assert!(found == Some(code) && said.contains(part), "{args:?}: {found:?} {said}");
    }
    let none = folder.path().join("none.yaml").display().to_string();
    std::fs::write(&none, "pipeline:\n- jsonl\n").unwrap();
    let (code, said) = says(&["replay", &none, "--from", "examples/flight"]);
    assert!(code == Some(2) && said.contains("put a source"), "{said}");
    // A second recorder in the same folder would corrupt the first one's files.
    let held = FlightWriter::create(&folder.path().join("f"), Begin::default(), KEEP).unwrap();
    let flights = folder.path().join("f").display().to_string();
    let (code, said) = says(&["record", "pipelines/live/street.yaml", "--to", &flights]);
    assert!(code == Some(2) && said.contains("another ocelli is recording into this folder"), "{said}");
    drop(held);
}
