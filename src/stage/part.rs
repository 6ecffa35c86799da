//! Maps YAML words to parts.

use super::{SinkConfig, SourceConfig, StageConfig};
use crate::yaml::{self, Fault, Node};
use serde::de::DeserializeOwned;

/// An entry of a registry: how a YAML word becomes the settings of a part.
pub struct Part<C: ?Sized> {
    /// The word.
    pub name: &'static str,
    /// Reads its settings.
    #[doc(hidden)]
    pub read: fn(&Node) -> Result<Box<C>, Fault>,
    /// The JSON Schema of its settings.
    #[doc(hidden)]
    pub schema: fn(&mut schemars::SchemaGenerator) -> schemars::Schema,
}

impl<C: ?Sized> Clone for Part<C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<C: ?Sized> Copy for Part<C> {}

/// The schema of settings without a schema of their own.
fn anything(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::Schema::default()
}

impl Part<dyn SourceConfig> {
    /// Creates a word for your own source.
    #[must_use]
    pub fn source<S: SourceConfig + DeserializeOwned + 'static>(name: &'static str) -> Self {
        Self { name, read: |node| yaml::read::<S>(node).map(|part| Box::new(part) as _), schema: anything }
    }
}

impl Part<dyn StageConfig> {
    /// Creates a word for your own stage.
    #[must_use]
    pub fn stage<S: StageConfig + DeserializeOwned + 'static>(name: &'static str) -> Self {
        Self { name, read: |node| yaml::read::<S>(node).map(|part| Box::new(part) as _), schema: anything }
    }
}

impl Part<dyn SinkConfig> {
    /// Creates a word for your own sink.
    #[must_use]
    pub fn sink<S: SinkConfig + DeserializeOwned + 'static>(name: &'static str) -> Self {
        Self { name, read: |node| yaml::read::<S>(node).map(|part| Box::new(part) as _), schema: anything }
    }
}

/// Makes the table of a folder's parts: `registry! { SOURCES: SourceConfig; video => video::Video, … }`.
macro_rules! registry {
    ($(#[$doc:meta])* $table:ident: $config:ident; $($(#[$on:meta])* $name:ident => $settings:ty),+ $(,)?) => {
        $(#[$doc])*
        pub static $table: &[$crate::stage::Part<dyn $crate::stage::$config>] = &[$(
            $(#[$on])*
            $crate::stage::Part {
                name: stringify!($name),
                read: |node| $crate::yaml::read::<$settings>(node).map(|part| Box::new(part) as Box<dyn $crate::stage::$config>),
                schema: <$settings as schemars::JsonSchema>::json_schema,
            },
        )+];
    };
}
pub(crate) use registry;
