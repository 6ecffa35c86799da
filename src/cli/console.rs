//! What goes to standard error: the log, the progress bar, tables and faults, in plain text or as JSON.

use crate::error::Error;
use crate::host::Board;
use crate::labels::is_unseen;
use indicatif::ProgressBar;
use serde_json::{Map, Value, json};
use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use tracing_subscriber::EnvFilter;

static JSON: AtomicBool = AtomicBool::new(false);
static BAR: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// Starts logging. With `json`, every line on standard error is a JSON object, those of this module too.
pub fn start(json: bool) {
    JSON.store(json, Relaxed);
    let filter = EnvFilter::try_from_env("OCELLI_LOG").unwrap_or_else(|_| EnvFilter::new("warn,ocelli=info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(|| Beside);
    // A second subscriber (in tests) is not a fault.
    let _ = if json {
        std::panic::set_hook(Box::new(|info| object("ERROR", &format!("panicked: {info}"), Map::new())));
        log.json().try_init()
    } else {
        log.with_ansi(std::io::stderr().is_terminal()).with_target(false).try_init()
    };
}

/// Whether every line on standard error is JSON.
#[must_use]
pub fn is_json() -> bool {
    JSON.load(Relaxed)
}

/// Standard error, with the progress bar out of the way.
struct Beside;

impl Write for Beside {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let bar = BAR.lock().unwrap_or_else(PoisonError::into_inner);
        let write = || std::io::stderr().write(bytes);
        bar.as_ref().map_or_else(write, |bar| bar.suspend(write))
    }

    /// Writes all at once, so that no other line comes in between.
    fn write_all(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let bar = BAR.lock().unwrap_or_else(PoisonError::into_inner);
        let write = || std::io::stderr().lock().write_all(bytes);
        bar.as_ref().map_or_else(write, |bar| bar.suspend(write))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        std::io::stderr().flush()
    }
}

/// Writes whole lines. Nothing can be done if standard error is closed.
fn print(text: &str) {
    let _ = Beside.write_all(format!("{text}\n").as_bytes());
}

/// Sets the progress bar that other output must not disturb, or none.
pub fn set_bar(bar: Option<ProgressBar>) {
    *BAR.lock().unwrap_or_else(PoisonError::into_inner) = bar;
}

/// Writes a text to standard error.
pub fn say(text: &str) {
    if is_json() {
        object("INFO", text, Map::new());
    } else {
        print(&harmless(text));
    }
}

/// Writes the fault that ends the program: in JSON with its exit `code`, and one object with `file`, `line` and `col`
/// for each fault in a file.
pub fn fault(error: &Error) {
    if !is_json() {
        return print(&harmless(&error.to_string()));
    }
    let code = Value::from(error.exit_code());
    let Error::File { faults, .. } = error else {
        return object("ERROR", &error.to_string(), Map::from_iter([("code".to_owned(), code)]));
    };
    for fault in faults {
        let fields = json!({ "code": code, "file": fault.file, "line": fault.line, "col": fault.column });
        object("ERROR", &fault.message, fields.as_object().cloned().unwrap_or_default());
    }
}

/// Writes the table of a run; `name` tells several apart.
pub fn table(name: &str, board: &Board, elapsed: Duration) {
    if !is_json() {
        let title = if name.is_empty() { String::new() } else { format!("{name}\n") };
        return say(&format!("\n{title}{}{:.1} s", board.table(elapsed), elapsed.as_secs_f64()));
    }
    let seconds = json!({ "pipeline": name, "seconds": elapsed.as_secs_f64(), "lines": board.json() });
    object("INFO", "table", seconds.as_object().cloned().unwrap_or_default());
}

/// Writes an object of the same form as those of the log.
fn object(level: &str, message: &str, mut fields: Map<String, Value>) {
    fields.insert("message".into(), message.into());
    let time = humantime::format_rfc3339_micros(SystemTime::now()).to_string();
    let line = json!({ "timestamp": time, "level": level, "fields": fields, "target": "ocelli" });
    print(&line.to_string());
}

/// Replaces what would control a terminal: text may come from a file, a child process or a camera.
#[must_use]
pub fn harmless(text: &str) -> String {
    let plain = |c: char| !c.is_control() && !is_unseen(c) || matches!(c, '\n' | '\t');
    text.chars().map(|c| if plain(c) { c.to_string() } else { c.escape_default().to_string() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_is_not_controlled_by_text() {
        assert_eq!(harmless("a\u{1b}[2Jb\r\n\tc\u{9b}é"), "a\\u{1b}[2Jb\\r\n\tc\\u{9b}é");
    }
}
