//! A small tree of an XML text, so that unknown and odd elements do no harm.

use crate::error::{Error, Result};
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

/// An element: its name, its text, and the elements in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Element {
    /// The name, without a prefix.
    pub name: String,
    /// The text directly in it, without the space around it.
    pub text: String,
    /// The elements in it.
    pub inner: Vec<Self>,
    /// The line in which it starts.
    pub line: usize,
}

/// Deeper elements are refused.
const DEEPEST: usize = 32;

impl Element {
    /// The first element of this name directly in it.
    #[must_use]
    pub fn first(&self, name: &str) -> Option<&Self> {
        self.inner.iter().find(|inner| inner.name.eq_ignore_ascii_case(name))
    }

    /// The elements of this name directly in it.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.inner.iter().filter(move |inner| inner.name.eq_ignore_ascii_case(name))
    }

    /// The text of the first element of this name; empty if there is none.
    #[must_use]
    pub fn value(&self, name: &str) -> &str {
        self.first(name).map_or("", |inner| inner.text.as_str())
    }

    /// The number in the first element of this name.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<f64> {
        self.value(name).parse::<f64>().ok().filter(|number| number.is_finite())
    }
}

/// Parses an XML text. Entities other than those of XML itself are refused.
///
/// # Errors
/// [`Error::Data`] with the line.
pub fn parse(text: &str) -> Result<Element> {
    let mut reader = Reader::from_str(text);
    let mut open = vec![Element::default()];
    let (mut counted, mut line) = (0, 1);
    loop {
        let event = reader.read_event();
        let at = (reader.buffer_position() as usize).min(text.len());
        let begins = line;
        line += text.as_bytes()[counted..at].iter().filter(|byte| **byte == b'\n').count();
        counted = at;
        let bad = |why: String| Error::Data(format!("line {line}: {why}"));
        match event.map_err(|e| bad(e.to_string()))? {
            Event::Start(start) => {
                if open.len() > DEEPEST {
                    return Err(bad(format!("elements within elements, more than {DEEPEST} deep")));
                }
                open.push(Element { name: name(&start), line: begins, ..Element::default() });
            }
            Event::Empty(start) => {
                let element = Element { name: name(&start), line: begins, ..Element::default() };
                top(&mut open).inner.push(element);
            }
            Event::End(_) => {
                let mut done = open.pop().unwrap_or_default();
                done.text = done.text.trim().into();
                if open.is_empty() {
                    return Err(bad("an end without a start".into()));
                }
                top(&mut open).inner.push(done);
            }
            Event::Text(words) => top(&mut open).text.push_str(&words),
            Event::CData(words) => top(&mut open).text.push_str(&words),
            Event::GeneralRef(entity) => {
                let letter = entity.resolve_char_ref().ok().flatten().map(String::from);
                let known = || quick_xml::escape::resolve_predefined_entity(&entity).map(str::to_owned);
                let words = letter.or_else(known).ok_or_else(|| bad("an entity that XML does not define".into()))?;
                top(&mut open).text.push_str(&words);
            }
            Event::Eof => break,
            Event::Decl(_) | Event::PI(_) | Event::DocType(_) | Event::Comment(_) => {}
        }
    }
    if open.len() > 1 {
        return Err(Error::Data(format!("line {line}: the file ends within `{}`", top(&mut open).name)));
    }
    let root = top(&mut open).inner.drain(..).next();
    root.ok_or_else(|| Error::Data("no XML element in it".into()))
}

fn top(open: &mut Vec<Element>) -> &mut Element {
    if open.is_empty() {
        open.push(Element::default());
    }
    let last = open.len() - 1;
    &mut open[last]
}

fn name(start: &BytesStart<'_>) -> String {
    start.local_name().as_ref().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_elements_are_found() {
        let root =
            parse("<?xml version='1.0'?>\n<a x='1'><!-- no -->\n<b> 1 &amp; <![CDATA[<2>]]></b><c/>&#65;</a>").unwrap();
        assert_eq!((root.name.as_str(), root.value("b"), root.text.as_str()), ("a", "1 & <2>", "A"));
        assert_eq!(root.first("b").unwrap().line, 3);
        assert!(root.first("C").is_some());
        for bad in ["", "<a>", "<a></b>", "</a>", "<a>&lol;</a>", &"<a>".repeat(40)] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
