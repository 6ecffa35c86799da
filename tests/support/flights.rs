//! Records runs and replays them.

use super::pipe;
use ocelli::internals::media::flight::Keep;
use ocelli::internals::pipeline::{Options, Origin, Pipeline, Playback, RecordSettings, Recorder, Run, Sinks};
use ocelli::internals::sinks::Collect;
use ocelli::internals::stage::{Env, Outputs};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

pub const KEEP: Keep = Keep { bytes: 4 << 30, time: None };

type Rows = Arc<Mutex<Vec<u8>>>;

/// What is written for each frame.
#[derive(Clone, Copy, PartialEq)]
pub enum Of {
    /// The rows of `jsonl`.
    Rows,
    /// The sequence number, the times and the hash of the pixels.
    Pixels,
}

fn sinks(of: Of, rows: &Rows) -> Sinks {
    if of == Of::Rows {
        return Sinks::Rows(None);
    }
    let rows = Arc::clone(rows);
    Sinks::Instead(
        None,
        Box::new(Collect::new(move |packet| {
            let frame = &packet.frame;
            let hash = Sha256::digest(&frame.image.data);
            writeln!(rows.lock().unwrap(), "{} {} {:?} {:?} {hash:x?}", frame.source, frame.seq, frame.pts, frame.wall)
                .unwrap();
            Ok(())
        })),
    )
}

fn prepare(text: &str, of: Of) -> (Pipeline, Env, Rows) {
    let rows = Rows::default();
    let mut env = pipe::env(&[]);
    env.outputs = Outputs::Rows(rows.clone());
    let mut pipeline = pipe::parse(text);
    sinks(of, &rows).apply(&mut pipeline).unwrap();
    (pipeline, env, rows)
}

fn taken(rows: &Rows) -> Vec<u8> {
    std::mem::take(&mut *rows.lock().unwrap())
}

/// Runs and records a live pipeline until `over` returns, with some lines slowed down. Returns its output.
pub fn record_until(text: &str, folder: &Path, of: Of, slow: &[(&str, u64)], over: impl FnOnce(&Run)) -> Vec<u8> {
    let (pipeline, env, rows) = prepare(text, of);
    let checked = pipeline.check(&env).unwrap_or_else(|e| panic!("{e}"));
    let how = RecordSettings { folder: folder.to_path_buf(), keep: KEEP, jpeg: None };
    let recorder = Recorder::start(&checked, &how).unwrap();
    let checked = checked.with_tap(recorder.clone());
    let delays: HashMap<String, Duration> =
        slow.iter().map(|(line, ms)| ((*line).to_owned(), Duration::from_millis(*ms))).collect();
    let run = checked.start_with(&Options { delays, ..Options::default() }).unwrap();
    over(&run);
    run.stop().request();
    run.wait().result.unwrap();
    eprintln!("{}", recorder.finish());
    taken(&rows)
}

/// Runs and records a live pipeline for `time`. Returns its rows.
pub fn record(text: &str, folder: &Path, time: Duration, slow: &[(&str, u64)]) -> Vec<u8> {
    record_until(text, folder, Of::Rows, slow, |run| {
        let began = Instant::now();
        while began.elapsed() < time && !run.is_finished() {
            std::thread::sleep(Duration::from_millis(20));
        }
    })
}

/// How a recording is replayed.
#[derive(Clone, Copy, Default)]
pub struct How {
    /// Lines drop the packets that they dropped in the recorded run.
    pub drops: bool,
    /// Threads per frame.
    pub threads: Option<usize>,
    /// The seed of random delays.
    pub shake: Option<u64>,
}

/// Replays a recording. Returns its output.
pub fn replay_of(text: &str, folder: &Path, of: Of, how: How) -> Vec<u8> {
    let (mut pipeline, mut env, rows) = prepare(text, of);
    let from = vec![Origin { source: None, path: folder.to_path_buf(), recorded: None }];
    let playback = Playback { from, drops: how.drops, threads: how.threads, ..Playback::default() };
    let (options, notes) = playback.apply(&mut pipeline, &mut env).unwrap();
    assert!(notes.is_empty(), "{notes:?}");
    let checked = pipeline.check(&env).unwrap_or_else(|e| panic!("{e}"));
    let run = checked.start_with(&Options { shake: how.shake, ..options }).unwrap();
    run.wait().result.unwrap();
    taken(&rows)
}

/// Replays a recording. Returns its rows.
pub fn replay(text: &str, folder: &Path, how: How) -> Vec<u8> {
    replay_of(text, folder, Of::Rows, how)
}
