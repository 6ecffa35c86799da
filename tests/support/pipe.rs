//! Runs pipelines from text.

use ocelli::internals::pipeline::{Checked, Outcome, Parts, Pipeline};
use ocelli::internals::stage::Env;
use ocelli::internals::yaml::Document;
use std::path::PathBuf;

/// Returns an environment with the models of the repository and those in `models`.
pub fn env(models: &[PathBuf]) -> Env {
    Env::new(env!("CARGO_MANIFEST_DIR"), models)
}

/// Parses a pipeline from its text.
pub fn parse(text: &str) -> Pipeline {
    let lookup = |name: &str| Err(format!("no {name}"));
    Pipeline::of(Document::parse("test.yaml", text.into(), lookup).unwrap(), &Parts::builtin())
        .unwrap_or_else(|e| panic!("{e}"))
}

/// Parses a pipeline from its text and runs it to the end.
pub fn play(text: &str, env: &Env) -> Outcome {
    check(text, env).run().unwrap_or_else(|e| panic!("{e}"))
}

/// Parses a pipeline from its text and checks it.
pub fn check(text: &str, env: &Env) -> Checked {
    parse(text).check(env).unwrap_or_else(|e| panic!("{e}"))
}
