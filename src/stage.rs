//! All that the author of a source, stage or sink must know.
//!
//! A part is one file: its settings (a struct that YAML fills and whose comments become the manual), its
//! worker, and one line in the `registry!` of its folder's `mod.rs`.

mod link;
mod tap;

pub use link::{Care, Feed, Link, OnLost, Shot, Watch};
pub use tap::{Tap, Unit};

use crate::error::Result;
use crate::host::{Clock, Health, Secrets, Stop};
use crate::infer::ModelStore;
use crate::types::{Packet, Products, Size};
use crate::yaml::{Fault, Node};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

/// Makes packets. Runs in a thread of its own.
pub trait Source: Send {
    /// The next packet; `None` is the end. May wait, but sees within a second that `env.stop` is requested.
    ///
    /// # Errors
    /// Recorded: ends the run. Live: [`crate::error::Error::Data`] costs a frame and the source is asked again;
    /// anything else ends the run, because what can be recovered from was recovered from inside.
    fn next(&mut self) -> Result<Option<Packet>>;

    /// Number of packets to come, if known; for progress bars.
    fn count(&self) -> Option<u64> {
        None
    }

    /// Whether it lives, for sources that can be lost and come back.
    fn health(&self) -> Option<Arc<Health>> {
        None
    }
}

/// Works on packets, one at a time and in order. Runs in a thread of its own.
pub trait Stage: Send {
    /// Adds what it finds to the packet; `None` takes it out of the stream.
    ///
    /// # Errors
    /// Recorded: ends the run. Live: logged and counted, and the packet is left out.
    fn process(&mut self, packet: Packet) -> Result<Option<Packet>>;
}

/// Takes packets out of the program. Runs in a thread of its own.
pub trait Sink: Send {
    /// Writes one packet.
    ///
    /// # Errors
    /// As for [`Stage::process`].
    fn write(&mut self, packet: &Packet) -> Result<()>;

    /// Whether this packet is anything for the sink. One that is not does not use up its turn of `every:`.
    fn wants(&self, _packet: &Packet) -> bool {
        true
    }

    /// Called when no packet is waiting: what is in buffers should go out now.
    ///
    /// # Errors
    /// As for [`Stage::process`].
    fn flush(&mut self) -> Result<()> {
        Ok(())
    }

    /// Called once after the last packet, also after a fault.
    ///
    /// # Errors
    /// Ends the run with its exit code.
    fn finish(&mut self) -> Result<()> {
        Ok(())
    }
}

/// The settings of a source. `ocelli check` calls everything here except `open`.
pub trait SourceConfig: Send + Sync {
    /// Whether frames come at their own pace and are lost if not taken.
    fn is_live(&self) -> bool;
    /// Whether what fails on one of its frames costs the frame, not the run. So it is with live sources and with
    /// recordings of them.
    fn forgives(&self, _env: &Env) -> bool {
        self.is_live()
    }
    /// What its packets carry beside the frame.
    fn gives(&self, _env: &Env) -> Products {
        Products::empty()
    }
    /// Size of its frames, if that can be known without opening a device.
    fn frame_size(&self, _env: &Env) -> Option<Size> {
        None
    }
    /// The files it reads, if it reads some: no sink may write there.
    fn reads(&self, _env: &Env) -> Vec<PathBuf> {
        Vec::new()
    }
    /// Looks for faults that reading alone does not find: missing files and the like.
    ///
    /// # Errors
    /// What is wrong, in one sentence.
    fn check(&self, _env: &Env) -> Result<()> {
        Ok(())
    }
    /// How it is opened afresh, if it can be lost and come back; `faulty:` then breaks the link, not the source.
    fn link(&self, _env: &Env) -> Option<Box<dyn Link>> {
        None
    }
    /// How it is watched, if it can be lost.
    fn care(&self) -> Care {
        Care::default()
    }
    /// Opens it; `id` goes into each frame.
    ///
    /// # Errors
    /// [`crate::error::Error::Device`] or [`crate::error::Error::Data`].
    fn open(&self, env: &Env, id: &Arc<str>) -> Result<Box<dyn Source>>;
}

