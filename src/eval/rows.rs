//! Reads the rows of `jsonl` back.

use crate::error::{Error, Result};
use crate::ops::iou::iou;
use crate::types::BBox;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// The name of a frame among all rows: its source and number.
pub type Name = (String, u64);

/// One row.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The frame's source and number.
    pub name: Name,
    /// Media time in milliseconds.
    pub pts_ms: f64,
    /// The whole row.
    pub value: Value,
}

/// An object of a row.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    /// The class's name, or its number if it has none.
    pub label: String,
    /// The class's number.
    pub class: u16,
    /// The score.
    pub score: f64,
    /// The box, in pixels of the frame.
    pub bbox: BBox,
}

impl Row {
    /// Returns the objects under a key: `detections` or `truth`.
    #[must_use]
    pub fn objects(&self, key: &str) -> Vec<Object> {
        let list = self.value.get(key).and_then(Value::as_array);
        list.map(|list| list.iter().filter_map(object).collect()).unwrap_or_default()
    }

    /// The name of the picture, if the source reads picture files.
    #[must_use]
    pub fn picture(&self) -> Option<&str> {
        self.value["name"].as_str().filter(|name| !name.is_empty())
    }

    /// Returns a title such as `frame 12 of cam (1.200 s)`.
    #[must_use]
    pub fn title(&self) -> String {
        let picture = self.picture().map_or(String::new(), |name| format!(", {}", crate::labels::shown(name)));
        format!("frame {} of {} ({:.3} s){picture}", self.name.1, self.name.0, self.pts_ms / 1000.0)
    }
}

/// Reads an object of a row; `None` if it is not one.
pub(super) fn object(value: &Value) -> Option<Object> {
    let number = |at: usize| value["box"][at].as_f64().map(|v| v as f32);
    let class = u16::try_from(value["class"].as_u64()?).ok()?;
    let label = value["label"].as_str().map_or_else(|| class.to_string(), str::to_owned);
    let bbox = BBox::new(number(0)?, number(1)?, number(2)?, number(3)?);
    Some(Object { label, class, score: value["score"].as_f64()?, bbox })
}

/// Returns the IoU of two boxes; 1 if they are the same, even if they have no area.
#[must_use]
pub fn overlap(a: &BBox, b: &BBox) -> f32 {
    if a == b { 1.0 } else { iou(a, b) }
}

/// Reads rows. A last row that is cut off, because the program was killed, is skipped.
///
/// # Errors
/// [`Error::Data`] with the number of the row.
pub fn read(bytes: &[u8], shown: &str) -> Result<Vec<Row>> {
    let lines = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let complete = serde_json::from_slice::<Value>(&bytes[lines..]).is_ok();
    let whole = if complete { bytes } else { &bytes[..lines] };
    if whole.is_empty() && !bytes.is_empty() {
        return Err(Error::Data(format!("{shown}: no complete row of `jsonl` in it")));
    }
    let mut rows = Vec::new();
    for (index, line) in whole.split(|byte| *byte == b'\n').enumerate() {
        let at = |message: String| Error::Data(format!("{shown}:{}: {message}", index + 1));
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            continue;
        }
        let value: Value = serde_json::from_slice(line).map_err(|e| at(format!("not a row of `jsonl`: {e}")))?;
        let (source, seq) = (value["source"].as_str(), value["seq"].as_u64());
        let (Some(source), Some(seq)) = (source, seq) else {
            return Err(at("not a row of `jsonl`: `source` or `seq` is missing".into()));
        };
        let (name, pts_ms) = ((source.to_owned(), seq), value["pts_ms"].as_f64().unwrap_or(0.0));
        rows.push(Row { name, pts_ms, value });
    }
    Ok(rows)
}

/// Which rows of two runs are of the same frame.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Joined {
    /// The places of a frame in both runs, in the order of the first one; `None` where a run lacks it.
    pub pairs: Vec<(Option<usize>, Option<usize>)>,
    /// Whether frames were joined by the names of their pictures, not by their numbers.
    pub by_name: bool,
}

