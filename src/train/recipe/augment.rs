//! How pictures are varied, and how many variants are kept.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;

/// How pictures are varied, each time in another way.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Augment {
    /// Whether half of the pictures are mirrored.
    pub flip: bool,
    /// The least share (0–1) of a picture's area that is shown; 1 shows all of it.
    #[schemars(range(min = 0.05, max = 1.0))]
    pub crop: f64,
    /// How much brightness, contrast and saturation change (0–1).
    #[schemars(range(min = 0.0, max = 1.0))]
    pub color: f64,
    /// How many variants of each picture are kept, as features of the frozen layers: a number, 4 if not given, or `none`.
    pub cache: Cache,
}

impl Default for Augment {
    fn default() -> Self {
        Self { flip: true, crop: 0.6, color: 0.2, cache: Cache::Variants(4) }
    }
}

/// How many variants of each picture are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cache {
    /// So many.
    Variants(u64),
    /// None: each epoch has its own.
    None,
}

impl<'de> Deserialize<'de> for Cache {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Cache;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a number of variants from 1 to 1000, or `none`")
            }
            fn visit_i64<E: serde::de::Error>(self, count: i64) -> Result<Cache, E> {
                let fits = u64::try_from(count).ok().filter(|count| (1..=1000).contains(count));
                fits.map(Cache::Variants).ok_or_else(|| E::custom(format!("{count} is not between 1 and 1000")))
            }
            fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<Cache, E> {
                if word == "none" {
                    Ok(Cache::None)
                } else {
                    Err(E::custom(format!("unknown `{word}`; expected a number or `none`")))
                }
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for Cache {
    fn schema_name() -> Cow<'static, str> {
        "Cache".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "type": "integer", "minimum": 1, "maximum": 1000 }, { "const": "none", "description": "None: each epoch makes its own." }] })
    }
}
