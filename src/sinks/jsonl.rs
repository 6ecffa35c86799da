//! Rows of JSON, one per frame.

use super::files::{Keep, Rotate, Rules, Series};
use crate::error::{Error, Result};
use crate::host::Begin;
use crate::stage::{Disk, Env, LineEnv, Outputs, Sink, SinkConfig};
use crate::types::row::{Scratch, text};
use crate::types::{Packet, Products};
use serde::Deserialize;
use std::fmt::Write as _;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::time::SystemTime;

/// Writes one row of JSON per frame. The order of keys and the format of numbers are fixed, so that two runs over one
/// recording write the same bytes; docs/jsonl.md describes every key.
///
/// `- jsonl` (to standard output) or `- jsonl: { path: found.jsonl }`
///
/// A live run appends to a file that exists; a recorded one writes to `found.jsonl.part`, which replaces the file at the
/// end unless the run failed. For a camera that is watched for years:
///
/// `- jsonl: { path: "rows/{date}.jsonl", keep: { days: 30, bytes: 2GB } }`
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Jsonl {
    /// The file to write, or `-` for standard output. `{date}`, `{time}` and `{start}` (`2026-11-26`, `14-03-59` and
    /// `20261126T140359Z`, of the file's first row, in UTC) and `{seq}` (the number of the file) are filled in. With
    /// `{date}`, a new file begins every day.
    #[serde(default = "default_path")]
    pub path: String,
    /// Also write rows for frames in which nothing was found.
    #[serde(default = "yes")]
    pub empty: bool,
    /// Also write what is really there, if the source knows it: a `scene`, a recording of one, or a `video` with
    /// `truth`.
    #[serde(default)]
    pub truth: bool,
    /// When the next file begins; without a field in `path`, `-{start}` is put in front of its extension.
    #[serde(default)]
    pub rotate: Option<Rotate>,
    /// How much is kept; older files are removed.
    #[serde(default)]
    pub keep: Option<Keep>,
}

fn default_path() -> String {
    "-".into()
}

const fn yes() -> bool {
    true
}

impl Jsonl {
    fn rules(&self, path: &str) -> Result<Rules> {
        Rules::new(path, self.rotate, self.keep, false)
    }
}

impl SinkConfig for Jsonl {
    fn needs(&self) -> Products {
        if self.truth { Products::TRUTH } else { Products::empty() }
    }

    fn writes(&self) -> Option<PathBuf> {
        Some(PathBuf::from(&self.path))
    }

    fn disk(&self, _live: bool) -> Disk {
        match self.rules(&self.path) {
            _ if self.path == "-" || self.path.starts_with("/dev/") => Disk::None,
            Ok(rules) if rules.many => rules.disk(),
            _ => Disk::Unbounded("add `rotate: { bytes: 100MB }` and `keep: { bytes: 1GB }`"),
        }
    }

    fn check(&self, _env: &Env) -> Result<()> {
        if self.path == "-" && (self.rotate.is_some() || self.keep.is_some()) {
            return Err(Error::Config("standard output has no files to `rotate` or `keep`; add a `path`".into()));
        }
        self.rules(&self.path).map(|_| ())
    }

    fn open(&self, env: &LineEnv) -> Result<Box<dyn Sink>> {
        self.check(env)?;
        let path = env.outputs.path(&self.path);
        let out = if matches!(env.outputs, Outputs::Rows(_)) || path == Path::new("-") {
            Out::Stream
        } else {
            let begin = if env.live() { Begin::Append } else { Begin::Replace };
            let mut files = Series::new(self.rules(&path.to_string_lossy())?, begin, env)?;
            if !files.many() {
                // Fail now, not at the first row.
                open(&mut files, env.clock.wall(), env)?;
            }
            Out::Files(Box::new(files))
        };
        Ok(Box::new(Writing {
            settings: self.clone(),
            env: env.clone(),
            out,
            rows: String::new(),
            scratch: Scratch::new(),
            held: 0,
            first: None,
        }))
    }
}

struct Writing {
    settings: Jsonl,
    env: LineEnv,
    out: Out,
    /// Rows that are not written yet, their number, and the time of day of the first one.
    rows: String,
    scratch: Scratch,
    held: u64,
    first: Option<SystemTime>,
}

enum Out {
    /// Standard output, or where the program that runs the pipeline wants the rows.
    Stream,
    Files(Box<Series>),
}

/// The rows that are held back while more packets are waiting.
const BUFFER: usize = 1 << 15;
/// The longest row that is looked for at the end of a file: masks are long.
const LONGEST: u64 = 16 << 20;
const BEGIN: &[u8] = b"{\"source\":";

