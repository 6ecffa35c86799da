//! Plays the same recording with different settings.

use super::measure::pictures;
use crate::error::Result;
use crate::eval::measure::{Measured, Tally};
use crate::eval::page::{Page, Series};
use crate::eval::table::{shown as number, table};
use crate::labels::Labels;
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
    pub labels: Option<Arc<Labels>>,
    /// Only these classes count, if any are named.
    pub classes: &'a [String],
}

/// A column of the table.
struct Metric {
    name: &'static str,
    /// Whether something of its kind was measured.
    applies: fn(&Measured) -> bool,
    value: fn(&Measured) -> Option<f64>,
}

/// The columns, by what the pipeline finds.
const METRICS: [Metric; 9] = {
    const fn boxes(name: &'static str, value: fn(&Measured) -> Option<f64>) -> Metric {
        Metric { name, applies: |m| m.detection.is_some(), value }
    }
    const fn maps(name: &'static str, value: fn(&Measured) -> Option<f64>) -> Metric {
        Metric { name, applies: |m| m.segmentation.is_some(), value }
    }
    const fn classes(name: &'static str, value: fn(&Measured) -> Option<f64>) -> Metric {
        Metric { name, applies: |m| m.classification.is_some(), value }
    }
    [
        boxes("precision", |m| m.detection.as_ref()?.total.precision()),
        boxes("recall", |m| m.detection.as_ref()?.total.recall()),
        boxes("F1", |m| m.detection.as_ref()?.total.f1()),
        boxes("AP50", |m| m.detection.as_ref()?.coco.summary.ap50),
        boxes("mAP", |m| m.detection.as_ref()?.coco.summary.ap),
        classes("top-1", |m| m.classification.as_ref()?.top.top1()),
        classes("top-5", |m| m.classification.as_ref()?.top.top5()),
        maps("mIoU", |m| m.segmentation.as_ref()?.confusion.mean_iou()),
        maps("pixel accuracy", |m| m.segmentation.as_ref()?.confusion.pixel_accuracy()),
    ]
};

/// The result of one combination.
pub struct Step {
    values: Vec<Node>,
    counts: BTreeMap<String, u64>,
    measured: Option<Measured>,
}

impl Step {
    /// What was odd about labels and pictures.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        self.measured.as_ref().map_or(&[], |measured| &measured.notes)
    }
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
        let sinks = Sinks::Instead(None, Box::new(Collect::new(take)));
        let plan = Plan {
            file: self.file,
            models: self.models,
            settings,
            playback: self.playback.clone(),
            sinks,
            outputs: Outputs::default(),
        };
        let play = Play::prepare(plan)?;
        if let Some(played) = pictures(&play)? {
            state.lock().unwrap_or_else(PoisonError::into_inner).0.prepare(&played)?;
        }
        play.run()?.result.map_err(|e| e.at(self.file.display()))?;
        let (tally, counts) = std::mem::take(&mut *state.lock().unwrap_or_else(PoisonError::into_inner));
        // Without labels and without a scene, there are only counts.
        let measured = if labelled || !tally.is_empty() { Some(tally.finish()?.without_pictures()) } else { None };
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
        let of = |step: &Step, of: fn(&Measured) -> bool| step.measured.as_ref().is_some_and(of);
        let shows = |metric: &Metric| steps.iter().any(|step| of(step, metric.applies));
        let mut head: Vec<String> = self.settings.iter().map(Setting::name).collect();
        head.extend(labels.iter().map(|label| (*label).clone()));
        if measured {
            head.extend(METRICS.iter().filter(|metric| shows(metric)).map(|metric| metric.name.to_owned()));
        }
        let row = |step: &Step| {
            let mut row: Vec<String> = step.values.iter().map(shown).collect();
            row.extend(labels.iter().map(|label| step.counts.get(*label).copied().unwrap_or(0).to_string()));
            if measured {
                let values = METRICS.iter().filter(|metric| shows(metric));
                row.extend(values.map(|metric| number(step.measured.as_ref().and_then(metric.value))));
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
                for metric in METRICS.iter().filter(|metric| !matches!(metric.name, "AP50" | "mAP")) {
                    let rate = step.measured.as_ref().and_then(metric.value);
                    rate.into_iter().for_each(|rate| rates.entry(named(metric.name)).or_default().push((*x, rate)));
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
                page.heading("Accuracy (of boxes: at IoU 0.5)");
                page.chart((head[0], "rate"), &list(rates), [range, (0.0, 1.0)]);
            }
            let most = steps.iter().flat_map(|step| step.counts.values()).max().copied().unwrap_or(1) as f64;
            if !labels.is_empty() {
                page.heading("Detections");
                page.chart((head[0], "detections"), &list(counts), [range, (0.0, most)]);
            }
        }
        page.table(&head, &rows);
        page.finish()
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
