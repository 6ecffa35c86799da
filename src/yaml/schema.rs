//! JSON Schemas of our files, for editors.

use schemars::{SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

/// Returns a generator of schemas without references.
#[must_use]
pub fn generator() -> SchemaGenerator {
    SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true).into_generator()
}

/// Returns the schema of a kind of file from that of its contents.
#[must_use]
pub fn document(title: &str, contents: &Value) -> Value {
    let mut schema = tidy(contents);
    if let Value::Object(map) = &mut schema {
        map.insert("$schema".into(), "https://json-schema.org/draft/2020-12/schema".into());
        map.insert("title".into(), title.into());
    }
    schema
}

/// Describes a map with exactly one of several keys as such, where serde's schema has an alternative for each key: an
/// editor then shows a fault at its setting, and not that no alternative fits.
pub fn one_key(schema: &mut Value) {
    match schema {
        Value::Array(list) => list.iter_mut().for_each(one_key),
        Value::Object(map) => {
            map.values_mut().for_each(one_key);
            let Some(keys) = map.get("oneOf").and_then(Value::as_array).and_then(|list| keys(list)) else { return };
            map.remove("oneOf");
            let rules =
                json!({ "type": "object", "minProperties": 1, "maxProperties": 1, "additionalProperties": false });
            map.extend(rules.as_object().cloned().unwrap_or_default());
            map.insert("properties".into(), keys.into());
        }
        _ => {}
    }
}

/// Returns the schemas of all keys, if each alternative is a map with one required key.
fn keys(alternatives: &[Value]) -> Option<Map<String, Value>> {
    let mut keys = Map::new();
    for alternative in alternatives {
        let required = alternative.get("required")?.as_array()?;
        let properties = alternative.get("properties")?.as_object()?;
        let (key, inner) = properties.iter().next().filter(|_| required.len() == 1 && properties.len() == 1)?;
        let mut inner = inner.clone();
        if let (Some(about), Some(inner)) = (alternative.get("description"), inner.as_object_mut()) {
            inner.insert("description".into(), about.clone());
        }
        keys.insert(key.clone(), inner);
    }
    Some(keys)
}

/// The same value with numbers as they are written in the code: a default of `0.3` in 32 bits is 0.30000001192092896 in 64.
#[must_use]
pub fn tidy(value: &Value) -> Value {
    match value {
        Value::Number(number) if number.is_f64() => {
            let wide = number.as_f64().unwrap_or_default();
            let short = (wide as f32).to_string().parse().ok().filter(|_| f64::from(wide as f32) == wide);
            short.unwrap_or(wide).into()
        }
        Value::Array(list) => list.iter().map(tidy).collect(),
        Value::Object(map) => map.iter().map(|(key, value)| (key.clone(), tidy(value))).collect::<Map<_, _>>().into(),
        other => other.clone(),
    }
}
