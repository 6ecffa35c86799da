//! The files of a sink: their names, when the next one begins, and which old ones are removed.

mod keep;
mod pattern;
mod series;
mod settings;

pub use keep::Kept;
pub use pattern::{Field, Pattern, Values};
pub use series::Series;
pub use settings::{Keep, Rotate, Rules, check_keep};
