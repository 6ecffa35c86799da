//! A test file: a pipeline, what it sees, what goes wrong, and what is expected.

use crate::error::Result;
use crate::eval::golden::Tolerance;
use crate::labels::Truth;
use crate::pipeline::Setting;
use crate::sources::Faults;
use crate::yaml::{self, Bytes, Document, Fault, Span};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The contents of a test file. Paths are relative to it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("dependentRequired" = { "faulty_source": ["faults"], "run": ["from"] }))]
pub struct TestFile {
    /// The pipeline's YAML.
    pub pipeline: String,
    /// A recording's folder or a video: one for the only source, or several by source id. Not needed if the pipeline's
    /// own sources are recorded.
    #[serde(default)]
    pub from: Origins,
    /// Which run of the recording to play; the last one if not given.
    #[serde(default)]
    pub run: Option<u64>,
    /// Stop after this many frames of each source.
    #[serde(default)]
    pub frames: Option<u64>,
    /// Lines drop the frames that they dropped when this was recorded.
    #[serde(default)]
    pub drops: bool,
    /// Settings to change: `[detect.min_score=0.5]`.
    #[serde(default)]
    pub set: Vec<SettingText>,
    /// What goes wrong with the source, in the words of `faulty:`; an unplugged or frozen source comes back.
    #[serde(default)]
    pub faults: Option<Faults>,
    /// The id of the source that has the faults, if there are several.
    #[serde(default)]
    pub faulty_source: Option<String>,
    /// Lines that take longer for each frame, and how much longer: `{ jsonl: 20ms }`.
    #[serde(default)]
    pub slow: BTreeMap<String, Span>,
    /// Play this many more times, with random delays in every line and other numbers of threads; bytes must be equal.
    #[serde(default)]
    pub repeat: u64,
    /// Labels for `accuracy`, as for `ocelli eval`: a path, or a map with `path` and how to read them.
    #[serde(default)]
    #[schemars(with = "Option<LabelsForm>")]
    pub labels: Option<Truth>,
    /// What is expected.
    pub expect: Expect,
}

/// The two forms of `labels`.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
enum LabelsForm {
    /// Where they are.
    Path(String),
    /// Where they are, and how to read them.
    Map(Truth),
}

/// What is expected.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Expect {
    /// A file of rows; `--bless` writes it.
    pub golden: Option<String>,
    /// How far rows may differ from it; not at all if not given.
    pub tolerance: Tolerance,
    /// The number of rows.
    pub rows: Option<Bounds>,
    /// The number of detections of each class, over all frames.
    pub counts: BTreeMap<String, Bounds>,
    /// The run must end with an error that contains this text.
    pub error: Option<String>,
    /// The number of packets on which lines failed, over all lines; none may fail if not given.
    pub failed: Option<Bounds>,
    /// The most memory that the whole program may use, such as `300MB`.
    pub memory: Option<Bytes>,
    /// The most allocations per frame in a line's own thread, on average.
    pub allocations: BTreeMap<String, f64>,
    /// The least values of metrics: `AP`, `AP50`, `precision`, `recall`, `miou`, `pixel_accuracy`, `top1`, `top5`.
    #[schemars(extend("propertyNames" = { "enum": METRICS }))]
    pub accuracy: BTreeMap<String, f64>,
}

/// A setting to change.
#[derive(Clone, Debug)]
pub struct SettingText(pub Setting);

impl<'de> Deserialize<'de> for SettingText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let setting = Setting::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)?;
        if setting.values.len() == 1 { Ok(Self(setting)) } else { Err(serde::de::Error::custom("give one value only")) }
    }
}

impl JsonSchema for SettingText {
    fn schema_name() -> Cow<'static, str> {
        "Setting".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[^=.]+\\.[^=]+=" })
    }
}

/// One path, or several by source id.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Origins(pub Vec<(Option<String>, String)>);

impl<'de> Deserialize<'de> for Origins {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Origins;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a path, or a map of source ids to paths")
            }
            fn visit_str<E>(self, path: &str) -> Result<Origins, E> {
                Ok(Origins(vec![(None, path.to_owned())]))
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Origins, A::Error> {
                let mut all = Vec::new();
                while let Some((id, path)) = map.next_entry::<String, String>()? {
                    all.push((Some(id), path));
                }
                Ok(Origins(all))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for Origins {
    fn schema_name() -> Cow<'static, str> {
        "Origins".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let path = json_schema!({ "type": "string" });
        json_schema!({ "anyOf": [path, { "type": "object", "additionalProperties": path }] })
    }
}

/// A range of counts: `7`, `5..9`, `5..` or `..9`; both ends are included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The lowest count.
    pub least: u64,
    /// The highest count.
    pub most: u64,
}

impl Bounds {
    /// Returns whether a count is in the range.
    #[must_use]
    pub const fn has(self, count: u64) -> bool {
        self.least <= count && count <= self.most
    }
}

impl std::fmt::Display for Bounds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.least, self.most) {
            (a, b) if a == b => write!(f, "{a}"),
            (a, u64::MAX) => write!(f, "{a} or more"),
            (0, b) => write!(f, "{b} or fewer"),
            (a, b) => write!(f, "{a} to {b}"),
        }
    }
}

