//! The JSON Schema of pipelines for editors, and the manual made from it.

use super::config::QueueSetting;
use crate::sinks::SINKS;
use crate::sources::{Faults, SOURCES};
use crate::stage::Part;
use crate::stages::STAGES;
use schemars::JsonSchema as _;
use schemars::{Schema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};
use std::fmt::Write as _;

/// A part as the manual sees it.
struct Entry {
    name: &'static str,
    schema: Value,
}

fn entries<C: ?Sized>(parts: &'static [Part<C>], generator: &mut SchemaGenerator) -> Vec<Entry> {
    parts.iter().map(|part| Entry { name: part.name, schema: Value::from((part.schema)(generator)) }).collect()
}

fn generator() -> SchemaGenerator {
    SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true).into_generator()
}

/// The JSON Schema of a pipeline file.
#[must_use]
pub fn schema() -> Value {
    let mut generator = generator();
    let queue = Value::from(<QueueSetting as schemars::JsonSchema>::json_schema(&mut generator));
    let faulty = Value::from(<Faults as schemars::JsonSchema>::json_schema(&mut generator));
    let common = |with_inputs: bool| {
        let mut map = Map::new();
        map.insert(
            "id".into(),
            json!({ "type": "string", "description": "Name of the line; the part's word if not given" }),
        );
        if with_inputs {
            let id = json!({ "type": "string" });
            map.insert("from".into(), json!({ "description": "Line above to read from, or several", "oneOf": [id, { "type": "array", "items": id, "minItems": 1 }] }));
            map.insert("queue".into(), queue.clone());
            map.insert("every".into(), json!({ "description": "Take each so manieth packet (3), or one in so much media time (2s)", "oneOf": [{ "type": "integer", "minimum": 1 }, { "type": "string" }] }));
            map.insert(
                "deadline".into(),
                json!({ "description": "Live: leave out packets older than this (500ms)", "type": "string" }),
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
            properties.insert(entry.name.into(), json!({ "anyOf": [entry.schema, { "type": "null" }] }));
            lines.push(json!({ "type": "object", "description": about, "properties": properties, "required": [entry.name], "additionalProperties": false }));
        }
    }
    let words: Vec<&str> = super::parts::Parts::builtin().words().collect();
    lines.push(json!({ "enum": words, "description": "A part with all its defaults" }));
    let root = Schema::try_from(json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Ocelli pipeline",
        "type": "object",
        "properties": { "pipeline": { "type": "array", "minItems": 1, "items": { "oneOf": lines } } },
        "required": ["pipeline"],
        "additionalProperties": false,
    }));
    root.map(|root| tidy(&Value::from(root))).unwrap_or_default()
}

/// The manual of all parts, in Markdown: docs/yaml.md.
#[must_use]
pub fn reference() -> String {
    let mut generator = generator();
    let mut out = String::from(
        "# The words of a pipeline\n\nWritten by `ocelli schema --reference` from the comments in the code; a test keeps it true.\n\n\
        A pipeline is a list of lines under `pipeline:`. Each line is one source, stage or sink. A line reads from the\n\
        nearest line above that gives packets, unless it says `from:`.\n\n\
        ## On every line\n\n| word | what it does |\n|---|---|\n\
        | `id` | name of the line; the part's word if not given |\n\
        | `from` | id of a line above, or a list of them: their packets are taken by media time (live: as they come) |\n\
        | `queue` | `{ capacity, when_full }` of the queue in front of the line; `block` and 2 for recorded streams, `drop_oldest` and 1 for live ones |\n\
        | `every` | take each so manieth packet (`3`), or one in so much media time (`2s`); the others end here, counted |\n\
        | `deadline` | live streams: leave out packets older than this (`500ms`), counted |\n\
        | `faulty` | on a source: what goes wrong with it, for testing; see the end of the sources |\n\n\
        `${NAME}` in a text is the environment variable, `${file:PATH}` the content of a file; `$$` is a dollar sign.\n",
    );
    let groups = [
        ("Sources", entries(SOURCES, &mut generator)),
        ("Stages", entries(STAGES, &mut generator)),
        ("Sinks", entries(SINKS, &mut generator)),
    ];
    for (title, group) in groups {
        let _ = write!(out, "\n## {title}\n");
        for entry in group {
            let about = entry.schema.get("description").and_then(Value::as_str).unwrap_or_default();
            let _ = write!(out, "\n### `{}`\n\n{about}\n", entry.name);
            fields(&entry.schema, &mut out);
        }
        if title == "Sources" {
            let schema = Value::from(<Faults as schemars::JsonSchema>::json_schema(&mut generator));
            let about = schema.get("description").and_then(Value::as_str).unwrap_or_default();
            let _ = write!(out, "\n### `faulty`, beside any source\n\n{about}\n");
            fields(&schema, &mut out);
        }
    }
    out
}

