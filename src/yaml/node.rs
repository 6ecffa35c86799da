//! The tree that a YAML text is parsed into.

use super::fault::Fault;
use super::place::Place;
use super::wording;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_yaml::Spanned;

/// A value and its place in the text.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Where it starts.
    pub place: Place,
    /// What it is.
    pub value: Value,
    /// Whether it came from `${…}`; such a value is never shown in a message.
    pub secret: bool,
}

/// A YAML value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number with a fraction, or one too large for [`Value::Int`].
    Float(f64),
    /// Text.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// Keys, with their places, and values.
    Map(Vec<(Node, Node)>),
}

impl Node {
    /// Creates a node without a value or a place.
    #[must_use]
    pub fn null() -> Self {
        Self { place: Place::default(), value: Value::Null, secret: false }
    }

    /// Returns the value below some keys.
    #[must_use]
    pub fn find(&self, path: &[&str]) -> Option<&Self> {
        let Some((key, rest)) = path.split_first() else { return Some(self) };
        let Value::Map(entries) = &self.value else { return None };
        entries.iter().find(|(name, _)| name.text() == Some(key)).and_then(|(_, value)| value.find(rest))
    }

    /// The text, if it is one.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// What it is, in words, for messages: `the text "abc"`, `a list`.
    #[must_use]
    pub fn describe(&self) -> String {
        match &self.value {
            _ if self.secret => "a value from `${…}`".into(),
            Value::Null => "nothing".into(),
            Value::Bool(value) => format!("`{value}`"),
            Value::Int(value) => format!("the number {value}"),
            Value::Float(value) => format!("the number {value}"),
            Value::Text(text) if text.chars().count() > 40 => "a long text".into(),
            Value::Text(text) => format!("the text {text:?}"),
            Value::List(_) => "a list".into(),
            Value::Map(entries) if entries.len() > 1 => format!("a map with {} keys", entries.len()),
            Value::Map(_) => "a map".into(),
        }
    }
}

/// Parses one YAML document within tight limits on depth, size and aliases.
///
/// # Errors
/// Returns a [`Fault`] if it is not valid YAML.
pub fn parse(text: &str) -> Result<Node, Fault> {
    let budget = serde_yaml::budget! {
        max_depth: 40,
        max_nodes: 20_000,
        max_events: 60_000,
        max_aliases: 100,
        max_documents: 1,
    };
    let alias_limits = serde_yaml::alias_limits! { max_total_replayed_events: 20_000 };
    let options =
        serde_yaml::options! { with_snippet: false, strict_booleans: true, budget: budget, alias_limits: alias_limits };
    serde_yaml::from_str_with_options::<Node>(text, options).map_err(|e| {
        let place = e.location().map_or_else(
            || Place { line: 1, column: 1, width: 1 },
            |at| Place { line: at.line() as u32, column: at.column() as u32, width: 1 },
        );
        // The parser stumbles further down, where it is hard to see why.
        let near = |(line, ..): &(usize, usize, char)| (*line..*line + 4).contains(&(place.line as usize));
        if let Some((line, column, c)) = wording::odd_space(text).filter(near) {
            let place = Place { line: line as u32, column: column as u32, width: 1 };
            let message =
                format!("a space that is not a plain one (U+{:04X}); replace it with a plain space", c as u32);
            return Fault::new(place, message);
        }
        Fault::new(place, plain_message(&e))
    })
}

/// The parser's message without its place, which we print ourselves.
fn plain_message(error: &serde_yaml::Error) -> String {
    let full = error.without_snippet().to_string();
    let first = full.lines().next().unwrap_or_default();
    if let Some((_, rest)) = first.split_once("duplicate mapping key: ") {
        return format!("the key `{}` appears twice; keep one", rest.split(", set").next().unwrap_or(rest));
    }
    if let Some(ours) = wording::meaning(first) {
        return format!("not valid YAML: {ours}");
    }
    let cut = first.rfind(" at line ").or_else(|| first.find(": line ")).unwrap_or(first.len());
    format!("not valid YAML: {}", &first[..cut])
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Value>::deserialize(deserializer)?;
        let at = spanned.referenced;
        let place = Place { line: at.line() as u32, column: at.column() as u32, width: at.span().len() as usize };
        let width = if matches!(spanned.value, Value::List(_) | Value::Map(_)) { 1 } else { place.width };
        Ok(Self { place: Place { width, ..place }, value: spanned.value, secret: false })
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(Self)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Int(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(i64::try_from(value).map_or(Value::Float(value as f64), Value::Int))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Value, E> {
        Ok(Value::Float(value as f64))
    }

    fn visit_u128<E>(self, value: u128) -> Result<Value, E> {
        Ok(Value::Float(value as f64))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(node) = seq.next_element::<Node>()? {
            list.push(node);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<Spanned<String>>()? {
            let at = key.referenced;
            let place = Place { line: at.line() as u32, column: at.column() as u32, width: key.value.chars().count() };
            let key = Node { place, value: Value::Text(key.value), secret: false };
            entries.push((key, map.next_value::<Node>()?));
        }
        Ok(Value::Map(entries))
    }
}
