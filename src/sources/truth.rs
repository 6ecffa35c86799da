//! What is really there, from a file beside a recording.

use crate::error::{Error, Result};
use crate::types::{BBox, Detection, Found, Maker, Packet};
use serde::Deserialize;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

/// Rows as `jsonl: { truth: true }` writes them: what is there, by frame number.
pub struct Truth {
    frames: HashMap<u64, Arc<Vec<Detection>>>,
    by: Arc<Maker>,
}

#[derive(Deserialize)]
struct Row {
    seq: u64,
    #[serde(default)]
    source: Option<String>,
    truth: Vec<Object>,
}

#[derive(Deserialize)]
struct Object {
    class: u16,
    #[serde(default)]
    label: Option<String>,
    #[serde(rename = "box")]
    corners: [f32; 4],
}

impl Truth {
    /// Reads a file of rows.
    ///
    /// # Errors
    /// Returns [`Error::Io`], or [`Error::Data`] with the number of the row.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, e))?;
        let text = text.trim_start_matches('\u{feff}');
        let (mut frames, mut labels) = (HashMap::new(), Vec::new());
        let (mut source, mut boxes, mut fractions): (Option<String>, u64, u64) = (None, 0, 0);
        for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let bad = |what: String| Error::Data(format!("{}:{}: {what}", path.display(), index + 1));
            let row: Row =
                serde_json::from_str(line).map_err(|e| bad(format!("not a row with a `seq` and a `truth`: {e}")))?;
            if let (Some(one), Some(other)) = (&source, &row.source)
                && one != other
            {
                return Err(bad(format!("rows of two sources, `{one}` and `{other}`; keep those of one")));
            }
            source = row.source.or(source);
            let mut objects = Vec::with_capacity(row.truth.len());
            for object in row.truth {
                let class = usize::from(object.class);
                if labels.len() <= class {
                    labels.resize(class + 1, String::new());
                }
                if let Some(label) = object.label {
                    labels[class] = label;
                }
                let [x1, y1, x2, y2] = object.corners;
                if x2 < x1 || y2 < y1 {
                    return Err(bad(format!(
                        "the box [{x1}, {y1}, {x2}, {y2}] ends before it begins; write x1, y1, x2, y2 in pixels, not width and height"
                    )));
                }
                boxes += 1;
                fractions += u64::from(object.corners.iter().all(|v| v.abs() <= 1.0));
                objects.push(Detection::new(BBox::new(x1, y1, x2, y2), object.class, 1.0));
            }
            if frames.insert(row.seq, Arc::new(objects)).is_some() {
                return Err(bad(format!("a second row for frame {}; keep one", row.seq)));
            }
        }
        let whole = |what: &str| Err(Error::Data(format!("{}: {what}", path.display())));
        if frames.is_empty() {
            return whole("no rows in it; write them with `jsonl: { truth: true }`");
        }
        if fractions * 2 > boxes {
            return whole(
                "most boxes have no number above 1: they are fractions of the picture, but pixels are expected",
            );
        }
        Ok(Self { frames, by: Maker::new("truth", labels) })
    }

    /// Adds to a packet what is there; nothing if the file has no row for its frame.
    pub fn add(&self, packet: &mut Packet) {
        if let Some(objects) = self.frames.get(&packet.frame.seq) {
            packet.truth = Some(Found::new(Arc::clone(objects), &self.by));
        }
    }
}
