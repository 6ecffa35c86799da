//! Classifiers: a score a class for the whole picture.

use super::numbers::softmax;
use crate::error::{Error, Result};
use crate::infer::Outputs;
use crate::types::Class;
use serde::Deserialize;

/// `family: { classifier: { scores: logits } }`: one output with a number for each label, whatever its rank.
#[derive(Clone, Copy, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Classifier {
    /// What the numbers are.
    #[serde(default)]
    pub scores: Scores,
    /// Which output of the graph, counted from 0.
    #[serde(default)]
    pub output: usize,
    /// Step of an 8-bit output, if the graph keeps it.
    #[serde(default = "one")]
    pub scale: f32,
    /// Zero of an 8-bit output.
    #[serde(default)]
    pub zero_point: i32,
}

const fn one() -> f32 {
    1.0
}

/// What the numbers of a classifier are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scores {
    /// They sum to 1: the graph ends in a softmax.
    #[default]
    Probabilities,
    /// Raw; a softmax over all is taken here.
    Logits,
    /// Raw and independent; a sigmoid each is taken here (several classes may hold).
    Sigmoid,
}

impl Default for Classifier {
    fn default() -> Self {
        Self { scores: Scores::default(), output: 0, scale: 1.0, zero_point: 0 }
    }
}

impl Classifier {
    /// Reads one score a class.
    ///
    /// # Errors
    /// [`Error::Model`] if there are not as many as labels.
    pub fn scores(&self, outputs: &dyn Outputs, labels: usize, buffer: &mut Buffer) -> Result<()> {
        self.raw(outputs, labels, buffer)?;
        match self.scores {
            Scores::Probabilities => {}
            Scores::Logits => softmax(&mut buffer.scores),
            Scores::Sigmoid => buffer.scores.iter_mut().for_each(|v| *v = super::numbers::sigmoid(*v)),
        }
        Ok(())
    }

    /// Reads one number a class, as the graph gives it.
    ///
    /// # Errors
    /// [`Error::Model`] if there are not as many as labels.
    pub fn raw(&self, outputs: &dyn Outputs, labels: usize, buffer: &mut Buffer) -> Result<()> {
        outputs.read(self.output, self.scale, self.zero_point, &mut buffer.shape, &mut buffer.scores)?;
        if buffer.scores.len() != labels {
            return Err(Error::Model(format!(
                "model `{}`: an output of shape {:?}, but the card has {labels} labels",
                outputs.model(),
                buffer.shape
            )));
        }
        Ok(())
    }
}

/// What a classifier reads into, kept from frame to frame.
#[derive(Debug, Default)]
pub struct Buffer {
    shape: Vec<usize>,
    /// A score a class.
    pub scores: Vec<f32>,
    order: Vec<u16>,
}

impl Buffer {
    /// The best `count` classes of at least `min_score`, best first; the first of equals first.
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
    }
}
