//! What a training tells while it runs.

use super::state::{Best, Row};
use std::time::Duration;

/// What a training tells.
#[derive(Debug)]
pub enum Event<'a> {
    /// A part begins.
    Phase(Phase),
    /// A step was made.
    Step(Step<'a>),
    /// An epoch is over.
    Epoch {
        /// What was measured.
        row: &'a Row,
        /// The name of what counts.
        metric: &'static str,
        /// Whether its weights are the best so far.
        is_best: bool,
    },
    /// Something worth knowing.
    Note(&'a str),
}

/// A part of a training.
#[derive(Clone, Debug)]
pub struct Phase {
    /// Its number, from 0, and how many there are.
    pub number: (u64, u64),
    /// What is trained, in words.
    pub what: &'static str,
    /// How many numbers are trained, of how many.
    pub numbers: (usize, usize),
    /// How many operators the engine computes, and how many tract.
    pub nodes: (usize, usize),
    /// Epochs that are left, and steps of one.
    pub epochs: (u64, u64),
    /// How long all epochs that are left will take, from three timed steps.
    pub estimate: Duration,
}

/// A step.
#[derive(Clone, Debug)]
pub struct Step<'a> {
    /// The epoch, from 0, and how many there are.
    pub epoch: (u64, u64),
    /// The batch of the epoch, from 1, and how many there are.
    pub batch: (u64, u64),
    /// The mean of each part of the loss in this epoch so far.
    pub loss: &'a [(String, f64)],
    /// The learning rate.
    pub rate: f64,
    /// Pictures of this session so far, and the seconds they took.
    pub speed: (u64, f64),
}

/// How a training ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Ending {
    /// All epochs were made, or no more were needed.
    Finished(Best),
    /// It was asked to stop, and can go on.
    Stopped,
}
