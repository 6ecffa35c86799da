//! Reads the lines of a pipeline independently of each other, so that all faults are found at once.

use super::parts::Parts;
use super::settings::Settings;
use crate::error::Result;
use crate::sources::{Faults, Faulty};
use crate::yaml::{self, Document, Fault, Node, Place, Value};
use serde::Deserialize;
use std::path::Path;
use std::time::Duration;

/// What happens when a queue is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WhenFull {
    /// The line above waits, and nothing is lost. The default for recorded streams.
    #[default]
    Block,
    /// The oldest waiting packet is dropped and counted. The default for live streams.
    DropOldest,
}

/// The queue in front of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct QueueSetting {
    /// How many packets may wait, 1–1024. Default: 2 for recorded streams, 1 for live ones.
    #[serde(default)]
    #[schemars(range(min = 1, max = 1024))]
    pub capacity: Option<usize>,
    /// What happens when the queue is full.
    #[serde(default)]
    pub when_full: Option<WhenFull>,
}

/// Which packets a line takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Every {
    /// Every Nth packet.
    Packets(u64),
    /// At most one packet per interval of media time.
    Time(Duration),
}

/// A line of a pipeline that was read and is valid on its own.
pub struct Line {
    /// Its name: `id:`, or the part's word.
    pub id: String,
    /// The part's word.
    pub word: &'static str,
    /// What it does.
    pub settings: Settings,
    /// The ids after `from:`, with their places; empty if there is no `from:`.
    pub from: Vec<(String, Place)>,
    /// The settings of its queue, if given.
    pub queue: Option<QueueSetting>,
    /// Which packets it takes.
    pub every: Option<Every>,
    /// The maximum age of a packet of a live stream.
    pub deadline: Option<Duration>,
    /// The place of its word.
    pub place: Place,
    /// The values of `${…}` on this line; kept out of messages.
    pub secrets: Vec<String>,
}

impl Line {
    /// Creates a line that is not in the file; `place` is for messages.
    #[must_use]
    pub fn new(id: &str, word: &'static str, settings: Settings, place: Place) -> Self {
        let (id, from, secrets) = (id.to_owned(), Vec::new(), Vec::new());
        Self { id, word, settings, from, queue: None, every: None, deadline: None, place, secrets }
    }
}

/// All lines of a file.
pub struct Pipeline {
    /// The lines, from top to bottom.
    #[doc(hidden)]
    pub lines: Vec<Line>,
    /// The file, for messages.
    #[doc(hidden)]
    pub document: Document,
}

/// The words that a line accepts besides its part.
pub const COMMON: [&str; 6] = ["id", "from", "queue", "every", "deadline", "faulty"];

impl Pipeline {
    /// Reads a file.
    ///
    /// # Errors
    /// [`crate::error::Error::Config`] with all faults that can be found in each line on its own.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        Self::read_with(path, &Parts::builtin())
    }

    /// Reads a file that may use the given parts.
    ///
    /// # Errors
    /// As [`Pipeline::read`].
    pub fn read_with(path: impl AsRef<Path>, parts: &Parts) -> Result<Self> {
        Self::of(Document::read(path.as_ref())?, parts)
    }

    /// Reads a text; `${NAME}` is an environment variable. Messages show `name` in place of a file name.
    ///
    /// # Errors
    /// As [`Pipeline::read`].
    pub fn parse(name: &str, text: &str, parts: &Parts) -> Result<Self> {
        Self::of(Document::from_text(name, text.to_owned())?, parts)
    }

    /// Reads a parsed document.
    ///
    /// # Errors
    /// As [`Pipeline::read`].
    #[doc(hidden)]
    pub fn of(document: Document, parts: &Parts) -> Result<Self> {
        let mut faults = Vec::new();
        let lines = read_lines(&document.root, parts, &mut faults);
        if faults.is_empty() { Ok(Self { lines, document }) } else { Err(document.error(&faults)) }
    }
}