/// The manual of model cards, in Markdown: docs/model-card.md.
#[must_use]
pub fn card_reference() -> String {
    let mut generator = generator();
    let card = Value::from(crate::infer::CardFields::json_schema(&mut generator));
    let family = Value::from(crate::models::Family::json_schema(&mut generator));
    let mut out = String::from(
        "# The model card\n\nWritten by `ocelli schema --card` from the comments in the code; a test keeps it true.\n\n\
        A model is a folder with a `card.yaml`, its weights, and what else the card names. `ocelli models new FILE.onnx`\n\
        writes one; [tests/cards](../tests/cards) and [models](../models) have more than two dozen.\n",
    );
    let part = |out: &mut String, title: &str, schema: &Value| {
        let about = schema.get("description").and_then(Value::as_str).unwrap_or_default();
        let _ = write!(out, "\n## `{title}`\n\n{about}\n");
        fields(schema, out);
    };
    for (name, schema) in card.get("properties").and_then(Value::as_object).into_iter().flatten() {
        // What may be left out is one of its schema and null.
        let inner = schema.get("anyOf").and_then(Value::as_array).and_then(|list| list.first());
        let inner = inner.filter(|inner| inner.get("properties").is_some()).unwrap_or(schema);
        part(&mut out, name, inner);
    }
    let variants = family.get("oneOf").and_then(Value::as_array).into_iter().flatten();
    for (name, schema) in variants.filter_map(|v| v.get("properties")?.as_object()?.iter().next()) {
        part(&mut out, &format!("family: {{ {name}: … }}"), schema);
        for (inner, field) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            nested(&mut out, inner, field);
        }
    }
    out
}

/// The kinds of a setting that is one of several maps, such as anchors.
fn nested(out: &mut String, name: &str, field: &Value) {
    let lists = ["oneOf", "anyOf"].into_iter().filter_map(|key| field.get(key)?.as_array()).flatten();
    for choice in lists {
        if let Some((word, schema)) = choice.get("properties").and_then(Value::as_object).and_then(|p| p.iter().next())
        {
            let about = schema.get("description").and_then(Value::as_str).unwrap_or_default();
            let _ = write!(out, "\n### `{name}: {{ {word}: … }}`\n\n{about}\n");
            fields(schema, out);
        } else {
            nested(out, name, choice);
        }
    }
}

/// The same value with numbers as they are written in the code: a default of `0.3` in 32 bits is 0.30000001192092896 in 64.
fn tidy(value: &Value) -> Value {
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

fn fields(schema: &Value, out: &mut String) {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
    let required: Vec<&str> =
        schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    out.push_str("\n| setting | kind | default | meaning |\n|---|---|---|---|\n");
    for (name, field) in properties {
        let about = field.get("description").and_then(Value::as_str).unwrap_or_default().replace('\n', " ");
        let default = match field.get("default") {
            _ if required.contains(&name.as_str()) => "needed".to_owned(),
            None | Some(Value::Null) => "–".to_owned(),
            Some(value) => format!("`{}`", tidy(value)),
        };
        let _ = writeln!(out, "| `{name}` | {} | {default} | {about} |", kind(field));
    }
    words_of(properties, out);
}

/// The words of each setting that takes one of several.
fn words_of(properties: &Map<String, Value>, out: &mut String) {
    for (name, field) in properties {
        let choices = choices(field);
        if choices.is_empty() {
            continue;
        }
        let _ = write!(out, "\n`{name}` is one of\n");
        for (word, about) in choices {
            let _ = writeln!(out, "* `{word}`: {}", about.replace('\n', " "));
        }
    }
}

fn choices(field: &Value) -> Vec<(&str, &str)> {
    let lists = ["oneOf", "anyOf"].into_iter().filter_map(|key| field.get(key)?.as_array()).flatten();
    let mut found = Vec::new();
    for choice in lists {
        if let Some(word) = choice.get("const").and_then(Value::as_str) {
            found.push((word, choice.get("description").and_then(Value::as_str).unwrap_or_default()));
        } else {
            found.extend(choices(choice));
        }
    }
    found
}

fn kind(field: &Value) -> String {
    if !choices(field).is_empty() {
        return "word".into();
    }
    let types: Vec<&str> = match field.get("type") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).filter(|kind| *kind != "null").collect(),
        _ => field
            .get("anyOf")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|v| v.get("type")?.as_str())
            .filter(|kind| *kind != "null")
            .collect(),
    };
    let plain = |kind: &&str| match *kind {
        "string" => "text".to_owned(),
        "integer" => "whole number".to_owned(),
        "boolean" => "true or false".to_owned(),
        "array" => "list".to_owned(),
        other => other.to_owned(),
    };
    types.iter().map(plain).collect::<Vec<_>>().join(" or ")
}
