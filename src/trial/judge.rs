//! Runs one test: plays the pipeline, and compares its output with what is expected.

use super::file::{Bounds, TestFile, beside};
use super::measure::measure;
use super::output::write_file;
use crate::error::{Error, Result};
use crate::eval::classification::TopK;
use crate::eval::diff::{Diff, Least, page, side_by_side};
use crate::eval::golden::{self, Difference};
use crate::eval::measure::{Measured, Tally};
use crate::eval::pictures::{Frames, fetch};
use crate::eval::rows::{self, Name, Row};
use crate::eval::segmentation::Confusion;
use crate::labels::{self, Labels, Truth};
use crate::media::png;
use crate::pipeline::{Options, Origin, Outcome, Plan, Play, Playback, Settings, Sinks};
use crate::stage::Outputs;
use crate::types::Products;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A test to run.
pub struct Trial<'a> {
    /// The folders of models.
    pub models: &'a [PathBuf],
    /// The test file.
    pub path: &'a Path,
    /// The name of the test.
    pub name: &'a str,
    /// Where pictures and rows go.
    pub out: &'a Path,
    /// Whether the output becomes what is expected from now on.
    pub bless: bool,
    /// Receives messages while the test runs.
    pub tell: &'a dyn Fn(&str) -> Result<()>,
}

/// The result of a test.
pub struct Verdict {
    /// The test's name.
    pub name: String,
    /// How long it took.
    pub took: Duration,
    /// A summary, shown if the test passed.
    pub summary: String,
    /// What is not as expected.
    pub failures: Vec<String>,
    /// Why it could not run.
    pub error: Option<Error>,
}

/// The output of a run.
struct Seen {
    bytes: Vec<u8>,
    outcome: Outcome,
    play: Play,
}

