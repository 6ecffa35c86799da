//! What a session returns besides the outputs of its card.

/// Values that a session returns in addition to the card's outputs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Extra {
    /// Names of values in the rewritten graph.
    pub values: Vec<String>,
}
