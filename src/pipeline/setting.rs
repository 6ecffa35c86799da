//! Changes of single settings: `detect.min_score=0.4`, and series of values for sweeps.

use super::config::{COMMON, default_id};
use crate::error::{Error, Result};
use crate::yaml::{self, Document, Node, Value, nearest, one_of};

/// A setting of a line, and the values it takes, one after the other.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// The line's id, or its word.
    pub line: String,
    /// The setting's name; several names if it is nested.
    pub path: Vec<String>,
    /// The values; only one if it is not a sweep.
    pub values: Vec<Node>,
}

/// The maximum number of values of one setting.
const MOST: usize = 1000;

impl Setting {
    /// Parses `LINE.SETTING=VALUE`, `=A,B,C` or `=FROM..TO:STEP` (both ends included).
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let shape =
            || format!("`{text}`: write LINE.SETTING=VALUE, such as detect.min_score=0.4 or nms.iou=0.3..0.7:0.1");
        let (name, value) = text.split_once('=').ok_or_else(shape)?;
        let mut names = name.split('.').map(|part| part.trim().to_owned());
        let line = names.next().filter(|line| !line.is_empty()).ok_or_else(shape)?;
        let path: Vec<String> = names.collect();
        if path.is_empty() || path.iter().any(String::is_empty) {
            return Err(shape());
        }
        let quoted = value.starts_with(['[', '{', '"', '\'']);
        let values = match range(value)?.filter(|_| !quoted) {
            Some(values) => values,
            None if quoted => vec![parse(value)?],
            None => value.split(',').map(|one| parse(one.trim())).collect::<Result<_, _>>()?,
        };
        Ok(Self { line, path, values })
    }

    /// Returns the full name, such as `detect.min_score`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}.{}", self.line, self.path.join("."))
    }

    /// Changes a document before its lines are read.
    ///
    /// # Errors
    /// [`Error::Config`] if there is no such line.
    pub fn apply(&self, document: &mut Document, value: &Node) -> Result<()> {
        let mut lines = lines(&mut document.root);
        let names = names(&lines);
        let Some(at) = names.iter().position(|name| *name == self.line) else {
            let known = names.iter().map(String::as_str);
            let hint = nearest(&self.line, known.clone())
                .map_or_else(|| format!("expected {}", one_of(known)), |near| format!("did you mean `{near}`?"));
            return Err(Error::Config(format!("{}: no line is called `{}`; {hint}", document.file, self.line)));
        };
        let line = &mut *lines[at];
        if let Value::Text(word) = &line.value {
            // `- nms` alone is `- nms: {}`.
            let word = Node { value: Value::Text(word.clone()), ..line.clone() };
            let empty = Node { place: line.place, value: Value::Map(Vec::new()), secret: false };
            line.value = Value::Map(vec![(word, empty)]);
        }
        let common = self.path.first().is_some_and(|first| COMMON.contains(&first.as_str()));
        let Value::Map(entries) = &mut line.value else { return Ok(()) };
        let part = entries.iter_mut().find(|(key, _)| key.text().is_some_and(|word| !COMMON.contains(&word)));
        match part {
            Some((_, settings)) if !common => set(settings, &self.path, value),
            _ => set(line, &self.path, value),
        }
        Ok(())
    }
}

/// Sets a value below a node; what is missing on the way to it is made.
pub fn set(node: &mut Node, path: &[String], value: &Node) {
    let Some((name, rest)) = path.split_first() else {
        node.value = value.value.clone();
        return;
    };
    let place = node.place;
    if !matches!(node.value, Value::Map(_)) {
        node.value = Value::Map(Vec::new());
    }
    let Value::Map(entries) = &mut node.value else { return };
    let at = entries.iter().position(|(key, _)| key.text() == Some(name)).unwrap_or_else(|| {
        let key = Node { place, value: Value::Text(name.clone()), secret: false };
        entries.push((key, Node { place, ..Node::null() }));
        entries.len() - 1
    });
    set(&mut entries[at].1, rest, value);
}

fn lines(root: &mut Node) -> Vec<&mut Node> {
    let Value::Map(entries) = &mut root.value else { return Vec::new() };
    let list = entries.iter_mut().find(|(key, _)| key.text() == Some("pipeline"));
    match list.map(|(_, value)| &mut value.value) {
        Some(Value::List(lines)) => lines.iter_mut().collect(),
        _ => Vec::new(),
    }
}

/// Returns the ids of the lines, including the default ids that the pipeline assigns.
fn names(lines: &[&mut Node]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for line in lines {
        let (id, word) = name_of(line);
        names.push(if id.is_empty() { default_id(&word, &names) } else { id });
    }
    names
}

