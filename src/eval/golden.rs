//! Whether rows are those that are expected: byte for byte, or within tolerances across kinds of processors.

use super::rows::{Name, Object, Row};
use crate::ops::iou::iou;
use serde::Deserialize;
use serde_json::Value;

/// How far rows may be apart. Zeros mean: not at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tolerance {
    /// Scores, shares and the like.
    pub score: f64,
    /// Corners of boxes and other places, in pixels.
    pub pixels: f64,
    /// Objects of a frame that only one side has: those whose score lies at a threshold.
    pub objects: usize,
}

/// The first thing that differs.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// The frame; of the expected row where there is one.
    pub frame: Name,
    /// Which value: `detections[1].score`.
    pub field: String,
    /// What was expected.
    pub expected: String,
    /// What was found.
    pub found: String,
    /// Rows that differ in all.
    pub rows: usize,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { frame, field, expected, found, rows } = self;
        let (source, seq) = frame;
        write!(
            f,
            "first difference in frame {seq} of {source}: {field}: expected {expected}, found {found}; {rows} rows differ"
        )
    }
}

/// Compares rows in their order.
#[must_use]
pub fn compare(expected: &[Row], found: &[Row], tolerance: &Tolerance) -> Option<Difference> {
    let mut first: Option<Difference> = None;
    let mut count = 0;
    for at in 0..expected.len().max(found.len()) {
        let difference = match (expected.get(at), found.get(at)) {
            (Some(e), Some(f)) if e.name == f.name => row(e, f, tolerance),
            (Some(e), Some(f)) => Some(("frame".into(), e.title(), f.title())),
            (Some(e), None) => Some(("frame".into(), e.title(), "the end".into())),
            (None, Some(f)) => Some(("frame".into(), "the end".into(), f.title())),
            (None, None) => None,
        };
        let Some((field, e, f)) = difference else { continue };
        count += 1;
        if first.is_none() {
            let frame = expected.get(at).or(found.get(at)).map(|row| row.name.clone()).unwrap_or_default();
            first = Some(Difference { frame, field, expected: e, found: f, rows: 0 });
        }
    }
    first.map(|first| Difference { rows: count, ..first })
}

type Apart = Option<(String, String, String)>;

fn row(expected: &Row, found: &Row, tolerance: &Tolerance) -> Apart {
    if *tolerance == Tolerance::default() {
        return value("", &expected.value, &found.value, tolerance);
    }
    let (mut e, mut f) = (expected.value.clone(), found.value.clone());
    for key in ["detections", "truth"] {
        if let Some(apart) = objects(key, &expected.objects(key), &found.objects(key), tolerance) {
            return Some(apart);
        }
        // Compared here, in any order.
        [&mut e, &mut f].into_iter().filter_map(Value::as_object_mut).for_each(|map| _ = map.remove(key));
    }
    value("", &e, &f, tolerance)
}

/// Objects are paired by place, not by order: two of nearly one score may change places.
fn objects(key: &str, expected: &[Object], found: &[Object], tolerance: &Tolerance) -> Apart {
    let mut free: Vec<&Object> = found.iter().collect();
    let mut alone: Option<(String, String, String)> = None;
    let mut count = 0;
    for (at, e) in expected.iter().enumerate() {
        let fits = |f: &&Object| f.label == e.label && iou(&e.bbox, &f.bbox) > 0.5;
        let near = |f: &&Object| {
            let (a, b) = (e.bbox, f.bbox);
            let far = [a.x1 - b.x1, a.y1 - b.y1, a.x2 - b.x2, a.y2 - b.y2];
            far.iter().all(|d| f64::from(d.abs()) <= tolerance.pixels + 0.005)
                && (e.score - f.score).abs() <= tolerance.score + 5e-5
        };
        if let Some(place) = free.iter().position(|f| fits(f) && near(f)) {
            free.swap_remove(place);
            continue;
        }
        count += 1;
        let other = free.iter().find(|f| fits(f)).map_or("nothing there".to_owned(), |f| words(f));
        alone.get_or_insert((format!("{key}[{at}]"), words(e), other));
    }
    if let Some(f) = free.first() {
        alone.get_or_insert((key.to_owned(), "nothing there".into(), words(f)));
    }
    alone.filter(|_| count.max(free.len()) > tolerance.objects)
}

fn words(object: &Object) -> String {
    let b = object.bbox;
    format!("{} {:.4} at [{:.2}, {:.2}, {:.2}, {:.2}]", object.label, object.score, b.x1, b.y1, b.x2, b.y2)
}

fn value(path: &str, expected: &Value, found: &Value, tolerance: &Tolerance) -> Apart {
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
            if e == f || far <= most { None } else { apart(path) }
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
        assert_eq!((difference.expected.as_str(), difference.found.as_str()), ("1.0", "2.0"));
        assert_eq!(compare(&rows(""), &[], &Tolerance::default()).unwrap().found, "the end");
    }

    #[test]
    fn within_tolerances_order_does_not_count() {
        let (a, b) = (object(0.5, 1.0), object(0.5004, 20.0));
        let tolerance = Tolerance { score: 0.001, pixels: 1.0, objects: 0 };
        let (ab, ba) = (rows(&format!("{a},{b}")), rows(&format!("{},{}", object(0.5, 20.5), object(0.5006, 1.2))));
        assert_eq!(compare(&ab, &ba, &tolerance), None);
        assert!(compare(&ab, &ba, &Tolerance { pixels: 0.1, ..tolerance }).is_some());
        let fewer = compare(&ab, &rows(&a), &tolerance).unwrap();
        assert_eq!((fewer.field.as_str(), fewer.found.as_str()), ("detections[1]", "nothing there"));
        assert_eq!(compare(&ab, &rows(&a), &Tolerance { objects: 1, ..tolerance }), None);
    }
}
