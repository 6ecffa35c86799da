//! The command line: one file per verb.

mod bench;
mod check;
mod completions;
mod console;
mod data;
mod devices;
mod diff;
mod doctor;
mod eval;
#[cfg(feature = "train")]
mod explain;
mod global;
mod init;
mod labels;
mod man;
mod models;
mod play;
mod progress;
mod record;
mod replay;
mod run;
mod scene;
mod schema;
mod signals;
mod sweep;
mod test;
#[cfg(feature = "train")]
mod train;

use crate::error::Error;
use crate::host::quiet_caught_panics;
use clap::{CommandFactory, Parser, Subcommand};
use global::{Global, LogForm};
use std::process::ExitCode;

/// Turn a camera, a stream or a recording into answers: what is where, written to a file or a picture
#[derive(Debug, Parser)]
#[command(
    name = "ocelli",
    version,
    after_help = "Examples:
  ocelli run quickstart                      find objects in the bundled clip
  ocelli init door                           an example pipeline with its model in ./door
  ocelli record door.yaml --to flights       the same as run, but record what it sees
  ocelli replay door.yaml --from flights     what would it find with today's settings?
  ocelli test tests/pipelines/*.test.yaml    is the output still as expected?
  ocelli bench door.yaml --from flights      how fast is it here, and where is the bottleneck?
  ocelli check pipelines/*.yaml              look for faults without running anything
  ocelli data check photos/                  are these labels read as they are meant?
  ocelli scene --export coco --out data      labelled pictures for training
  ocelli train photos.yaml                   a model for your own classes
  ocelli devices                             list cameras and what they offer
  ocelli doctor                              is this machine ready?
  ocelli models list                         list the models that pipelines can use

Exit codes: 0 success, 1 a comparison found differences, 2 a fault in the YAML or the command line, 3 in a model, \
4 in a device, 5 bad media or data, 70 a bug in ocelli itself, 74 a file that cannot be read or written."
)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Init(init::InitArgs),
    Run(run::RunArgs),
    Record(record::RecordArgs),
    Replay(replay::ReplayArgs),
    Test(test::TestArgs),
    Diff(diff::DiffArgs),
    Bench(bench::BenchArgs),
    Sweep(sweep::SweepArgs),
    Eval(eval::EvalArgs),
    Check(check::CheckArgs),
    #[command(subcommand)]
    Data(data::DataVerb),
    Schema(schema::SchemaArgs),
    Scene(scene::SceneArgs),
    #[cfg(feature = "train")]
    Train(train::TrainArgs),
    #[cfg(feature = "train")]
    Explain(explain::ExplainArgs),
    Models(models::ModelsArgs),
    Devices(devices::DevicesArgs),
    Doctor(doctor::DoctorArgs),
    Completions(completions::CompletionsArgs),
    Man(man::ManArgs),
}

/// Parses the command line, runs the verb, and returns the exit code.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return refuse(&error),
    };
    console::start(cli.global.log == LogForm::Json);
    quiet_caught_panics();
    let result = match &cli.verb {
        Verb::Init(args) => args.run(),
        Verb::Run(args) => args.run(&cli.global),
        Verb::Record(args) => args.run(&cli.global),
        Verb::Replay(args) => args.run(&cli.global),
        Verb::Test(args) => args.run(&cli.global),
        Verb::Diff(args) => args.run(&cli.global),
        Verb::Bench(args) => args.run(&cli.global),
        Verb::Sweep(args) => args.run(&cli.global),
        Verb::Eval(args) => args.run(&cli.global),
        Verb::Check(args) => args.run(&cli.global),
        Verb::Data(verb) => verb.run(),
        Verb::Schema(args) => args.run(),
        Verb::Scene(args) => args.run(),
        #[cfg(feature = "train")]
        Verb::Train(args) => args.run(&cli.global),
        #[cfg(feature = "train")]
        Verb::Explain(args) => args.run(&cli.global),
        Verb::Models(args) => args.run(&cli.global),
        Verb::Devices(args) => args.run(),
        Verb::Doctor(args) => args.run(),
        Verb::Completions(args) => args.run(Cli::command()),
        Verb::Man(args) => args.run(Cli::command()),
    };
    match result {
        Ok(()) | Err(Error::ReaderGone) => ExitCode::SUCCESS,
        Err(error) => {
            console::fault(&error);
            ExitCode::from(error.exit_code())
        }
    }
}

/// Prints what is wrong with the command line, or the help or the version that was asked for.
fn refuse(error: &clap::Error) -> ExitCode {
    let words: Vec<String> = std::env::args().collect();
    let json = words.iter().any(|word| word == "--log=json") || words.windows(2).any(|two| two == ["--log", "json"]);
    if json && error.use_stderr() {
        console::start(true);
        console::fault(&Error::Config(error.to_string()));
    } else {
        // Nothing can be done if nobody reads it.
        let _ = error.print();
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}
