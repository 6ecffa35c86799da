//! Runs a pipeline and reads its packets from a channel.
//!
//! `cargo run --release --example packets -- pipelines/quickstart.yaml` prints what is in each frame of the bundled clip.

use ocelli::{Env, Pipeline};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let file = std::env::args().nth(1).unwrap_or_else(|| "pipelines/quickstart.yaml".into());
    let mut pipeline = Pipeline::read(&file)?;
    // The packets of the last line that produces any; up to eight of them wait.
    let packets = pipeline.packets(8);
    // All faults are reported here, before a device is opened.
    let run = pipeline.check(&Env::for_file(&file, &[]))?.start()?;
    let (mut frames, mut objects) = (0, 0);
    for packet in packets {
        let Some(found) = &packet.detections else { continue };
        let names = found.iter().map(|object| found.by.label(object.class).unwrap_or("?"));
        eprintln!("{:7.3} s: {}", packet.frame.pts.as_secs_f64(), names.collect::<Vec<_>>().join(", "));
        frames += 1;
        objects += found.len();
    }
    // The fault that ended the run, if any.
    let outcome = run.wait();
    outcome.result?;
    eprintln!("{objects} objects in {frames} frames\n{}", outcome.board.table(outcome.elapsed));
    Ok(())
}
