//! `rotate` and `keep`.

use super::pattern::{Field, Pattern};
use crate::error::{Error, Result};
use crate::host::decimal_bytes;
use crate::stage::Disk;
use crate::yaml::{Bytes, Span};
use serde::Deserialize;

/// When a sink begins its next file.
#[derive(Clone, Copy, Debug, Default, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rotate {
    /// When the file has this many bytes, such as `100MB`.
    #[serde(default)]
    pub bytes: Option<Bytes>,
    /// After this time, such as `1h`. It follows the clock: `1h` begins a file at every full hour (UTC).
    #[serde(default)]
    pub time: Option<Span>,
}

/// How much of a sink's files is kept. Only files with names that the sink's path makes are counted and removed: the
/// oldest first, and never one that is being written.
#[derive(Clone, Copy, Debug, Default, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Keep {
    /// The most bytes of all files together, such as `20GB`.
    #[serde(default)]
    pub bytes: Option<Bytes>,
    /// The most days since a file was last written.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub days: Option<u32>,
    /// The most files, the one that is being written included.
    #[serde(default)]
    #[schemars(range(min = 2))]
    pub files: Option<u32>,
}

/// What a sink's settings say about its files.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The names.
    pub pattern: Pattern,
    /// When the next file begins.
    pub rotate: Rotate,
    /// What is kept.
    pub keep: Option<Keep>,
    /// Whether there may be several files: the packets of a run need not end up in one.
    pub many: bool,
}

impl Rules {
    /// The fields that the name of a growing file may have.
    const FIELDS: [Field; 4] = [Field::Date, Field::Time, Field::Start, Field::Seq];

    /// Reads the settings of a sink whose files grow. `always_new`: in this run, it never continues an existing file.
    ///
    /// # Errors
    /// [`Error::Config`] says what does not fit together.
    pub fn new(path: &str, rotate: Option<Rotate>, keep: Option<Keep>, always_new: bool) -> Result<Self> {
        let mut pattern = Pattern::parse(path, &Self::FIELDS)?;
        let many = pattern.is_many() || rotate.is_some() || always_new;
        if !many && keep.is_some() {
            let message = "`keep` has no effect on a single file; add `rotate`, or a field such as `{date}` to `path`";
            return Err(Error::Config(message.into()));
        }
        if rotate.is_some_and(|rotate| rotate.bytes.is_none() && rotate.time.is_none()) {
            return Err(Error::Config("`rotate` needs `bytes`, `time` or both".into()));
        }
        check_keep(keep.as_ref())?;
        let mut rotate = rotate.unwrap_or_default();
        if let Some(Bytes(most)) = keep.and_then(|keep| keep.bytes) {
            // Whole files are removed, so one must not be all there is.
            let each = rotate.bytes.get_or_insert(Bytes((most / 10).max(1_000_000)));
            if each.0 > most / 2 {
                let message = format!(
                    "`keep.bytes` must be at least twice `rotate.bytes` ({}): whole files are removed",
                    decimal_bytes(each.0)
                );
                return Err(Error::Config(message));
            }
        }
        if many && !pattern.is_many() {
            pattern = pattern.with_start();
        }
        Ok(Self { pattern, rotate, keep, many })
    }

    /// How much disk space the files take.
    #[must_use]
    pub fn disk(&self) -> Disk {
        let keep = self.keep.unwrap_or_default();
        let each = self.rotate.bytes.map(|bytes| bytes.0);
        match (keep.bytes, keep.files, each) {
            (Some(bytes), ..) => Disk::Most(bytes.0),
            (None, Some(files), Some(each)) => Disk::Most(each * u64::from(files)),
            (None, Some(_), None) => Disk::Unbounded("add `rotate: { bytes: 100MB }`"),
            _ => Disk::Unbounded("add `keep: { bytes: 10GB }`"),
        }
    }
}

/// Checks that `keep` keeps something.
///
/// # Errors
/// [`Error::Config`].
pub fn check_keep(keep: Option<&Keep>) -> Result<()> {
    let Some(keep) = keep else { return Ok(()) };
    let message = match (keep.bytes, keep.days, keep.files) {
        (None, None, None) => "`keep` needs `bytes`, `days`, `files` or several of them",
        (_, Some(0), _) => "`keep.days` must be at least 1",
        (.., Some(0 | 1)) => "`keep.files` must be at least 2: the file that is being written counts, too",
        _ => return Ok(()),
    };
    Err(Error::Config(message.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_of_files_fit_together_and_are_bounded() {
        let megabytes = |count: u64| Some(Bytes(count * 1_000_000));
        let keep = |bytes, files| Some(Keep { bytes, days: None, files });
        let rotate = |bytes| Some(Rotate { bytes, time: None });
        let disk = |rotate, keep| Rules::new("a.jsonl", rotate, keep, true).map(|rules| rules.disk());
        assert_eq!(disk(rotate(megabytes(5)), keep(megabytes(50), None)).unwrap(), Disk::Most(50_000_000));
        assert_eq!(disk(rotate(megabytes(5)), keep(None, Some(3))).unwrap(), Disk::Most(15_000_000));
        assert!(matches!(disk(None, None).unwrap(), Disk::Unbounded(_)));
        assert!(disk(rotate(megabytes(5)), keep(megabytes(6), None)).is_err());
        assert!(disk(rotate(None), None).is_err() && disk(None, keep(None, None)).is_err());
        assert!(Rules::new("a.jsonl", None, keep(None, Some(3)), false).is_err());
        let rules = Rules::new("a.jsonl", None, keep(megabytes(50), None), true).unwrap();
        assert_eq!(rules.rotate.bytes, megabytes(5));
    }
}
