//! How often the right class is among the best answers.

/// Counts of pictures.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopK {
    /// All pictures.
    pub count: u64,
    /// Pictures whose best answer is right.
    pub first: u64,
    /// Pictures whose right answer is among the best five.
    pub five: u64,
    /// Pictures with fewer than five answers, none of them right: the right one may have been the next.
    pub unknown: u64,
}

impl TopK {
    /// Counts a picture; its answers come best first, out of so many classes.
    pub fn add<T: PartialEq + ?Sized>(&mut self, real: &T, answers: &[&T], classes: usize) {
        self.count += 1;
        let place = answers.iter().position(|answer| *answer == real);
        self.first += u64::from(place == Some(0));
        self.five += u64::from(place.is_some_and(|place| place < 5));
        self.unknown += u64::from(place.is_none() && answers.len() < 5.min(classes.max(1)));
    }

    /// Returns the share of pictures whose best answer is right.
    #[must_use]
    pub fn top1(&self) -> Option<f64> {
        (self.count > 0).then(|| self.first as f64 / self.count as f64)
    }

    /// Returns the share of pictures whose right answer is among the best five; `None` if the pipeline gives too few
    /// answers to tell.
    #[must_use]
    pub fn top5(&self) -> Option<f64> {
        (self.count > 0 && self.unknown == 0).then(|| self.five as f64 / self.count as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sixth_answer_is_too_late() {
        let mut top = TopK::default();
        top.add("cat", &["cat"], 9);
        top.add("dog", &["cat", "dog"], 9);
        top.add("cow", &["a", "b", "c", "d", "e", "cow"], 9);
        assert_eq!((top.count, top.first, top.five), (3, 1, 2));
        assert_eq!(top.top5(), Some(2.0 / 3.0));
        top.add("cow", &["cat"], 2);
        assert_eq!(top.top5(), None, "the second answer is not known");
    }
}
