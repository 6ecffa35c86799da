//! Compares rows with those that are expected: exactly, or within tolerances for other kinds of processors.

use super::rows::{self, Name, Row, overlap, without_number};
use serde::Deserialize;
use serde_json::Value;

/// How far rows may differ. Zero means not at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Tolerance {
    /// Scores, shares and similar values.
    pub score: f64,
    /// Corners of boxes and other positions, in pixels.
    pub pixels: f64,
    /// How many objects of a frame may be on one side only, if their score is at the threshold: no more than twice
    /// `score` above the lowest score of all rows.
    pub objects: usize,
}

/// The first difference.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// The frame of the expected row, or of the found row if there is none.
    pub frame: Name,
    /// The frame of the found row, or of the expected row if there is none: a picture may have another number.
    pub found_frame: Name,
    /// The field that differs: `detections[1].score`.
    pub field: String,
    /// What was expected.
    pub expected: String,
    /// What was found.
    pub found: String,
    /// The total number of rows that differ.
    pub rows: usize,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { frame, field, expected, found, rows, .. } = self;
        let (source, seq) = frame;
        write!(
            f,
            "first difference in frame {seq} of {source}: {field}: expected {expected}, found {found}; {rows} rows differ"
        )
    }
}

/// The limits within which rows are equal.
struct Bounds {
    tolerance: Tolerance,
    /// The lowest score of both sides: roughly the pipeline's threshold.
    least_score: f64,
}

impl Bounds {
    /// Returns whether an object is so close to the threshold that the other side may lack it.
    fn is_at_threshold(&self, object: &Value) -> bool {
        let score = object["score"].as_f64().unwrap_or(f64::INFINITY);
        self.tolerance.objects > 0 && score <= self.least_score + 2.0 * self.tolerance.score
    }
}

/// Compares rows in order.
#[must_use]
pub fn compare(expected: &[Row], found: &[Row], tolerance: &Tolerance) -> Option<Difference> {
    let scores = expected.iter().chain(found).flat_map(|row| row.objects("detections"));
    let least_score = scores.map(|object| object.score).fold(f64::INFINITY, f64::min);
    let bounds = &Bounds { tolerance: *tolerance, least_score };
    let joined = rows::join(expected, found);
    let places: Vec<(Option<usize>, Option<usize>)> = if joined.by_name {
        joined.pairs
    } else {
        let some = |at: usize, rows: &[Row]| (at < rows.len()).then_some(at);
        (0..expected.len().max(found.len())).map(|at| (some(at, expected), some(at, found))).collect()
    };
    let mut first: Option<Difference> = None;
    let mut count = 0;
    for (e, f) in places {
        let (e, f) = (e.map(|at| &expected[at]), f.map(|at| &found[at]));
        let frame = e.or(f).map(|row| row.name.clone()).unwrap_or_default();
        let found_frame = f.or(e).map(|row| row.name.clone()).unwrap_or_default();
        let absent = if joined.by_name { "no such picture" } else { "the end" };
        let difference = match (e, f) {
            (Some(e), Some(f)) if e.name == f.name => row(e, f, bounds),
            (Some(e), Some(f)) if joined.by_name => row(&without_number(e), &without_number(f), bounds),
            (Some(e), Some(f)) => Some(("frame".into(), e.title(), f.title())),
            (Some(e), None) => Some(("frame".into(), e.title(), absent.into())),
            (None, Some(f)) => Some(("frame".into(), absent.into(), f.title())),
            (None, None) => None,
        };
        let Some((field, e, f)) = difference else { continue };
        count += 1;
        first.get_or_insert(Difference { frame, found_frame, field, expected: e, found: f, rows: 0 });
    }
    first.map(|first| Difference { rows: count, ..first })
}

type Apart = Option<(String, String, String)>;

