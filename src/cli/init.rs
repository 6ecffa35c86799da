//! `ocelli init`: writes a bundled pipeline with all it needs, as a start for one's own.

use super::global::say;
use crate::error::Result;
use crate::infer::bundle;
use clap::Args;
use std::path::Path;

/// Write an example pipeline with its model and clip into a new folder
#[derive(Debug, Args)]
#[command(
    override_usage = "ocelli init [PIPELINE] DIR\n       ocelli init --list",
    after_help = "Examples:
  ocelli init door                    quickstart.yaml, its model and its clip in ./door
  ocelli init segments masks          the pipeline `segments` in ./masks
  ocelli init --list                  the bundled pipelines

Everything is built into the program; nothing is downloaded. Files that are there already are never written over."
)]
pub struct InitArgs {
    /// The bundled pipeline; `quickstart` if only DIR is given
    #[arg(value_name = "PIPELINE", required_unless_present = "list")]
    first: Option<String>,
    /// The folder to write it into
    #[arg(value_name = "DIR")]
    second: Option<String>,
    /// List the bundled pipelines
    #[arg(long, exclusive = true)]
    list: bool,
}

impl InitArgs {
    /// Writes the files.
    ///
    /// # Errors
    /// [`crate::error::Error::Config`] if there is no such pipeline, or if files are in the way; [`crate::error::Error::Io`].
    pub fn run(&self) -> Result<()> {
        let (name, folder) = match (&self.first, &self.second) {
            (Some(name), Some(folder)) => (name.as_str(), folder),
            (Some(folder), None) => ("quickstart", folder),
            (None, _) => return names(),
        };
        let path = bundle::unpack(name, Path::new(folder))?;
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        say(&format!("wrote {}\nTry it:\n  cd {folder}\n  ocelli run {file}\n", path.display()))
    }
}

/// Lists the bundled pipelines.
fn names() -> Result<()> {
    bundle::pipelines().try_for_each(|name| say(&format!("{name:12} {}\n", bundle::about(name))))
}
