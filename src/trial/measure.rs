//! Measures how good a pipeline's answers are.

use crate::error::Result;
use crate::eval::measure::{Measured, Tally};
use crate::labels::Played;
use crate::pipeline::{Plan, Play, Settings, Sinks};
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

/// Returns the pictures that a pipeline's sources will show, if all of them read picture files; otherwise none.
///
/// # Errors
/// If they cannot be listed.
pub fn pictures(play: &Play) -> Result<Vec<Played>> {
    let mut all = Vec::new();
    for line in play.checked.lines() {
        let Settings::Source(source) = &line.settings else { continue };
        let Some(pictures) = source.pictures(play.checked.env())? else { return Ok(Vec::new()) };
        all.extend(pictures.into_iter().map(|(name, path)| Played { source: line.id.clone(), name, path }));
    }
    Ok(all)
}

/// Plays a pipeline into a tally instead of its sinks, measuring what reaches the `jsonl` line called `rows`, or the
/// first one. Returns the measurements, and notes about the run.
///
/// # Errors
/// If the plan does not fit the pipeline, or if the run fails.
pub fn measure(plan: Plan<'_>, tally: Tally, rows: Option<&str>) -> Result<(Measured, Vec<String>)> {
    let shared = Arc::new(Mutex::new(tally));
    let sink = Box::new(measuring(&shared, u64::MAX));
    let (file, sinks) = (plan.file, Sinks::Instead(rows.map(str::to_owned), sink));
    let mut play = Play::prepare(Plan { sinks, ..plan })?;
    shared.lock().unwrap_or_else(PoisonError::into_inner).prepare(&pictures(&play)?)?;
    for line in play.checked.lines() {
        if let Settings::Stage(stage) = &line.settings {
            let (score, classes) = stage.leaves_out();
            shared.lock().unwrap_or_else(PoisonError::into_inner).leaves_out(&line.id, score, classes);
        }
    }
    let other = play.left_out.iter().find(|(_, word)| word == "jsonl");
    if let (Some((other, _)), None) = (other, rows) {
        let kept = play.checked.lines().iter().find(|line| matches!(line.settings, Settings::Sink(_)));
        let kept = kept.map_or("the first", |line| line.id.as_str());
        play.notes.push(format!("only what reaches `{kept}` is measured; --rows {other} measures `{other}`"));
    }
    play.run()?.result.map_err(|e| e.at(file.display()))?;
    let tally = std::mem::take(&mut *shared.lock().unwrap_or_else(PoisonError::into_inner));
    Ok((tally.finish().map_err(|e| e.at(file.display()))?, play.notes))
}
