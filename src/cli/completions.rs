//! `ocelli completions`: completion scripts for shells.

use super::global::say;
use crate::error::Result;
use clap::{Args, Command};
use clap_complete::Shell;

/// Print a completion script for your shell
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ocelli completions bash > ~/.local/share/bash-completion/completions/ocelli
  ocelli completions zsh > ~/.zfunc/_ocelli
  ocelli completions fish > ~/.config/fish/completions/ocelli.fish")]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

impl CompletionsArgs {
    /// Prints the script.
    ///
    /// # Errors
    /// [`crate::error::Error::Io`] if standard output fails.
    pub fn run(&self, mut command: Command) -> Result<()> {
        let mut out = Vec::new();
        clap_complete::generate(self.shell, &mut command, "ocelli", &mut out);
        say(&String::from_utf8_lossy(&out))
    }
}
