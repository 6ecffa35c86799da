//! Plays the same recording with different settings.

use crate::error::Result;
use crate::eval::labels::Labels;
use crate::eval::measure::{Measured, Tally};
use crate::eval::page::{Page, Series};
use crate::eval::report::{shown as number, table};
use crate::pipeline::{Plan, Play, Playback, Setting, Sinks, shown};
use crate::sinks::Collect;
use crate::stage::Outputs;
use crate::types::Packet;
use crate::yaml::{Node, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// What to play, and what changes from run to run.
pub struct Sweep<'a> {
    /// The pipeline's file.
    pub file: &'a Path,
    /// Folders of models.
    pub models: &'a [PathBuf],
    /// What replaces the sources.
    pub playback: Playback,
    /// The settings to change; all combinations of their values are played.
    pub settings: &'a [Setting],
    /// The labels, for precision and recall.
    pub labels: Option<Labels>,
    /// Only these classes count, if any are named.
    pub classes: &'a [String],
}

/// The result of one combination.
pub struct Step {
    values: Vec<Node>,
    counts: BTreeMap<String, u64>,
    measured: Option<Measured>,
}

impl Sweep<'_> {
    /// Returns every combination, in order.
    #[must_use]
    pub fn combinations(&self) -> Vec<Vec<Node>> {
        combine(self.settings)
    }

    /// Plays one combination.
    ///
    /// # Errors
    /// If the combination does not fit the pipeline, or if the run fails.
    pub fn step(&self, values: Vec<Node>) -> Result<Step> {
        let labels = self.labels.clone();
        let labelled = labels.is_some();
        let state = Arc::new(Mutex::new((Tally::new(labels, self.classes, 0), BTreeMap::<String, u64>::new())));
        let into = Arc::clone(&state);
        let classes = self.classes.to_vec();
        let take = move |packet: &Packet| {
            let mut state = into.lock().unwrap_or_else(PoisonError::into_inner);
            for found in packet.detections.iter().flat_map(|found| found.iter()) {
                let label = packet.label(found.class).map_or_else(|| found.class.to_string(), str::to_owned);
                if classes.is_empty() || classes.contains(&label) {
                    *state.1.entry(label).or_default() += 1;
                }
            }
            if labelled || packet.truth.is_some() { state.0.add(packet) } else { Ok(()) }
        };
        let settings = self.settings.iter().cloned().zip(values.iter().cloned()).collect();
        let sinks = Sinks::Instead(Box::new(Collect::new(take)));
        let plan = Plan {
            file: self.file,
            models: self.models,
            settings,
            playback: self.playback.clone(),
            sinks,
            outputs: Outputs::default(),
        };
        let play = Play::prepare(plan)?;
        play.run()?.result.map_err(|e| e.at(self.file.display()))?;
        let (tally, counts) = std::mem::take(&mut *state.lock().unwrap_or_else(PoisonError::into_inner));
        // Without labels and without a scene, there are only counts.
        let measured = if labelled { Some(tally.finish()?) } else { tally.finish().ok() };
        Ok(Step { values, counts, measured })
    }

    /// Returns the table as text for people.
    #[must_use]
    pub fn table(&self, steps: &[Step]) -> String {
        let (head, rows) = self.rows(steps);
        let head: Vec<&str> = head.iter().map(String::as_str).collect();
        table(&head, &rows)
    }

    /// Returns the table as JSON, one object per step.
    #[must_use]
    pub fn json(&self, steps: &[Step]) -> String {
        let line = |step: &Step| {
            let settings: serde_json::Map<_, _> = self
                .settings
                .iter()
                .zip(&step.values)
                .map(|(set, value)| (set.name(), number_or_text(value)))
                .collect();
            let measured = step.measured.as_ref().map(Measured::json);
            format!("{}\n", serde_json::json!({ "settings": settings, "counts": step.counts, "measured": measured }))
        };
        steps.iter().map(line).collect()
    }

    fn rows(&self, steps: &[Step]) -> (Vec<String>, Vec<Vec<String>>) {
        let labels: BTreeSet<&String> = steps.iter().flat_map(|step| step.counts.keys()).collect();
        let measured = steps.iter().any(|step| step.measured.is_some());
        let mut head: Vec<String> = self.settings.iter().map(Setting::name).collect();
        head.extend(labels.iter().map(|label| (*label).clone()));
        if measured {
            head.extend(["precision", "recall", "F1", "AP50", "mAP"].map(str::to_owned));
        }
        let row = |step: &Step| {
            let mut row: Vec<String> = step.values.iter().map(shown).collect();
            row.extend(labels.iter().map(|label| step.counts.get(*label).copied().unwrap_or(0).to_string()));
            if measured {
                let (precision, recall, f1) = step.rates();
                let summary = step.measured.as_ref().and_then(|m| m.detection.as_ref()).map(|d| d.coco.summary.clone());
                let summary = summary.unwrap_or_default();
                row.extend([precision, recall, f1, summary.ap50, summary.ap].map(number));
            }
            row
        };
        (head, steps.iter().map(row).collect())
    }

    /// Returns an HTML page with the table and plots.
    #[must_use]
    pub fn page(&self, steps: &[Step]) -> String {
        let (head, rows) = self.rows(steps);
        let head: Vec<&str> = head.iter().map(String::as_str).collect();
        let mut page = Page::new(&format!("{}: {}", self.file.display(), head[..self.settings.len()].join(", ")));
        // One curve per combination of the other settings, over the first setting.
        let x = |step: &Step| match step.values[0].value {
            Value::Int(value) => Some(value as f64),
            Value::Float(value) => Some(value),
            _ => None,
        };
        let xs: Vec<f64> = steps.iter().filter_map(x).collect();
        let range =
            (xs.iter().copied().fold(f64::INFINITY, f64::min), xs.iter().copied().fold(f64::NEG_INFINITY, f64::max));
        if xs.len() == steps.len() && !xs.is_empty() {
            let labels: BTreeSet<&String> = steps.iter().flat_map(|step| step.counts.keys()).collect();
            let mut rates: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
            let mut counts: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
            for (step, x) in steps.iter().zip(&xs) {
                let others: Vec<String> = step.values[1..].iter().map(shown).collect();
                let named = |name: &str| format!("{name} {}", others.join(" ")).trim_end().to_owned();
                let (precision, recall, f1) = step.rates();
                for (name, rate) in [("precision", precision), ("recall", recall), ("F1", f1)] {
                    rate.into_iter().for_each(|rate| rates.entry(named(name)).or_default().push((*x, rate)));
                }
                for label in &labels {
                    // A class that is no longer found has a count of 0.
                    let count = step.counts.get(*label).copied().unwrap_or(0);
                    counts.entry(named(label)).or_default().push((*x, count as f64));
                }
            }
            let list = |mut lines: BTreeMap<String, Vec<(f64, f64)>>| {
                lines.values_mut().for_each(|points| points.sort_by(|a, b| a.0.total_cmp(&b.0)));
                lines.into_iter().collect::<Vec<Series>>()
            };
            if !rates.is_empty() {
                page.heading("Precision and recall at IoU 0.5");
                page.chart((head[0], "rate"), &list(rates), [range, (0.0, 1.0)]);
            }
            let most = steps.iter().flat_map(|step| step.counts.values()).max().copied().unwrap_or(1) as f64;
            page.heading("Detections");
            page.chart((head[0], "detections"), &list(counts), [range, (0.0, most)]);
        }
        page.table(&head, &rows);
        page.finish()
    }
}

impl Step {
    /// Returns precision, recall and their harmonic mean, at IoU 0.5.
    fn rates(&self) -> (Option<f64>, Option<f64>, Option<f64>) {
        let total = self.measured.as_ref().and_then(|m| m.detection.as_ref()).map(|d| d.total).unwrap_or_default();
        let (precision, recall) = (total.precision(), total.recall());
        let f1 = precision.zip(recall).map(|(p, r)| if p + r > 0.0 { 2.0 * p * r / (p + r) } else { 0.0 });
        (precision, recall, f1)
    }
}

/// Converts a value to JSON.
fn number_or_text(node: &Node) -> serde_json::Value {
    match node.value {
        Value::Bool(value) => value.into(),
        Value::Int(value) => value.into(),
        Value::Float(value) => value.into(),
        _ => shown(node).into(),
    }
}

/// Returns all combinations of the settings' values.
fn combine(settings: &[Setting]) -> Vec<Vec<Node>> {
    settings.iter().rev().fold(vec![Vec::new()], |all, setting| {
        let with =
            |value: &Node| all.iter().map(move |rest| [vec![value.clone()], rest.clone()].concat()).collect::<Vec<_>>();
        setting.values.iter().flat_map(with).collect()
    })
}
