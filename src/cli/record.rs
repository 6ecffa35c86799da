//! `ocelli record`: runs a pipeline and keeps what it sees.

use super::global::Global;
use super::run::drive;
use crate::error::Result;
use crate::media::flight::Keep;
use crate::pipeline::{Options, Pipeline, RecordSettings, Recorder};
use crate::stage::Env;
use clap::Args;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

/// Run a pipeline and record what it sees, for `ocelli replay`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ocelli record door.yaml --to flights
  ocelli record door.yaml --to flights --keep-bytes 20GB --keep-time 7d
  ocelli record door.yaml --to flights --jpeg 90

The pipeline runs as with `ocelli run`. Beside it, the folder gets the frames as their source sent them (H.264 and
JPEG as they came; anything else pixel by pixel, or as JPEG with --jpeg), their times, the frames that each line
left out, the states of sources, the pipeline without what came out of `${…}`, passwords, and what addresses hold
beside host and path, and the hashes of its models.

It is a ring: the oldest files go first, also those of earlier runs. A run that was killed is whole up to the last
moment. Where the disk is too slow or full, frames are missing from the recording; the pipeline goes on.")]
pub struct RecordArgs {
    /// The pipeline's YAML
    file: PathBuf,
    /// The folder to record into; made if missing
    #[arg(long, value_name = "FOLDER")]
    to: PathBuf,
    /// Most that the folder may hold, over all runs: 500MB, 20GB
    #[arg(long, value_name = "SIZE", default_value = "4GB", value_parser = crate::host::parse_bytes)]
    keep_bytes: u64,
    /// Keep this long of the run: 1h, 7d
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    keep_time: Option<Duration>,
    /// Record frames that come neither as JPEG nor as H.264 as JPEG of this quality, 1-100: a tenth of the size, and
    /// replays then see slightly other pixels than the run did
    #[arg(long, value_name = "QUALITY", value_parser = clap::value_parser!(u8).range(1..=100))]
    jpeg: Option<u8>,
    /// No table of counters at the end, no progress bar
    #[arg(long, short)]
    quiet: bool,
}

impl RecordArgs {
    /// Runs and records.
    ///
    /// # Errors
    /// What kept the pipeline from starting or ended it; what the recording could not do is in the log.
    pub fn run(&self, global: &Global) -> Result<()> {
        let env = Env::for_file(&self.file, &global.models);
        let keep = Keep { bytes: self.keep_bytes, time: self.keep_time };
        let how = RecordSettings { folder: self.to.clone(), keep, jpeg: self.jpeg };
        // Faults of the pipeline first: they leave no folder behind.
        let checked = Pipeline::read(&self.file)?.check(&env)?;
        let recorder = Recorder::start(&checked, &how)?;
        let outcome = drive(&checked.heard_by(recorder.clone()), &Options::default(), self.quiet);
        let said = recorder.finish();
        if !self.quiet {
            let _ = writeln!(std::io::stderr(), "{said}, in {}", self.to.display());
        }
        outcome?.result.map_err(|e| e.at(self.file.display()))
    }
}
