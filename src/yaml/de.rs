//! Reads a part's settings from its node with serde, and keeps the place of every fault.

use super::fault::{Fault, nearest, one_of};
use super::node::{Node, Value};
use super::place::Place;
use serde::de::{self, DeserializeOwned, DeserializeSeed, IntoDeserializer, Unexpected, Visitor};

/// Reads a value from a node.
///
/// # Errors
/// The first [`Fault`], at the innermost place known.
pub fn read<T: DeserializeOwned>(node: &Node) -> Result<T, Fault> {
    T::deserialize(Reader(node)).map_err(|e| Fault::new(e.place.unwrap_or(node.place), e.message))
}

#[derive(Debug)]
struct ReadError {
    message: String,
    place: Option<Place>,
}

impl ReadError {
    /// Sets the place of the fault, unless a closer one is known.
    fn or_at(mut self, place: Place) -> Self {
        self.place.get_or_insert(place);
        self
    }
}

impl std::fmt::Display for ReadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ReadError {}

impl de::Error for ReadError {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        Self { message: message.to_string(), place: None }
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::custom(format!("found {found}, expected {expected}"))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::custom(format!("found {found}, expected {expected}"))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        if !field.is_empty() && field.chars().all(|c| c.is_ascii_digit()) {
            return Self::custom(format!("`{field}` after a comma: decimals are written with a point, such as 0.5"));
        }
        Self::custom(unknown("field", field, expected))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self::custom(unknown("word", variant, expected))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::custom(format!("`{field}` is missing"))
    }
}

fn unknown(kind: &str, word: &str, expected: &[&'static str]) -> String {
    let hint =
        nearest(word, expected.iter().copied()).map_or(String::new(), |near| format!("; did you mean `{near}`?"));
    format!("unknown {kind} `{word}`, expected {}{hint}", one_of(expected.iter().copied()))
}

#[derive(Clone, Copy)]
struct Reader<'a>(&'a Node);

/// What a visitor expects, in plain words, and the largest number that it takes.
struct Wanted(String, Option<u64>);

impl Wanted {
    fn by<'de, V: Visitor<'de>>(visitor: &V) -> Self {
        struct Shown<'v, V>(&'v V);
        impl<'de, V: Visitor<'de>> std::fmt::Display for Shown<'_, V> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.expecting(f)
            }
        }
        let shown = Shown(visitor).to_string();
        let most = match shown.as_str() {
            "u8" => Some(u8::MAX.into()),
            "u16" => Some(u16::MAX.into()),
            "u32" => Some(u32::MAX.into()),
            "u64" | "usize" => Some(u64::MAX),
            _ => None,
        };
        let plain = match shown.as_str() {
            "a string" => "text".to_owned(),
            "f32" | "f64" => "a number".to_owned(),
            "a boolean" => "`true` or `false`".to_owned(),
            "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number, 0 or more".to_owned(),
            "i8" | "i16" | "i32" | "i64" => "a whole number".to_owned(),
            other if other.starts_with("struct ") => "a map".to_owned(),
            other if other.starts_with("an array of length ") => other.replace("an array of length", "a list of"),
            other if other.starts_with("enum ") => "a word or a map with one key".to_owned(),
            "a sequence" => "a list".to_owned(),
            other => other.to_owned(),
        };
        Self(plain, most)
    }
}

impl<'a> Reader<'a> {
    fn mismatch(self, wanted: &Wanted) -> ReadError {
        let scalar = matches!(self.0.value, Value::Int(_) | Value::Float(_) | Value::Bool(_));
        let quote = if scalar && wanted.0 == "text" { "; put it in quotes" } else { "" };
        let remedy = self.remedy(wanted);
        let too_large = wanted.1.is_some_and(|most| match self.0.value {
            Value::Int(found) => u64::try_from(found).is_ok_and(|found| found > most),
            Value::Float(found) => found > most as f64 || found >= i64::MAX as f64,
            _ => false,
        });
        let message = match wanted.1.filter(|_| too_large && !self.0.secret) {
            Some(u64::MAX) => "found a number that is too large".to_owned(),
            Some(most) => format!("found {}, expected at most {most}", self.0.describe()),
            None => format!("found {}, expected {}{quote}{remedy}", self.0.describe(), wanted.0),
        };
        ReadError { message, place: Some(self.0.place) }
    }

    /// How to write what was probably meant: `; write [person]`.
    fn remedy(self, wanted: &Wanted) -> String {
        let Some(text) = self.0.text().filter(|_| !self.0.secret) else { return String::new() };
        let number = |text: &str| text.trim().parse::<f64>().ok();
        match wanted.0.as_str() {
            "a list" => format!("; write [{text}]"),
            "a list of 2" => match text.split_once(['x', 'X', '×']) {
                Some((a, b)) if number(a).is_some() && number(b).is_some() => format!("; write [{a}, {b}]"),
                _ => String::new(),
            },
            "a number" => match text.strip_suffix('%').and_then(number) {
                Some(percent) => format!("; write {}", percent / 100.0),
                None => String::new(),
            },
            "`true` or `false`" => match text.to_lowercase().as_str() {
                "yes" | "on" | "y" => "; write true".into(),
                "no" | "off" | "n" => "; write false".into(),
                _ => String::new(),
            },
            _ => String::new(),
        }
    }