fn row(expected: &Row, found: &Row, bounds: &Bounds) -> Apart {
    if bounds.tolerance == Tolerance::default() {
        return value("", &expected.value, &found.value, &bounds.tolerance);
    }
    let (mut e, mut f) = (expected.value.clone(), found.value.clone());
    for key in ["detections", "truth"] {
        // Compared here, in any order; whether there is a list at all is compared below.
        let take = |value: &mut Value| match value.get_mut(key) {
            Some(Value::Array(list)) => std::mem::take(list),
            _ => Vec::new(),
        };
        if let Some(apart) = objects(key, &take(&mut e), &take(&mut f), bounds) {
            return Some(apart);
        }
    }
    value("", &e, &f, &bounds.tolerance)
}

/// Compares objects by position, not by order: two with nearly the same score may be swapped.
fn objects(key: &str, expected: &[Value], found: &[Value], bounds: &Bounds) -> Apart {
    let mut free: Vec<&Value> = found.iter().collect();
    let (mut excused, mut first) = (0, None);
    for (at, e) in expected.iter().enumerate() {
        let path = format!("{key}[{at}]");
        let near = |f: &&Value| value(&path, e, f, &bounds.tolerance).is_none();
        if let Some(place) = free.iter().position(near) {
            free.remove(place);
        } else if bounds.is_at_threshold(e) {
            excused += 1;
        } else if first.is_none() {
            // What it became, if a similar object is there.
            let like = |f: &&&Value| {
                rows::object(e).zip(rows::object(f)).is_some_and(|(a, b)| overlap(&a.bbox, &b.bbox) > 0.5)
            };
            let other = free.iter().find(like).map(|other| value(&path, e, other, &bounds.tolerance));
            first = Some(other.flatten().unwrap_or_else(|| (path.clone(), words(e), "nothing there".into())));
        }
    }
    for f in free {
        if bounds.is_at_threshold(f) {
            excused += 1;
        } else {
            first.get_or_insert_with(|| (key.to_owned(), "nothing there".into(), words(f)));
        }
    }
    if first.is_none() && excused > bounds.tolerance.objects {
        let said = format!("at most {} on one side only", bounds.tolerance.objects);
        first = Some((format!("objects of {key} at the threshold"), said, excused.to_string()));
    }
    first
}

fn words(value: &Value) -> String {
    let Some(object) = rows::object(value) else { return short(value) };
    let b = object.bbox;
    format!("{} {:.4} at [{:.2}, {:.2}, {:.2}, {:.2}]", object.label, object.score, b.x1, b.y1, b.x2, b.y2)
}

/// Returns the first difference between two values: where it is, and both sides.
pub(super) fn value(path: &str, expected: &Value, found: &Value, tolerance: &Tolerance) -> Apart {
    let apart = |path: &str| Some((path.to_owned(), short(expected), short(found)));
    match (expected, found) {
        (Value::Object(e), Value::Object(f)) => {
            for (key, inner) in e {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                let Some(other) = f.get(key) else { return Some((path, short(inner), "nothing".into())) };
                if let Some(apart) = value(&path, inner, other, tolerance) {
                    return Some(apart);
                }
            }
            let more = f.iter().find(|(key, _)| !e.contains_key(*key));
            more.map(|(key, inner)| {
                (format!("{path}.{key}").trim_start_matches('.').to_owned(), "nothing".into(), short(inner))
            })
        }
        (Value::Array(e), Value::Array(f)) => {
            for (at, (inner, other)) in e.iter().zip(f).enumerate() {
                if let Some(apart) = value(&format!("{path}[{at}]"), inner, other, tolerance) {
                    return Some(apart);
                }
            }
            if e.len() == f.len() {
                return None;
            }
            Some((format!("number of {path}"), e.len().to_string(), f.len().to_string()))
        }
        (Value::Number(e), Value::Number(f)) => {
            let key = path.rsplit('.').next().unwrap_or(path).split('[').next().unwrap_or_default();
            let most = match key {
                "score" | "share" | "error" | "range" => tolerance.score,
                "box" | "points" | "peak" => tolerance.pixels,
                _ => 0.0,
            };
            let far = (e.as_f64().unwrap_or(f64::NAN) - f.as_f64().unwrap_or(f64::NAN)).abs();
            if e == f || far <= most * (1.0 + 1e-9) { None } else { apart(path) }
        }
        _ => {
            if expected == found {
                None
            } else {
                apart(path)
            }
        }
    }
}

