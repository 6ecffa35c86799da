//! `ocelli init`: writes a bundled pipeline with all it needs, as a start for one's own.

use super::global::say;
use crate::error::{Error, Result};
use crate::infer::bundle;
use clap::Args;
use std::path::Path;

/// Write an example pipeline with its model and clip into a new folder
#[derive(Debug, Args)]
#[command(
    override_usage = "ocelli init [RECIPE] DIR\n       ocelli init --list",
    after_help = "Examples:
  ocelli init door                    quickstart.yaml, its model and its clip in ./door
  ocelli init segments masks          the pipeline `segments` in ./masks
  ocelli init --list                  what there is

Everything is built into the program; nothing is downloaded. Files that are there already are never written over."
)]
pub struct InitArgs {
    /// The pipeline (`quickstart` if not given), and the folder to write it into
    #[arg(value_names = ["RECIPE", "DIR"], num_args = 1..=2, required_unless_present = "list")]
    what: Vec<String>,
    /// List the bundled pipelines
    #[arg(long, exclusive = true)]
    list: bool,
}

impl InitArgs {
    /// Writes the files.
    ///
    /// # Errors
    /// [`Error::Config`] if there is no such pipeline, or if files are in the way; [`Error::Io`].
    pub fn run(&self) -> Result<()> {
        let (recipe, folder) = match self.what.as_slice() {
            [] => return names(),
            [folder] => ("quickstart", folder),
            [recipe, folder] => (recipe.as_str(), folder),
            _ => return Err(Error::Config("expected a recipe and a folder".into())),
        };
        let path = bundle::unpack(recipe, Path::new(folder))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        say(&format!("wrote {}\nTry it:\n  cd {folder}\n  ocelli run {name}\n", path.display()))
    }
}

/// Lists the bundled pipelines.
fn names() -> Result<()> {
    bundle::recipes().try_for_each(|name| say(&format!("{name:12} {}\n", bundle::about(name))))
}
