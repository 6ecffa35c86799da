//! What recording costs a live pipeline: the age of results with and without a recorder.
//!
//! `cargo bench --bench record` plays a street of 640x480 at 30 frames per second through the bundled model, four times
//! in one run: with nothing recorded, every pixel kept (PNG), JPEG of quality 90, and nothing again.
#![allow(clippy::unwrap_used, missing_docs)]

use ocelli::internals::host::{Clock, SystemClock};
use ocelli::internals::media::flight::Keep;
use ocelli::internals::pipeline::{Parts, Pipeline, RecordSettings, Recorder, Sinks};
use ocelli::internals::sinks::Collect;
use ocelli::internals::stage::Env;
use std::sync::{Arc, Mutex};

const SECONDS: u64 = 15;

/// What is recorded during the run.
#[derive(Clone, Copy)]
enum How {
    Nothing,
    Pixels,
    Jpeg(u8),
}

/// Returns the ages of results in milliseconds, and the recorder's summary.
fn ages(how: How) -> (Vec<f64>, String) {
    let text = format!(
        "pipeline:\n- scene: {{ live: true, fps: 30, size: [640, 480], frames: {} }}\n- resize: {{ for: scene }}\n- detect: {{ model: scene }}\n- nms\n- jsonl\n",
        SECONDS * 30
    );
    let mut pipeline = Pipeline::parse("bench.yaml", &text, &Parts::builtin()).unwrap();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let seen = Arc::<Mutex<Vec<f64>>>::default();
    let (into, now) = (Arc::clone(&seen), Arc::clone(&clock));
    let collect = Collect::new(move |packet| {
        into.lock().unwrap().push(now.now().saturating_sub(packet.born).as_secs_f64() * 1e3);
        Ok(())
    });
    Sinks::Instead(None, Box::new(collect)).apply(&mut pipeline).unwrap();
    let checked = pipeline
        .check(&{
            let mut env = Env::new(".", &[]);
            env.clock = clock;
            env
        })
        .unwrap();
    let folder = std::env::temp_dir().join(format!("ocelli-bench-record-{}", std::process::id()));
    let start = |jpeg| {
        let keep = Keep { bytes: 2 << 30, time: None };
        Recorder::start(&checked, &RecordSettings { folder: folder.clone(), keep, jpeg }).unwrap()
    };
    let recorder = match how {
        How::Nothing => None,
        How::Pixels => Some(start(None)),
        How::Jpeg(quality) => Some(start(Some(quality))),
    };
    let checked = match &recorder {
        Some(recorder) => checked.with_tap(recorder.clone()),
        None => checked,
    };
    checked.run().unwrap().result.unwrap();
    let said = recorder.map_or(String::new(), |recorder| recorder.finish());
    let _ = std::fs::remove_dir_all(&folder);
    let mut ages = seen.lock().unwrap().clone();
    ages.sort_by(f64::total_cmp);
    (ages, said)
}

fn main() {
    println!("recording          results   median ms   p95 ms");
    let arms = [
        ("nothing", How::Nothing),
        ("every pixel", How::Pixels),
        ("JPEG 90", How::Jpeg(90)),
        ("nothing (again)", How::Nothing),
    ];
    for (name, how) in arms {
        let (ages, said) = ages(how);
        let at = |part: f64| ages[((ages.len() - 1) as f64 * part) as usize];
        println!("{name:18} {:7}   {:9.1}   {:6.1}   {said}", ages.len(), at(0.5), at(0.95));
    }
}
