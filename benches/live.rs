//! The age of results: a live source of 30 frames per second in front of a stage that takes 100 ms.
//!
//! `cargo bench --bench live` compares queues that hold only the newest frame with queues that hold 30 (`queue:`), in
//! one run. With the first, results stay young; with the second, their age creeps up to a multiple of the stage's time.
#![allow(clippy::unwrap_used, missing_docs)]

use ocelli::internals::error::Result;
use ocelli::internals::host::{Clock, SystemClock};
use ocelli::internals::pipeline::{Line, Parts, Pipeline, QueueSetting, Settings};
use ocelli::internals::sinks::Collect;
use ocelli::internals::stage::{Emitter, Env, LineEnv, Stage, StageConfig};
use ocelli::internals::types::{Packet, Products};
use ocelli::internals::yaml::Place;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const WORK: Duration = Duration::from_millis(100);

struct Slow;

impl StageConfig for Slow {
    fn needs(&self) -> Products {
        Products::empty()
    }
    fn gives(&self) -> Products {
        Products::empty()
    }
    fn build(&self, _: &LineEnv) -> Result<Box<dyn Stage>> {
        Ok(Box::new(Self))
    }
}

impl Stage for Slow {
    fn process(&mut self, packet: Packet, out: &mut Emitter) -> Result<()> {
        std::thread::sleep(WORK);
        out.emit(packet);
        Ok(())
    }
}

fn line(id: &str, settings: Settings, queue: Option<usize>) -> Line {
    let queue = queue.map(|capacity| QueueSetting { capacity: Some(capacity), when_full: None });
    let (from, secrets, place) = (Vec::new(), Vec::new(), Place::default());
    Line { id: id.into(), word: "bench", settings, from, queue, every: None, deadline: None, place, secrets }
}

/// Returns the ages in milliseconds of what arrives from a live scene in `seconds`, with a queue of `capacity` packets
/// in front of the slow stage.
fn ages(capacity: Option<usize>, seconds: u64) -> Vec<f64> {
    let text = format!(
        "pipeline:\n- {{ scene: {{ live: true, fps: 30, size: [320, 240], frames: {} }}, faulty: {{}} }}\n",
        seconds * 30
    );
    let mut pipeline = Pipeline::parse("bench.yaml", &text, &Parts::builtin()).unwrap();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let seen = Arc::<Mutex<Vec<f64>>>::default();
    pipeline.lines.push(line("slow", Settings::Stage(Box::new(Slow)), capacity));
    let (into, now) = (Arc::clone(&seen), Arc::clone(&clock));
    let collect = Collect::new(move |packet| {
        into.lock().unwrap().push(now.now().saturating_sub(packet.born).as_secs_f64() * 1e3);
        Ok(())
    });
    pipeline.lines.push(line("ages", Settings::Sink(Box::new(collect)), None));
    let mut env = Env::new(".", &[]);
    env.clock = clock;
    pipeline.check(&env).unwrap().run().unwrap().result.unwrap();
    let mut ages = seen.lock().unwrap().clone();
    ages.sort_by(f64::total_cmp);
    ages
}

fn main() {
    println!("queue             results   median ms   p95 ms");
    for (name, capacity) in [("newest (default)", None), ("capacity: 30", Some(30)), ("newest (again)", None)] {
        let ages = ages(capacity, 15);
        let at = |part: f64| ages[((ages.len() - 1) as f64 * part) as usize];
        println!("{name:17} {:7}   {:9.0}   {:6.0}", ages.len(), at(0.5), at(0.95));
    }
}
