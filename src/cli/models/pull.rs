//! `ocelli models pull`: downloads a public model into the models folder.

use super::download::download;
use crate::cli::global::say;
use crate::error::{Error, Result};
use crate::infer::zoo::{Entry, Zoo, ZooFile};
use crate::infer::{Card, Extra, ModelStore, Plan, selfcheck};
use clap::Args;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Download a public model, check it, and install its card
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ocelli models pull                         list the public models
  ocelli models pull yolox_nano
  ocelli models pull ssd_mobilenet_v1        a TFLite model: prints how to convert it
  ocelli models pull ssd_mobilenet_v1 --converted model.onnx

An interrupted download resumes where it stopped. Behind a proxy, set HTTPS_PROXY.")]
pub struct PullArgs {
    /// Name of the model; without it, all are listed
    name: Option<String>,
    /// Folder that the model's folder goes into (default: the first models folder)
    #[arg(long, value_name = "FOLDER")]
    into: Option<PathBuf>,
    /// The ONNX file that you converted from the original
    #[arg(long, value_name = "FILE")]
    converted: Option<PathBuf>,
    /// A zoo file to use instead of the built-in one
    #[arg(long, value_name = "FILE")]
    zoo: Option<PathBuf>,
}

impl PullArgs {
    /// Downloads, checks and installs the model.
    ///
    /// # Errors
    /// [`Error::Device`] without a network, [`Error::Model`] if a file is not the expected one.
    pub fn run(&self, store: &ModelStore) -> Result<()> {
        let zoo = match &self.zoo {
            Some(path) => Zoo::read(path)?,
            None => Zoo::built_in()?,
        };
        let Some(name) = &self.name else { return list(&zoo) };
        let entry = zoo.entry(name)?;
        let folder = self.into.clone().unwrap_or_else(|| store.home()).join(name);
        if folder.join("card.yaml").is_file() {
            return say(&format!("{name} is already installed: {}\n", folder.display()));
        }
        std::fs::create_dir_all(&folder).map_err(|e| Error::io(&folder, e))?;
        for file in &entry.files {
            fetch(file, &folder)?;
        }
        let model = folder.join("model.onnx");
        if let Some(command) = &entry.convert {
            if let Some(converted) = &self.converted {
                // The user may have converted it in this very place: a file copied onto itself would be emptied.
                let part = folder.join("model.onnx.converted");
                std::fs::copy(converted, &part).map_err(|e| Error::io(converted, e))?;
                std::fs::rename(&part, &model).map_err(|e| Error::io(&model, e))?;
            } else if !model.is_file() {
                return say(&how_to_convert(name, entry, command, &folder));
            }
        }
        install(name, entry, &folder, &model)
    }
}

fn list(zoo: &Zoo) -> Result<()> {
    let mut out = String::new();
    for (name, entry) in &zoo.entries {
        let bytes: u64 = entry.files.iter().filter_map(|f| f.bytes).sum();
        let form = if entry.convert.is_some() { "needs conversion" } else { "ready" };
        let _ =
            writeln!(out, "{name:18} {:>5.1} MB  {:14} {form:16} {}", bytes as f64 / 1e6, entry.license, entry.what);
    }
    say(&out)
}

fn how_to_convert(name: &str, entry: &Entry, command: &str, folder: &Path) -> String {
    let original = entry.files.first().map_or("", |f| f.name.as_str());
    format!(
        "{original} is in {}. It is not an ONNX file, and ocelli does not convert it. Run this:\n\n  \
         pip install tf2onnx==1.17.0 tensorflow==2.21.0\n  cd {}\n  {command}\n\nthen run again: ocelli models pull {name}\n",
        folder.display(),
        folder.display()
    )
}

/// Writes the card, and checks that the model does what it says. A model that does not is not installed.
fn install(name: &str, entry: &Entry, folder: &Path, model: &Path) -> Result<()> {
    let text =
        if entry.convert.is_some() { entry.card.replace("SHA256", &hash_of(model)?) } else { entry.card.clone() };
    let path = folder.join("card.yaml");
    std::fs::write(&path, text).map_err(|e| Error::io(&path, e))?;
    let checked = Card::read(folder).and_then(|card| {
        let plan = Arc::new(Plan::load(&card, &Extra::default())?);
        selfcheck::ensure(&card, &plan)?;
        Ok(card)
    });
    match checked {
        Ok(card) => say(&format!(
            "{name}: installed in {} ({}, {}); licence {}\n",
            folder.display(),
            card.family_name(),
            card.fields.input.size,
            entry.license
        )),
        Err(error) => {
            // The files stay, so that the next try need not download them again.
            let _ = std::fs::remove_file(&path);
            Err(error)
        }
    }
}

fn hash_of(path: &Path) -> Result<String> {
    let mut file = File::open(path).map_err(|e| Error::io(path, e))?;
    let mut hash = Sha256::new();
    let mut chunk = vec![0; 1 << 16];
    loop {
        match file.read(&mut chunk).map_err(|e| Error::io(path, e))? {
            0 => break,
            n => hash.update(&chunk[..n]),
        }
    }
    Ok(hash.finalize().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    }))
}

/// Makes sure that a file is there and is the right one.
fn fetch(file: &ZooFile, folder: &Path) -> Result<()> {
    let path = folder.join(&file.name);
    let is_right = |path: &Path| -> Result<bool> {
        Ok(match &file.sha256 {
            Some(sha256) => hash_of(path)? == sha256.to_lowercase(),
            None => true,
        })
    };
    if path.is_file() && is_right(&path)? {
        return Ok(());
    }
    let part = folder.join(format!("{}.part", file.name));
    let mut tried = Vec::new();
    for url in &file.urls {
        match download(url, &part, file) {
            Ok(()) if is_right(&part)? => {
                return std::fs::rename(&part, &path).map_err(|e| Error::io(&path, e));
            }
            Ok(()) => {
                // A file with the wrong content cannot be resumed.
                let found = hash_of(&part)?;
                std::fs::remove_file(&part).map_err(|e| Error::io(&part, e))?;
                let expected = file.sha256.as_deref().unwrap_or("another");
                tried.push(format!("{url}: has sha256 {found}, the zoo says {expected}"));
            }
            Err(message) => tried.push(format!("{url}: {message}")),
        }
    }
    let message = format!(
        "{} could not be downloaded:\n  {}\nget it by hand and save it as {}, or set HTTPS_PROXY if behind a proxy; then try again",
        file.name,
        tried.join("\n  "),
        path.display()
    );
    Err(if tried.iter().any(|t| t.contains("sha256")) { Error::Model(message) } else { Error::Device(message) })
}
