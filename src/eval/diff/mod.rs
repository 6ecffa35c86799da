//! What changed between two runs, in terms of what was found.

mod page;

pub use page::{page, side_by_side};

use super::golden::{self, Tolerance};
use super::rows::{self, Object, Row, overlap, without_number};
use std::collections::BTreeMap;

/// How an object of a frame changed.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Only the second run found it.
    Appeared(Object),
    /// Only the first run found it.
    Vanished(Object),
    /// Its box moved.
    Moved(Object, Object),
    /// Its score changed.
    Score(Object, Object),
    /// Its class changed.
    Class(Object, Object),
    /// Something other than an object changed: the field, and both values.
    Other(String, String, String),
}

impl Change {
    /// Returns the word for this kind of change.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Appeared(_) => "appeared",
            Self::Vanished(_) => "vanished",
            Self::Moved(..) => "moved",
            Self::Score(..) => "score",
            Self::Class(..) => "class",
            Self::Other(..) => "other",
        }
    }

    /// Returns how much the change matters: new and lost objects by their scores, others by how much they changed.
    #[must_use]
    pub fn weight(&self) -> f64 {
        match self {
            Self::Appeared(object) | Self::Vanished(object) => 1.0 + object.score,
            Self::Class(before, after) => 1.0 + before.score.max(after.score),
            Self::Moved(before, after) => f64::from(1.0 - overlap(&before.bbox, &after.bbox)),
            Self::Score(before, after) => (before.score - after.score).abs(),
            Self::Other(..) => 0.5,
        }
    }

    /// Describes the change.
    #[must_use]
    pub fn words(&self) -> String {
        let place = |o: &Object| format!("[{:.0}, {:.0}, {:.0}, {:.0}]", o.bbox.x1, o.bbox.y1, o.bbox.x2, o.bbox.y2);
        match self {
            Self::Appeared(o) => format!("appeared  {} {:.3} at {}", o.label, o.score, place(o)),
            Self::Vanished(o) => format!("vanished  {} {:.3} at {}", o.label, o.score, place(o)),
            Self::Moved(a, b) => {
                format!("moved     {} {} to {} (IoU {:.2})", a.label, place(a), place(b), overlap(&a.bbox, &b.bbox))
            }
            Self::Other(field, a, b) => format!("other     {field}: {a} to {b}"),
            Self::Score(a, b) => format!("score     {} {:.3} to {:.3} at {}", a.label, a.score, b.score, place(a)),
            Self::Class(a, b) => {
                format!("class     {} {:.3} to {} {:.3} at {}", a.label, a.score, b.label, b.score, place(a))
            }
        }
    }
}

/// The least changes that count.
#[derive(Clone, Copy, Debug)]
pub struct Least {
    /// Scores that differ by more have changed.
    pub score: f64,
    /// Objects whose boxes overlap by less (IoU) have moved.
    pub iou: f32,
}

impl Default for Least {
    fn default() -> Self {
        // What a person would see in a picture: a twentieth of the score, a tenth of the box.
        Self { score: 0.05, iou: 0.9 }
    }
}

/// Two runs side by side.
#[derive(Clone, Debug, Default)]
pub struct Diff {
    /// The frames of both runs that changed, and their changes.
    pub frames: Vec<(Row, Row, Vec<Change>)>,
    /// The number of frames that both runs have.
    pub both: usize,
    /// The number of frames that only the first run has, and only the second.
    pub only: [usize; 2],
    /// The names of the first of them, if they are pictures.
    pub alone: [Vec<String>; 2],
    /// The number of objects in each run, by class.
    pub objects: BTreeMap<String, [usize; 2]>,
}

impl Diff {
    /// Compares runs frame by frame; pictures are matched by name, other frames by source and number.
    #[must_use]
    pub fn of(before: &[Row], after: &[Row], least: Least) -> Self {
        let mut diff = Self::default();
        for (side, rows) in [before, after].into_iter().enumerate() {
            for object in rows.iter().flat_map(|row| row.objects("detections")) {
                diff.objects.entry(object.label).or_default()[side] += 1;
            }
        }
        let joined = rows::join(before, after);
        for (row, other) in joined.pairs {
            let (row, other) = match (row, other) {
                (Some(row), Some(other)) => (&before[row], &after[other]),
                (Some(row), None) => {
                    diff.only[0] += 1;
                    diff.alone[0].extend(before[row].picture().map(str::to_owned).filter(|_| diff.only[0] <= 3));
                    continue;
                }
                (_, Some(other)) => {
                    diff.only[1] += 1;
                    diff.alone[1].extend(after[other].picture().map(str::to_owned).filter(|_| diff.only[1] <= 3));
                    continue;
                }
                (None, None) => continue,
            };
            diff.both += 1;
            let mut changes = changes(&row.objects("detections"), &other.objects("detections"), least);
            changes.extend(if row.name == other.name {
                elsewhere(row, other, least)
            } else {
                elsewhere(&without_number(row), &without_number(other), least)
            });
            if !changes.is_empty() {
                diff.frames.push((row.clone(), other.clone(), changes));
            }
        }
        diff
    }