impl Trial<'_> {
    /// Runs the test and judges it.
    #[must_use]
    pub fn run(&self) -> Verdict {
        let began = Instant::now();
        let (summary, failures, error) = match self.try_it() {
            Ok((summary, failures)) => (summary, failures, None),
            Err(error) => (String::new(), Vec::new(), Some(error)),
        };
        Verdict { name: self.name.to_owned(), took: began.elapsed(), summary, failures, error }
    }

    /// Returns a summary of what was seen, and what is not as expected.
    fn try_it(&self) -> Result<(String, Vec<String>)> {
        let test = TestFile::read(self.path)?;
        let mut failures = Vec::new();
        reset_peak();
        let seen = self.play(&test, None, None)?;
        let peak = peak_bytes();
        judge_end(&test, &seen, &mut failures);
        let rows = rows::read(&seen.bytes, "rows")?;
        judge_counts(&test, &seen, &rows, &mut failures);
        judge_limits(&test, &seen, peak, &mut failures);
        self.judge_repeats(&test, &seen, &rows, &mut failures)?;
        let mut summary = format!("{} rows", rows.len());
        if !test.expect.accuracy.is_empty() {
            let measured = self.measure(&test)?;
            judge_accuracy(&test.expect.accuracy, &measured, &mut failures, &mut summary);
            if !measured.strangers.is_empty() {
                let list: Vec<String> =
                    measured.strangers.iter().map(|(name, n)| format!("`{}` ({n})", labels::shown(name))).collect();
                failures.push(format!(
                    "accuracy: the labels have classes that the model does not know: {}; give them its names with `labels: {{ path: …, map: {{ LABEL: CLASS }} }}`",
                    list.join(", ")
                ));
            }
            for note in measured.notes {
                summary.push_str(&format!(", note: {note}"));
            }
        }
        for note in &seen.play.notes {
            summary.push_str(&format!(", note: {note}"));
        }
        // Last, because the rows of a test that fails elsewhere are not blessed.
        self.judge_golden(&test, &seen, &rows, &mut failures)?;
        Ok((summary, failures))
    }

    fn judge_repeats(&self, test: &TestFile, seen: &Seen, rows: &[Row], failures: &mut Vec<String>) -> Result<()> {
        let ended = |seen: &Seen| seen.outcome.result.as_ref().err().map(ToString::to_string);
        for seed in 0..test.repeat {
            let threads = if seed.is_multiple_of(2) { 2 } else { 1 };
            let again = self.play(test, Some(seed + 1), Some(threads))?;
            let how = format!("played again with random delays (seed {}) and {threads} threads", seed + 1);
            if ended(&again) != ended(seen) {
                let words = ended(&again).unwrap_or_else(|| "without an error".into());
                failures.push(format!("{how}: the run ended differently: {words}"));
                break;
            }
            if again.bytes != seen.bytes {
                let other = rows::read(&again.bytes, "rows")?;
                let first = golden::compare(rows, &other, &golden::Tolerance::default());
                let first = first.map_or_else(
                    || "the same values in other bytes or in another order".into(),
                    |d| words(&d, &seen.play, rows),
                );
                failures.push(format!("{how}: {first}"));
                break;
            }
        }
        Ok(())
    }

    fn play(&self, test: &TestFile, shake: Option<u64>, threads: Option<usize>) -> Result<Seen> {
        let buffer = Arc::new(Mutex::new(Vec::new()));
        let pipeline = beside(self.path, &test.pipeline);
        let plan = Plan {
            file: &pipeline,
            models: self.models,
            settings: test.settings(),
            playback: Playback { threads, ..test.playback(self.path) },
            sinks: Sinks::Rows(None),
            outputs: Outputs::Rows(buffer.clone()),
        };
        let mut play = Play::prepare(plan)?;
        if let Some(unknown) = test.slow.keys().find(|id| !play.checked.lines().iter().any(|line| line.id == **id)) {
            let known = play.checked.lines().iter().map(|line| line.id.as_str());
            let message = format!("`slow`: no line is called `{unknown}`; expected {}", crate::yaml::one_of(known));
            return Err(Error::Config(message).at(self.path.display()));
        }
        let delays = test.slow.iter().map(|(line, span)| (line.clone(), span.0)).collect();
        play.options = Options { delays, shake, ..play.options };
        let outcome = play.run()?;
        let bytes = std::mem::take(&mut *buffer.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(Seen { bytes, outcome, play })
    }

    fn measure(&self, test: &TestFile) -> Result<Measured> {
        let labels = test.labels.clone().map(|truth| self.labels(truth)).transpose()?;
        let (file, tally) = (beside(self.path, &test.pipeline), Tally::new(labels, &[], 0));
        let plan = Plan {
            file: &file,
            models: self.models,
            settings: test.settings(),
            playback: test.playback(self.path),
            sinks: Sinks::All,
            outputs: Outputs::default(),
        };
        measure(plan, tally, None).map(|(measured, _)| measured)
    }

    fn labels(&self, truth: Truth) -> Result<Arc<Labels>> {
        let path = beside(self.path, &truth.path.to_string_lossy());
        let names = truth.names.map(|names| {
            let file = beside(self.path, &names);
            if file.is_file() { file.display().to_string() } else { names }
        });
        Labels::read(&Truth { path, names, ..truth }).map(Arc::new)
    }

    fn judge_golden(&self, test: &TestFile, seen: &Seen, rows: &[Row], failures: &mut Vec<String>) -> Result<()> {
        let Some(golden) = &test.expect.golden else { return Ok(()) };
        let path = beside(self.path, golden);
        let expected = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound && self.bless => Vec::new(),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                failures.push(format!("{}: does not exist; `--bless` writes it", path.display()));
                return Ok(());
            }
            Err(e) => return Err(Error::io(&path, e)),
        };
        if expected == seen.bytes && path.exists() {
            return Ok(());
        }
        let before = match rows::read(&expected, &path.display().to_string()) {
            // It is about to be overwritten.
            Err(_) if self.bless => Vec::new(),
            other => other?,
        };
        let difference = golden::compare(&before, rows, &test.expect.tolerance);
        if self.bless {
            if !failures.is_empty() {
                failures.push(format!("{}: not blessed, because something else is not as expected", path.display()));
                return Ok(());
            }
            let diff = Diff::of(&before, rows, Least { score: 0.0, iou: 0.9999 });
            let first = difference.map_or(String::new(), |d| format!("{}\n", words(&d, &seen.play, rows)));
            (self.tell)(&format!("{}: blessed, {} rows\n{first}{}", path.display(), rows.len(), diff.text(10)))?;
            return write_file(&path, &seen.bytes);
        }
        // An editor may have taken the last newline away, or a checkout may have changed all of them.
        let plain = |bytes: &[u8]| {
            bytes.trim_ascii_end().split(|b| *b == b'\n').map(|l| l.trim_ascii_end().to_vec()).collect::<Vec<_>>()
        };
        if difference.is_none() && plain(&expected) == plain(&seen.bytes) {
            return Ok(());
        }
        let Some(difference) = difference else {
            // The values are equal within the tolerance, but the bytes are not.
            if test.expect.tolerance == golden::Tolerance::default() {
                failures.push(format!(
                    "{}: same values, but different bytes, numbers or order; `--bless` overwrites it",
                    path.display()
                ));
            }
            return Ok(());
        };
        let evidence = self.leave_evidence(&difference, seen, &before, rows);
        // The difference is reported even if it cannot be shown.
        let evidence = evidence.unwrap_or_else(|e| format!("\nthe difference cannot be shown: {e}"));
        failures.push(format!("{}: {}{evidence}", path.display(), words(&difference, &seen.play, rows)));
        Ok(())
    }

    /// Writes a picture of both sides, a page with all changes and the rows; returns a text that says where.
    fn leave_evidence(&self, difference: &Difference, seen: &Seen, before: &[Row], rows: &[Row]) -> Result<String> {
        let file = |ending: &str| self.out.join(format!("{}{ending}", self.name));
        write_file(&file(".jsonl"), &seen.bytes)?;
        let diff = Diff::of(before, rows, Least { score: 0.0, iou: 0.9999 });
        let worst: Vec<_> = diff.worst().into_iter().take(12).collect();
        let mut wanted: BTreeSet<Name> = worst.iter().map(|(_, row, _)| row.name.clone()).collect();
        wanted.insert(difference.found_frame.clone());
        let mut frames = Frames::new();
        for line in seen.play.checked.lines() {
            if let Settings::Source(source) = &line.settings {
                fetch(&**source, &line.id, seen.play.checked.env(), &wanted, &mut frames)?;
            }
        }
        let names = ["expected".to_owned(), "found".to_owned()];
        write_file(&file(".html"), page(&diff, &worst, &frames, &names, 50)?.as_bytes())?;
        let mut words = format!("\nrows and changes: {}, {}", file(".jsonl").display(), file(".html").display());
        let of = |rows: &[Row], name: &Name| rows.iter().find(|row| row.name == *name).cloned();
        let both = of(before, &difference.frame).zip(of(rows, &difference.found_frame));
        let both = both.zip(frames.get(&difference.found_frame));
        if let Some(((expected, found), frame)) = both {
            let changes = diff.frames.iter().find(|(row, ..)| row.name == difference.frame);
            let changes = changes.map_or(&[][..], |(.., changes)| changes.as_slice());
            let mut bytes = Vec::new();
            png::encode(&side_by_side(frame, &expected, &found, changes, ["expected", "found"]), &mut bytes)?;
            write_file(&file(".png"), &bytes)?;
            words.push_str(&format!("\npicture: {}", file(".png").display()));
        }
        Ok(words)
    }
}

