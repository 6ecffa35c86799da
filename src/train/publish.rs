//! Puts a trained model where pipelines find it, and says what became of it.

use super::export::Quality;
use super::judge::{self, folder_of};
use super::trainer::{Best, LEAST, Row, Training};
use crate::error::{Error, Result};
use crate::eval::measure::Measured;
use crate::eval::page::Page;
use crate::host::{can_write, make_parent, replace};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// How many of the worst pictures a report shows.
const WORST: usize = 24;

/// A published model.
#[derive(Debug)]
pub struct Published {
    /// Its folder.
    pub folder: PathBuf,
    /// Where the model lies that was there before, if there was one.
    pub replaced: Option<PathBuf>,
    /// A pipeline that runs it.
    pub pipeline: PathBuf,
    /// What it was measured at.
    pub measured: Measured,
}

impl Published {
    /// A page with the curves of the training and all that was measured.
    ///
    /// # Errors
    /// If a picture is too large for a JPEG.
    pub fn page(&self, training: &Training, rows: &[Row]) -> Result<String> {
        let mut page = Page::new(&format!("{}: training", training.written.file.display()));
        let name = training.head.metric_name();
        let at = |index: usize| index as f64 + 1.0;
        let curve = |value: &dyn Fn(&Row) -> Option<f64>| -> Vec<(f64, f64)> {
            rows.iter().enumerate().filter_map(|(index, row)| Some((at(index), value(row)?))).collect()
        };
        let sum = |parts: &[(String, f64)]| parts.iter().map(|(_, value)| value).sum::<f64>();
        let train = curve(&|row| Some(sum(&row.train)));
        let val = curve(&|row| Some(sum(&row.val)));
        let most = train.iter().chain(&val).map(|(_, value)| *value).fold(0.0, f64::max);
        let across = (1.0, at(rows.len().saturating_sub(1)));
        page.heading("Loss");
        page.chart(("epoch", "loss"), &[("training".into(), train), ("validation".into(), val)], [across, (0.0, most)]);
        page.heading(name);
        page.chart(("epoch", name), &[(name.into(), curve(&|row| row.metric))], [across, (0.0, 1.0)]);
        self.measured.sections(&mut page, None)?;
        page.heading("Recipe");
        page.text(&training.written.text);
        Ok(page.finish())
    }
}

impl Training {
    /// The name of the trained model, which is that of its folder.
    ///
    /// # Errors
    /// [`Error::File`] if a pipeline could not use it, if something else lies there, or if it cannot be written.
    pub fn name(&self) -> Result<String> {
        let bad = |message: String| self.written.error(&["export", "to"], message);
        let to = &self.written.recipe.export.to;
        let name = to.file_name().and_then(|name| name.to_str()).map(str::to_owned);
        let plain = |name: &String| {
            !name.starts_with('.')
                && name.len() <= 100
                && name.chars().all(|c| c.is_alphanumeric() || "_-.".contains(c))
        };
        let name = name.filter(plain).ok_or_else(|| {
            bad(format!("`{}` does not end in a name for a model: letters, digits, `_`, `-`", to.display()))
        })?;
        let folder = self.written.beside(to);
        if folder.exists() && !folder.join("card.yaml").is_file() {
            return Err(bad(format!("{} is there and is no model; choose another name", folder.display())));
        }
        if let Ok(whole) = folder.canonicalize() {
            let own = |path: &Path| path.canonicalize().is_ok_and(|path| path.starts_with(&whole));
            let pictures = self.set.train.iter().chain(&self.set.val).map(|sample| sample.path.as_path());
            if let Some(inside) = pictures.chain([self.written.file.as_path()]).find(|path| own(path)) {
                let (folder, inside) = (folder.display(), inside.display());
                return Err(bad(format!("{folder} would be replaced, and {inside} lies in it; choose another folder")));
            }
        }
        can_write(&folder.with_file_name(format!("{name}-pipeline.yaml")), false).map_err(|e| bad(e.to_string()))?;
        Ok(name)
    }

    /// Measures the best weights, and puts the model into its folder. One that lies there moves into the folder of the run.
    ///
    /// # Errors
    /// What could not be measured or written; the old model is still there then.
    pub fn publish(&self, best: &Best) -> Result<Published> {
        let (model, name) = (self.result()?, self.name()?);
        let folder = self.written.beside(&self.written.recipe.export.to);
        let home = folder.parent().filter(|home| !home.as_os_str().is_empty()).unwrap_or(Path::new("."));
        make_parent(&folder)?;
        // Whole or not at all: it gets its name when everything is there and was measured.
        let drafts = tempfile::Builder::new().prefix(".train-").tempdir_in(home).map_err(|e| Error::io(home, e))?;
        let draft = drafts.path().join(&name);
        let data = self.set.labels.truth.path.display().to_string();
        let data = format!("{} validation pictures of {data}", self.set.val.len());
        let quality = Quality { metric: self.head.metric_name(), value: best.metric, data };
        self.package().write(&draft, &model, Some(&quality))?;
        let measured = judge::measure(&self.set, drafts.path(), &self.lines(&name, Some(LEAST)), WORST)?;
        let replaced = folder.exists().then(|| self.put_aside(&folder)).transpose()?;
        if let Err(error) = std::fs::rename(&draft, &folder) {
            // The old model goes back to its place; if that fails, too, it is where it was put.
            let _ = replaced.map(|old| std::fs::rename(old, &folder));
            return Err(Error::io(&folder, error));
        }
        // Beside the folder of models, where it finds them.
        let base = if home.ends_with("models") { home.parent().unwrap_or(home) } else { home };
        let pipeline = base.join(format!("{name}-pipeline.yaml"));
        if !pipeline.exists() {
            let text = judge::pipeline(&name, &folder_of(&self.set), &self.lines(&name, None));
            replace(&pipeline, text.as_bytes())?;
        }
        Ok(Published { folder, replaced, pipeline, measured })
    }

    /// Moves the model that a new one replaces into the folder of the run; beside it, if that is on another disk. Nothing is
    /// written over.
    fn put_aside(&self, folder: &Path) -> Result<PathBuf> {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let free = |path: &dyn Fn(u32) -> PathBuf| (1..10_000).map(path).find(|path| !path.exists());
        let own = free(&|at| self.run.join(format!("replaced-{at}")));
        let beside = free(&|at| folder.with_file_name(format!(".{name}-replaced-{at}")));
        let mut moved = Err(Error::Internal("no place for the old model".into()));
        for place in own.into_iter().chain(beside) {
            moved = std::fs::rename(folder, &place).map(|()| place).map_err(|e| Error::io(folder, e));
            if moved.is_ok() {
                break;
            }
        }
        moved
    }
}

/// The epochs of a training as a table with commas.
#[must_use]
pub fn csv(rows: &[Row], metric: &str) -> String {
    let names = |part: fn(&Row) -> &Vec<(String, f64)>, kind: &str| -> String {
        rows.first().map_or(String::new(), |row| part(row).iter().map(|(name, _)| format!(",{kind}_{name}")).collect())
    };
    let (train, val) = (names(|row| &row.train, "train"), names(|row| &row.val, "val"));
    let mut text = format!("part,epoch,rate{train}{val},{metric},seconds\n");
    for row in rows {
        let _ = write!(text, "{},{},{:e}", row.phase + 1, row.epoch + 1, row.rate);
        row.train.iter().chain(&row.val).for_each(|(_, value)| _ = write!(text, ",{value:.6}"));
        let measured = row.metric.map_or(String::new(), |value| format!("{value:.4}"));
        let _ = writeln!(text, ",{measured},{:.3}", row.seconds);
    }
    text
}
