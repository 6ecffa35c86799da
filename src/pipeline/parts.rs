//! The words that a pipeline may use.

use super::settings::Settings;
use crate::sinks::SINKS;
use crate::sources::{LEFT_OUT, SOURCES};
use crate::stage::{Part, SinkConfig, SourceConfig, StageConfig};
use crate::stages::STAGES;
use crate::yaml::{Fault, Node, Place, nearest, one_of};

/// The sources, stages and sinks that a pipeline may use: those of this build and those that your program adds.
#[derive(Clone)]
pub struct Parts {
    sources: Vec<Part<dyn SourceConfig>>,
    stages: Vec<Part<dyn StageConfig>>,
    sinks: Vec<Part<dyn SinkConfig>>,
}

/// A part of any kind, for [`Parts::with`].
pub enum AnyPart {
    /// Produces packets.
    Source(Part<dyn SourceConfig>),
    /// Processes packets.
    Stage(Part<dyn StageConfig>),
    /// Consumes packets.
    Sink(Part<dyn SinkConfig>),
}

impl From<Part<dyn SourceConfig>> for AnyPart {
    fn from(part: Part<dyn SourceConfig>) -> Self {
        Self::Source(part)
    }
}

impl From<Part<dyn StageConfig>> for AnyPart {
    fn from(part: Part<dyn StageConfig>) -> Self {
        Self::Stage(part)
    }
}

impl From<Part<dyn SinkConfig>> for AnyPart {
    fn from(part: Part<dyn SinkConfig>) -> Self {
        Self::Sink(part)
    }
}

impl Default for Parts {
    fn default() -> Self {
        Self::builtin()
    }
}

impl Parts {
    /// Returns all parts of this build.
    #[must_use]
    pub fn builtin() -> Self {
        Self { sources: SOURCES.to_vec(), stages: STAGES.to_vec(), sinks: SINKS.to_vec() }
    }

    /// Adds a part. It replaces an existing part with the same word.
    #[must_use]
    pub fn with(mut self, part: impl Into<AnyPart>) -> Self {
        let part = part.into();
        let name = match &part {
            AnyPart::Source(part) => part.name,
            AnyPart::Stage(part) => part.name,
            AnyPart::Sink(part) => part.name,
        };
        self.sources.retain(|known| known.name != name);
        self.stages.retain(|known| known.name != name);
        self.sinks.retain(|known| known.name != name);
        match part {
            AnyPart::Source(part) => self.sources.push(part),
            AnyPart::Stage(part) => self.stages.push(part),
            AnyPart::Sink(part) => self.sinks.push(part),
        }
        self
    }

    /// Returns the words of all parts.
    pub fn words(&self) -> impl Iterator<Item = &'static str> + Clone + '_ {
        let sources = self.sources.iter().map(|part| part.name);
        sources.chain(self.stages.iter().map(|part| part.name)).chain(self.sinks.iter().map(|part| part.name))
    }

    /// Reads the settings of a line. `place` is the place of the word.
    pub(super) fn read(&self, word: &str, place: Place, value: &Node) -> Result<(&'static str, Settings), Fault> {
        // A fault of the whole map, such as a missing field, is shown at the part's word.
        let shown = |fault: Fault| if fault.place == value.place { Fault { place, ..fault } } else { fault };
        if let Some(part) = self.sources.iter().find(|part| part.name == word) {
            return Ok((part.name, Settings::Source((part.read)(value).map_err(shown)?)));
        }
        if let Some(part) = self.stages.iter().find(|part| part.name == word) {
            return Ok((part.name, Settings::Stage((part.read)(value).map_err(shown)?)));
        }
        if let Some(part) = self.sinks.iter().find(|part| part.name == word) {
            return Ok((part.name, Settings::Sink((part.read)(value).map_err(shown)?)));
        }
        if let Some((_, feature)) = LEFT_OUT.iter().find(|(left_out, _)| *left_out == word) {
            let message = format!("this build has no `{word}`; build with `--features {feature}`");
            return Err(Fault::new(place, message));
        }
        // `scene:{` has no space after its colon, `scene {` no colon.
        let plain = word.split([':', ' ', '{']).next().unwrap_or_default();
        if plain != word && self.words().any(|known| known == plain) {
            let message = format!("found `{word}`; a colon and a space follow the word: `{plain}: {{ … }}`");
            return Err(Fault::new(place, message));
        }
        let hint = nearest(&word.to_lowercase(), self.words())
            .map_or_else(|| format!("expected {}", one_of(self.words())), |near| format!("did you mean `{near}`?"));
        Err(Fault::new(place, format!("unknown source, stage or sink `{word}`; {hint}")))
    }
}