/// Joins two runs: by the names of their pictures if all have one of their own, so that one picture more does not move
/// the others; otherwise by source and number.
#[must_use]
pub fn join(first: &[Row], second: &[Row]) -> Joined {
    fn index<'a, K: Ord>(rows: &'a [Row], key: impl Fn(&'a Row) -> Option<K>) -> Option<BTreeMap<K, usize>> {
        let mut places = BTreeMap::new();
        let unique =
            rows.iter().enumerate().all(|(at, row)| key(row).is_some_and(|key| places.insert(key, at).is_none()));
        unique.then_some(places)
    }
    fn pairs<'a, K: Ord>(
        first: &'a [Row],
        second: &'a [Row],
        key: impl Fn(&'a Row) -> Option<K> + Copy,
        places: &BTreeMap<K, usize>,
    ) -> Vec<(Option<usize>, Option<usize>)> {
        let mut taken = vec![false; second.len()];
        let mut pairs = Vec::with_capacity(first.len());
        for (at, row) in first.iter().enumerate() {
            let other = key(row).and_then(|key| places.get(&key).copied()).filter(|other| !taken[*other]);
            if let Some(other) = other {
                taken[other] = true;
            }
            pairs.push((Some(at), other));
        }
        pairs.extend((0..second.len()).filter(|at| !taken[*at]).map(|at| (None, Some(at))));
        pairs
    }
    let name = |row: &'_ Row| row.picture().map(|name| (row.name.0.clone(), name.to_owned()));
    if let (Some(_), Some(places)) = (index(first, name), index(second, name))
        && !first.is_empty()
        && !second.is_empty()
    {
        return Joined { pairs: pairs(first, second, name, &places), by_name: true };
    }
    let number = |row: &'_ Row| Some(row.name.clone());
    let mut places = BTreeMap::new();
    second.iter().enumerate().for_each(|(at, row)| _ = places.entry(row.name.clone()).or_insert(at));
    Joined { pairs: pairs(first, second, number, &places), by_name: false }
}

/// The row without what moves when a picture is added before it: its number and its time.
#[must_use]
pub fn without_number(row: &Row) -> Row {
    let mut row = row.clone();
    if let Some(fields) = row.value.as_object_mut() {
        fields.retain(|key, _| !matches!(key.as_str(), "seq" | "pts_ms" | "wall"));
    }
    row
}

/// Reads a file of rows.
///
/// # Errors
/// [`Error::Io`], and as [`read`].
pub fn read_file(path: &Path) -> Result<Vec<Row>> {
    let bytes = std::fs::read(path).map_err(|e| Error::io(path, e))?;
    read(&bytes, &path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_last_line_is_left_out_and_a_bad_one_is_told() {
        let good = "{\"source\":\"a\",\"seq\":1,\"pts_ms\":40.0,\"detections\":[{\"class\":2,\"score\":0.5,\"box\":[1,2,3,4]}]}\n";
        let rows = read(format!("{good}{{\"source\":\"a\",\"se").as_bytes(), "x").unwrap();
        assert_eq!(rows.len(), 1);
        let objects = rows[0].objects("detections");
        assert_eq!((objects[0].label.as_str(), objects[0].bbox), ("2", BBox::new(1.0, 2.0, 3.0, 4.0)));
        let last = good.trim_end();
        assert_eq!(read(format!("{good}{last}").as_bytes(), "x").unwrap().len(), 2, "complete without its newline");
        assert_eq!(read(good.replace('\n', "\r\n").as_bytes(), "x").unwrap().len(), 1);
        let error = read(format!("{good}nonsense\n").as_bytes(), "x.jsonl").unwrap_err();
        assert!(error.to_string().starts_with("x.jsonl:2: not a row"), "{error}");
    }

    #[test]
    fn pictures_are_joined_by_name_and_frames_by_number() {
        let rows = |names: &[&str]| {
            let row = |(at, name): (usize, &&str)| format!("{{\"source\":\"a\",\"seq\":{at},\"name\":\"{name}\"}}\n");
            read(names.iter().enumerate().map(row).collect::<String>().as_bytes(), "x").unwrap()
        };
        let joined = join(&rows(&["b", "c"]), &rows(&["a", "b", "c"]));
        assert_eq!(joined.pairs, [(Some(0), Some(1)), (Some(1), Some(2)), (None, Some(0))]);
        let twice = join(&rows(&["b", "b"]), &rows(&["b", "b", "b"]));
        assert_eq!((twice.by_name, twice.pairs.last()), (false, Some(&(None, Some(2)))));
    }
}
