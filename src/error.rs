//! The crate's error type, sorted by who must act.

use std::path::Path;

/// `Result` with [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, sorted by who can fix it. [`Error::exit_code`] returns the program's exit code.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The author of the YAML or of the command line must act. Exit code 2.
    #[error("{0}")]
    Config(String),
    /// A file has faults, such as a pipeline's YAML; each is listed with its place. Exit code 2.
    #[error("{text}")]
    File {
        /// All faults, for people: each with its place and the line it is in.
        text: String,
        /// The faults.
        faults: Vec<FileFault>,
    },
    /// The author of the model card or of the weights must act. Exit code 3.
    #[error("{0}")]
    Model(String),
    /// Whoever looks after the device or its cables must act. Exit code 4.
    #[error("{0}")]
    Device(String),
    /// A recording, picture or data set is bad. Exit code 5.
    #[error("{0}")]
    Data(String),
    /// A file could not be read or written. Exit code 74.
    #[error("{what}: {source}")]
    Io {
        /// The path or stream, and what was being done to it.
        what: String,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// A comparison found differences: a test failed, or two runs are not the same. Exit code 1.
    #[error("{0}")]
    Differs(String),
    /// The reader of our output went away (a closed pipe). Not a fault: the run ends quietly.
    #[error("the reader of the output went away")]
    ReaderGone,
    /// We must act: a bug in Ocelli. Exit code 70.
    #[error("{0} (this is a bug in ocelli; please report it)")]
    Internal(String),
}

/// A fault in a file, and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileFault {
    /// The file's name.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// The column, from 1.
    pub column: u32,
    /// What was found, what was expected, and how to fix it.
    pub message: String,
}

impl Error {
    /// Creates an [`Error::Io`] that names the path. A broken pipe becomes [`Error::ReaderGone`].
    pub fn io(path: impl AsRef<Path>, source: std::io::Error) -> Self {
        if source.kind() == std::io::ErrorKind::BrokenPipe {
            return Self::ReaderGone;
        }
        Self::Io { what: path.as_ref().display().to_string(), source }
    }

    /// Returns the program's exit code for this error.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Differs(_) => 1,
            Self::Config(_) | Self::File { .. } => 2,
            Self::Model(_) => 3,
            Self::Device(_) => 4,
            Self::Data(_) => 5,
            Self::Io { .. } => 74,
            Self::ReaderGone => 0,
            Self::Internal(_) => 70,
        }
    }

    /// Puts `place: ` in front of the message, keeping the kind.
    #[must_use]
    pub fn at(self, place: impl std::fmt::Display) -> Self {
        match self {
            Self::Config(m) => Self::Config(format!("{place}: {m}")),
            Self::File { text, faults } => Self::File { text: format!("{place}: {text}"), faults },
            Self::Model(m) => Self::Model(format!("{place}: {m}")),
            Self::Device(m) => Self::Device(format!("{place}: {m}")),
            Self::Data(m) => Self::Data(format!("{place}: {m}")),
            Self::Io { what, source } => Self::Io { what: format!("{place}: {what}"), source },
            Self::Differs(m) => Self::Differs(format!("{place}: {m}")),
            Self::ReaderGone => Self::ReaderGone,
            Self::Internal(m) => Self::Internal(format!("{place}: {m}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_pipe_is_not_a_fault() {
        let error = Error::io("out.jsonl", std::io::ErrorKind::BrokenPipe.into());
        assert_eq!(error.exit_code(), 0);
    }

    #[test]
    fn a_place_is_put_in_front_and_the_kind_kept() {
        let error = Error::Model("wrong shape".into()).at("detect: frame 3");
        assert_eq!(error.to_string(), "detect: frame 3: wrong shape");
        assert_eq!(error.exit_code(), 3);
    }
}
