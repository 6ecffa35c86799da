//! Makes the first entry of a flight, which describes the run.

use crate::error::Result;
use crate::host::{cpu_class, redact_addresses};
use crate::media::flight::{self, Begin, SourceEntry};
use crate::pipeline::checked::Checked;
use crate::pipeline::settings::Settings;
use crate::types::Products;
use crate::yaml::{Node, Value};
use std::path::Path;

/// Describes a run, for its replay.
pub(super) fn begin(checked: &Checked) -> Result<Begin> {
    let (env, document) = (checked.env(), checked.document());
    let mut sources = Vec::new();
    let mut models = Vec::new();
    for line in checked.lines() {
        match &line.settings {
            Settings::Source(source) => sources.push(SourceEntry {
                id: line.id.clone(),
                word: line.word.to_owned(),
                live: source.is_live(),
                truth: source.gives(env).contains(Products::TRUTH),
            }),
            Settings::Stage(stage) => {
                if let Some((name, _)) = stage.takes_input(env)? {
                    let hash = env.models.card(&name)?.fields.model.sha256;
                    models.push((name, hash));
                }
            }
            Settings::Sink(_) => {}
        }
    }
    models.sort();
    models.dedup();
    let file = Path::new(&document.file).file_name().unwrap_or_default();
    Ok(Begin {
        format: flight::FORMAT,
        ocelli: env!("CARGO_PKG_VERSION").into(),
        run: 0,
        began: humantime::format_rfc3339_seconds(env.clock.wall()).to_string(),
        file: file.to_string_lossy().into_owned(),
        pipeline: without_secrets(&document.root, false).to_string(),
        sources,
        models,
        cpu: cpu_class(),
    })
}

/// Returns the YAML as JSON, without the values of `${…}`, passwords, and everything but host and path of addresses.
/// Works on the values, not on the text, because one value can be written in many ways.
fn without_secrets(node: &Node, hide: bool) -> serde_json::Value {
    match &node.value {
        _ if node.secret || hide => "${…}".into(),
        Value::Null => serde_json::Value::Null,
        Value::Bool(value) => (*value).into(),
        Value::Int(value) => (*value).into(),
        Value::Float(value) => (*value).into(),
        Value::Text(text) => {
            let plain = redact_addresses(text);
            let end = if plain.contains("://") { plain.find('?') } else { None };
            end.map_or(plain.clone(), |end| format!("{}?…", &plain[..end])).into()
        }
        Value::List(list) => list.iter().map(|item| without_secrets(item, false)).collect(),
        Value::Map(entries) => {
            let entry = |(key, value): &(Node, Node)| {
                let key = key.text().unwrap_or_default().to_owned();
                let hide = key == "password";
                (key, without_secrets(value, hide))
            };
            entries.iter().map(entry).collect::<serde_json::Map<_, _>>().into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::Document;

    #[test]
    fn secrets_are_hidden_however_they_are_written() {
        let text = "pipeline:\n- rtsp: { url: 'rtsp://me:one@cam/x?pwd=two', user: me, password: \"th\\\"ree\" }\n- exec: { command: [curl, '${X}'] }\n";
        let document = Document::parse("t.yaml", text.into(), |_| Ok("four".into())).unwrap();
        let shown = without_secrets(&document.root, false).to_string();
        assert_eq!(
            shown,
            r#"{"pipeline":[{"rtsp":{"password":"${…}","url":"rtsp://…@cam/x?…","user":"me"}},{"exec":{"command":["curl","${…}"]}}]}"#
        );
    }
}