/// Returns the line's `id`, which may be empty, and its word.
fn name_of(line: &Node) -> (String, String) {
    let Value::Map(entries) = &line.value else { return (String::new(), line.text().unwrap_or_default().to_owned()) };
    let id = entries.iter().find(|(key, _)| key.text() == Some("id")).and_then(|(_, id)| id.text());
    let word = entries.iter().find_map(|(key, _)| key.text().filter(|word| !COMMON.contains(word)));
    (id.unwrap_or_default().to_owned(), word.unwrap_or_default().to_owned())
}

fn parse(text: &str) -> Result<Node, String> {
    yaml::parse(text).map_err(|fault| format!("`{text}`: {}", fault.message))
}

/// Parses a range such as `0.3..0.7:0.05`; `None` if the text is not a range of numbers.
fn range(text: &str) -> Result<Option<Vec<Node>>, String> {
    let parts = text.split_once("..").map(|(from, rest)| (from, rest.split_once(':').unwrap_or((rest, ""))));
    let Some((from, (to, step))) = parts else { return Ok(None) };
    let number = |text: &str| text.trim().parse::<f64>().ok().filter(|v| v.is_finite());
    let (Some(start), Some(end)) = (number(from), number(to)) else { return Ok(None) };
    let step_size = number(step).ok_or_else(|| format!("`{text}`: the step is missing; write {from}..{to}:STEP"))?;
    let count = (end - start) / step_size;
    if !(0.0..MOST as f64).contains(&count) {
        return Err(format!("`{text}`: the step must lead from the start to the end in fewer than {MOST} steps"));
    }
    let texts = [from, to, step].map(str::trim);
    let whole = texts.iter().all(|text| text.parse::<i64>().is_ok());
    // Rounded as a person would write it: 0.35, not 0.35000000000000003.
    let decimals = |text: &str| text.split_once('.').map_or(0, |(_, digits)| digits.len());
    let plain = texts.iter().all(|text| !text.contains(['e', 'E']));
    let digits = plain.then(|| decimals(texts[0]).max(decimals(texts[2])));
    let value = |index: usize| {
        let value = start + index as f64 * step_size;
        match digits {
            _ if whole => Value::Int(value as i64),
            Some(digits) => Value::Float(format!("{value:.digits$}").parse().unwrap_or(value)),
            None => Value::Float(value),
        }
    };
    // Both ends are included, even if rounding makes the count slightly too small.
    Ok(Some((0..=(count + 1e-9) as usize).map(|index| Node { value: value(index), ..Node::null() }).collect()))
}

/// Formats a value for people.
#[must_use]
pub fn shown(node: &Node) -> String {
    match &node.value {
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Float(value) => value.to_string(),
        Value::Text(text) => text.clone(),
        Value::List(list) => format!("[{}]", list.iter().map(shown).collect::<Vec<_>>().join(", ")),
        _ => node.describe(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::config::Pipeline;
    use super::super::settings::Settings;
    use super::*;

    fn values(text: &str) -> Vec<String> {
        Setting::parse(text).unwrap().values.iter().map(shown).collect()
    }

    #[test]
    fn ranges_have_both_ends_and_plain_numbers() {
        assert_eq!(values("detect.min_score=0.3..0.5:0.05"), ["0.3", "0.35", "0.4", "0.45", "0.5"]);
        assert_eq!(values("a.b=1..5:2"), ["1", "3", "5"]);
        assert_eq!(values("nms.iou=0.4,0.6"), ["0.4", "0.6"]);
        assert_eq!(values("detect.classes=[person, car]"), ["[person, car]"]);
        assert_eq!(values("a.b=0..2e-3:1e-3"), ["0", "0.001", "0.002"]);
        assert_eq!(values("video.path=../a.mp4"), ["../a.mp4"]);
        assert_eq!(values("jsonl.path=\"0..1\""), ["0..1"]);
        for bad in ["x", "x=1", "x.=1", "a.b=0..1", "a.b=1..0:0.1", "a.b=0..1:0", "a.b=0..1:1e-9"] {
            assert!(Setting::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_setting_reaches_its_line_whatever_its_form() {
        let text =
            "pipeline:\n- { id: cam, scene: { frames: 3 } }\n- nms\n- nms\n- { jsonl: { empty: true }, every: 2 }\n";
        let mut document = Document::parse("t.yaml", text.into(), |_| Err(String::new())).unwrap();
        for (change, bad) in
            [("cam.frames=9", false), ("nms-2.iou=0.3", false), ("jsonl.every=5", false), ("jsnol.every=5", true)]
        {
            let setting = Setting::parse(change).unwrap();
            let done = setting.apply(&mut document, &setting.values[0]);
            assert_eq!(done.is_err(), bad, "{change}");
        }
        let pipeline = Pipeline::of(document, &crate::pipeline::Parts::builtin()).unwrap_or_else(|e| panic!("{e}"));
        assert!(matches!(pipeline.lines[2].settings, Settings::Stage(_)));
        assert_eq!(format!("{:?}", pipeline.lines[3].every), "Some(Packets(5))");
    }
}
