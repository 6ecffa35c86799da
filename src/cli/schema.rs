//! `ocelli schema`: what a pipeline may contain, for editors and for people.

use super::global::say;
use crate::error::{Error, Result};
use crate::pipeline;
use clap::Args;

/// Print the JSON Schema of pipelines, or the manual of all YAML words
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ocelli schema > ocelli.schema.json
  ocelli schema --reference > docs/yaml.md
  ocelli schema --card > docs/model-card.md

An editor with a YAML language server completes and checks pipelines that begin with
  # yaml-language-server: $schema=ocelli.schema.json")]
pub struct SchemaArgs {
    /// Print the manual of pipelines in Markdown instead
    #[arg(long)]
    reference: bool,
    /// Print the manual of model cards in Markdown instead
    #[arg(long)]
    card: bool,
}

impl SchemaArgs {
    /// Prints the schema or a manual.
    ///
    /// # Errors
    /// [`Error::Io`] if standard output fails.
    pub fn run(&self) -> Result<()> {
        if self.card {
            return say(&pipeline::card_reference());
        }
        if self.reference {
            return say(&pipeline::reference());
        }
        let text = serde_json::to_string_pretty(&pipeline::schema());
        let text = text.map_err(|e| Error::Internal(format!("schema: {e}")))?;
        say(&format!("{text}\n"))
    }
}
