//! What is built into the program: example pipelines with their models and their clip, so that one installed file is
//! enough to see something work.

use crate::error::{Error, Result};
use crate::host::{data_folder, make_parent, replace};
use std::path::{Path, PathBuf};

/// A file: its path in the repository and its content.
type Bundled = (&'static str, &'static [u8]);

macro_rules! files {
    ($($path:literal),* $(,)?) => {
        &[$(($path, include_bytes!(concat!("../../", $path)))),*]
    };
}

const FILES: &[Bundled] = files![
    "pipelines/quickstart.yaml",
    "pipelines/segments.yaml",
    "pipelines/why.yaml",
    "examples/street.mp4",
    "examples/street.truth.jsonl",
    "models/scene/README.md",
    "models/scene/card.yaml",
    "models/scene/golden.jpg",
    "models/scene/labels.txt",
    "models/scene/model.onnx",
    "models/scene_mask/README.md",
    "models/scene_mask/card.yaml",
    "models/scene_mask/model.onnx",
    "models/scene_tags/README.md",
    "models/scene_tags/card.yaml",
    "models/scene_tags/model.onnx",
];

/// The models that each pipeline runs.
const PIPELINES: &[(&str, &[&str])] =
    &[("quickstart", &["scene"]), ("segments", &["scene_mask"]), ("why", &["scene_tags"])];

/// The names of the bundled pipelines.
pub fn pipelines() -> impl Iterator<Item = &'static str> {
    PIPELINES.iter().map(|(name, _)| *name)
}

/// The first comment of a bundled pipeline: what it does.
#[must_use]
pub fn about(name: &str) -> &'static str {
    let text = FILES.iter().find(|(path, _)| path.strip_prefix("pipelines/") == Some(&format!("{name}.yaml")));
    let text = text.and_then(|(_, bytes)| std::str::from_utf8(bytes).ok()).unwrap_or_default();
    text.lines().next().unwrap_or_default().trim_start_matches("# ")
}

/// The names of the bundled models.
pub fn models() -> impl Iterator<Item = &'static str> {
    PIPELINES.iter().flat_map(|(_, models)| models.iter().copied())
}

/// Writes a bundled pipeline with its models and its clip into `folder`, and returns the pipeline's path. The pipeline
/// lies in `folder` itself and finds the rest there.
///
/// # Errors
/// [`Error::Config`] if there is no such pipeline, or if one of the files is there already: nothing is written then.
/// [`Error::Io`].
pub fn unpack(name: &str, folder: &Path) -> Result<PathBuf> {
    let files = files_of(name)?;
    if let Some(known) = files.iter().map(|(to, _)| folder.join(to)).find(|path| path.exists()) {
        return Err(Error::Config(format!("{} is there already; choose another folder", known.display())));
    }
    files.iter().try_for_each(|(to, bytes)| write(&folder.join(to), bytes))?;
    Ok(folder.join(format!("{name}.yaml")))
}

/// Returns the path of a bundled pipeline in the user's data folder, where it is written if it is not there in this form.
///
/// # Errors
/// As for [`unpack`].
pub fn installed(name: &str) -> Result<PathBuf> {
    let folder = home()?;
    for (to, bytes) in files_of(name)? {
        refresh(&folder.join(to), &bytes)?;
    }
    Ok(folder.join(format!("{name}.yaml")))
}

/// Returns the folder of a bundled model, which is written to the user's data folder if it is not there in this form.
///
/// # Errors
/// [`Error::Io`].
pub fn model(name: &str) -> Result<Option<PathBuf>> {
    let prefix = format!("models/{name}/");
    let mut files = FILES.iter().filter(|(path, _)| path.starts_with(&prefix)).peekable();
    if files.peek().is_none() {
        return Ok(None);
    }
    let folder = home()?;
    files.try_for_each(|(path, bytes)| refresh(&folder.join(path), bytes))?;
    Ok(Some(folder.join(prefix)))
}

/// The files of a pipeline, with paths beside it.
fn files_of(name: &str) -> Result<Vec<(String, Vec<u8>)>> {
    let Some((_, models)) = PIPELINES.iter().find(|(known, _)| *known == name) else {
        let known = crate::yaml::one_of(pipelines());
        return Err(Error::Config(format!("no bundled pipeline `{name}`; expected {known}")));
    };
    let pipeline = format!("pipelines/{name}.yaml");
    let wanted = |path: &str| {
        path == pipeline
            || path.starts_with("examples/")
            || models.iter().any(|model| path.starts_with(&format!("models/{model}/")))
    };
    let placed = |(path, bytes): &Bundled| match path.strip_prefix("pipelines/") {
        // In the repository a pipeline lies one folder beside the clip.
        Some(name) => {
            (name.to_owned(), String::from_utf8_lossy(bytes).replace("../examples/", "examples/").into_bytes())
        }
        None => ((*path).to_owned(), bytes.to_vec()),
    };
    Ok(FILES.iter().filter(|(path, _)| wanted(path)).map(placed).collect())
}

/// The place for unpacked files. Each version has its own, so that none changes under a running program.
fn home() -> Result<PathBuf> {
    let message = "no place for the bundled files: neither XDG_DATA_HOME nor HOME is set; set one, or write the files \
                   yourself with `ocelli init DIR`";
    let folder = data_folder().ok_or_else(|| Error::Config(message.into()))?;
    Ok(folder.join("bundled").join(env!("CARGO_PKG_VERSION")))
}

/// Writes a file unless it is there with this content.
fn refresh(path: &Path, bytes: &[u8]) -> Result<()> {
    if std::fs::read(path).is_ok_and(|known| known == bytes) {
        return Ok(());
    }
    let hint =
        "the bundled files cannot be unpacked (set XDG_DATA_HOME to a folder for them, or use `ocelli init DIR`)";
    write(path, bytes).map_err(|e| e.at(hint))
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    make_parent(path)?;
    replace(path, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipeline_lies_beside_what_it_reads_and_nothing_is_written_over() {
        let folder = tempfile::tempdir().unwrap();
        for name in pipelines() {
            let into = folder.path().join(name);
            let path = unpack(name, &into).unwrap();
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(into.join("examples/street.mp4").is_file() && !text.contains("../"));
            assert!(about(name).len() > 20 && text.contains(about(name)));
            assert!(unpack(name, &into).unwrap_err().to_string().contains("is there already"));
        }
        assert!(unpack("quick", folder.path()).unwrap_err().to_string().contains("`quickstart`"));
    }
}
