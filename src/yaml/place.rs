//! Places in a text.

/// Line and column, both counted from 1, and the width in characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// Width in characters, for the caret.
    pub width: usize,
}
