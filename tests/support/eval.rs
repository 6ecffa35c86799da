//! Runs `ocelli eval` and other verbs as a user would.

use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// What a run gave.
#[derive(Debug)]
pub struct Given {
    /// The exit status.
    pub status: i32,
    /// Standard output and standard error.
    pub text: String,
    /// The same, as bytes.
    pub bytes: Vec<u8>,
    /// The numbers of `--json`; null if there are none.
    pub json: Value,
}

impl Given {
    /// A number of the report: `coco.AP`, `segmentation.miou`.
    pub fn number(&self, path: &str) -> Option<f64> {
        path.split('.').try_fold(&self.json, |value, key| value.get(key))?.as_f64()
    }
}

/// Runs a verb in a folder. The bundled models are known.
pub fn ocelli(folder: &Path, args: &[&str]) -> Given {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    let mut command = Command::new(env!("CARGO_BIN_EXE_ocelli"));
    command.current_dir(folder).arg("--models").arg(models).args(args);
    let output = command.output().unwrap();
    let bytes = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    Given { status: output.status.code().unwrap_or(-1), text, bytes, json: Value::Null }
}

/// Runs `ocelli eval` in a folder, and reads its numbers.
pub fn eval(folder: &Path, args: &[&str]) -> Given {
    let json = tempfile::NamedTempFile::new().unwrap();
    let path = json.path().to_str().unwrap().to_owned();
    let all = [&["eval"], args, &["--json", &path]].concat();
    let mut given = ocelli(folder, &all);
    given.json =
        std::fs::read_to_string(json.path()).ok().and_then(|t| serde_json::from_str(&t).ok()).unwrap_or_default();
    given
}

/// A pipeline over pictures that finds what one of the bundled models finds.
pub fn pipeline(kind: &str, pictures: &str) -> String {
    let (model, line) = match kind {
        "detect" => ("scene", "detect: { model: scene, min_score: 0.3 }\n  - nms"),
        "segment" => ("scene_mask", "segment: { model: scene_mask }"),
        _ => ("scene_tags", "classify: { model: scene_tags, top: 6, min_score: 0.5 }"),
    };
    format!("pipeline:\n  - images: {{ path: '{pictures}' }}\n  - resize: {{ for: {model} }}\n  - {line}\n  - jsonl\n")
}

/// Copies a folder with all that is in it.
pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
