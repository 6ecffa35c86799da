//! Where a training starts.

use crate::types::Size;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;

/// Where training starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// From this model.
    Model(String),
    /// From scratch.
    New(New),
}

/// A net to be trained from scratch.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct New {
    /// The net: `classifier`, `mobilenet_v2`, `detector` (YOLOX) or `unet`.
    pub new: String,
    /// Width and height of its input.
    pub size: Size,
}

impl<'de> Deserialize<'de> for Origin {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Origin;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("the name of a model, or `{ new: NET, size: [WIDTH, HEIGHT] }`")
            }
            fn visit_str<E>(self, name: &str) -> Result<Origin, E> {
                Ok(Origin::Model(name.to_owned()))
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<Origin, A::Error> {
                New::deserialize(serde::de::value::MapAccessDeserializer::new(map)).map(Origin::New)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for Origin {
    fn schema_name() -> Cow<'static, str> {
        "Origin".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let new = New::json_schema(generator);
        json_schema!({ "anyOf": [{ "type": "string" }, new] })
    }
}
