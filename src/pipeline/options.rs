//! Options of a run that are not in the YAML.

use super::config::Line;
use crate::host::ManualClock;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

/// Options of a run that are not in the YAML.
#[derive(Clone, Debug)]
pub struct Options {
    /// The frames that a line drops because it dropped them in the recorded run: by line, source and number.
    pub drops: HashMap<String, HashMap<String, HashSet<u64>>>,
    /// Extra time that a line spends on each packet.
    pub delays: HashMap<String, Duration>,
    /// A seed for random waits of up to 3 ms per packet in every line, to show that answers do not depend on timing.
    pub shake: Option<u64>,
    /// How fast sources deliver frames; as fast as possible if not given.
    pub pace: Option<Pace>,
    /// Each source ends after this many frames.
    pub frames: Option<u64>,
    /// A clock that follows the media time of the frames.
    pub clock: Option<Arc<ManualClock>>,
    /// A live run ends when a line has failed on this many packets in a row because of its model or a bug.
    pub max_faults: u64,
}

/// How many faults of a model in a row end a live run by default.
pub const DEFAULT_MAX_FAULTS: u64 = 100;

impl Default for Options {
    fn default() -> Self {
        Self {
            drops: HashMap::new(),
            delays: HashMap::new(),
            shake: None,
            pace: None,
            frames: None,
            clock: None,
            max_faults: DEFAULT_MAX_FAULTS,
        }
    }
}

/// How fast frames are delivered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// Each at its media time.
    Real,
    /// This many per second.
    Rate(f64),
}

/// Slows down a line on purpose.
pub struct Delay {
    fixed: Duration,
    shake: Option<u64>,
}

impl Delay {
    /// Creates the delay of a line.
    pub fn new(options: &Options, line: &Line, index: usize) -> Self {
        let fixed = options.delays.get(&line.id).copied().unwrap_or_default();
        Self { fixed, shake: options.shake.map(|seed| seed.wrapping_mul(31).wrapping_add(index as u64)) }
    }

    /// Waits before a packet is processed.
    pub fn wait(&mut self) {
        let mut time = self.fixed;
        if let Some(state) = &mut self.shake {
            // Knuth's MMIX generator; the quality of the numbers does not matter here.
            *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let roll = *state >> 33;
            // Half of the packets are not delayed at all, so that lines get out of step.
            time += Duration::from_micros(if roll.is_multiple_of(2) { 0 } else { roll % 3000 });
        }
        if !time.is_zero() {
            std::thread::sleep(time);
        }
    }
}
