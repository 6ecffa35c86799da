//! Ocelli runs computer vision on small computers. It reads a camera, a stream or a recording and finds objects
//! (boxes), their pixels (masks) and the reasons for an answer (activation maps). It writes them to files, pictures and
//! other outputs. A pipeline is a YAML text, and each of its lines runs in its own thread.
//!
//! Read a pipeline, check it, start it, and take its packets:
//!
//! ```
//! use ocelli::{Env, Parts, Pipeline};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let text = "
//! pipeline:
//!   - scene: { frames: 20 }        # or video, camera, rtsp …
//!   - resize: { for: scene }
//!   - detect: { model: scene }
//!   - nms
//! ";
//! let mut pipeline = Pipeline::parse("street.yaml", text, &Parts::builtin())?;
//! let packets = pipeline.packets(4);
//! let run = pipeline.check(&Env::new(".", &[]))?.start()?;
//! let mut cars = 0;
//! for packet in packets {
//!     let found = packet.detections.expect("`detect` gives them");
//!     cars += found.iter().filter(|object| found.by.label(object.class) == Some("car")).count();
//! }
//! run.wait().result?;
//! assert!(cars >= 20, "at least one per frame");
//! # Ok(())
//! # }
//! ```
//!
//! * [`Pipeline`] → [`Checked`] → [`Run`] → [`Outcome`]: the text, the checked graph, the running threads, the result.
//! * [`Parts`] holds the words that a pipeline may use; [`Part::stage`] adds one of your own ([`Stage`], [`StageConfig`]).
//! * [`Packet`] is what flows through a pipeline: a frame and everything found in it so far.
//! * [`Detector`] finds objects in single pictures, without YAML.
//!
//! See `examples/` for programs that use them. Everything else is internal and may change at any time.

mod cli;
mod error;
mod eval;
mod host;
mod infer;
mod kernels;
mod labels;
#[cfg(test)]
#[path = "../tests/support/limit.rs"]
mod limit;
mod media;
mod models;
mod onnx;
mod ops;
mod pipeline;
mod sinks;
mod sources;
mod stage;
mod stages;
#[cfg(feature = "train")]
mod train;
mod trial;
mod types;
mod yaml;

pub use error::{Error, FileFault, Result};
pub use host::{Board, Stop};
pub use pipeline::{Checked, Detector, Outcome, Packets, Parts, Pipeline, Run};
pub use stage::{Disk, Emitter, Env, LineEnv, Part, Sink, SinkConfig, Source, SourceConfig, Stage, StageConfig};
pub use types::{
    BBox, Class, Corners, Details, Detection, Found, Frame, Heatmap, Image, InstanceMask, Kind, Kinds, Maker, Mask,
    ModelInput, Objects, Packet, PixelFormat, Placement, Point, Products, Prototypes, Size,
};
pub use yaml::Faults;

/// For the program, tests, benches and fuzz targets of this package only. Nothing in it is stable.
#[doc(hidden)]
pub mod internals {
    pub mod cli {
        pub use crate::cli::*;
    }
    pub mod error {
        pub use crate::error::*;
    }
    pub mod eval {
        pub use crate::eval::*;
    }
    pub mod host {
        pub use crate::host::*;
    }
    pub mod infer {
        pub use crate::infer::*;
    }
    pub mod kernels {
        pub use crate::kernels::*;
    }
    pub mod labels {
        pub use crate::labels::*;
    }
    pub mod media {
        pub use crate::media::*;
    }
    pub mod models {
        pub use crate::models::*;
    }
    pub mod onnx {
        pub use crate::onnx::*;
    }
    pub mod ops {
        pub use crate::ops::*;
    }
    pub mod pipeline {
        pub use crate::pipeline::*;
    }
    pub mod sinks {
        pub use crate::sinks::*;
    }
    pub mod sources {
        pub use crate::sources::*;
    }
    pub mod stage {
        pub use crate::stage::*;
    }
    pub mod stages {
        pub use crate::stages::*;
    }
    #[cfg(feature = "train")]
    pub mod train {
        pub use crate::train::*;
    }
    pub mod trial {
        pub use crate::trial::*;
    }
    pub mod types {
        pub use crate::types::*;
    }
    pub mod yaml {
        pub use crate::yaml::*;
    }
}