    /// Returns whether nothing changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty() && self.only == [0, 0]
    }

    /// Counts the changes by their word.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::new();
        self.frames.iter().flat_map(|(.., changes)| changes).for_each(|c| *counts.entry(c.word()).or_default() += 1);
        counts
    }

    /// Returns the changed frames, those that changed most first.
    #[must_use]
    pub fn worst(&self) -> Vec<&(Row, Row, Vec<Change>)> {
        let weight = |frame: &(Row, Row, Vec<Change>)| frame.2.iter().map(Change::weight).sum::<f64>();
        let mut frames: Vec<_> = self.frames.iter().collect();
        frames.sort_by(|a, b| weight(b).total_cmp(&weight(a)));
        frames
    }

    /// Returns a text for people: all changes in numbers, then at most `most` frames one by one.
    #[must_use]
    pub fn text(&self, most: usize) -> String {
        use std::fmt::Write as _;
        let mut text = format!("{} frames in both runs, {} changed", self.both, self.frames.len());
        for (at, which) in ["first", "second"].into_iter().enumerate().filter(|(at, _)| self.only[*at] > 0) {
            let _ = write!(text, ", {} only in the {which}", self.only[at]);
            if !self.alone[at].is_empty() {
                let more = if self.only[at] > self.alone[at].len() { ", …" } else { "" };
                let names: Vec<String> = self.alone[at].iter().map(|name| crate::labels::shown(name)).collect();
                let _ = write!(text, " ({}{more})", names.join(", "));
            }
        }
        text.push('\n');
        for (label, [before, after]) in &self.objects {
            let _ = writeln!(text, "  {label}: {before} -> {after}");
        }
        for (word, count) in self.counts() {
            let _ = writeln!(text, "  {word}: {count}");
        }
        for (row, _, changes) in self.frames.iter().take(most) {
            let _ = writeln!(text, "{}", row.title());
            changes.iter().for_each(|change| _ = writeln!(text, "  {}", change.words()));
        }
        if self.frames.len() > most {
            let _ = writeln!(text, "... and {} more frames", self.frames.len() - most);
        }
        text
    }
}

/// Returns the first difference outside the objects.
fn elsewhere(row: &Row, other: &Row, least: Least) -> Option<Change> {
    let [a, b] = [row, other].map(|row| {
        let mut value = row.value.clone();
        // Objects were compared one by one; `wall` belongs to the frame, which is the same.
        let fields = value.as_object_mut();
        fields.into_iter().for_each(|fields| fields.retain(|key, _| !matches!(key.as_str(), "detections" | "wall")));
        value
    });
    let tolerance = Tolerance { score: least.score, pixels: 0.0, objects: 0 };
    golden::value("", &a, &b, &tolerance).map(|(field, a, b)| Change::Other(field, a, b))
}

/// Pairs the objects of one frame: the same class before others, then the best overlap first.
fn changes(before: &[Object], after: &[Object], least: Least) -> Vec<Change> {
    let mut pairs: Vec<(bool, f32, usize, usize)> = Vec::new();
    for (a, first) in before.iter().enumerate() {
        for (b, second) in after.iter().enumerate() {
            let shared = overlap(&first.bbox, &second.bbox);
            if shared >= 0.4 {
                pairs.push((first.label == second.label, shared, a, b));
            }
        }
    }
    pairs.sort_by(|x, y| y.0.cmp(&x.0).then(y.1.total_cmp(&x.1)));
    let (mut taken, mut given) = (vec![false; before.len()], vec![false; after.len()]);
    let mut changes = Vec::new();
    for (same, shared, a, b) in pairs {
        if taken[a] || given[b] {
            continue;
        }
        (taken[a], given[b]) = (true, true);
        let (first, second) = (before[a].clone(), after[b].clone());
        if !same {
            changes.push(Change::Class(first, second));
        } else if shared < least.iou {
            changes.push(Change::Moved(first, second));
        } else if (first.score - second.score).abs() > least.score {
            changes.push(Change::Score(first, second));
        }
    }
    changes.extend((0..before.len()).filter(|&at| !taken[at]).map(|at| Change::Vanished(before[at].clone())));
    changes.extend((0..after.len()).filter(|&at| !given[at]).map(|at| Change::Appeared(after[at].clone())));
    changes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::BBox;

    fn object(label: &str, score: f64, x: f32) -> Object {
        Object { label: label.into(), class: 0, score, bbox: BBox::new(x, 0.0, x + 100.0, 100.0) }
    }

    #[test]
    fn what_is_no_object_counts_too() {
        let row = |error: f64| {
            let text = format!("{{\"source\":\"a\",\"seq\":1,\"pts_ms\":0.0,\"wall\":\"x\",\"error\":{error}}}\n");
            crate::eval::rows::read(text.as_bytes(), "x").unwrap()
        };
        let diff = Diff::of(&row(0.1), &row(0.4), Least::default());
        assert_eq!(diff.frames[0].2, [Change::Other("error".into(), "0.1".into(), "0.4".into())]);
        assert!(Diff::of(&row(0.1), &row(0.12), Least::default()).is_empty());
    }

    #[test]
    fn each_kind_of_change_is_found_once() {
        let before = [object("a", 0.9, 0.0), object("b", 0.8, 200.0), object("c", 0.7, 400.0), object("d", 0.6, 600.0)];
        let after = [object("a", 0.9, 30.0), object("b", 0.5, 201.0), object("x", 0.7, 400.0), object("e", 0.6, 800.0)];
        let mut words: Vec<_> = changes(&before, &after, Least::default()).iter().map(Change::word).collect();
        words.sort_unstable();
        assert_eq!(words, ["appeared", "class", "moved", "score", "vanished"]);
        assert!(changes(&before, &before, Least::default()).is_empty());
    }
}