/// The settings of a stage. `ocelli check` calls everything here except `build`.
pub trait StageConfig: Send {
    /// What it needs of a packet.
    fn needs(&self) -> Products;
    /// What it needs at least one of, if anything.
    fn needs_any(&self) -> Products {
        Products::empty()
    }
    /// What it adds.
    fn gives(&self) -> Products;
    /// Size of the model input it makes, if it makes one: for finding a `resize` that does not fit its `detect`.
    ///
    /// # Errors
    /// If the model it is for cannot be found.
    fn makes_input(&self, _env: &Env) -> Result<Option<Size>> {
        Ok(None)
    }
    /// The model it runs and the size of the model input that needs, if it runs one.
    ///
    /// # Errors
    /// If its model cannot be found.
    fn takes_input(&self, _env: &Env) -> Result<Option<(String, Size)>> {
        Ok(None)
    }
    /// As [`SourceConfig::check`].
    ///
    /// # Errors
    /// What is wrong, in one sentence.
    fn check(&self, _env: &Env) -> Result<()> {
        Ok(())
    }
    /// Sets how many threads work on one frame, where that can be set; answers never hang on it.
    fn set_threads(&mut self, _threads: usize) {}
    /// Makes the worker: loads models, takes buffers.
    ///
    /// # Errors
    /// What is wrong.
    fn build(&self, env: &Env) -> Result<Box<dyn Stage>>;
}

/// The settings of a sink. `ocelli check` calls everything here except `open`.
pub trait SinkConfig: Send {
    /// What it needs of a packet.
    fn needs(&self) -> Products;
    /// The one file it writes, if it writes one; `-` is standard output. No other line may use it.
    fn writes(&self) -> Option<PathBuf> {
        None
    }
    /// As [`SourceConfig::check`].
    ///
    /// # Errors
    /// What is wrong, in one sentence.
    fn check(&self, _env: &Env) -> Result<()> {
        Ok(())
    }
    /// Opens what it writes to.
    ///
    /// # Errors
    /// [`crate::error::Error::Io`] or [`crate::error::Error::Device`].
    fn open(&self, env: &Env) -> Result<Box<dyn Sink>>;
}

/// What parts may use of the world.
#[derive(Clone)]
pub struct Env {
    /// Folder of the pipeline's file; relative input paths start there or here.
    pub base_dir: PathBuf,
    /// Where models are found.
    pub models: ModelStore,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// The wish to stop.
    pub stop: Stop,
    /// What must not be shown.
    pub secrets: Secrets,
    /// Whoever records the run.
    pub tap: Option<Arc<dyn Tap>>,
    /// Where sinks write.
    pub outputs: Outputs,
}

/// Where sinks write.
#[derive(Clone, Default)]
pub enum Outputs {
    /// Where the YAML says.
    #[default]
    Named,
    /// Below this folder, whatever the YAML says: a replay must not write over what the live run wrote.
    Folder(PathBuf),
    /// Rows of `jsonl` go here; nothing else writes.
    Rows(Arc<Mutex<dyn std::io::Write + Send>>),
}

impl Outputs {
    /// Where a sink whose YAML says `path` writes.
    #[must_use]
    pub fn path(&self, path: &str) -> PathBuf {
        match self {
            Self::Folder(folder) if path == "-" => folder.join("rows.jsonl"),
            Self::Folder(folder) => {
                let inside = |part: &std::path::Component<'_>| matches!(part, std::path::Component::Normal(_));
                folder.join(std::path::Path::new(path).components().filter(inside).collect::<PathBuf>())
            }
            Self::Named | Self::Rows(_) => PathBuf::from(path),
        }
    }
}

impl Env {
    /// A path of the YAML: absolute as it is; relative from the working folder if it exists there, else
    /// from the pipeline's folder.
    #[must_use]
    pub fn input_path(&self, path: &str) -> PathBuf {
        let plain = PathBuf::from(path);
        let beside = self.base_dir.join(path);
        if plain.is_relative() && !plain.exists() && beside.exists() { beside } else { plain }
    }
}

/// An entry of a registry: how a YAML word becomes settings.
pub struct Part<C: ?Sized> {
    /// The word.
    pub name: &'static str,
    /// Reads its settings.
    pub read: fn(&Node) -> Result<Box<C>, Fault>,
    /// The JSON Schema of its settings.
    pub schema: fn(&mut schemars::SchemaGenerator) -> schemars::Schema,
}

/// Makes the table of a folder's parts: `registry! { SOURCES: SourceConfig; video => video::Video, … }`.
#[macro_export]
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
