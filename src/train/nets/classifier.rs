//! A small classifier: convolutions, the mean of each channel, one linear layer. Its activation maps tell where things are.

use super::builder::{Builder, Conv};
use super::wanted::{Made, Wanted};

/// Makes the graph.
#[must_use]
pub fn build(wanted: &Wanted) -> Made {
    let mut net = Builder::new(wanted.size, wanted.seed);
    let mut x = Builder::picture();
    for (channels, stride) in [(16, 2), (24, 2), (24, 1), (40, 2), (40, 1), (64, 2), (64, 1), (64, 1)] {
        x = net.block(&x, Conv::new(channels, 3, stride));
    }
    let logits = net.classes(&x, wanted.classes);
    Made { model: net.finish(&logits, "logits", &[1, wanted.classes]), family: "classifier: { scores: logits }" }
}
