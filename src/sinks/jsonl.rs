//! Rows of JSON, one per frame.

use crate::error::{Error, Result};
use crate::host::make_parent;
use crate::stage::{LineEnv, Outputs, Sink, SinkConfig};
use crate::types::row::text;
use crate::types::{Packet, Products};
use serde::Deserialize;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Writes one row of JSON per frame. The order of keys and the format of numbers are fixed, so that two runs over one
/// recording write the same bytes; docs/jsonl.md describes every key.
///
/// `- jsonl` (to standard output) or `- jsonl: { path: found.jsonl }`
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Jsonl {
    /// The file to write, or `-` for standard output.
    #[serde(default = "default_path")]
    pub path: String,
    /// Also write rows for frames in which nothing was found.
    #[serde(default = "yes")]
    pub empty: bool,
    /// Also write what is really there, if the source knows it: a `scene`, a recording of one, or a `video` with
    /// `truth`.
    #[serde(default)]
    pub truth: bool,
}

fn default_path() -> String {
    "-".into()
}

const fn yes() -> bool {
    true
}

impl SinkConfig for Jsonl {
    fn needs(&self) -> Products {
        if self.truth { Products::TRUTH } else { Products::empty() }
    }

    fn writes(&self) -> Option<PathBuf> {
        Some(PathBuf::from(&self.path))
    }

    fn open(&self, env: &LineEnv) -> Result<Box<dyn Sink>> {
        let path = env.outputs.path(&self.path);
        let out: Box<dyn Write + Send> = if let Outputs::Rows(rows) = &env.outputs {
            Box::new(Shared(Arc::clone(rows)))
        } else if path == Path::new("-") {
            Box::new(std::io::stdout())
        } else {
            make_parent(&path)?;
            Box::new(File::create(&path).map_err(|e| Error::io(&path, e))?)
        };
        let out = BufWriter::with_capacity(1 << 15, out);
        Ok(Box::new(Writing { settings: self.clone(), out, line: String::new() }))
    }
}

/// A writer that is shared with others.
struct Shared(Arc<Mutex<dyn Write + Send>>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, dyn Write + Send + 'static> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.lock().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.lock().flush()
    }
}

struct Writing {
    settings: Jsonl,
    out: BufWriter<Box<dyn Write + Send>>,
    line: String,
}

impl Sink for Writing {
    fn write(&mut self, packet: &Packet) -> Result<()> {
        self.line.clear();
        row(&mut self.line, packet, self.settings.truth)
            .map_err(|_| Error::Data(format!("frame {}: its time is after the year 9999", packet.frame.seq)))?;
        let io = |e| Error::io(&self.settings.path, e);
        self.out.write_all(self.line.as_bytes()).map_err(io)
    }

    fn wants(&self, packet: &Packet) -> bool {
        self.settings.empty || packet.has_answer()
    }

    fn flush(&mut self) -> Result<()> {
        self.out.flush().map_err(|e| Error::io(&self.settings.path, e))
    }

    fn finish(&mut self) -> Result<()> {
        self.flush()
    }
}

/// Writes the row of a packet, including `\n`; docs/jsonl.md describes it.
///
/// # Errors
/// Returns an error if the frame's time of day is after the year 9999.
pub fn row(out: &mut String, packet: &Packet, truth: bool) -> std::fmt::Result {
    let frame = &packet.frame;
    out.write_str("{\"source\":")?;
    text(out, &frame.source)?;
    if !frame.name.is_empty() {
        out.write_str(",\"name\":")?;
        text(out, &frame.name)?;
    }
    let wall = humantime::format_rfc3339_millis(frame.wall);
    let pts = frame.pts.as_micros();
    let size = frame.image.size;
    write!(out, ",\"seq\":{},\"pts_ms\":{}.{:03},\"wall\":\"{wall}\"", frame.seq, pts / 1000, pts % 1000)?;
    write!(out, ",\"size\":[{},{}]", size.width, size.height)?;
    let which = if truth { Products::all() } else { Products::all() - Products::TRUTH };
    packet.write_products(which, out)?;
    out.write_str("}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{BBox, Detection, Found, Frame, Maker};
    use std::time::Duration;

    #[test]
    fn a_line_is_sound_json_in_a_fixed_form() {
        let frame =
            Frame { source: Arc::from("a\"b\n"), seq: 3, pts: Duration::from_micros(100_001), ..Frame::default() };
        let mut packet = Packet::new(Arc::new(frame));
        let found = Arc::new(vec![Detection::new(BBox::new(1.0, 2.25, 3.5, 4.0), 0, 0.5)]);
        packet.detections = Some(Found::new(found, &Maker::new("scene", ["person".to_owned()])));
        let mut out = String::new();
        row(&mut out, &packet, false).unwrap();
        let expect = "{\"source\":\"a\\\"b\\u000a\",\"seq\":3,\"pts_ms\":100.001,\"wall\":\"1970-01-01T00:00:00.000Z\",\"size\":[0,0],\"detections\":[{\"class\":0,\"label\":\"person\",\"score\":0.5000,\"box\":[1.00,2.25,3.50,4.00]}]}\n";
        assert_eq!(out, expect);
        assert!(serde_json::from_str::<serde_json::Value>(&out).is_ok());
    }
}
