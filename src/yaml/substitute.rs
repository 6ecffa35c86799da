//! `${NAME}` and `${file:PATH}` inside texts.

use super::fault::Fault;
use super::node::{Node, Value};
use std::path::Path;

/// Looks up a name: an environment variable, or the content of a file without trailing line ends.
pub fn from_process(name: &str, folder: &Path) -> Result<String, String> {
    if let Some(path) = name.strip_prefix("file:") {
        let path = folder.join(path.trim());
        let text = std::fs::read_to_string(&path).map_err(|e| format!("`${{{name}}}`: {}: {e}", path.display()))?;
        return Ok(text.trim_end_matches(['\n', '\r']).to_owned());
    }
    if let Some((plain, _)) = name.split_once([':', '-', '=', '?']) {
        return Err(format!(
            "`${{{name}}}`: there are no defaults or conditions, as a shell has them; write `${{{plain}}}` and set `{plain}`"
        ));
    }
    std::env::var(name).map_err(|_| {
        format!("`${{{name}}}`: the environment has no `{name}`; set it, or write `$${{…}}` for a literal `${{…}}`")
    })
}

/// Substitutes every `${…}` in the tree. `$$` is a literal dollar sign. Substituted values are marked secret.
pub fn apply(node: &mut Node, lookup: &impl Fn(&str) -> Result<String, String>, faults: &mut Vec<Fault>) {
    match &mut node.value {
        Value::List(list) => list.iter_mut().for_each(|item| apply(item, lookup, faults)),
        Value::Map(entries) => entries.iter_mut().for_each(|(_, value)| apply(value, lookup, faults)),
        Value::Text(text) if text.contains('$') => match expand(text, lookup) {
            Ok((expanded, used)) => {
                node.value = Value::Text(expanded);
                node.secret = used;
            }
            Err(message) => faults.push(Fault::new(node.place, message)),
        },
        _ => {}
    }
}

fn expand(text: &str, lookup: &impl Fn(&str) -> Result<String, String>) -> Result<(String, bool), String> {
    let (mut out, mut rest, mut used) = (String::with_capacity(text.len()), text, false);
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let tail = &rest[at + 1..];
        if let Some(after) = tail.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some(inner) = tail.strip_prefix('{') {
            let end = inner.find('}').ok_or("`${` without a closing `}`")?;
            out.push_str(&lookup(&inner[..end])?);
            used = true;
            rest = &inner[end + 1..];
        } else {
            out.push('$');
            rest = tail;
        }
    }
    out.push_str(rest);
    Ok((out, used))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(text: &str) -> Result<(String, bool), String> {
        expand(text, &|name| if name == "A" { Ok("x".into()) } else { Err(format!("no {name}")) })
    }

    #[test]
    fn names_are_put_in_and_two_dollars_are_one() {
        assert_eq!(put("rtsp://u:${A}@h/$$1$"), Ok(("rtsp://u:x@h/$1$".into(), true)));
        assert_eq!(put("5 $"), Ok(("5 $".into(), false)));
        assert_eq!(put("${B}"), Err("no B".into()));
        assert!(put("${A").is_err());
    }
}
