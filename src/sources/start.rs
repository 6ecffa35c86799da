//! When a recording began.

use serde::{Deserialize, Deserializer};
use std::time::{Duration, SystemTime};

/// A moment such as `2026-11-23T08:30:00Z`: the `wall` time of a recorded source's first frame. If it is not given,
/// 1970-01-01 is used, so that two runs write the same bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Start(pub SystemTime);

impl Default for Start {
    fn default() -> Self {
        Self(SystemTime::UNIX_EPOCH)
    }
}

impl<'de> Deserialize<'de> for Start {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        // Late enough for any recording, and every time after it can still be written.
        let year_5000 = SystemTime::UNIX_EPOCH + Duration::from_hours(26_560_440);
        let parsed = humantime::parse_rfc3339_weak(&text).ok().filter(|time| *time < year_5000);
        parsed.map(Self).ok_or_else(|| {
            serde::de::Error::custom(format!("{text:?} is not a time; write it as 2026-11-23T08:30:00Z"))
        })
    }
}

impl schemars::JsonSchema for Start {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Start".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "format": "date-time" })
    }
}
