//! Runs pipelines from text.

use ocelli::host::{Secrets, Stop, SystemClock};
use ocelli::infer::ModelStore;
use ocelli::pipeline::{Graph, Outcome, Pipeline, run};
use ocelli::stage::Env;
use ocelli::yaml::Document;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// An environment whose models are those of the repository and of `models`.
pub fn env(models: &[PathBuf]) -> Env {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    Env {
        base_dir: root.to_path_buf(),
        models: ModelStore::new(models, root),
        clock: Arc::new(SystemClock::default()),
        stop: Stop::default(),
        secrets: Secrets::default(),
        tap: None,
        outputs: ocelli::stage::Outputs::default(),
    }
}

/// A pipeline from its text.
pub fn parse(text: &str) -> Pipeline {
    let lookup = |name: &str| Err(format!("no {name}"));
    Pipeline::of(Document::parse("test.yaml", text.into(), lookup).unwrap()).unwrap_or_else(|e| panic!("{e}"))
}

/// Runs a pipeline from its text to its end.
pub fn play(text: &str, env: &Env) -> Outcome {
    let pipeline = parse(text);
    let graph = Graph::check(&pipeline, env).unwrap_or_else(|e| panic!("{e}"));
    run(&pipeline, &graph, env).unwrap_or_else(|e| panic!("{e}"))
}
