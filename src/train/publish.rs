//! Puts a trained model where pipelines find it, and says what became of it.

use super::export::Quality;
use super::judge::{self, folder_of};
use super::trainer::{Best, LEAST, Row, Training};
use crate::error::{Error, Result};
use crate::eval::measure::Measured;
use crate::eval::page::Page;
use crate::host::{make_parent, replace};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// How many of the worst pictures a report shows.
const WORST: usize = 24;

/// A published model.
#[derive(Debug)]
pub struct Published {
    /// Its folder.
    pub folder: PathBuf,
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
        page.chart(
            ("epoch", "loss"),
            &[("learnt from".into(), train), ("held out".into(), val)],
            [across, (0.0, most)],
        );
        page.heading(name);
        page.chart(("epoch", name), &[(name.into(), curve(&|row| row.metric))], [across, (0.0, 1.0)]);
        self.measured.sections(&mut page, None)?;
        page.heading("Recipe");
        page.text(&training.written.text);
        Ok(page.finish())
    }
}

impl Training {
    /// The name of the trained model.
    ///
    /// # Errors
    /// [`Error::File`] if the path of the recipe has none that a pipeline could use.
    pub fn name(&self) -> Result<String> {
        let to = &self.written.recipe.export.to;
        let name = to.file_name().and_then(|name| name.to_str()).map(str::to_owned);
        let plain =
            |name: &String| !name.starts_with('.') && name.chars().all(|c| c.is_alphanumeric() || "_-.".contains(c));
        name.filter(plain).ok_or_else(|| {
            let message = format!("`{}` does not end in a name for a model: letters, digits, `_`, `-`", to.display());
            self.written.error(&["export", "to"], message)
        })
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
        let data = format!("{} held-out pictures of {data}", self.set.val.len());
        let quality = Quality { metric: self.head.metric_name(), value: best.metric, data };
        self.package().write(&draft, &model, Some(&quality))?;
        let measured = judge::measure(&self.set, drafts.path(), &self.lines(&name, Some(LEAST)), WORST)?;
        if folder.exists() {
            self.put_aside(&folder)?;
        }
        std::fs::rename(&draft, &folder).map_err(|e| Error::io(&folder, e))?;
        // Beside the folder of models, where it finds them.
        let base = if home.ends_with("models") { home.parent().unwrap_or(home) } else { home };
        let pipeline = base.join(format!("{name}-pipeline.yaml"));
        if !pipeline.exists() {
            let text = judge::pipeline(&name, &folder_of(&self.set), &self.lines(&name, None));
            replace(&pipeline, text.as_bytes())?;
        }
        Ok(Published { folder, pipeline, measured })
    }

    /// Moves the model that a new one replaces into the folder of the run; beside it, if that is on another disk.
    fn put_aside(&self, folder: &Path) -> Result<()> {
        let gone = |path: &Path| if path.exists() { std::fs::remove_dir_all(path) } else { Ok(()) };
        let hidden = format!(".{}-replaced", folder.file_name().unwrap_or_default().to_string_lossy());
        let (own, beside) = (self.run.join("replaced"), folder.with_file_name(hidden));
        let moved = gone(&own).and_then(|()| std::fs::rename(folder, &own));
        moved
            .or_else(|_| gone(&beside).and_then(|()| std::fs::rename(folder, &beside)))
            .map_err(|e| Error::io(folder, e))
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
