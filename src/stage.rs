//! Everything that the author of a source, stage or sink needs to know.
//!
//! A part is one file with its settings (a struct that is filled from the YAML and whose comments become the manual)
//! and its worker, plus one entry in the `registry!` of its folder's `mod.rs`.

mod emitter;
mod env;
mod link;
pub mod live;
mod part;
mod tap;

pub use emitter::Emitter;
#[doc(hidden)]
pub use env::threads_of;
pub use env::{Env, LineEnv, Outputs};
pub use link::{Care, Feed, Link, OnLost, Shot, Watch};
pub use part::Part;
pub(crate) use part::registry;
pub use tap::{Tap, Unit};

use crate::error::Result;
use crate::infer::InputForm;
use crate::types::{Packet, Products, Size};
use std::path::PathBuf;

/// Produces packets. Runs in its own thread.
pub trait Source: Send {
    /// Returns the next packet, or `None` at the end. May wait, but must react to `env.stop` within a second.
    ///
    /// # Errors
    /// Recorded: any error ends the run. Live: [`crate::error::Error::Data`] costs a frame, and the source is asked for
    /// the next; any other error ends the run, because the source itself handles what it can recover from.
    fn next(&mut self) -> Result<Option<Packet>>;

    /// Returns the number of packets to come, if known; for progress bars.
    fn count(&self) -> Option<u64> {
        None
    }
}

/// Processes packets, one at a time and in order. Runs in its own thread.
pub trait Stage: Send {
    /// Takes a packet and emits it with the stage's results. May also emit none, or several, such as crops of it.
    ///
    /// # Errors
    /// Recorded: an error ends the run. Live: it is logged and counted, and what this call emitted is discarded.
    fn process(&mut self, packet: Packet, out: &mut Emitter) -> Result<()>;

    /// Emits what the stage still holds. Called once after the last packet, or when the stage is replaced by another;
    /// not called after a fault that ends the run.
    ///
    /// # Errors
    /// As for [`Stage::process`].
    fn finish(&mut self, _out: &mut Emitter) -> Result<()> {
        Ok(())
    }
}

/// Consumes packets, usually to write or send them. Runs in its own thread.
pub trait Sink: Send {
    /// Writes one packet.
    ///
    /// # Errors
    /// As for [`Stage::process`].
    fn write(&mut self, packet: &Packet) -> Result<()>;

    /// Returns whether the sink uses this packet. Packets that it does not use are not counted by `every:`.
    fn wants(&self, _packet: &Packet) -> bool {
        true
    }

    /// The number of packets that were accepted but are not yet where they belong, such as rows in a buffer. They count
    /// as written once a later call writes them out, and as failed if it cannot.
    fn pending(&self) -> u64 {
        0
    }

    /// Writes out what is buffered. Called when no packet is waiting.
    ///
    /// # Errors
    /// As for [`Stage::process`].
    fn flush(&mut self) -> Result<()> {
        Ok(())
    }

    /// Finishes the output. Called once after the last packet, even after a fault.
    ///
    /// # Errors
    /// An error ends the run with the exit code of that error.
    fn finish(&mut self) -> Result<()> {
        Ok(())
    }
}