fn short(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() <= 120 { text } else { text.chars().take(117).chain("...".chars()).collect() }
}

#[cfg(test)]
mod tests {
    use super::super::rows::read;
    use super::*;

    fn rows(objects: &str) -> Vec<Row> {
        read(format!("{{\"source\":\"a\",\"seq\":3,\"pts_ms\":1.0,\"detections\":[{objects}]}}\n").as_bytes(), "x")
            .unwrap()
    }

    fn object(score: f64, x: f64) -> String {
        format!("{{\"class\":0,\"label\":\"dog\",\"score\":{score},\"box\":[{x},0,50,50]}}")
    }

    #[test]
    fn the_first_value_that_differs_is_named() {
        let difference = compare(&rows(&object(0.5, 1.0)), &rows(&object(0.5, 2.0)), &Tolerance::default()).unwrap();
        assert_eq!((difference.field.as_str(), difference.rows), ("detections[0].box[0]", 1));
        assert_eq!((difference.expected.as_str(), difference.found.as_str()), ("1", "2"));
        assert_eq!(compare(&rows(""), &[], &Tolerance::default()).unwrap().found, "the end");
    }

    #[test]
    fn within_tolerances_order_does_not_count() {
        let (a, b) = (object(0.5, 1.0), object(0.5004, 20.0));
        let tolerance = Tolerance { score: 0.001, pixels: 1.0, objects: 0 };
        let (ab, ba) = (rows(&format!("{a},{b}")), rows(&format!("{},{}", object(0.5, 20.5), object(0.5006, 1.2))));
        assert_eq!(compare(&ab, &ba, &tolerance), None);
        let tight = compare(&ab, &ba, &Tolerance { pixels: 0.1, ..tolerance }).unwrap();
        assert_eq!(tight.field, "detections[0].box[0]");
        let fewer = compare(&ab, &rows(&a), &tolerance).unwrap();
        assert_eq!((fewer.field.as_str(), fewer.found.as_str()), ("detections[1]", "nothing there"));
    }

    #[test]
    fn only_objects_at_the_threshold_may_be_missing() {
        let (sure, edge, other) = (object(0.9, 1.0), object(0.4003, 60.0), object(0.4001, 20.0));
        let tolerance = Tolerance { score: 0.001, pixels: 1.0, objects: 1 };
        let all = rows(&format!("{sure},{edge},{other}"));
        assert_eq!(compare(&all, &rows(&format!("{sure},{other}")), &tolerance), None);
        assert!(compare(&all, &rows(&format!("{edge},{other}")), &tolerance).is_some(), "a sure one is gone");
        assert!(compare(&all, &rows(&sure), &tolerance).is_some(), "two are gone");
        assert!(
            compare(&all, &rows(&format!("{},{edge},{other}", object(0.5, 1.0))), &tolerance).is_some(),
            "another score"
        );
    }

    #[test]
    fn what_hangs_on_an_object_is_compared_too() {
        let with = |kind: f64| object(0.9, 1.0).replace('}', &format!(",\"kind\":{{\"class\":1,\"score\":{kind}}}}}"));
        let tolerance = Tolerance { score: 0.01, pixels: 1.0, objects: 1 };
        let both = |kind: f64| rows(&format!("{},{}", with(kind), object(0.3, 70.0)));
        assert_eq!(compare(&both(0.5), &both(0.505), &tolerance), None);
        let apart = compare(&both(0.5), &both(0.7), &tolerance).unwrap();
        assert_eq!(apart.field, "detections[0].kind.score");
        let bare = read(b"{\"source\":\"a\",\"seq\":3,\"pts_ms\":1.0}\n", "x").unwrap();
        assert!(compare(&rows(""), &bare, &tolerance).is_some(), "no list is not an empty list");
    }
}
