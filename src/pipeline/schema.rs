//! The JSON Schema of pipelines, for editors.

use super::config::QueueSetting;
use crate::sinks::SINKS;
use crate::sources::{Faults, SOURCES};
use crate::stage::Part;
use crate::stages::STAGES;
use crate::yaml::schema::{document, generator};
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

/// What a time looks like: `500ms`, `1h 30m`.
const TIME: &str = "^([0-9]+ *[a-zA-Z]+ *)+$";

/// A part and its settings.
pub(super) struct Entry {
    pub name: &'static str,
    pub schema: Value,
}

pub(super) fn entries<C: ?Sized>(parts: &'static [Part<C>], generator: &mut SchemaGenerator) -> Vec<Entry> {
    parts.iter().map(|part| Entry { name: part.name, schema: Value::from((part.schema)(generator)) }).collect()
}

/// Returns the JSON Schema of a pipeline file.
#[must_use]
pub fn schema() -> Value {
    let mut generator = generator();
    let queue = Value::from(QueueSetting::json_schema(&mut generator));
    let faulty = Value::from(Faults::json_schema(&mut generator));
    let common = |with_inputs: bool| {
        let mut map = Map::new();
        map.insert(
            "id".into(),
            json!({ "type": "string", "description": "Name of the line; the part's word by default" }),
        );
        if with_inputs {
            let id = json!({ "type": "string" });
            map.insert("from".into(), json!({ "description": "Id of the line above to read from, or a list of ids", "oneOf": [id, { "type": "array", "items": id, "minItems": 1 }] }));
            map.insert("queue".into(), queue.clone());
            map.insert("every".into(), json!({ "description": "Take every Nth packet (3), or at most one per interval of media time (2s)", "oneOf": [{ "type": "integer", "minimum": 1 }, { "type": "string", "pattern": TIME }] }));
            map.insert(
                "deadline".into(),
                json!({ "description": "Live: drop packets older than this (500ms)", "type": "string", "pattern": TIME }),
            );
        } else {
            map.insert("faulty".into(), faulty.clone());
        }
        map
    };
    let mut lines = Vec::new();
    let groups = [
        (entries(SOURCES, &mut generator), false),
        (entries(STAGES, &mut generator), true),
        (entries(SINKS, &mut generator), true),
    ];
    for (group, with_inputs) in groups {
        for entry in group {
            let mut properties = common(with_inputs);
            let about = entry.schema.get("description").cloned().unwrap_or_default();
            let mut settings = entry.schema;
            if let Some(settings) = settings.as_object_mut() {
                // `- nms:` alone uses the defaults.
                settings.insert("type".into(), json!(["object", "null"]));
            }
            properties.insert(entry.name.into(), settings);
            // With a condition for each word, an editor shows a fault at its setting and not at the whole line.
            let line = json!({ "description": about, "properties": properties, "additionalProperties": false });
            lines.push(json!({ "if": { "type": "object", "required": [entry.name] }, "then": line }));
        }
    }
    let words: Vec<&str> = super::parts::Parts::builtin().words().collect();
    let one_part: Vec<Value> = words.iter().map(|word| json!({ "required": [word] })).collect();
    let alone = json!({ "enum": words, "description": "A part with default settings" });
    lines.push(json!({ "if": { "type": "object" }, "then": { "anyOf": one_part }, "else": alone }));
    document(
        "Ocelli pipeline",
        &json!({
            "type": "object",
            "properties": { "pipeline": { "type": "array", "minItems": 1, "items": { "type": ["object", "string"], "allOf": lines } } },
            "required": ["pipeline"],
            "additionalProperties": false,
        }),
    )
}
