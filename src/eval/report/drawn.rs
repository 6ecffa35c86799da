//! What the parts of the page share.

/// At most this many rows of a table; further ones are only in `--json`.
pub(super) const ROWS: usize = 500;
/// At most this many classes in a chart or a matrix.
pub(super) const CLASSES: usize = 24;

/// What is drawn over a picture.
pub(super) struct Drawn {
    /// An SVG of the picture's size; may be empty.
    pub svg: String,
    /// What is wrong, in lines.
    pub caption: String,
    /// The classes in it, for the filter.
    pub classes: Vec<String>,
    /// The kinds of error in it, for the filter.
    pub kinds: Vec<String>,
}