    /// The value of a `${…}` may be a number or a bool where one is expected.
    fn resolved(self) -> Value {
        let Value::Text(text) = &self.0.value else { return self.0.value.clone() };
        let (number, text) = (text.trim().parse().map(Value::Int), text.trim());
        let number = number.or_else(|_| text.parse().map(Value::Float));
        number.or_else(|_| text.parse().map(Value::Bool)).unwrap_or_else(|_| self.0.value.clone())
    }

    fn scalar<'de, V: Visitor<'de>>(self, visitor: V, value: &Value) -> Result<V::Value, ReadError> {
        let wanted = Wanted::by(&visitor);
        let result = match value {
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Int(value) => visitor.visit_i64(*value),
            Value::Float(value) => visitor.visit_f64(*value),
            Value::Text(value) => visitor.visit_str(value),
            _ => visitor.visit_unit(),
        };
        result.map_err(|e: ReadError| {
            let generic = e.place.is_none() && e.message.starts_with("found ");
            if generic || self.0.secret { self.mismatch(&wanted) } else { e.or_at(self.0.place) }
        })
    }

    fn list<'de, V: Visitor<'de>>(self, visitor: V, list: &'a [Node]) -> Result<V::Value, ReadError> {
        let wanted = Wanted::by(&visitor);
        let mut items = Items(list.iter());
        let read = visitor.visit_seq(&mut items);
        if read.is_ok() && items.0.len() > 0 {
            let message = format!("found a list of {}, expected {}", list.len(), wanted.0);
            return Err(ReadError { message, place: Some(self.0.place) });
        }
        read.map_err(|e: ReadError| {
            let generic =
                e.place.is_none() && (e.message.starts_with("invalid length") || e.message.starts_with("found "));
            if generic && e.message.starts_with("found ") {
                return self.mismatch(&wanted);
            }
            if generic {
                let message = format!("found a list of {}, expected {}", list.len(), wanted.0);
                return ReadError { message, place: Some(self.0.place) };
            }
            e.or_at(self.0.place)
        })
    }

    fn map<'de, V: Visitor<'de>>(self, visitor: V, entries: &'a [(Node, Node)]) -> Result<V::Value, ReadError> {
        let wanted = Wanted::by(&visitor);
        visitor.visit_map(Entries { rest: entries.iter(), value: None }).map_err(|e: ReadError| {
            let generic = e.place.is_none() && e.message.starts_with("found ");
            if generic { self.mismatch(&wanted) } else { e.or_at(self.0.place) }
        })
    }
}

/// Reads all numbers and bools in the same way.
macro_rules! numbers {
    ($($method:ident)+) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
            self.number(visitor)
        }
    )+};
}

impl<'de> de::Deserializer<'de> for Reader<'_> {
    type Error = ReadError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match &self.0.value {
            Value::List(list) => self.list(visitor, list),
            Value::Map(entries) => self.map(visitor, entries),
            value => self.scalar(visitor, value),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        if self.0.value == Value::Null { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_newtype_struct(self)
    }

    /// An empty value is a map without entries: `- scene:` uses every default.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        match (&self.0.value, fields.first()) {
            (Value::Null, _) => self.map(visitor, &[]),
            (Value::Map(entries), _) => self.map(visitor, entries),
            // Of the settings that stand for the whole part, the first one is meant.
            (Value::Text(text), Some(first @ (&"path" | &"model" | &"url" | &"command"))) if !self.0.secret => {
                let message = format!("found {}, expected a map; write {{ {first}: {text} }}", self.0.describe());
                Err(ReadError { message, place: Some(self.0.place) })
            }
            _ => Err(self.mismatch(&Wanted::by(&visitor))),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        match &self.0.value {
            Value::Text(_) => visitor.visit_enum(Variant { key: self.0, value: None }),
            Value::Map(entries) if entries.len() == 1 => {
                visitor.visit_enum(Variant { key: &entries[0].0, value: Some(&entries[0].1) })
            }
            _ => Err(self.mismatch(&Wanted::by(&visitor))),
        }
    }

    serde::forward_to_deserialize_any! {
        str string char bytes byte_buf unit unit_struct seq tuple tuple_struct map identifier ignored_any
    }

    numbers! {
        deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_f32 deserialize_f64
    }
}

impl Reader<'_> {
    /// Reads numbers and bools: the only place where a `${…}` may change its type.
    fn number<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match &self.0.value {
            Value::Text(_) if self.0.secret => self.scalar(visitor, &self.resolved()),
            Value::List(_) | Value::Map(_) => Err(self.mismatch(&Wanted::by(&visitor))),
            value => self.scalar(visitor, value),
        }
    }
}

