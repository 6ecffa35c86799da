//! `ocelli man`: manual pages.

use super::global::say;
use crate::error::{Error, Result};
use clap::{Args, Command};
use clap_mangen::Man;
use std::path::PathBuf;

/// Print the manual page, or write one for every command into a folder
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ocelli man | man -l -
  ocelli man ~/.local/share/man/man1")]
pub struct ManArgs {
    /// The folder for `ocelli.1`, `ocelli-run.1` and so on
    folder: Option<PathBuf>,
}

impl ManArgs {
    /// Prints or writes the pages.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn run(&self, command: Command) -> Result<()> {
        let Some(folder) = &self.folder else {
            let mut page = Vec::new();
            Man::new(command).render(&mut page).map_err(|e| Error::io("the manual page", e))?;
            return say(&String::from_utf8_lossy(&page));
        };
        std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, e))?;
        clap_mangen::generate_to(command, folder).map_err(|e| Error::io(folder, e))?;
        say(&format!("wrote the manual pages into {}\n", folder.display()))
    }
}
