//! `ocelli test`: checks that pipelines still do what is expected of them.

use super::global::{Global, say};
use crate::error::{Error, Result};
use crate::trial::{Trial, Verdict, junit, write_file};
use clap::Args;
use std::path::{Path, PathBuf};

/// Run test files: play pipelines on recordings, and compare the results with what is expected
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ocelli test tests/pipelines/*.test.yaml
  ocelli test door.test.yaml --bless          show what changed, and expect it from now on
  ocelli test tests/*.test.yaml --junit junit.xml

A test file:
  pipeline: ../door.yaml
  from: flights                       # what `ocelli record` wrote, or a video
  faults: { unplug: [100], unplug_for: 2s }
  expect:
    golden: door.golden.jsonl         # byte for byte, or within a `tolerance`
    counts: { person: 3..5, car: 0 }
docs/testing.md describes every word.

If rows differ, the first differing value is printed, and the --out folder receives a picture of both sides, a page \
with all changes, and the rows. Exit codes: 0 all passed, 1 a test failed, 2 to 74 a test could not run (its file is \
faulty, or its recording is missing).")]
pub struct TestArgs {
    /// The test files
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Show what differs from the golden rows, and overwrite them
    #[arg(long)]
    bless: bool,
    /// Write the results as JUnit XML, for a CI system
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Where pictures and rows of failed tests go
    #[arg(long, value_name = "FOLDER", default_value = "out/tests")]
    out: PathBuf,
}

impl TestArgs {
    /// Runs all tests.
    ///
    /// # Errors
    /// [`Error::Differs`] if a test failed; otherwise the first error of a test that could not run.
    pub fn run(&self, global: &Global) -> Result<()> {
        let mut verdicts = Vec::new();
        for path in &self.files {
            let name = name(path, &self.files);
            let (models, out) = (&global.models, &self.out);
            let verdict = Trial { models, path, name: &name, out, bless: self.bless, tell: &tell }.run();
            tell(&text(&verdict))?;
            verdicts.push(verdict);
        }
        if let Some(path) = &self.junit {
            write_file(path, junit::report(&verdicts)?.as_bytes())?;
        }
        let failed = verdicts.iter().filter(|verdict| !verdict.failures.is_empty()).count();
        let faulty = verdicts.iter().filter(|verdict| verdict.error.is_some()).count();
        tell(&format!("{} passed, {failed} failed, {faulty} could not run\n", verdicts.len() - failed - faulty))?;
        match (failed, verdicts.into_iter().find_map(|verdict| verdict.error)) {
            (0, None) => Ok(()),
            (0, Some(error)) => Err(error),
            (1, _) => Err(Error::Differs("a test failed".into())),
            (_, _) => Err(Error::Differs(format!("{failed} tests failed"))),
        }
    }
}

/// Prints text. A reader that stops early still gets the exit code, and the CI system its file.
fn tell(text: &str) -> Result<()> {
    match say(text) {
        Err(Error::ReaderGone) => Ok(()),
        other => other,
    }
}

/// Returns the file's name without its extensions, with its folders if another test has the same name.
fn name(path: &Path, all: &[PathBuf]) -> String {
    let bare = |path: &Path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        name.strip_suffix(".yaml").map(|n| n.strip_suffix(".test").unwrap_or(n).to_owned()).unwrap_or(name)
    };
    let name = bare(path);
    if all.iter().filter(|other| bare(other) == name).count() == 1 {
        return name;
    }
    let folders = path.parent().unwrap_or(Path::new("")).to_string_lossy().replace('/', "-");
    format!("{folders}-{name}")
}

fn text(verdict: &Verdict) -> String {
    let took = verdict.took.as_secs_f64();
    if let Some(error) = &verdict.error {
        return format!(
            "ERROR {} ({took:.1} s)\n      {}\n",
            verdict.name,
            error.to_string().replace('\n', "\n      ")
        );
    }
    if verdict.failures.is_empty() {
        return format!("ok    {} ({}, {took:.1} s)\n", verdict.name, verdict.summary);
    }
    let failures: String = verdict
        .failures
        .iter()
        .map(|failure| format!("      {}\n", failure.trim_end().replace('\n', "\n      ")))
        .collect();
    format!("FAIL  {} ({took:.1} s)\n{failures}", verdict.name)
}
