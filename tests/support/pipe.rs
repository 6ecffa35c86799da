//! Runs pipelines from text.

use ocelli::internals::pipeline::{Checked, Outcome, Parts, Pipeline};
use ocelli::internals::stage::Env;
use ocelli::internals::yaml::Document;
use std::path::PathBuf;

/// An environment whose models are those of the repository and of `models`.
pub fn env(models: &[PathBuf]) -> Env {
    Env::new(env!("CARGO_MANIFEST_DIR"), models)
}

/// A pipeline from its text.
pub fn parse(text: &str) -> Pipeline {
    let lookup = |name: &str| Err(format!("no {name}"));
    Pipeline::of(Document::parse("test.yaml", text.into(), lookup).unwrap(), &Parts::builtin())
        .unwrap_or_else(|e| panic!("{e}"))
}

/// Runs a pipeline from its text to its end.
pub fn play(text: &str, env: &Env) -> Outcome {
    check(text, env).run().unwrap_or_else(|e| panic!("{e}"))
}

/// A checked pipeline from its text.
pub fn check(text: &str, env: &Env) -> Checked {
    parse(text).check(env).unwrap_or_else(|e| panic!("{e}"))
}