impl TestFile {
    fn settings(&self) -> Vec<(crate::pipeline::Setting, crate::yaml::Node)> {
        self.set.iter().map(|text| (text.0.clone(), text.0.values[0].clone())).collect()
    }

    fn playback(&self, file: &Path) -> Playback {
        let origin = |(source, path): &(Option<String>, String)| {
            let path: PathBuf = std::path::absolute(beside(file, path)).unwrap_or_else(|_| beside(file, path));
            Origin { source: source.clone(), path, recorded: None }
        };
        Playback {
            from: self.from.0.iter().map(origin).collect(),
            run: self.run,
            frames: self.frames,
            drops: self.drops,
            faults: self.faults.iter().map(|faults| (self.faulty_source.clone(), faults.clone())).collect(),
            threads: None,
        }
    }
}

/// Returns the line that produced a field of a row, or changed it last.
fn giver(field: &str, play: &Play) -> Option<String> {
    let key = field.split(['[', '.']).next()?.trim_start_matches("number of ");
    let product = Some(Products::of_key(key)).filter(|product| !product.is_empty())?;
    let gives = |at: &usize| match &play.checked.lines()[*at].settings {
        Settings::Stage(stage) => stage.gives().contains(product),
        Settings::Source(_) | Settings::Sink(_) => false,
    };
    (0..play.checked.lines().len()).rev().find(gives).map(|at| play.checked.lines()[at].id.clone())
}

/// Describes the first difference: frame, stage, field, both values.
fn words(difference: &Difference, play: &Play, rows: &[Row]) -> String {
    let Difference { frame, found_frame, field, expected, found, rows: count } = difference;
    let time = rows
        .iter()
        .find(|row| row.name == *found_frame)
        .map_or(String::new(), |row| format!(" ({:.3} s)", row.pts_ms / 1000.0));
    let stage = giver(field, play).map_or(String::new(), |id| format!(" of `{id}`"));
    format!(
        "first difference in frame {} of {}{time}: {field}{stage}: expected {expected}, found {found}; {count} of {} rows differ",
        frame.1,
        frame.0,
        rows.len()
    )
}

