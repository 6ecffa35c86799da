//! Classifiers: one score per class for the whole picture.

use super::numbers::softmax;
use crate::error::{Error, Result};
use crate::infer::Outputs;
use crate::types::Class;
use serde::Deserialize;

/// `family: { classifier: { scores: logits } }`: one output of any rank, with one number per label, or a single one for two
/// labels.
#[derive(Clone, Copy, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Classifier {
    /// What the numbers are.
    #[serde(default)]
    pub scores: Scores,
    /// The output of the graph to use, counted from 0.
    #[serde(default)]
    pub output: usize,
    /// Scale of an 8-bit output, if the graph keeps it in 8 bits.
    #[serde(default = "one")]
    pub scale: f32,
    /// Zero point of an 8-bit output.
    #[serde(default)]
    pub zero_point: i32,
}

const fn one() -> f32 {
    1.0
}

/// What the numbers of a classifier are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scores {
    /// Probabilities that sum to 1: the graph ends in a softmax.
    #[default]
    Probabilities,
    /// Raw values; Ocelli applies a softmax over all of them.
    Logits,
    /// Raw, independent values; Ocelli applies a sigmoid to each (several classes may apply).
    Sigmoid,
    /// A single raw value that tells two classes apart: its sigmoid is the score of the second label.
    Binary,
    /// A single probability: the score of the second label.
    BinaryProbability,
}

impl Default for Classifier {
    fn default() -> Self {
        Self { scores: Scores::default(), output: 0, scale: 1.0, zero_point: 0 }
    }
}

impl Classifier {
    /// Reads one score per class.
    ///
    /// # Errors
    /// [`Error::Model`] if there are not as many scores as labels.
    pub fn scores(&self, outputs: &dyn Outputs, labels: usize, buffer: &mut Buffer) -> Result<()> {
        self.raw(outputs, labels, buffer)?;
        match self.scores {
            Scores::Probabilities | Scores::BinaryProbability => {}
            Scores::Logits => softmax(&mut buffer.scores),
            Scores::Sigmoid | Scores::Binary => buffer.scores.iter_mut().for_each(|v| *v = super::numbers::sigmoid(*v)),
        }
        Ok(())
    }

    /// Reads one number per class, as the graph returns it.
    ///
    /// # Errors
    /// [`Error::Model`] if there are not as many numbers as labels.
    pub fn raw(&self, outputs: &dyn Outputs, labels: usize, buffer: &mut Buffer) -> Result<()> {
        outputs.read(self.output, self.scale, self.zero_point, &mut buffer.shape, &mut buffer.scores)?;
        if let (Scores::Binary | Scores::BinaryProbability, [value]) = (self.scores, buffer.scores.as_slice()) {
            let first = if self.scores == Scores::Binary { -value } else { 1.0 - value };
            buffer.scores.insert(0, first);
        }
        let is_binary = matches!(self.scores, Scores::Binary | Scores::BinaryProbability);
        if buffer.scores.len() != labels || (is_binary && buffer.shape.iter().product::<usize>() != 1) {
            return Err(Error::Model(format!(
                "model `{}`: an output has shape {:?}, but the card has {labels} labels",
                outputs.model(),
                buffer.shape
            )));
        }
        Ok(())
    }
}

/// The buffers a classifier reads into, reused from frame to frame.
#[derive(Debug, Default)]
pub struct Buffer {
    shape: Vec<usize>,
    /// One score per class.
    pub scores: Vec<f32>,
    order: Vec<u16>,
}

impl Buffer {
    /// Puts the best `count` classes with a score of at least `min_score` into `best`, best first. Classes with equal
    /// scores come in the order of their numbers.
    pub fn top(&mut self, count: usize, min_score: f32, best: &mut Vec<Class>) {
        best.clear();
        self.order.clear();
        let scores = &self.scores;
        self.order.extend(
            (0..scores.len().min(usize::from(u16::MAX)) as u16).filter(|&c| scores[usize::from(c)] >= min_score),
        );
        let key = |c: &u16| scores[usize::from(*c)];
        self.order.sort_unstable_by(|a, b| key(b).total_cmp(&key(a)).then(a.cmp(b)));
        best.extend(self.order.iter().take(count).map(|&class| Class { class, score: scores[usize::from(class)] }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::infer::Arrays;

    #[test]
    fn the_best_come_first_and_nan_not_at_all() {
        let outputs = Arrays(vec![(vec![1, 4, 1, 1], vec![0.2, f32::NAN, 0.5, 0.2])]);
        let mut buffer = Buffer::default();
        Classifier::default().scores(&outputs, 4, &mut buffer).unwrap();
        let mut best = Vec::new();
        buffer.top(3, 0.1, &mut best);
        assert_eq!(best.iter().map(|c| c.class).collect::<Vec<_>>(), [2, 0, 3]);
        assert!(Classifier::default().scores(&outputs, 5, &mut buffer).is_err());
        let single = Arrays(vec![(vec![1, 1], vec![0.25])]);
        for (scores, second) in [(Scores::BinaryProbability, 0.25), (Scores::Binary, 0.562_176_5)] {
            let family = Classifier { scores, ..Classifier::default() };
            family.scores(&single, 2, &mut buffer).unwrap();
            assert!((buffer.scores[1] - second).abs() < 1e-6 && (buffer.scores[0] + second - 1.0).abs() < 1e-6);
            assert!(family.scores(&single, 3, &mut buffer).is_err());
        }
    }
}
