//! Is one run better than another? Differences of metrics with a bootstrap confidence interval over pictures.
//!
//! Efron and Tibshirani 1993, "An Introduction to the Bootstrap", §13 (percentile intervals): the pictures are drawn anew,
//! with replacement, a thousand times, the same ones for both runs, and the difference is measured each time.

use super::records::{Prepared, Record};
use super::table::{shown, table};
use crate::error::{Error, Result};
use crate::labels::shown as plain;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

/// A metric in both runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Its name.
    pub metric: &'static str,
    /// Its value before and after, over the pictures of both runs.
    pub values: [f64; 2],
    /// The interval in which 95 % of the differences of redrawn pictures lie.
    pub interval: [f64; 2],
}

impl Change {
    /// What the difference means.
    #[must_use]
    pub fn verdict(&self) -> &'static str {
        let [low, high] = self.interval;
        if low > 0.0 {
            "better"
        } else if high < 0.0 {
            "worse"
        } else if low == 0.0 && high == 0.0 {
            "no difference"
        } else {
            "may be chance"
        }
    }
}

/// Two runs side by side.
#[derive(Clone, Debug, Default)]
pub struct Comparison {
    /// The metrics that both have.
    pub changes: Vec<Change>,
    /// Pictures that got better, most first: name, and errors before and after.
    pub better: Vec<(String, f64, f64)>,
    /// Pictures that got worse.
    pub worse: Vec<(String, f64, f64)>,
    /// How many pictures both runs have.
    pub both: usize,
    /// How many pictures only the first and only the second has.
    pub only: [usize; 2],
    /// What else differs.
    pub notes: Vec<String>,
}

/// How often pictures are drawn anew.
const DRAWS: usize = 1000;

/// An earlier run.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Earlier {
    /// What was measured of each picture.
    pub pictures: Vec<Record>,
    /// Where its numbers come from.
    #[serde(default)]
    pub provenance: BTreeMap<String, String>,
}

/// Reads a report that `--json` wrote.
///
/// # Errors
/// [`Error::Data`] if it is none, or if its counts cannot be, [`Error::Io`].
pub fn read(path: &Path) -> Result<Earlier> {
    let bytes = std::fs::read(path).map_err(|e| Error::io(path, e))?;
    let no = |why: String| {
        let wanted = "not a report with pictures; `ocelli eval … --json FILE` writes one";
        Error::Data(format!("{}: {wanted} ({why})", path.display()))
    };
    let earlier: Earlier = serde_json::from_slice(&bytes).map_err(|e| no(e.to_string()))?;
    let most = 1u64 << 32;
    let sound = |r: &Record| {
        (0.0..1e9).contains(&r.wrong)
            && r.missed < most
            && r.real.iter().all(|(_, count)| *count < most)
            && r.pixels.iter().all(|(.., count)| *count < most)
    };
    match earlier.pictures.iter().find(|record| !sound(record)) {
        Some(record) => Err(no(format!("the counts of `{}` are impossible", plain(&record.name)))),
        None => Ok(earlier),
    }
}

impl Earlier {
    /// Compares a later run with this one.
    ///
    /// # Errors
    /// [`Error::Data`] if no picture is in both.
    pub fn compare(&self, after: &[Record], provenance: &[(String, String)]) -> Result<Comparison> {
        let mut comparison = compare(&self.pictures, after);
        if comparison.both == 0 {
            let first = |records: &[Record]| records.first().map_or("none".into(), |r| plain(&r.name));
            let message = format!(
                "no picture is in both runs: the earlier one has {}, this one {}; compare runs over the same pictures",
                first(&self.pictures),
                first(after)
            );
            return Err(Error::Data(message));
        }
        if comparison.changes.is_empty() {
            return Err(Error::Data("the earlier run measured another kind of answer; compare boxes with boxes, class maps with class maps, classes with classes".into()));
        }
        let old =
            |start: &str| self.provenance.iter().find(|(what, _)| what.starts_with(start)).map(|(_, value)| value);
        let new = |start: &str| provenance.iter().find(|(what, _)| what.starts_with(start)).map(|(_, value)| value);
        for what in ["labels ", "classes"] {
            if old(what) != new(what) {
                comparison.notes.push(format!(
                    "the runs differ in their {}, so the pipeline may not be the cause of the differences",
                    what.trim()
                ));
            }
        }
        Ok(comparison)
    }
}

/// Numbers that look random and are the same each time (SplitMix64, Steele et al. 2014).
struct Draw(u64);

impl Draw {
    fn below(&mut self, count: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((u128::from(z ^ (z >> 31)) * count as u128) >> 64) as usize
    }
}

