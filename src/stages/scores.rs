//! The least score of an answer: one for all classes, or one for each.

use super::checks::check_score;
use crate::error::{Error, Result};
use crate::yaml::nearest;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// The least score of an answer (0–1): one number, or one for each class, and for the `other` ones.
#[derive(Clone, Debug, PartialEq)]
pub struct MinScore {
    /// For the classes that are not named.
    pub other: f32,
    /// Whether it was given beside scores of classes.
    other_said: bool,
    /// By the name of a class.
    pub by_class: BTreeMap<String, f32>,
}

const DEFAULT: f32 = 0.5;

impl Default for MinScore {
    fn default() -> Self {
        Self::from(DEFAULT)
    }
}

impl From<f32> for MinScore {
    fn from(other: f32) -> Self {
        Self { other, other_said: false, by_class: BTreeMap::new() }
    }
}

impl MinScore {
    /// The lowest of all.
    #[must_use]
    pub fn lowest(&self) -> f32 {
        self.by_class.values().fold(self.other, |low, score| low.min(*score))
    }

    /// Rejects scores outside 0–1.
    ///
    /// # Errors
    /// [`Error::Config`].
    pub fn check(&self) -> Result<()> {
        check_score("min_score", self.other)?;
        self.by_class.iter().try_for_each(|(class, score)| check_score(&format!("min_score.{class}"), *score))
    }

    /// The least score of each class of a model; empty if it is one for all.
    ///
    /// # Errors
    /// [`Error::Config`] if the model has no such class.
    pub fn of(&self, labels: &[String]) -> Result<Vec<f32>> {
        if let Some(unknown) = self.by_class.keys().find(|class| !labels.contains(class)) {
            let hint = nearest(unknown, labels.iter().map(String::as_str));
            let hint = hint.map_or(String::new(), |near| format!("; did you mean `{near}`?"));
            return Err(Error::Config(format!("`min_score`: the model has no class `{unknown}`{hint}")));
        }
        if self.other_said && labels.iter().any(|label| label == "other") {
            let message = "`min_score`: the model has a class called `other`, which here means all classes that are not named; leave `other` out and name the other classes (class `other` then takes 0.5)";
            return Err(Error::Config(message.into()));
        }
        if self.by_class.is_empty() {
            return Ok(Vec::new());
        }
        Ok(labels.iter().map(|label| self.by_class.get(label).copied().unwrap_or(self.other)).collect())
    }
}

impl<'de> Deserialize<'de> for MinScore {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = MinScore;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a score from 0 to 1, or a map of classes to scores")
            }
            fn visit_f64<E>(self, score: f64) -> Result<MinScore, E> {
                Ok(MinScore::from(score as f32))
            }
            fn visit_i64<E>(self, score: i64) -> Result<MinScore, E> {
                Ok(MinScore::from(score as f32))
            }
            fn visit_u64<E>(self, score: u64) -> Result<MinScore, E> {
                Ok(MinScore::from(score as f32))
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<MinScore, E> {
                let percent = text.strip_suffix('%').and_then(|number| number.trim().parse::<f64>().ok());
                let hint = percent.map_or(String::new(), |number| format!("; write {}", number / 100.0));
                Err(E::custom(format!(
                    "found the text {text:?}, expected a score from 0 to 1, or a map of classes to scores{hint}"
                )))
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<MinScore, A::Error> {
                let mut scores = MinScore::default();
                while let Some((class, score)) = map.next_entry::<String, f32>()? {
                    if class == "other" {
                        (scores.other, scores.other_said) = (score, true);
                    } else {
                        scores.by_class.insert(class, score);
                    }
                }
                Ok(scores)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for MinScore {
    fn schema_name() -> Cow<'static, str> {
        "MinScore".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [
                { "type": "number", "minimum": 0.0, "maximum": 1.0 },
                { "type": "object", "additionalProperties": { "type": "number", "minimum": 0.0, "maximum": 1.0 } },
            ]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml;

    #[test]
    fn one_score_or_one_for_each_class() {
        let read = |text: &str| yaml::read::<MinScore>(&yaml::parse(text).unwrap()).unwrap();
        let labels = ["person".to_owned(), "car".to_owned()];
        assert_eq!((read("0.4").lowest(), read("1").lowest()), (0.4, 1.0));
        assert!(read("0.4").of(&labels).unwrap().is_empty());
        let each = read("{ person: 0.3, other: 0.6 }");
        assert_eq!((each.of(&labels).unwrap(), each.lowest()), (vec![0.3, 0.6], 0.3));
        assert!(read("{ persn: 0.3 }").of(&labels).unwrap_err().to_string().contains("did you mean `person`"));
        assert!(read("{ person: 3 }").check().is_err());
    }
}
