//! Code that several test files share.
#![allow(dead_code, missing_docs, clippy::unwrap_used)]

pub mod call;
pub mod cards;
pub mod eval;
pub mod flights;
pub mod npz;
pub mod parts;
pub mod pipe;
pub mod servers;
pub mod set;
pub mod vectors;

use std::io::Write as _;

/// Prints that a test is skipped. Bypasses the capture of output, which would hide the message.
pub fn skipped(why: &str) {
    let name = std::thread::current().name().unwrap_or("a test").to_owned();
    let _ = writeln!(std::io::stderr(), "skipped: {why} ({name})");
}

/// Returns the folder that an environment variable names, or prints a message and returns `None` if it is not set.
pub fn folder(variable: &str) -> Option<std::path::PathBuf> {
    let found = std::env::var_os(variable).map(std::path::PathBuf::from);
    let Some(path) = found else {
        skipped(&format!("set {variable}"));
        return None;
    };
    // Tests run in the package's folder; relative paths start there.
    assert!(path.is_dir(), "{variable} is set to {}, which is not a folder", path.display());
    Some(path)
}

/// Sends a signal to a child process. A minimal Debian has no `kill` program.
pub fn send(signal: rustix::process::Signal, child: &std::process::Child) {
    rustix::process::kill_process(rustix::process::Pid::from_child(child), signal).unwrap();
}

/// Returns whether `ffmpeg` can be started; prints a message if it cannot.
pub fn ffmpeg_is_installed() -> bool {
    let found = std::process::Command::new("ffmpeg").arg("-version").output().is_ok();
    if !found {
        skipped("install ffmpeg");
    }
    found
}