impl<'de> Deserialize<'de> for Bounds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Bounds;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a number such as 7, or a range such as 5..9, 5.. or ..9")
            }
            fn visit_i64<E: serde::de::Error>(self, count: i64) -> Result<Bounds, E> {
                let count = u64::try_from(count).map_err(|_| E::custom("a count cannot be negative"))?;
                Ok(Bounds { least: count, most: count })
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Bounds, E> {
                let end = |text: &str, open: u64| if text.is_empty() { Some(open) } else { text.trim().parse().ok() };
                let parsed = text.split_once("..").and_then(|(a, b)| Some((end(a, 0)?, end(b, u64::MAX)?)));
                match parsed {
                    Some((least, most)) if least <= most => Ok(Bounds { least, most }),
                    Some((least, most)) => Err(E::custom(format!("{text:?} is backwards; write {most}..{least}"))),
                    _ => Err(E::custom(format!("{text:?} is not a range; write 7, 5..9, 5.. or ..9"))),
                }
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for Bounds {
    fn schema_name() -> Cow<'static, str> {
        "Bounds".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let range = json_schema!({ "type": "string", "pattern": "^ *[0-9]* *\\.\\. *[0-9]* *$" });
        json_schema!({ "anyOf": [{ "type": "integer", "minimum": 0 }, range] })
    }
}

/// Metrics that `accuracy` may name.
pub const METRICS: [&str; 8] = ["AP", "AP50", "precision", "recall", "miou", "pixel_accuracy", "top1", "top5"];

/// Returns the JSON Schema of a test file.
#[must_use]
pub fn schema() -> serde_json::Value {
    yaml::schema::document("Ocelli test", TestFile::json_schema(&mut yaml::schema::generator()).as_value())
}

impl TestFile {
    /// Reads a test file.
    ///
    /// # Errors
    /// [`Error::Config`] with the place of the fault.
    pub fn read(path: &Path) -> Result<Self> {
        let document = Document::read(path)?;
        let test: Self = yaml::read(&document.root).map_err(|fault| document.error(&[fault]))?;
        let say = |path: &[&str], message: String| {
            let place = document.root.find(path).unwrap_or(&document.root).place;
            Err(document.error(&[Fault::new(place, message)]))
        };
        if let Some(unknown) = test.expect.accuracy.keys().find(|name| !METRICS.contains(&name.as_str())) {
            let message = format!("there is no metric `{unknown}`; expected {}", yaml::one_of(METRICS));
            return say(&["expect", "accuracy"], message);
        }
        let e = &test.expect;
        let useless = [
            (["expect", "tolerance"].as_slice(), "golden", e.tolerance != Tolerance::default() && e.golden.is_none()),
            (&["labels"], "accuracy", test.labels.is_some() && e.accuracy.is_empty()),
            (&["faulty_source"], "faults", test.faulty_source.is_some() && test.faults.is_none()),
            (&["run"], "from", test.run.is_some() && test.from.0.is_empty()),
            (&["drops"], "from", test.drops && test.from.0.is_empty()),
        ];
        if let Some((path, needed, _)) = useless.into_iter().find(|(_, _, useless)| *useless) {
            let what = path.last().copied().unwrap_or_default();
            return say(path, format!("`{what}` needs `{needed}`, which is missing"));
        }
        let nothing = e.golden.is_none() && e.rows.is_none() && e.counts.is_empty() && e.error.is_none();
        if nothing && e.memory.is_none() && e.allocations.is_empty() && e.accuracy.is_empty() && test.repeat == 0 {
            return say(&["expect"], "`expect` expects nothing, so the test cannot fail".into());
        }
        Ok(test)
    }
}

/// Returns a path of a test file, relative to the file's own folder.
#[must_use]
pub fn beside(file: &Path, path: &str) -> PathBuf {
    file.parent().unwrap_or(Path::new("")).join(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<TestFile> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.test.yaml");
        std::fs::write(&path, text).unwrap();
        TestFile::read(&path)
    }

    #[test]
    fn what_a_file_says_is_read_whole() {
        let text = "pipeline: a.yaml\nfrom: { left: a.mp4 }\nset: [nms.iou=0.3]\nslow: { jsonl: 20ms }\nfaults: { unplug: [10], unplug_for: 1s }\n\
            expect: { golden: g.jsonl, tolerance: { score: 0.01 }, counts: { person: 3..5, car: 0 }, rows: 10.., memory: 300MB, accuracy: { AP50: 0.5 } }\n";
        let test = read(text).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(test.expect.counts["person"], Bounds { least: 3, most: 5 });
        assert!(
            test.expect.counts["car"].has(0) && !test.expect.counts["car"].has(1) && test.expect.rows.unwrap().has(99)
        );
        assert_eq!((test.expect.memory, test.expect.tolerance.score), (Some(Bytes(300_000_000)), 0.01));
    }

    #[test]
    fn faults_have_their_place() {
        let told = |text: &str| read(text).unwrap_err().to_string();
        assert!(
            told("pipeline: a.yaml\nexpect: { counts: { car: 5..x } }\n")
                .contains("t.test.yaml:2:26: \"5..x\" is not a range")
        );
        assert!(told("pipeline: a.yaml\nexpect: {}\n").contains("cannot fail"));
        assert!(told("pipeline: a.yaml\nexpects: {}\n").contains("unknown field `expects`"));
        assert!(told("pipeline: a.yaml\nexpect: { accuracy: { ap: 1 } }\n").contains("no metric `ap`"));
    }
}
