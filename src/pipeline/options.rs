//! What a run does beside what the YAML says.

use super::config::Line;
use crate::host::ManualClock;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

/// What a run does beside what the YAML says.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Frames that a line leaves out because a recorded run did: by line, source and number.
    pub drops: HashMap<String, HashMap<String, HashSet<u64>>>,
    /// Time that a line takes longer for each packet.
    pub delays: HashMap<String, Duration>,
    /// Every line waits at random, up to 3 ms a packet: to show that answers do not hang on timing.
    pub shake: Option<u64>,
    /// How fast sources give frames; as fast as they can if not given.
    pub pace: Option<Pace>,
    /// Sources end after so many frames.
    pub frames: Option<u64>,
    /// A clock that is moved by the frames.
    pub clock: Option<Arc<ManualClock>>,
}

/// How fast frames come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// Each at its own time.
    Real,
    /// So many a second.
    Rate(f64),
}

/// Makes a line slower on purpose.
pub struct Delay {
    fixed: Duration,
    shake: Option<u64>,
}

impl Delay {
    /// The delay of a line.
    pub fn new(options: &Options, line: &Line, index: usize) -> Self {
        let fixed = options.delays.get(&line.id).copied().unwrap_or_default();
        Self { fixed, shake: options.shake.map(|seed| seed.wrapping_mul(31).wrapping_add(index as u64)) }
    }

    /// Waits before a packet.
    pub fn wait(&mut self) {
        let mut time = self.fixed;
        if let Some(state) = &mut self.shake {
            // Knuth's MMIX: which number comes does not matter here.
            *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let roll = *state >> 33;
            // Half of the packets do not wait at all, so that lines get out of step.
            time += Duration::from_micros(if roll.is_multiple_of(2) { 0 } else { roll % 3000 });
        }
        if !time.is_zero() {
            std::thread::sleep(time);
        }
    }
}
