//! What all verbs share: common options, and standard output.

use crate::error::Error;
use clap::{Args, ValueEnum};
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use tracing_subscriber::EnvFilter;

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

impl Global {
    /// Starts logging to standard error.
    pub fn start_log(&self) {
        let filter = EnvFilter::try_from_env("OCELLI_LOG").unwrap_or_else(|_| EnvFilter::new("warn,ocelli=info"));
        let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
        // A second subscriber (in tests) is not a fault.
        let _ = match self.log {
            LogForm::Json => log.json().try_init(),
            LogForm::Auto => log.with_ansi(std::io::stderr().is_terminal()).with_target(false).try_init(),
        };
    }
}

/// Writes to standard output. Returns [`Error::ReaderGone`] if the reader went away.
pub fn say(text: &str) -> Result<(), Error> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|e| Error::io("standard output", e))
}
