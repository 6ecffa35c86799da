//! All that the author of a source, stage or sink must know.
//!
//! A part is one file: its settings (a struct that YAML fills and whose comments become the manual), its
//! worker, and one line in the `registry!` of its folder's `mod.rs`.

mod emitter;
mod env;
mod link;
pub mod live;
mod part;
mod tap;

pub use emitter::Emitter;
pub use env::{Env, LineEnv, Outputs};
pub use link::{Care, Feed, Link, OnLost, Shot, Watch};
pub use part::Part;
pub(crate) use part::registry;
pub use tap::{Tap, Unit};

use crate::error::Result;
use crate::infer::InputForm;
use crate::types::{Packet, Products, Size};
use std::path::PathBuf;

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
}

/// Works on packets, one at a time and in order. Runs in a thread of its own.
pub trait Stage: Send {
    /// Takes a packet and emits it with what it adds; or none; or several, such as crops of it.
    ///
    /// # Errors
    /// Recorded: ends the run. Live: logged and counted, and nothing that was emitted meanwhile goes on.
    fn process(&mut self, packet: Packet, out: &mut Emitter) -> Result<()>;

    /// Called once after the last packet, and when the stage is replaced by another: emits what is still open. Not called
    /// after a fault that ends the run.
    ///
    /// # Errors
    /// As for [`Stage::process`].
    fn finish(&mut self, _out: &mut Emitter) -> Result<()> {
        Ok(())
    }
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
    #[doc(hidden)]
    fn link(&self, _env: &Env) -> Option<Box<dyn Link>> {
        None
    }
    /// How it is watched, if it can be lost.
    #[doc(hidden)]
    fn care(&self) -> Care {
        Care::default()
    }
    /// Opens it; the line's id goes into each frame.
    ///
    /// # Errors
    /// [`crate::error::Error::Device`] or [`crate::error::Error::Data`].
    fn open(&self, env: &LineEnv) -> Result<Box<dyn Source>>;
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
    /// The model input it makes, if it makes one: for finding a `resize` that does not fit its `detect`.
    ///
    /// # Errors
    /// If the model it is for cannot be found.
    #[doc(hidden)]
    fn makes_input(&self, _env: &Env) -> Result<Option<InputForm>> {
        Ok(None)
    }
    /// The model it runs and the model input that takes, if it runs one.
    ///
    /// # Errors
    /// If its model cannot be found.
    #[doc(hidden)]
    fn takes_input(&self, _env: &Env) -> Result<Option<(String, InputForm)>> {
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
    #[doc(hidden)]
    fn set_threads(&mut self, _threads: usize) {}
    /// Makes the worker: loads models, takes buffers.
    ///
    /// # Errors
    /// What is wrong.
    fn build(&self, env: &LineEnv) -> Result<Box<dyn Stage>>;
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
    /// Opens what it writes to. Called after every stage was built and every source opened, so that a model that cannot
    /// be loaded leaves no file touched.
    ///
    /// # Errors
    /// [`crate::error::Error::Io`] or [`crate::error::Error::Device`].
    fn open(&self, env: &LineEnv) -> Result<Box<dyn Sink>>;
}
