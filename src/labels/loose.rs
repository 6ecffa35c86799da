//! JSON values as tools really write them: numbers as text, ids as floats, flags as words.

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use smallvec::SmallVec;
use std::borrow::Cow;
use std::fmt;

/// A number or text, or nothing that can be used.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Loose<'a> {
    /// Missing or `null`.
    #[default]
    Nothing,
    /// `true` or `false`.
    Flag(bool),
    /// A whole number.
    Whole(i128),
    /// Another number.
    Float(f64),
    /// Text.
    Text(Cow<'a, str>),
    /// A list of numbers; `None` for what is not a number.
    List(SmallVec<[Option<f64>; 4]>),
    /// A map.
    Map,
}

impl Loose<'_> {
    /// The number, also if it is written as text.
    #[must_use]
    pub fn number(&self) -> Option<f64> {
        let number = match self {
            Self::Whole(value) => *value as f64,
            Self::Float(value) => *value,
            Self::Text(text) => text.trim().parse().ok()?,
            Self::Nothing | Self::Flag(_) | Self::List(_) | Self::Map => return None,
        };
        number.is_finite().then_some(number)
    }

    /// What identifies something: `7`, `7.0` and `"7"` are one id.
    #[must_use]
    pub fn id(&self) -> Option<Id> {
        match self {
            Self::Whole(value) => Some(Id::Number(*value)),
            Self::Float(value) if value.fract() == 0.0 && value.abs() < 1e30 => Some(Id::Number(*value as i128)),
            Self::Float(value) if value.is_finite() => Some(Id::Text(value.to_string().into())),
            Self::Text(text) => {
                let text = text.trim();
                let float = || text.parse().ok().map(Loose::Float).filter(|_| text.contains('.'));
                let number = text.parse().ok().map(Id::Number).or_else(|| float()?.id());
                Some(number.unwrap_or_else(|| Id::Text(text.into())))
            }
            _ => None,
        }
    }

    /// Whether it says yes.
    #[must_use]
    pub fn is_true(&self) -> bool {
        match self {
            Self::Flag(value) => *value,
            Self::Text(text) => is_yes(text),
            other => other.number().is_some_and(|number| number != 0.0),
        }
    }

    /// The text; numbers as they are written.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text.clone().into_owned()),
            Self::Whole(value) => Some(value.to_string()),
            Self::Float(value) => Some(value.to_string()),
            _ => None,
        }
    }
}

/// Whether a word says yes: what is neither a number other than 0 nor such a word says no.
#[must_use]
pub fn is_yes(text: &str) -> bool {
    let text = text.trim();
    text.parse::<f64>().map_or_else(
        |_| ["true", "yes", "y", "t"].iter().any(|word| text.eq_ignore_ascii_case(word)),
        |number| number != 0.0,
    )
}

/// An id.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Id {
    /// A whole number.
    Number(i128),
    /// Something else.
    Text(Box<str>),
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => write!(f, "\"{}\"", super::text::shown(text)),
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Loose<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any(std::marker::PhantomData))
    }
}

struct Any<'a>(std::marker::PhantomData<&'a ()>);

impl<'de: 'a, 'a> Visitor<'de> for Any<'a> {
    type Value = Loose<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Loose<'a>, E> {
        Ok(Loose::Nothing)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Loose<'a>, E> {
        Ok(Loose::Flag(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Loose<'a>, E> {
        Ok(Loose::Whole(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Loose<'a>, E> {
        Ok(Loose::Whole(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Loose<'a>, E> {
        Ok(Loose::Float(value))
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Loose<'a>, E> {
        Ok(Loose::Text(Cow::Borrowed(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Loose<'a>, E> {
        Ok(Loose::Text(Cow::Owned(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Loose<'a>, A::Error> {
        let mut numbers = SmallVec::new();
        while let Some(value) = list.next_element::<Loose<'_>>()? {
            numbers.push(value.number());
        }
        Ok(Loose::List(numbers))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Loose<'a>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Loose::Map)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_id_in_three_forms_is_one_id() {
        let id = |text: &str| serde_json::from_str::<Loose<'_>>(text).unwrap().id();
        assert_eq!(id("7"), id("7.0"));
        assert_eq!(id("7"), id("\" 7\""));
        assert_eq!(id("\"7.0\""), id("7"));
        assert_ne!(id("18446744073709551615"), id("18446744073709551614"));
        assert_eq!((id("null"), id("[1]"), id("{}")), (None, None, None));
        assert_eq!(id("\"a\""), Some(Id::Text("a".into())));
    }

    #[test]
    fn flags_and_numbers_are_read_in_all_forms() {
        let yes = |text: &str| serde_json::from_str::<Loose<'_>>(text).unwrap().is_true();
        assert!(["1", "true", "1.0", "\"1\"", "\"True\""].into_iter().all(yes));
        assert!(!["0", "false", "0.0", "null", "\"0\"", "\"false\"", "\"Unspecified\"", "[]"].into_iter().any(yes));
        let list: Loose<'_> = serde_json::from_str("[1, \"2.5\", null, {}]").unwrap();
        assert_eq!(list, Loose::List([Some(1.0), Some(2.5), None, None].into_iter().collect()));
    }
}
