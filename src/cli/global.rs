//! What all verbs share: common options, and standard output.

use crate::error::Error;
use clap::{Args, ValueEnum};
use std::io::Write;
use std::path::PathBuf;

/// The options of every verb.
#[derive(Debug, Args)]
pub struct Global {
    /// Format of the log on standard error; OCELLI_LOG sets what is logged (warn, info, debug, trace)
    #[arg(long, value_enum, global = true, default_value = "auto", help_heading = "Options of every command")]
    pub log: LogForm,
    /// A folder of models; may be given several times
    #[arg(long, global = true, value_name = "FOLDER", help_heading = "Options of every command")]
    pub models: Vec<PathBuf>,
}

/// The format of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogForm {
    /// Plain text
    Auto,
    /// One JSON object per message
    Json,
}

/// Writes to standard output. Returns [`Error::ReaderGone`] if the reader went away.
pub fn say(text: &str) -> Result<(), Error> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|e| Error::io("standard output", e))
}