/// The settings of a source. `ocelli check` calls everything here except `open`.
pub trait SourceConfig: Send + Sync {
    /// Returns whether frames arrive at their own pace and are lost if not taken.
    fn is_live(&self) -> bool;
    /// Returns whether a failure costs only the frame, not the run. This is the case for live sources and for
    /// recordings of them.
    fn forgives(&self, _env: &Env) -> bool {
        self.is_live()
    }
    /// Returns what its packets carry besides the frame.
    fn gives(&self, _env: &Env) -> Products {
        Products::empty()
    }
    /// Returns the size of its frames, if it is known without opening a device.
    fn frame_size(&self, _env: &Env) -> Option<Size> {
        None
    }
    /// Returns the files it reads, if any; no sink may write to them.
    fn reads(&self, _env: &Env) -> Vec<PathBuf> {
        Vec::new()
    }
    /// Returns the names and paths of the pictures it will show, if it reads picture files.
    ///
    /// # Errors
    /// If they cannot be listed.
    fn pictures(&self, _env: &Env) -> Result<Option<Vec<(String, PathBuf)>>> {
        Ok(None)
    }
    /// Checks for faults that cannot be found while the YAML is read, such as missing files.
    ///
    /// # Errors
    /// What is wrong, in one sentence.
    fn check(&self, _env: &Env) -> Result<()> {
        Ok(())
    }
    /// Returns how to open it again, if it can be lost and come back; `faulty:` then breaks the link, not the source.
    #[doc(hidden)]
    fn link(&self, _env: &Env) -> Option<Box<dyn Link>> {
        None
    }
    /// Returns how it is watched, if it can be lost.
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
    /// Returns what a packet must carry.
    fn needs(&self) -> Products;
    /// Returns products of which a packet must carry at least one; empty if there is no such requirement.
    fn needs_any(&self) -> Products {
        Products::empty()
    }
    /// Returns what it adds to a packet.
    fn gives(&self) -> Products;
    /// Returns whether it may emit a packet later than in the call that took it. If not, a packet for which nothing is
    /// emitted is gone, and a line that merges streams need not wait for it.
    fn holds_back(&self) -> bool {
        false
    }
    /// Returns the model input it makes, if any. Used to find a `resize` that does not fit its `detect`.
    ///
    /// # Errors
    /// If the model it is for cannot be found.
    #[doc(hidden)]
    fn makes_input(&self, _env: &Env) -> Result<Option<InputForm>> {
        Ok(None)
    }
    /// Returns the model it runs and the input that this model takes, if it runs one.
    ///
    /// # Errors
    /// If its model cannot be found.
    #[doc(hidden)]
    fn takes_input(&self, _env: &Env) -> Result<Option<(String, InputForm)>> {
        Ok(None)
    }
    /// Returns the name of the model it runs, if it runs one.
    #[doc(hidden)]
    fn model(&self) -> Option<&str> {
        None
    }
    /// As [`SourceConfig::check`].
    ///
    /// # Errors
    /// What is wrong, in one sentence.
    fn check(&self, _env: &Env) -> Result<()> {
        Ok(())
    }
    /// Returns what it leaves out of its model's answers: those with a lower score, and those of other classes.
    #[doc(hidden)]
    fn leaves_out(&self) -> (Option<f64>, Option<&[String]>) {
        (None, None)
    }
    /// Sets how many threads work on one frame, if the stage supports it. Answers never depend on it.
    #[doc(hidden)]
    fn set_threads(&mut self, _threads: usize) {}
    /// Creates the worker: loads models and allocates buffers.
    ///
    /// # Errors
    /// If the worker cannot be created, for example because the model cannot be loaded.
    fn build(&self, env: &LineEnv) -> Result<Box<dyn Stage>>;
}

/// How much disk space the files of a sink take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Disk {
    /// It writes no files.
    None,
    /// As much as one file takes, which is replaced again and again.
    OneFile,
    /// At most this many bytes.
    Most(u64),
    /// More and more; the text says what would bound it.
    Unbounded(&'static str),
}

/// The settings of a sink. `ocelli check` calls everything here except `open`.
pub trait SinkConfig: Send {
    /// Returns what a packet must carry.
    fn needs(&self) -> Products;
    /// Returns the file it writes, if it writes one; `-` is standard output. No other line may use the file.
    fn writes(&self) -> Option<PathBuf> {
        None
    }
    /// Returns how much disk space its files take at most, in a live or in a recorded run.
    fn disk(&self, _live: bool) -> Disk {
        Disk::None
    }
    /// As [`SourceConfig::check`].
    ///
    /// # Errors
    /// What is wrong, in one sentence.
    fn check(&self, _env: &Env) -> Result<()> {
        Ok(())
    }
    /// Opens the output. Called after all stages were built and all sources were opened, so that no file is touched if
    /// a model cannot be loaded.
    ///
    /// # Errors
    /// [`crate::error::Error::Io`] or [`crate::error::Error::Device`].
    fn open(&self, env: &LineEnv) -> Result<Box<dyn Sink>>;
}