fn read_lines(root: &Node, parts: &Parts, faults: &mut Vec<Fault>) -> Vec<Line> {
    let Value::Map(entries) = &root.value else {
        let message = format!("found {}, expected `pipeline:` with a list of lines under it", root.describe());
        faults.push(Fault::new(
            Place { line: root.place.line.max(1), column: root.place.column.max(1), ..root.place },
            message,
        ));
        return Vec::new();
    };
    let mut lines: Vec<Line> = Vec::new();
    let mut found = false;
    for (key, value) in entries {
        let name = key.text().unwrap_or_default();
        if name != "pipeline" {
            faults.push(Fault::new(key.place, format!("unknown key `{name}`, expected `pipeline`")));
            // One fault is enough for a word that is only misspelt.
            found |= yaml::nearest(&name.to_lowercase(), ["pipeline"]).is_some();
            continue;
        }
        found = true;
        let Value::List(items) = &value.value else {
            faults.push(Fault::new(
                value.place,
                format!("`pipeline`: found {}, expected a list of lines, each starting with `- `", value.describe()),
            ));
            continue;
        };
        if items.is_empty() {
            faults.push(Fault::new(
                value.place,
                "`pipeline` has no lines; begin with a source, such as `- video: { path: … }`",
            ));
        }
        for (index, item) in items.iter().enumerate() {
            if let Some(line) = read_line(index, item, parts, faults) {
                lines.push(line);
            }
        }
    }
    if !found {
        faults.push(Fault::new(
            Place { line: 1, column: 1, width: 1 },
            "`pipeline` is missing: a file begins with `pipeline:` and has a list of lines under it",
        ));
    }
    name_lines(&mut lines, faults);
    lines
}

/// Names the lines without an `id` after their part's word; the second such line is `word-2`, and so on.
fn name_lines(lines: &mut [Line], faults: &mut Vec<Fault>) {
    let mut taken: Vec<String> = Vec::new();
    for line in lines.iter_mut() {
        if line.id.is_empty() {
            line.id = default_id(line.word, &taken);
        }
        if taken.contains(&line.id) {
            faults.push(Fault::new(line.place, format!("two lines are called `{}`; change the `id` of one", line.id)));
        }
        taken.push(line.id.clone());
    }
}

/// Returns the id of a line without an `id:`, below lines with the ids `taken`.
pub(super) fn default_id(word: &str, taken: &[String]) -> String {
    let same = |id: &&String| *id == word || id.strip_prefix(word).is_some_and(|rest| rest.starts_with('-'));
    match taken.iter().filter(same).count() {
        0 => word.to_owned(),
        more => format!("{word}-{}", more + 1),
    }
}

fn read_line(index: usize, item: &Node, known: &Parts, faults: &mut Vec<Fault>) -> Option<Line> {
    let at = format!("pipeline[{index}]");
    // `- nms` alone is `- nms: {}`.
    let alone;
    let entries: &[(Node, Node)] = match &item.value {
        Value::Map(entries) => entries,
        Value::Text(_) => {
            alone = [(item.clone(), Node { place: item.place, ..Node::null() })];
            &alone
        }
        _ => {
            faults.push(Fault::new(
                item.place,
                format!("{at}: found {}, expected a line such as `- video: {{ path: … }}`", item.describe()),
            ));
            return None;
        }
    };
    if item.secret {
        faults.push(Fault::new(item.place, format!("{at}: a line cannot come from `${{…}}`")));
        return None;
    }
    let before = faults.len();
    let mut common = Common::default();
    let mut parts = Vec::new();
    for (key, value) in entries {
        let word = key.text().unwrap_or_default();
        if COMMON.contains(&word) {
            if let Err(fault) = common.take(word, value) {
                faults.push(fault.within(&format!("{at}.{word}")));
            }
        } else {
            parts.push((word, key.place, value));
        }
    }
    let (word, place, value) = match parts.as_slice() {
        [only] => *only,
        [] => {
            faults.push(Fault::new(item.place, format!("{at}: no source, stage or sink on this line")));
            return None;
        }
        [first, second, ..] => {
            let message = if known.words().any(|name| name == second.0) {
                format!("{at}: `{}` and `{}` on one line; begin a new line with `- `", first.0, second.0)
            } else {
                format!(
                    "{at}: unknown word `{}` beside `{}`; its settings belong inside: `{}: {{ {}: … }}`",
                    second.0, first.0, first.0, second.0
                )
            };
            faults.push(Fault::new(second.1, message));
            return None;
        }
    };
    let (word, mut settings) = match known.read(word, place, value) {
        Ok(read) => read,
        Err(fault) => {
            faults.push(if known.words().any(|name| name == word) {
                fault.within(&format!("{at}.{word}"))
            } else {
                fault.within(&at)
            });
            return None;
        }
    };
    if matches!(settings, Settings::Source(_)) {
        let useless = [
            ("from", !common.from.is_empty()),
            ("queue", common.queue.is_some()),
            ("every", common.every.is_some()),
            ("deadline", common.deadline.is_some()),
        ];
        for (name, _) in useless.iter().filter(|(_, set)| *set) {
            faults.push(Fault::new(
                place,
                format!("{at}.{word}: a source does not read from a line, so `{name}` has no effect; remove it"),
            ));
        }
    }
    if let Some(wrong) = common.faulty {
        settings = match settings {
            Settings::Source(inner) => {
                Settings::Source(Box::new(Faulty { inner: inner.into(), faults: wrong, as_live: false }))
            }
            other => {
                let message = format!("{at}.{word}: `faulty` works only on sources; move it to the line of a source");
                faults.push(Fault::new(place, message));
                other
            }
        };
    }
    (faults.len() == before).then(|| Line {
        id: common.id,
        word,
        settings,
        from: common.from,
        queue: common.queue,
        every: common.every,
        deadline: common.deadline,
        place,
        secrets: secrets(item),
    })
}

