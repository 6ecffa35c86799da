//! Values of inputs that are the same for every picture.

use crate::types::Size;
use serde::Deserialize;

/// A value of a constant input: a number, or `width` or `height` of the model input in pixels.
#[derive(Clone, Copy, Debug, PartialEq, schemars::JsonSchema)]
#[schemars(untagged)]
pub enum Constant {
    /// A number.
    Number(f64),
    /// A side of the model input.
    Side(Side),
}

/// A side of the model input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The width of the model input in pixels.
    Width,
    /// The height of the model input in pixels.
    Height,
}

impl Constant {
    /// Its value for a model input of this size.
    #[must_use]
    pub fn of(self, size: Size) -> f64 {
        match self {
            Self::Number(value) => value,
            Self::Side(Side::Width) => size.width.into(),
            Self::Side(Side::Height) => size.height.into(),
        }
    }
}

impl<'de> Deserialize<'de> for Constant {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl serde::de::Visitor<'_> for Either {
            type Value = Constant;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a number, `width` or `height`")
            }

            fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<Constant, E> {
                match word {
                    "width" => Ok(Constant::Side(Side::Width)),
                    "height" => Ok(Constant::Side(Side::Height)),
                    other => Err(E::invalid_value(serde::de::Unexpected::Str(other), &self)),
                }
            }

            fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Constant, E> {
                Ok(Constant::Number(value))
            }

            fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Constant, E> {
                Ok(Constant::Number(value as f64))
            }
        }
        deserializer.deserialize_any(Either)
    }
}
