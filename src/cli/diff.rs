//! `ocelli diff`: shows what changed between two runs.

use super::global::{Global, say};
use crate::error::{Error, Result};
use crate::eval::diff::{Change, Diff, Least, page};
use crate::eval::pictures::{Frames, fetch};
use crate::eval::rows::{self, Row};
use crate::media::flight::Flight;
use crate::sources::{Recording, Video};
use crate::stage::Env;
use crate::trial::write_file;
use clap::Args;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Compare what two runs found
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ocelli diff before.jsonl after.jsonl
  ocelli diff before.jsonl after.jsonl --from flights --html diff.html
  ocelli diff before.jsonl after.jsonl --from street.mp4 --html diff.html --quiet

Pictures are matched by name, other frames by source and number; objects by overlap. The exit code is 0 if nothing \
changed, else 1.")]
pub struct DiffArgs {
    /// Rows of the first run
    before: PathBuf,
    /// Rows of the second run
    after: PathBuf,
    /// Write an HTML page with the frames that changed most
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// The recording or video that both runs used, for the pictures on the page
    #[arg(long, value_name = "PATH")]
    from: Option<PathBuf>,
    /// Ignore score changes up to this
    #[arg(long, default_value_t = Least::default().score)]
    min_score_change: f64,
    /// Ignore moves of boxes that still overlap by at least this much (IoU)
    #[arg(long, default_value_t = Least::default().iou)]
    same_place: f32,
    /// Maximum number of frames in the text and on the page
    #[arg(long, default_value_t = 20)]
    show: usize,
    /// Print nothing
    #[arg(long, short)]
    quiet: bool,
}

impl DiffArgs {
    /// Compares the two runs.
    ///
    /// # Errors
    /// [`Error::Differs`] if something changed; others if a file cannot be read or written.
    pub fn run(&self, global: &Global) -> Result<()> {
        let (before, after) = (rows::read_file(&self.before)?, rows::read_file(&self.after)?);
        let diff = Diff::of(&before, &after, Least { score: self.min_score_change, iou: self.same_place });
        if let Some(path) = &self.html {
            let env = Env::new(Path::new("."), &global.models);
            let worst: Vec<&(Row, Row, Vec<Change>)> = diff.worst().into_iter().take(self.show).collect();
            let wanted = worst.iter().map(|(_, row, _)| row.name.clone()).collect();
            let frames =
                self.from.as_deref().map(|from| frames_of(from, &wanted, &env)).transpose()?.unwrap_or_default();
            let names = [self.before.display().to_string(), self.after.display().to_string()];
            write_file(path, page(&diff, &worst, &frames, &names, self.show)?.as_bytes())?;
        }
        if !self.quiet {
            match say(&diff.text(self.show)) {
                // A reader that stops early still gets the exit code.
                Ok(()) | Err(Error::ReaderGone) => {}
                Err(error) => return Err(error),
            }
        }
        if diff.is_empty() {
            return Ok(());
        }
        let words = format!("{} and {} differ", self.before.display(), self.after.display());
        Err(Error::Differs(words))
    }
}

/// Reads the wanted frames of a recording or a video.
fn frames_of(path: &Path, wanted: &BTreeSet<rows::Name>, env: &Env) -> Result<Frames> {
    let (mut frames, path_text) = (Frames::new(), path.to_string_lossy().into_owned());
    let sources: BTreeSet<String> = wanted.iter().map(|(source, _)| source.clone()).collect();
    let known = if path.is_dir() { Flight::open(path, None)?.begin.sources } else { Vec::new() };
    for id in sources {
        if path.is_dir() {
            let only = known.first().filter(|_| known.len() == 1);
            let Some(source) = known.iter().find(|source| source.id == id).or(only) else { continue };
            let recording = Recording::new(path_text.clone(), source.id.clone(), None);
            fetch(&recording, &id, env, wanted, &mut frames)?;
        } else {
            let video =
                Video { path: path_text.clone(), frames: None, truth: None, start: crate::sources::Start::default() };
            fetch(&video, &id, env, wanted, &mut frames)?;
        }
    }
    Ok(frames)
}
