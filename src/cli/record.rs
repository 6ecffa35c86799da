//! `ocelli record`: runs a pipeline and keeps what it sees.

use super::console;
use super::global::Global;
use super::run::{ShowArgs, drive};
use crate::error::Result;
use crate::media::flight::Keep;
use crate::pipeline::{Options, Pipeline, RecordSettings, Recorder};
use crate::stage::Env;
use clap::Args;
use std::path::PathBuf;
use std::time::Duration;

/// Run a pipeline and record what it sees, for `ocelli replay`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ocelli record door.yaml --to flights
  ocelli record door.yaml --to flights --keep-bytes 20GB --keep-time 7d
  ocelli record door.yaml --to flights --jpeg 90

The pipeline runs as with `ocelli run`. In addition, the folder receives the frames as their source sent them (H.264 \
and JPEG unchanged; anything else pixel by pixel, or as JPEG with --jpeg), their times, which frames each line dropped, \
the states of the sources, the pipeline, and the hashes of its models. The pipeline is recorded without passwords, \
without the values of `${…}`, and with only the host and path of addresses.

The recording is a ring: the oldest files are deleted first, including those of earlier runs. The recording of a killed \
run is complete up to the last moment. If the disk is too slow or full, frames are missing from the recording, but the \
pipeline goes on.")]
pub struct RecordArgs {
    /// The pipeline's YAML file
    file: PathBuf,
    /// The folder to record into; created if missing
    #[arg(long, value_name = "FOLDER")]
    to: PathBuf,
    /// Maximum size of the folder, over all runs: 500MB, 20GB
    #[arg(long, value_name = "SIZE", default_value = "4GB", value_parser = crate::host::parse_bytes)]
    keep_bytes: u64,
    /// Maximum age of what is kept: 1h, 7d
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    keep_time: Option<Duration>,
    /// Record frames that are neither JPEG nor H.264 as JPEG of this quality, 1-100: a tenth of the size, but replays
    /// see slightly different pixels than the run did
    #[arg(long, value_name = "QUALITY", value_parser = clap::value_parser!(u8).range(1..=100))]
    jpeg: Option<u8>,
    #[command(flatten)]
    show: ShowArgs,
}

impl RecordArgs {
    /// Runs and records the pipeline.
    ///
    /// # Errors
    /// If the pipeline or the recording cannot start, or if the run fails; later faults of the recording are logged.
    pub fn run(&self, global: &Global) -> Result<()> {
        let env = Env::for_file(&self.file, &global.models);
        let keep = Keep { bytes: self.keep_bytes, time: self.keep_time };
        let how = RecordSettings { folder: self.to.clone(), keep, jpeg: self.jpeg };
        // Check the pipeline first, so that a faulty one leaves no folder behind.
        let checked = Pipeline::read(&self.file)?.check(&env)?;
        let recorder = Recorder::start(&checked, &how)?;
        let outcome = drive(&checked.with_tap(recorder.clone()), &Options::default(), self.show);
        let said = recorder.finish();
        if !self.show.is_quiet() {
            console::say(&format!("{said}, in {}", self.to.display()));
        }
        outcome?.result.map_err(|e| e.at(self.file.display()))
    }
}