struct Items<'a>(std::slice::Iter<'a, Node>);

impl<'de> de::SeqAccess<'de> for &mut Items<'_> {
    type Error = ReadError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, ReadError> {
        let Some(node) = self.0.next() else { return Ok(None) };
        seed.deserialize(Reader(node)).map(Some).map_err(|e| settled(e, node))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.0.len())
    }
}

struct Entries<'a> {
    rest: std::slice::Iter<'a, (Node, Node)>,
    value: Option<&'a Node>,
}

impl<'de> de::MapAccess<'de> for Entries<'_> {
    type Error = ReadError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, ReadError> {
        let Some((key, value)) = self.rest.next() else { return Ok(None) };
        self.value = Some(value);
        seed.deserialize(Reader(key)).map(Some).map_err(|e| e.or_at(key.place))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, ReadError> {
        let Some(node) = self.value.take() else { return Err(de::Error::custom("a value before its key")) };
        seed.deserialize(Reader(node)).map_err(|e| settled(e, node))
    }
}

/// The fault of a whole value. If its message might contain the value of a `${…}`, the message is replaced.
fn settled(error: ReadError, node: &Node) -> ReadError {
    if node.secret && error.place.is_none() {
        return Reader(node).mismatch(&Wanted("one that is valid here".into(), None));
    }
    error.or_at(node.place)
}

struct Variant<'a> {
    key: &'a Node,
    value: Option<&'a Node>,
}

impl<'de> de::EnumAccess<'de> for Variant<'_> {
    type Error = ReadError;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), ReadError> {
        let name = self.key.text().unwrap_or_default();
        let value = seed.deserialize(IntoDeserializer::<ReadError>::into_deserializer(name));
        Ok((
            value.map_err(|e| {
                if self.key.secret {
                    Reader(self.key).mismatch(&Wanted("one of the allowed words".into(), None))
                } else {
                    e.or_at(self.key.place)
                }
            })?,
            self,
        ))
    }
}

impl<'de> de::VariantAccess<'de> for Variant<'_> {
    type Error = ReadError;

    fn unit_variant(self) -> Result<(), ReadError> {
        match self.value {
            None => Ok(()),
            Some(node) if node.value == Value::Null => Ok(()),
            Some(node) => Err(ReadError {
                message: format!("found {}, expected nothing after this word", node.describe()),
                place: Some(node.place),
            }),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, ReadError> {
        // A word alone uses the defaults of all its settings.
        let empty = Node { place: self.key.place, value: Value::Null, secret: false };
        let node = self.value.unwrap_or(&empty);
        seed.deserialize(Reader(node)).map_err(|e| e.or_at(node.place))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, ReadError> {
        match self.value {
            Some(node) => de::Deserializer::deserialize_seq(Reader(node), visitor),
            None => Err(ReadError { message: "a list must follow this word".into(), place: Some(self.key.place) }),
        }
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        let empty = Node { place: self.key.place, value: Value::Null, secret: false };
        let node = self.value.unwrap_or(&empty);
        de::Deserializer::deserialize_struct(Reader(node), "", fields, visitor).map_err(|e| e.or_at(node.place))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Document;
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Part {
        name: String,
        #[serde(default)]
        size: Option<[u32; 2]>,
        #[serde(default)]
        score: f32,
    }

    fn part(text: &str) -> Result<Part, String> {
        let lookup = |name: &str| if name == "N" { Ok("0.5".to_owned()) } else { Err("none".to_owned()) };
        let document = Document::parse("t.yaml", text.into(), lookup).map_err(|e| e.to_string())?;
        read(&document.root).map_err(|fault| format!("{}:{}: {}", fault.place.line, fault.place.column, fault.message))
    }

    #[test]
    fn settings_are_read() {
        let expect = Part { name: "a".into(), size: Some([3, 4]), score: 1.0 };
        assert_eq!(part("name: a\nsize: [3, 4]\nscore: 1"), Ok(expect));
    }

    #[test]
    fn each_fault_has_its_place() {
        let of = |text| part(text).unwrap_err();
        assert_eq!(
            of("name: a\nsizes: 3"),
            "2:1: unknown field `sizes`, expected `name`, `size` or `score`; did you mean `size`?"
        );
        assert_eq!(of("name: 5"), "1:7: found the number 5, expected text; put it in quotes");
        assert_eq!(of("name: a\nscore: high"), "2:8: found the text \"high\", expected a number");
        assert_eq!(of("size: [1, 2]"), "1:1: `name` is missing");
        assert_eq!(of("name: a\nsize: [1, -2]"), "2:11: found the number -2, expected a whole number, 0 or more");
    }

    #[test]
    fn a_value_put_in_may_be_a_number_and_is_never_shown() {
        assert_eq!(part("name: a\nscore: ${N}").map(|p| p.score), Ok(0.5));
        assert_eq!(part("name: a\nsize: ${N}"), Err("2:7: found a value from `${…}`, expected a list of 2".into()));
    }
}