/// Compares two runs over the pictures that both have.
#[must_use]
pub fn compare(before: &[Record], after: &[Record]) -> Comparison {
    let places: BTreeMap<&str, usize> = after.iter().enumerate().map(|(at, r)| (r.name.as_str(), at)).collect();
    let mut pairs: Vec<(&Record, &Record)> = Vec::new();
    let mut comparison = Comparison::default();
    for record in before {
        match places.get(record.name.as_str()) {
            Some(at) => pairs.push((record, &after[*at])),
            None => comparison.only[0] += 1,
        }
    }
    comparison.both = pairs.len();
    comparison.only[1] = after.len().saturating_sub(pairs.len());
    let errors = |r: &Record| r.wrong + r.missed as f64;
    let mut moved: Vec<(String, f64, f64)> =
        pairs.iter().map(|(a, b)| (a.name.clone(), errors(a), errors(b))).filter(|(_, a, b)| a != b).collect();
    moved.sort_by(|x, y| (x.2 - x.1).total_cmp(&(y.2 - y.1)));
    comparison.better = moved.iter().filter(|(_, a, b)| b < a).cloned().collect();
    comparison.worse = moved.into_iter().rev().filter(|(_, a, b)| b > a).collect();
    let (first, second): (Vec<Record>, Vec<Record>) = pairs.into_iter().map(|(a, b)| (a.clone(), b.clone())).unzip();
    let once = vec![1; first.len()];
    let (first_run, second_run) = (Prepared::new(&first), Prepared::new(&second));
    let (old, new) = (first_run.measure(&once), second_run.measure(&once));
    let mut differences: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    let mut draw = Draw(20_261_128);
    let mut times = vec![0u32; first.len()];
    for _ in 0..DRAWS {
        times.fill(0);
        (0..times.len()).for_each(|_| times[draw.below(first.len())] += 1);
        let (a, b) = (first_run.measure(&times), second_run.measure(&times));
        for (metric, value) in &a {
            differences.entry(metric).or_default().extend(b.get(metric).map(|other| other - value));
        }
    }
    for (metric, value) in &old {
        let (Some(other), Some(list)) = (new.get(metric), differences.get_mut(metric)) else { continue };
        list.sort_by(f64::total_cmp);
        let at =
            |share: f64| list.get((share * (list.len().max(1) - 1) as f64).round() as usize).copied().unwrap_or(0.0);
        let interval = [at(0.025), at(0.975)];
        comparison.changes.push(Change { metric, values: [*value, *other], interval });
    }
    comparison
}

impl Comparison {
    /// The comparison as text for people.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!("{} pictures in both runs", self.both);
        for (count, which) in self.only.iter().zip(["first", "second"]).filter(|(count, _)| **count > 0) {
            let _ = write!(text, ", {count} only in the {which} (not compared)");
        }
        text.push('\n');
        self.notes.iter().for_each(|note| _ = writeln!(text, "note: {note}"));
        let row = |change: &Change| {
            let [before, after] = change.values;
            let [low, high] = change.interval;
            vec![
                change.metric.to_owned(),
                shown(Some(before)),
                shown(Some(after)),
                format!("{:+.3}", after - before),
                format!("{low:+.3} to {high:+.3}"),
                change.verdict().to_owned(),
            ]
        };
        let rows: Vec<_> = self.changes.iter().map(row).collect();
        text += &table(&["", "before", "after", "difference", "95 % interval", ""], &rows);
        for (word, list) in [("better", &self.better), ("worse", &self.worse)] {
            let first: Vec<String> = list
                .iter()
                .take(5)
                .map(|(name, a, b)| format!("{} ({} to {})", plain(name), count(*a), count(*b)))
                .collect();
            let more = if list.len() > 5 { ", …" } else { "" };
            let colon = if first.is_empty() { "" } else { ": " };
            let _ = writeln!(text, "{word}: {} pictures{colon}{}{more}", list.len(), first.join(", "));
        }
        text
    }

    /// The comparison as JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        let change = |c: &Change| json!({ "metric": c.metric, "before": c.values[0], "after": c.values[1], "interval": c.interval, "verdict": c.verdict() });
        json!({
            "both": self.both, "only": self.only, "notes": self.notes, "metrics": self.changes.iter().map(change).collect::<Vec<_>>(),
            "better": self.better, "worse": self.worse,
        })
    }
}

/// Errors of a picture: a number of objects, or a share of pixels.
fn count(errors: f64) -> String {
    if errors.fract() == 0.0 { format!("{errors:.0}") } else { format!("{:.1} %", errors * 100.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(count: usize, better: usize) -> [Vec<Record>; 2] {
        let record = |at: usize, right: bool| Record {
            name: at.to_string(),
            wrong: f64::from(u8::from(!right)),
            class: Some(("a".into(), if right { "a" } else { "b" }.into(), None)),
            ..Record::default()
        };
        let before = (0..count).map(|at| record(at, at % 2 == 0)).collect();
        let after = (0..count).map(|at| record(at, at % 2 == 0 || at < better)).collect();
        [before, after]
    }

    #[test]
    fn a_small_difference_may_be_chance_and_a_large_one_is_not() {
        let [before, after] = runs(200, 2);
        let one = compare(&before, &after);
        assert_eq!((one.changes[0].verdict(), one.better.len(), one.worse.len()), ("may be chance", 1, 0));
        let [before, after] = runs(200, 100);
        let much = compare(&before, &after);
        assert_eq!(much.changes[0].verdict(), "better");
        assert!((much.changes[0].values[1] - 0.75).abs() < 1e-12);
        assert_eq!(compare(&after, &before).changes[0].verdict(), "worse");
        assert_eq!(compare(&before, &after[10..]).only, [10, 0]);
    }
}
