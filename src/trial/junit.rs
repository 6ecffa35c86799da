//! JUnit XML, which CI systems read.

use super::judge::Verdict;
use crate::error::{Error, Result};
use quick_xml::Writer;
use quick_xml::events::{BytesText, Event};

/// Removes the characters that XML 1.0 does not allow.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect()
}

/// Returns all verdicts as one test suite.
///
/// # Errors
/// [`Error::Internal`] if it cannot be written as XML.
pub fn report(verdicts: &[Verdict]) -> Result<String> {
    let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
    let count = |wanted: &dyn Fn(&Verdict) -> bool| verdicts.iter().filter(|v| wanted(v)).count().to_string();
    let seconds: f64 = verdicts.iter().map(|verdict| verdict.took.as_secs_f64()).sum();
    let (tests, failures, errors) =
        (verdicts.len().to_string(), count(&|v| !v.failures.is_empty()), count(&|v| v.error.is_some()));
    let time = format!("{seconds:.3}");
    let numbers =
        [("name", "ocelli"), ("tests", &tests), ("failures", &failures), ("errors", &errors), ("time", &time)];
    let suite = writer.create_element("testsuite").with_attributes(numbers);
    let written = suite.write_inner_content(|writer| {
        for verdict in verdicts {
            let time = format!("{:.3}", verdict.took.as_secs_f64());
            let case = writer.create_element("testcase");
            let case =
                case.with_attributes([("classname", "ocelli"), ("name", verdict.name.as_str()), ("time", &time)]);
            case.write_inner_content(|writer| {
                for failure in &verdict.failures {
                    let failure = &plain(failure);
                    let first = failure.lines().next().unwrap_or_default();
                    let element = writer.create_element("failure").with_attribute(("message", first));
                    element.write_text_content(BytesText::new(failure))?;
                }
                if let Some(error) = &verdict.error {
                    let text = plain(&error.to_string());
                    let element = writer.create_element("error").with_attribute(("message", text.as_str()));
                    element.write_text_content(BytesText::new(&text))?;
                }
                writer.write_event(Event::Text(BytesText::new("")))
            })?;
        }
        Ok(())
    });
    written.map_err(|e| Error::io("junit", e))?;
    let text = String::from_utf8(writer.into_inner()).map_err(|e| Error::Internal(e.to_string()))?;
    Ok(format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{text}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn what_failed_is_told_and_nothing_breaks_the_xml() {
        let verdict = |name: &str, failures: Vec<String>, error| Verdict {
            name: name.into(),
            took: Duration::from_millis(1500),
            summary: String::new(),
            failures,
            error,
        };
        let all = [
            verdict("fine", vec![], None),
            verdict("a<b", vec!["expected \"1\" & found <2>\u{1b}[0m\nmore".into()], None),
            verdict("bad", vec![], Some(Error::Config("no file".into()))),
        ];
        let text = report(&all).unwrap();
        assert!(text.contains("tests=\"3\" failures=\"1\" errors=\"1\" time=\"4.500\""), "{text}");
        assert!(
            !text.contains('\u{1b}')
                && text.contains("&lt;2&gt;")
                && text.contains("name=\"a&lt;b\"")
                && text.contains("<error message=\"no file\">"),
            "{text}"
        );
    }
}
