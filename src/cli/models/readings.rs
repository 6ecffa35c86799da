//! What a card with a `?` may mean: each reading as a card without one.

/// A reading of a card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Its words, for a file's name: `centre-relative`.
    pub name: String,
    /// The card's text.
    pub card: String,
    /// By how many the number of labels changes.
    pub labels: isize,
}

/// A guess, and the readings that it leaves open: name, words, and by how many the number of labels changes.
type Guess = (&'static str, &'static [(&'static str, &'static str, isize)]);

const GUESSES: &[Guess] = &[
    ("form: corners?", &[("corners", "form: corners", 0), ("centre", "form: centre", 0)]),
    ("form: centre?", &[("corners", "form: corners", 0), ("centre", "form: centre", 0)]),
    ("units: pixels?", &[("pixels", "units: pixels", 0), ("relative", "units: relative", 0)]),
    ("scores: sigmoid?", &[("sigmoid", "scores: sigmoid", 0), ("softmax", "scores: softmax, background: last", -1)]),
    ("background: first?", &[("background", "background: first", 0), ("no_background", "background: none", 0)]),
    ("objectness?, ", &[("objectness", "objectness, ", 0), ("no_objectness", "", 1)]),
    ("score?, class?", &[("score_class", "score, class", 0), ("class_score", "class, score", 0)]),
    ("form: binary?", &[("binary", "form: binary", 0), ("probability", "form: probability", 0)]),
    ("scores: binary?", &[("binary", "scores: binary", 0)]),
];

/// More readings than this are no help.
const MOST: usize = 8;

/// Returns the readings of a card; none if it holds a guess of which no other reading is known, or too many.
#[must_use]
pub fn of(card: &str) -> Vec<Reading> {
    let mut all = vec![Reading { name: String::new(), card: card.to_owned(), labels: 0 }];
    for (guess, words) in GUESSES.iter().filter(|(guess, _)| card.contains(guess)) {
        let read = |reading: &Reading| -> Vec<Reading> {
            let one = |(name, word, labels): &(&str, &str, isize)| Reading {
                name: [reading.name.as_str(), name].into_iter().filter(|n| !n.is_empty()).collect::<Vec<_>>().join("-"),
                card: reading.card.replace(guess, word),
                labels: reading.labels + labels,
            };
            words.iter().map(one).collect()
        };
        all = all.iter().flat_map(read).collect();
    }
    // Comments may hold a `?`, the words of the family may not.
    let is_open = |card: &str| card.lines().any(|line| line.split('#').next().unwrap_or_default().contains('?'));
    if all.len() > MOST || all.iter().any(|reading| is_open(&reading.card)) {
        return Vec::new();
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_guess_is_read_in_each_way() {
        let card = "family:\n  boxes: { form: corners?, units: relative, scores: sigmoid?, outputs: { boxes: 1, scores: 0 } } # ?\n";
        let found = of(card);
        let names: Vec<&str> = found.iter().map(|reading| reading.name.as_str()).collect();
        assert_eq!(names, ["corners-sigmoid", "corners-softmax", "centre-sigmoid", "centre-softmax"]);
        assert!(found[3].card.contains("form: centre, units: relative, scores: softmax, background: last, outputs"));
        assert_eq!(found[3].labels, -1);
        assert!(of("family: { ssd: { anchors: unknown? } }").is_empty(), "nobody knows its anchors");
        assert_eq!(of("family: { boxes: {} } # ?")[0].name, "");
    }
}
