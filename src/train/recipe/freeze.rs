//! What keeps its weights.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;

/// What keeps its weights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Freeze {
    /// The layers that extract features.
    Backbone,
    /// All but the last layer of each head.
    AllButHead,
    /// Nothing.
    None,
    /// Weights with names that match one of these patterns.
    Patterns(Vec<String>),
}

impl<'de> Deserialize<'de> for Freeze {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Freeze;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("`backbone`, `all_but_head`, `none`, or a list of patterns for names of weights")
            }
            fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<Freeze, E> {
                match word {
                    "backbone" => Ok(Freeze::Backbone),
                    "all_but_head" => Ok(Freeze::AllButHead),
                    "none" => Ok(Freeze::None),
                    other => {
                        Err(E::custom(format!("unknown `{other}`; expected `backbone`, `all_but_head` or `none`")))
                    }
                }
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut list: A) -> Result<Freeze, A::Error> {
                let mut patterns = Vec::new();
                while let Some(pattern) = list.next_element::<String>()? {
                    glob::Pattern::new(&pattern).map_err(|e| serde::de::Error::custom(format!("`{pattern}`: {e}")))?;
                    patterns.push(pattern);
                }
                Ok(Freeze::Patterns(patterns))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for Freeze {
    fn schema_name() -> Cow<'static, str> {
        "Freeze".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let words = json_schema!({ "enum": ["backbone", "all_but_head", "none"] });
        json_schema!({ "anyOf": [words, { "type": "array", "items": { "type": "string" } }] })
    }
}