fn judge_end(test: &TestFile, seen: &Seen, failures: &mut Vec<String>) {
    match (&seen.outcome.result, &test.expect.error) {
        (Ok(()), None) => {}
        (Err(error), Some(expected)) if error.to_string().contains(expected.as_str()) => {}
        (Ok(()), Some(expected)) => failures.push(format!("the run ended without an error; expected {expected:?}")),
        (Err(error), Some(expected)) => failures.push(format!("the run ended with {error}; expected {expected:?}")),
        (Err(error), None) => failures.push(format!("the run ended with {error}")),
    }
    // In a live run, a failure only costs its packet; in a test it would go unnoticed.
    let failed: u64 = seen.outcome.board.lines.iter().map(|line| line.failed.load(Relaxed)).sum();
    let bounds = test.expect.failed.unwrap_or(Bounds { least: 0, most: 0 });
    if !bounds.has(failed) {
        let lines = seen.outcome.board.lines.iter().filter(|line| line.failed.load(Relaxed) > 0);
        let lines: Vec<String> = lines.map(|line| format!("`{}`", line.id)).collect();
        failures.push(format!("{failed} packets failed ({}); expected {bounds}", lines.join(", ")));
    }
}

/// Returns the classes that the models of a pipeline know; empty if the models name none.
fn known_classes(play: &Play) -> BTreeSet<String> {
    let mut known = BTreeSet::new();
    for line in play.checked.lines() {
        let Settings::Stage(stage) = &line.settings else { continue };
        let Ok(Some((model, _))) = stage.takes_input(play.checked.env()) else { continue };
        if let Ok(card) = play.checked.env().models.card(&model) {
            known.extend(card.labels.iter().cloned());
        }
    }
    known
}

fn judge_counts(test: &TestFile, seen: &Seen, rows: &[Row], failures: &mut Vec<String>) {
    let bounds = test.expect.rows.unwrap_or(Bounds { least: u64::from(test.expect.error.is_none()), most: u64::MAX });
    if !bounds.has(rows.len() as u64) {
        failures.push(format!("{} rows; expected {bounds}", rows.len()));
    }
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    rows.iter()
        .flat_map(|row| row.objects("detections"))
        .for_each(|object| *counts.entry(object.label).or_default() += 1);
    let known = known_classes(&seen.play);
    for (label, bounds) in &test.expect.counts {
        let count = counts.get(label).copied().unwrap_or(0);
        if !known.is_empty() && !known.contains(label) {
            failures.push(format!("`counts`: no model of the pipeline knows the class `{label}`"));
        } else if !bounds.has(count) {
            failures.push(format!("`{label}` was found {count} times; expected {bounds}"));
        }
    }
}

fn judge_limits(test: &TestFile, seen: &Seen, peak: Option<u64>, failures: &mut Vec<String>) {
    if let (Some(most), Some(peak)) = (test.expect.memory, peak)
        && peak > most.0
    {
        failures.push(format!(
            "memory: {:.0} MB; at most {:.0} MB are allowed",
            peak as f64 / 1e6,
            most.0 as f64 / 1e6
        ));
    }
    for (id, most) in &test.expect.allocations {
        let Some(line) = seen.outcome.board.line(id) else {
            failures.push(format!("`allocations`: no line is called `{id}`"));
            continue;
        };
        if line.worked() == 0 {
            failures.push(format!("`allocations`: `{id}` had nothing to work on"));
            continue;
        }
        let each = line.allocations.load(Relaxed) as f64 / line.worked() as f64;
        if each > *most {
            failures.push(format!("`{id}` allocates {each:.2} times per frame; at most {most} are allowed"));
        }
    }
}

fn judge_accuracy(
    least: &BTreeMap<String, f64>,
    measured: &Measured,
    failures: &mut Vec<String>,
    summary: &mut String,
) {
    let detection = measured.detection.as_ref();
    let segmentation = measured.segmentation.as_ref().map(|s| &s.confusion);
    let top = measured.classification.as_ref().map(|c| &c.top);
    for (metric, least) in least {
        let value = match metric.as_str() {
            "AP" => detection.and_then(|d| d.coco.summary.ap),
            "AP50" => detection.and_then(|d| d.coco.summary.ap50),
            "precision" => detection.and_then(|d| d.total.precision()),
            "recall" => detection.and_then(|d| d.total.recall()),
            "miou" => segmentation.and_then(Confusion::mean_iou),
            "pixel_accuracy" => segmentation.and_then(Confusion::pixel_accuracy),
            "top1" => top.and_then(TopK::top1),
            _ => top.and_then(TopK::top5),
        };
        match value {
            Some(value) if value >= *least => summary.push_str(&format!(", {metric} {value:.3}")),
            Some(value) => failures.push(format!("{metric} is {value:.4}; expected {least} or more")),
            None => failures.push(format!("{metric}: there was nothing to measure it on")),
        }
    }
}

/// Resets the memory peak (on Linux; elsewhere nothing is measured).
fn reset_peak() {
    // Some containers refuse this. Then the peak of the whole program counts, which errs on the strict side.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

fn peak_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}
