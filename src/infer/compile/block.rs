//! What was compiled of a graph.

use crate::kernels::program::Program;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The name of a block's operator in a graph.
pub const BLOCK: &str = "OcelliBlock";

/// An input or an output.
#[derive(Clone, Debug)]
pub struct End {
    pub name: String,
    pub sides: Vec<usize>,
    pub kind: Kind,
}

/// What it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Floats,
    /// u8, or i8 if signed.
    Levels {
        signed: bool,
    },
    /// Integers of 64 bits; floats in the program.
    Indices,
}

impl Kind {
    /// What changes levels of the graph into those of a program, and back.
    #[must_use]
    pub fn flip(self) -> u8 {
        if self == (Self::Levels { signed: true }) { 128 } else { 0 }
    }
}

/// A compiled part of a graph.
#[derive(Clone)]
pub struct Block {
    pub program: Arc<Program>,
    pub inputs: Vec<End>,
    pub outputs: Vec<End>,
    /// How many nodes it replaces.
    pub nodes: usize,
}

/// What was compiled, and why the rest was not.
#[derive(Clone, Default)]
pub struct Compiled {
    pub blocks: Vec<Block>,
    /// Reasons, each with its operator and the number of nodes.
    pub left: BTreeMap<(String, String), usize>,
}

impl Compiled {
    /// Nothing was compiled, for one reason.
    #[must_use]
    pub fn nothing(reason: String) -> Self {
        Self { blocks: Vec::new(), left: BTreeMap::from([(("the graph".to_owned(), reason), 1)]) }
    }
}
