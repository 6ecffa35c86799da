//! `ocelli schema`: what our files may contain, for editors and for people.

use super::global::say;
use crate::error::{Error, Result};
use crate::{models, pipeline, trial};
use clap::{Args, ValueEnum};

/// Print the JSON Schema of pipelines, model cards, test files or recipes, or a manual
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ocelli schema > ocelli.schema.json
  ocelli schema card > card.schema.json
  ocelli schema test > test.schema.json
  ocelli schema recipe > recipe.schema.json
  ocelli schema --reference > docs/yaml.md
  ocelli schema card --reference > docs/model-card.md
  ocelli schema recipe --reference > docs/recipe.md

An editor with a YAML language server completes and checks files that begin with
  # yaml-language-server: $schema=ocelli.schema.json")]
pub struct SchemaArgs {
    /// The kind of file
    #[arg(value_enum, default_value_t)]
    kind: Kind,
    /// Print the manual in Markdown instead (not for tests)
    #[arg(long)]
    reference: bool,
}

/// The kinds of files that people write.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Kind {
    /// A pipeline
    #[default]
    Pipeline,
    /// A model's `card.yaml`
    Card,
    /// A test file for `ocelli test`
    Test,
    /// A recipe for `ocelli train`
    #[cfg(feature = "train")]
    Recipe,
}

impl SchemaArgs {
    /// Prints the schema or a manual.
    ///
    /// # Errors
    /// [`Error::Io`] if standard output fails, [`Error::Config`] if there is no such manual.
    pub fn run(&self) -> Result<()> {
        if self.reference {
            return match self.kind {
                Kind::Pipeline => say(&pipeline::reference()),
                Kind::Card => say(&pipeline::card_reference()),
                Kind::Test => Err(Error::Config(
                    "test files have no generated manual; see docs/testing.md, or leave out `--reference`".into(),
                )),
                #[cfg(feature = "train")]
                Kind::Recipe => say(&crate::train::manual::reference()),
            };
        }
        let schema = match self.kind {
            Kind::Pipeline => pipeline::schema(),
            Kind::Card => models::schema(),
            Kind::Test => trial::schema(),
            #[cfg(feature = "train")]
            Kind::Recipe => crate::train::recipe::schema(),
        };
        let text = serde_json::to_string_pretty(&schema);
        let text = text.map_err(|e| Error::Internal(format!("schema: {e}")))?;
        say(&format!("{text}\n"))
    }
}
