//! The settings of a line.

use crate::stage::{SinkConfig, SourceConfig, StageConfig};

/// The settings of a line's part.
pub enum Settings {
    /// Produces packets.
    Source(Box<dyn SourceConfig>),
    /// Processes packets.
    Stage(Box<dyn StageConfig>),
    /// Consumes packets.
    Sink(Box<dyn SinkConfig>),
}
