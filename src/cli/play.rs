//! What the verbs that play a pipeline again share: where its frames come from, and which settings differ.

use crate::error::{Error, Result};
use crate::pipeline::{Origin, Playback, Setting};
use crate::yaml::Node;
use clap::Args;
use std::path::Path;

/// Where frames come from.
#[derive(Clone, Debug, Default, Args)]
pub struct PlayArgs {
    /// A recording's folder or a video that replaces the source; with several sources, ID=PATH once for each;
    /// ID=PATH#RECORDED-ID if the source was recorded under another id
    #[arg(long, value_name = "[ID=]PATH", value_parser = parse_origin)]
    pub from: Vec<Origin>,
    /// Which run of the recording to play; the last one if not given
    #[arg(long)]
    pub run: Option<u64>,
    /// Stop after this many frames of each source
    #[arg(long)]
    pub frames: Option<u64>,
    /// Number of threads that work on one frame in each line with a model
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=64))]
    pub threads: Option<u64>,
}

/// `PATH`, `ID=PATH`, `ID=PATH#RECORDED`.
fn parse_origin(text: &str) -> Result<Origin, String> {
    let (source, path) = match text.split_once('=') {
        Some((id, path)) if !id.contains('/') => (Some(id.to_owned()), path),
        _ => (None, text),
    };
    let (path, recorded) = match path.rsplit_once('#') {
        Some((path, id)) if !Path::new(text).exists() => (path, Some(id.to_owned())),
        _ => (path, None),
    };
    if path.is_empty() {
        return Err("write PATH, ID=PATH or ID=PATH#RECORDED-ID".into());
    }
    Ok(Origin { source, path: path.into(), recorded })
}

/// Returns the settings with the one value that each has.
///
/// # Errors
/// [`Error::Config`] if a setting has several values.
pub fn single(settings: &[Setting]) -> Result<Vec<(Setting, Node)>> {
    let one = |setting: &Setting| match setting.values.as_slice() {
        [value] => Ok((setting.clone(), value.clone())),
        _ => Err(Error::Config(format!(
            "{}: only `ocelli sweep` takes several values; write a list as [a, b]",
            setting.name()
        ))),
    };
    settings.iter().map(one).collect()
}

impl PlayArgs {
    /// Returns the arguments as the library's [`Playback`].
    pub fn playback(&self) -> Playback {
        Playback {
            from: self.from.clone(),
            run: self.run,
            frames: self.frames,
            threads: self.threads.map(|threads| threads as usize),
            ..Playback::default()
        }
    }
}
