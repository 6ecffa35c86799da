//! What the verbs that measure share: labels, and how to read them.

use crate::error::{Error, Result};
use crate::labels::{Format, Labels, Truth};
use clap::Args;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// Labels, and how to read them.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Labels")]
pub struct LabelArgs {
    /// Labels: a COCO .json, a data.yaml, a folder of labels, or a truth file (a YAML with `labels:`); without this, the
    /// source's own ground truth is used
    #[arg(long, value_name = "PATH")]
    pub labels: Option<PathBuf>,
    #[command(flatten)]
    pub how: HowArgs,
}

/// How to read labels.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Labels")]
pub struct HowArgs {
    /// The format of the labels, if it is not recognised correctly
    #[arg(long, value_enum)]
    pub format: Option<Format>,
    /// The names of class numbers: a file, `coco80` (YOLO's numbers, from 0), `coco91` (COCO's ids, from 1) or `model`
    #[arg(long, value_name = "LIST")]
    pub names: Option<String>,
    /// What the model calls a class of the labels: LABEL=CLASS, or LABEL= to leave it out; several with commas
    #[arg(long, value_name = "LABEL=CLASS", value_delimiter = ',', value_parser = Truth::parse_map)]
    pub map: Vec<(String, Option<String>)>,
    /// The value in class maps that means "not labelled"; 255 if not given
    #[arg(long, value_name = "VALUE")]
    pub ignore: Option<u8>,
    /// The value of the first class in class maps: 1 where 0 means "not labelled" (ADE20K)
    #[arg(long, value_name = "VALUE", default_value_t = 0)]
    pub offset: u8,
    /// Scale boxes of pictures of another size, instead of refusing them
    #[arg(long)]
    pub scale_labels: bool,
    /// Treat every note about the labels as an error
    #[arg(long)]
    pub strict: bool,
}

impl HowArgs {
    /// Returns labels at a path, with what is said about them.
    ///
    /// # Errors
    /// [`Error::Config`] if `--map` says two things about one class.
    pub fn truth(&self, path: PathBuf) -> Result<Truth> {
        let map: BTreeMap<String, Option<String>> = self.map.iter().cloned().collect();
        let two = self.map.iter().find(|(from, to)| map.get(from).is_some_and(|last| last != to));
        if let Some((from, to)) = two {
            let [one, other] = [to, &map[from]].map(|to| to.as_deref().unwrap_or_default());
            let message = format!("--map gives `{from}` two classes, `{one}` and `{other}`; leave one out");
            return Err(Error::Config(message));
        }
        Ok(Truth {
            path,
            format: self.format,
            names: self.names.clone(),
            map,
            ignore: self.ignore,
            offset: self.offset,
            scale: self.scale_labels,
            strict: self.strict,
        })
    }
}

impl LabelArgs {
    /// Reads the labels, if there are any.
    ///
    /// # Errors
    /// As [`Labels::read`].
    pub fn read(&self) -> Result<Option<Arc<Labels>>> {
        let Some(path) = &self.labels else { return Ok(None) };
        Labels::read(&self.how.truth(path.clone())?).map(|labels| Some(Arc::new(labels)))
    }
}