/// The texts below a node that came out of `${…}`.
fn secrets(node: &Node) -> Vec<String> {
    match &node.value {
        Value::Text(text) if node.secret => vec![text.clone()],
        Value::List(list) => list.iter().flat_map(secrets).collect(),
        Value::Map(entries) => entries.iter().flat_map(|(_, value)| secrets(value)).collect(),
        _ => Vec::new(),
    }
}

#[derive(Default)]
struct Common {
    id: String,
    from: Vec<(String, Place)>,
    queue: Option<QueueSetting>,
    every: Option<Every>,
    deadline: Option<Duration>,
    faulty: Option<Faults>,
}

impl Common {
    fn take(&mut self, word: &str, value: &Node) -> Result<(), Fault> {
        match word {
            "id" => self.id = read_id(value)?,
            "from" => self.from = read_from(value)?,
            "queue" => {
                let queue: QueueSetting = yaml::read(value)?;
                if queue.capacity.is_some_and(|capacity| !(1..=1024).contains(&capacity)) {
                    return Err(Fault::new(value.place, "`capacity` must lie between 1 and 1024"));
                }
                self.queue = Some(queue);
            }
            "faulty" => self.faulty = Some(yaml::read(value)?),
            "every" => self.every = Some(read_every(value)?),
            _ => self.deadline = Some(read_duration(value)?),
        }
        Ok(())
    }
}

fn read_id(value: &Node) -> Result<String, Fault> {
    let id: String = yaml::read(value)?;
    let fine = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    if id.is_empty() || id.len() > 40 || !id.chars().all(fine) {
        return Err(Fault::new(value.place, "an id has 1 to 40 characters: letters, digits, `_`, `-` or `.`"));
    }
    Ok(id)
}

fn read_from(value: &Node) -> Result<Vec<(String, Place)>, Fault> {
    let name = |node: &Node| match &node.value {
        Value::Text(id) if !node.secret => Ok((id.clone(), node.place)),
        _ => Err(Fault::new(node.place, format!("found {}, expected the id of a line above", node.describe()))),
    };
    match &value.value {
        Value::Text(_) => Ok(vec![name(value)?]),
        Value::List(list) if !list.is_empty() => list.iter().map(name).collect(),
        _ => Err(Fault::new(
            value.place,
            format!("found {}, expected the id of a line above, or a list of them", value.describe()),
        )),
    }
}

fn read_every(value: &Node) -> Result<Every, Fault> {
    match &value.value {
        Value::Int(count) if *count >= 1 => Ok(Every::Packets(count.unsigned_abs())),
        Value::Text(_) => read_duration(value).map(Every::Time),
        _ => Err(Fault::new(
            value.place,
            format!("found {}, expected a number of packets (1 or more) or a time such as `2s`", value.describe()),
        )),
    }
}

fn read_duration(value: &Node) -> Result<Duration, Fault> {
    let text = value.text().unwrap_or_default();
    let parsed = humantime::parse_duration(text).ok().filter(|time| !time.is_zero());
    parsed.ok_or_else(|| {
        Fault::new(value.place, format!("found {}, expected a time such as `500ms` or `2s`", value.describe()))
    })
}
