//! Durations and sizes in settings.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::time::Duration;

/// Reads a text, and says what it should be if there is something else.
struct Words(&'static str);

impl serde::de::Visitor<'_> for Words {
    type Value = String;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }

    fn visit_str<E>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }
}

/// A duration such as `500ms`, `2s` or `1h`; never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(pub Duration);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = deserializer.deserialize_str(Words("a time such as `500ms`, `2s` or `1h`"))?;
        let parsed = humantime::parse_duration(&text).ok();
        let sane = parsed.filter(|time| !time.is_zero() && *time < Duration::from_hours(24 * 365));
        let message = || serde::de::Error::custom(format!("{text:?} is not a duration; write it as 500ms, 2s or 1h"));
        sane.map(Self).ok_or_else(message)
    }
}

/// As it is written in the YAML: for the defaults in the manual.
impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&humantime::format_duration(self.0))
    }
}

impl schemars::JsonSchema for Span {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Span".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^([0-9]+ *[a-zA-Z]+ *)+$" })
    }
}

/// A size such as `500MB` or `20GiB`; at least 1MB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bytes(pub u64);

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = deserializer.deserialize_str(Words("a size such as `500MB` or `20GB`"))?;
        crate::host::parse_bytes(&text).map(Self).map_err(serde::de::Error::custom)
    }
}

impl schemars::JsonSchema for Bytes {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Bytes".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^[0-9.]+ *([kKmMgGtT]i?)?[bB]?$" })
    }
}