/// Opens the file of a row at `wall`. Whoever wrote to it before may have been killed in the middle of a row.
fn open(files: &mut Series, wall: SystemTime, env: &LineEnv) -> Result<()> {
    if files.is_open() {
        return Ok(());
    }
    let file = files.open(wall)?;
    if file.is_empty() {
        return Ok(());
    }
    let tail = file.read_at(file.len().saturating_sub(LONGEST), LONGEST)?;
    let torn = tail.len() - tail.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let begins = |row: &[u8]| row.starts_with(&BEGIN[..row.len().min(BEGIN.len())]);
    let path = file.path().display().to_string();
    if !begins(&file.read_at(0, BEGIN.len() as u64)?) || !begins(&tail[tail.len() - torn..]) {
        let message = "it exists and does not hold rows of `jsonl`; choose another `path`";
        let error = Error::io(path, std::io::Error::other(message));
        return files.close(None, true).and(Err(error));
    }
    if torn > 0 {
        file.drop_last(torn as u64)?;
        tracing::warn!(line = &**env.id(), "{path}: its last row had been cut off; its {torn} bytes were removed");
    }
    Ok(())
}

impl Writing {
    /// Writes the rows that are held. They are gone if that fails: the next ones may fit.
    fn write_out(&mut self) -> Result<()> {
        let first = self.first.take();
        if self.rows.is_empty() {
            return Ok(());
        }
        let done = match &mut self.out {
            Out::Stream => self.stream(),
            Out::Files(files) => {
                let wall = first.unwrap_or_else(|| self.env.clock.wall());
                let disturbed = if files.is_disturbed() { files.close(None, true) } else { Ok(()) };
                disturbed
                    .and_then(|()| open(files, wall, &self.env))
                    .and_then(|()| files.append(wall, self.rows.as_bytes()))
            }
        };
        self.rows.clear();
        self.held = 0;
        done
    }

    fn stream(&self) -> Result<()> {
        let write = |out: &mut dyn Write| out.write_all(self.rows.as_bytes()).and_then(|()| out.flush());
        match &self.env.outputs {
            Outputs::Rows(rows) => write(&mut *rows.lock().unwrap_or_else(PoisonError::into_inner)),
            _ => write(&mut std::io::stdout().lock()),
        }
        .map_err(|e| Error::io("standard output", e))
    }
}

impl Sink for Writing {
    fn write(&mut self, packet: &Packet) -> Result<()> {
        let before = self.rows.len();
        if row(&mut self.rows, packet, self.settings.truth, &mut self.scratch).is_err() {
            self.rows.truncate(before);
            return Err(Error::Data(format!("frame {}: its time is after the year 9999", packet.frame.seq)));
        }
        let mut done = Ok(());
        if let Out::Files(files) = &self.out
            && files.is_due(packet.frame.wall, self.rows.len(), self.first)
        {
            let row = self.rows.split_off(before);
            done = self.write_out();
            if let Out::Files(files) = &mut self.out {
                done = done.and(files.close(None, true));
            }
            self.rows.push_str(&row);
        }
        self.held += 1;
        self.first.get_or_insert(packet.frame.wall);
        done?;
        if self.rows.len() >= BUFFER { self.write_out() } else { Ok(()) }
    }

    fn wants(&self, packet: &Packet) -> bool {
        self.settings.empty || packet.has_answer()
    }

    fn pending(&self) -> u64 {
        self.held
    }

    fn flush(&mut self) -> Result<()> {
        self.write_out()
    }

    fn finish(&mut self) -> Result<()> {
        let done = self.write_out();
        let closed = if let Out::Files(files) = &mut self.out { files.close(None, true) } else { Ok(()) };
        done.and(closed)
    }
}

/// Writes the row of a packet, including `\n`; docs/jsonl.md describes it. `scratch` may be used again and again.
///
/// # Errors
/// Returns an error if the frame's time of day is after the year 9999.
pub fn row(out: &mut String, packet: &Packet, truth: bool, scratch: &mut Scratch) -> std::fmt::Result {
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
    packet.write_products(which, out, scratch)?;
    out.write_str("}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{BBox, Detection, Found, Frame, Maker};
    use std::sync::Arc;
    use std::time::Duration;

    #[test]
    fn a_line_is_sound_json_in_a_fixed_form() {
        let frame =
            Frame { source: Arc::from("a\"b\n"), seq: 3, pts: Duration::from_micros(100_001), ..Frame::default() };
        let mut packet = Packet::new(Arc::new(frame));
        let found = vec![Detection::new(BBox::new(1.0, 2.25, 3.5, 4.0), 0, 0.5)];
        packet.detections = Some(Found::new(found.into(), &Maker::new("scene", ["person".to_owned()])));
        let mut out = String::new();
        row(&mut out, &packet, false, &mut Scratch::new()).unwrap();
        let expect = "{\"source\":\"a\\\"b\\u000a\",\"seq\":3,\"pts_ms\":100.001,\"wall\":\"1970-01-01T00:00:00.000Z\",\"size\":[0,0],\"detections\":[{\"class\":0,\"label\":\"person\",\"score\":0.5000,\"box\":[1.00,2.25,3.50,4.00]}]}\n";
        assert_eq!(out, expect);
        assert!(serde_json::from_str::<serde_json::Value>(&out).is_ok());
    }
}
