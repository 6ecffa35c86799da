//! What a parser's messages mean for the author of a file, and characters that look like others.

/// Sentences of the parser that say little about YAML to its readers, and what we say instead.
const MEANINGS: &[(&str, &str)] = &[
    ("non-finite float", "a number must be finite; `.nan` and `.inf` are not"),
    ("Documents {", "a second document begins here; a file has one, so remove the `---` line"),
    ("Depth {", "lists and maps are nested too deeply"),
    ("budget breached", "the file is too large for a pipeline or a card"),
    (
        "did not find expected '-' indicator",
        "expected another line of the list, beginning with `- ` and indented like those above",
    ),
    (
        "did not find expected key",
        "expected a key with a colon, such as `id: door`, indented like the line above; is a quote or a bracket not \
         closed before it?",
    ),
    ("did not find expected ',' or '}'", "expected `,` or `}`; a text that contains `: `, `{` or `}` needs quotes"),
    ("did not find expected ',' or ']'", "expected `,` or `]`; a text that contains `: `, `[` or `]` needs quotes"),
    (
        "unknown anchor",
        "`*` repeats what `&` marks further up, and nothing is marked with this name; a text that begins with `*` needs \
         quotes",
    ),
    ("tabs disallowed", "a tab; YAML is indented with spaces"),
    ("unclosed quote", "a quote is not closed"),
    ("unclosed bracket", "a bracket or a brace is not closed"),
    ("did not find expected <document start>", "expected the end of the file; a `}` or `]` too many?"),
];

/// Says in our words what the parser found, if its own are of no help.
pub fn meaning(message: &str) -> Option<&'static str> {
    MEANINGS.iter().find(|(theirs, _)| message.contains(theirs)).map(|(_, ours)| *ours)
}

/// Finds a space that is not a plain one where YAML expects one: at the start of a line, or after its dash or colon.
/// Returns the line and the column, from 1, and the character.
pub fn odd_space(text: &str) -> Option<(usize, usize, char)> {
    let odd =
        |c: char| c != ' ' && c != '\t' && (c.is_whitespace() || matches!(c, '\u{200b}' | '\u{feff}' | '\u{2060}'));
    text.lines().enumerate().find_map(|(line, text)| {
        let mut before = None;
        // What a comment says does not matter.
        let end = text.find('#').unwrap_or(text.len());
        for (column, c) in text[..end].chars().enumerate() {
            let at_start = text.chars().take(column).all(|c| matches!(c, ' ' | '-'));
            if odd(c) && (at_start || before == Some(':')) && !(line == 0 && column == 0 && c == '\u{feff}') {
                return Some((line + 1, column + 1, c));
            }
            before = Some(c);
        }
        None
    })
}

/// Whether a text is in typographic quotes, which YAML takes for part of it.
pub fn curly(text: &str) -> bool {
    let (first, last) = (text.chars().next(), text.chars().next_back());
    let quote = |c: Option<char>| c.is_some_and(|c| "“”„‟‘’‚‛«»".contains(c));
    text.chars().count() > 1 && quote(first) && quote(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_spaces_are_found_where_they_matter() {
        assert_eq!(odd_space("a:\n  -\u{a0}b: c"), Some((2, 4, '\u{a0}')));
        assert_eq!(odd_space("a:\u{a0}b"), Some((1, 3, '\u{a0}')));
        assert_eq!(odd_space("\u{feff}a: 10\u{a0}000 apples"), None);
        assert!(curly("“a b”") && !curly("a “b”") && !curly("“"));
    }
}
