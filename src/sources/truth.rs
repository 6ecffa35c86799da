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
        let (mut frames, mut labels) = (HashMap::new(), Vec::new());
        for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let row: Row = serde_json::from_str(line).map_err(|e| {
                let message = format!("{}:{}: not a row with a `seq` and a `truth`: {e}", path.display(), index + 1);
                Error::Data(message)
            })?;
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
                objects.push(Detection::new(BBox::new(x1, y1, x2, y2), object.class, 1.0));
            }
            frames.insert(row.seq, Arc::new(objects));
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
