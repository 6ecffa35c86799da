//! The command line: one verb a file.

mod progress;
mod scene;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// From a camera, a stream or a recording to answers
#[derive(Debug, Parser)]
#[command(name = "ocelli", version)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Scene(scene::SceneArgs),
}

/// Reads the command line, does what it says, and gives the exit code.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match &cli.verb {
        Verb::Scene(args) => args.run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ocelli: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}
