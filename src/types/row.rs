//! How products are written in a JSON row; docs/jsonl.md describes every key.

use super::{Class, Detection, Found, Heatmap, Image, Mask, ModelInput, Objects, RleText};
use std::fmt::{Result, Write as _};
use std::sync::Arc;

/// A buffer for what has to be computed first, to be used again and again.
pub type Scratch = Vec<f32>;

/// How a product is written in a row.
pub trait Row {
    /// Writes `,"key":value`, or nothing if rows do not show it.
    ///
    /// # Errors
    /// Returns an error if writing to `out` fails.
    fn write(&self, key: &str, out: &mut String, scratch: &mut Scratch) -> Result;

    /// Whether it says that nothing was found.
    fn is_empty(&self) -> bool {
        false
    }
}

impl Row for Arc<ModelInput> {
    fn write(&self, _: &str, _: &mut String, _: &mut Scratch) -> Result {
        Ok(())
    }
}

impl Row for Arc<Image> {
    fn write(&self, _: &str, _: &mut String, _: &mut Scratch) -> Result {
        Ok(())
    }
}

impl Row for Found<Objects> {
    fn write(&self, key: &str, out: &mut String, scratch: &mut Scratch) -> Result {
        list(out, key, self.iter(), |out, found| object(out, &self.by.labels, Some(&self.items), found, scratch))
    }

    fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

impl Row for Found<Arc<Vec<Detection>>> {
    fn write(&self, key: &str, out: &mut String, scratch: &mut Scratch) -> Result {
        list(out, key, self.iter(), |out, found| object(out, &self.by.labels, None, found, scratch))
    }

    fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

impl Row for Found<Arc<Vec<Class>>> {
    fn write(&self, key: &str, out: &mut String, _: &mut Scratch) -> Result {
        list(out, key, self.iter(), |out, answer| {
            out.write_char('{')?;
            class(out, answer.class, &self.by.labels)?;
            write!(out, ",\"score\":{:.4}}}", answer.score)
        })
    }

    fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

impl Row for Found<Arc<Mask>> {
    fn write(&self, key: &str, out: &mut String, _: &mut Scratch) -> Result {
        list(out, key, self.shares(), |out, (number, share)| {
            out.write_char('{')?;
            class(out, number.into(), &self.by.labels)?;
            write!(out, ",\"share\":{share:.4}}}")
        })
    }
}

impl Row for Found<Arc<Heatmap>> {
    fn write(&self, key: &str, out: &mut String, _: &mut Scratch) -> Result {
        let map = &*self.items;
        write!(out, ",\"{key}\":{{")?;
        if let Some(number) = map.class {
            class(out, number, &self.by.labels)?;
            out.write_char(',')?;
        }
        let (column, row) = map.peak();
        let cell = |at: u32, cells: u32, side: u32| (at as f32 + 0.5) * side as f32 / cells.max(1) as f32;
        let [x, y] = map
            .placement
            .point([cell(column, map.size.width, map.input.width), cell(row, map.size.height, map.input.height)]);
        write!(
            out,
            "\"grid\":[{},{}],\"peak\":[{x:.2},{y:.2}],\"range\":[{:.4},{:.4}]}}",
            map.size.width, map.size.height, map.range.0, map.range.1
        )
    }
}

impl Row for Found<f32> {
    fn write(&self, key: &str, out: &mut String, _: &mut Scratch) -> Result {
        if self.items.is_finite() { write!(out, ",\"{key}\":{:.6}", self.items) } else { Ok(()) }
    }
}

/// `,"key":[…]`.
fn list<T>(
    out: &mut String,
    key: &str,
    items: impl Iterator<Item = T>,
    mut write: impl FnMut(&mut String, T) -> Result,
) -> Result {
    write!(out, ",\"{key}\":[")?;
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.write_char(',')?;
        }
        write(out, item)?;
    }
    out.write_char(']')
}

fn class(out: &mut String, number: u16, labels: &[String]) -> Result {
    write!(out, "\"class\":{number}")?;
    if let Some(label) = labels.get(usize::from(number)) {
        out.write_str(",\"label\":")?;
        text(out, label)?;
    }
    Ok(())
}

fn object(
    out: &mut String,
    labels: &[String],
    all: Option<&Objects>,
    detection: &Detection,
    scratch: &mut Scratch,
) -> Result {
    out.write_char('{')?;
    class(out, detection.class, labels)?;
    let b = detection.bbox;
    write!(out, ",\"score\":{:.4},\"box\":[{:.2},{:.2},{:.2},{:.2}]", detection.score, b.x1, b.y1, b.x2, b.y2)?;
    let points = all.map_or(&[][..], |all| all.points(detection));
    if !points.is_empty() {
        list(out, "points", points.iter(), |out, point| {
            write!(out, "[{:.2},{:.2}", point.x, point.y)?;
            point.score.map_or(Ok(()), |score| write!(out, ",{score:.4}"))?;
            out.write_char(']')
        })?;
    }
    if !detection.kinds.is_empty() {
        list(out, "kinds", detection.kinds.iter(), |out, kind| {
            out.write_str("{\"by\":")?;
            text(out, &kind.by.model)?;
            out.write_char(',')?;
            class(out, kind.best.class, &kind.by.labels)?;
            write!(out, ",\"score\":{:.4}}}", kind.best.score)
        })?;
    }
    if let Some(corners) = &detection.corners {
        list(out, "corners", corners.iter(), |out, [x, y]| write!(out, "[{x:.2},{y:.2}]"))?;
    }
    if let Some(mask) = all.and_then(|all| all.mask(detection, scratch)) {
        write!(out, ",\"mask\":{{\"size\":[{},{}],\"counts\":\"", mask.frame.height, mask.frame.width)?;
        let mut letters = RleText::default();
        mask.runs(|count| {
            letters.push(count, |letter| {
                // One of the letters is a backslash.
                if letter == '\\' {
                    out.push('\\');
                }
                out.push(letter);
            });
        });
        out.write_str("\"}")?;
    }
    out.write_char('}')
}

/// Writes a JSON string (RFC 8259, §7).
///
/// # Errors
/// Returns an error if writing to `out` fails.
pub fn text(out: &mut String, value: &str) -> Result {
    out.write_char('"')?;
    for c in value.chars() {
        match c {
            '"' => out.write_str("\\\"")?,
            '\\' => out.write_str("\\\\")?,
            c if (c as u32) < 0x20 => write!(out, "\\u{:04x}", c as u32)?,
            c => out.write_char(c)?,
        }
    }
    out.write_char('"')
}
