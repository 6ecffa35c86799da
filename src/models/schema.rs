//! The JSON Schema of model cards, for editors.

use super::family::Family;
use crate::infer::CardFields;
use crate::yaml::schema::{document, generator, one_key};
use schemars::JsonSchema;
use serde_json::Value;

/// Returns the JSON Schema of a `card.yaml`.
#[must_use]
pub fn schema() -> Value {
    let mut generator = generator();
    let mut family = Value::from(Family::json_schema(&mut generator));
    one_key(&mut family);
    let mut card = CardFields::json_schema(&mut generator);
    if let Some(Value::Object(properties)) = card.get_mut("properties") {
        properties.insert("family".into(), family);
    }
    if let Some(Value::Array(required)) = card.get_mut("required") {
        required.push("family".into());
    }
    document("Ocelli model card", card.as_value())
}
