//! What a line does.

use crate::stage::{SinkConfig, SourceConfig, StageConfig};

/// What a line does: the settings of its part.
pub enum Settings {
    /// Makes packets.
    Source(Box<dyn SourceConfig>),
    /// Works on packets.
    Stage(Box<dyn StageConfig>),
    /// Takes packets out.
    Sink(Box<dyn SinkConfig>),
}
