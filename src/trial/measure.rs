//! Measures how good a pipeline's answers are.

use crate::error::Result;
use crate::eval::measure::{Measured, Tally};
use crate::labels::Played;
use crate::pipeline::{Plan, Play, Settings, Sinks};
use crate::sinks::Collect;
use sha2::{Digest, Sha256};
use std::path::Path;
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

/// Returns the pictures that a pipeline's sources will show, if all of them read picture files.
///
/// # Errors
/// If they cannot be listed.
pub fn pictures(play: &Play) -> Result<Option<Vec<Played>>> {
    let mut all = Vec::new();
    for line in play.checked.lines() {
        let Settings::Source(source) = &line.settings else { continue };
        let Some(pictures) = source.pictures(play.checked.env())? else { return Ok(None) };
        all.extend(pictures.into_iter().map(|(name, path)| Played { source: line.id.clone(), name, path }));
    }
    Ok(Some(all))
}

/// Where numbers come from: the pipeline and its models, with their hashes, and what it leaves out.
fn provenance(play: &Play, file: &Path) -> Vec<(String, String)> {
    let hash = std::fs::read(file).map_or_else(|_| "not read".into(), |bytes| hash(&bytes));
    let mut all = vec![(format!("pipeline {}", file.display()), hash)];
    for line in play.checked.lines() {
        let Settings::Stage(stage) = &line.settings else { continue };
        if let Ok(Some((model, _))) = stage.takes_input(play.checked.env())
            && let Ok(card) = play.checked.env().models.card(&model)
        {
            let sha = card.fields.model.sha256.clone();
            all.push((format!("model {model} of `{}`", line.id), format!("sha256 {sha}")));
        }
        if let (Some(score), _) = stage.leaves_out() {
            all.push((format!("threshold of `{}`", line.id), format!("{score:.4}")));
        }
    }
    all
}

fn hash(bytes: &[u8]) -> String {
    let digest: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256 {digest}")
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
    if let Some(played) = pictures(&play)? {
        shared.lock().unwrap_or_else(PoisonError::into_inner).prepare(&played)?;
    }
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
    let mut measured = tally.finish().map_err(|e| e.at(file.display()))?;
    measured.provenance.extend(provenance(&play, file));
    Ok((measured, play.notes))
}
