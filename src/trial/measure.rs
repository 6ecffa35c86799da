//! Measures how good a pipeline's answers are.

use crate::error::Result;
use crate::eval::measure::{Measured, Tally};
use crate::pipeline::{Plan, Play, Sinks};
use crate::sinks::Collect;
use std::sync::{Arc, Mutex, PoisonError};

/// Returns a sink that adds the packets it gets to a tally, at most `most` of them.
#[must_use]
pub fn measuring(tally: &Arc<Mutex<Tally>>, most: u64) -> Collect {
    let (into, mut count) = (Arc::clone(tally), 0);
    Collect::new(move |packet| {
        count += 1;
        if count > most { Ok(()) } else { into.lock().unwrap_or_else(PoisonError::into_inner).add(packet) }
    })
}

/// Plays a pipeline into a tally instead of its sinks. Returns the measurements, and notes about the run.
///
/// # Errors
/// If the plan does not fit the pipeline, or if the run fails.
pub fn measure(plan: Plan<'_>, tally: Tally) -> Result<(Measured, Vec<String>)> {
    let shared = Arc::new(Mutex::new(tally));
    let (file, sinks) = (plan.file, Sinks::Instead(Box::new(measuring(&shared, u64::MAX))));
    let play = Play::prepare(Plan { sinks, ..plan })?;
    play.run()?.result.map_err(|e| e.at(file.display()))?;
    let tally = std::mem::take(&mut *shared.lock().unwrap_or_else(PoisonError::into_inner));
    Ok((tally.finish().map_err(|e| e.at(file.display()))?, play.notes))
}
