//! Ocelli turns a camera, a stream or a recording into answers on a small computer: what is where (boxes),
//! which pixels (masks), why (activation maps), out to a file or a picture. A pipeline is one YAML file; every line of it is a thread.
//!
//! The modules stand on floors, and a lower floor never imports an upper one (`tests/floors.rs`):
//!
//! 0. [`error`], [`types`]: what flows: pictures, boxes, the packet
//! 1. [`ops`]: pure functions on types; [`onnx`]: graphs; [`yaml`]: text to values with places
//! 2. [`host`]: clock, stop, counters; [`media`]: containers and codecs; [`infer`]: model cards and tract
//! 3. [`stage`]: the contract of sources, stages and sinks; [`models`]: families, tensors to answers
//! 4. [`sources`], [`stages`], [`sinks`]: one part a file
//! 5. [`pipeline`]: YAML to a checked graph to threads
//! 6. [`eval`]: metrics, labels, the difference of two runs
//! 7. [`cli`]: one verb a file

pub mod cli;
pub mod error;
pub mod eval;
pub mod host;
pub mod infer;
pub mod media;
pub mod models;
pub mod onnx;
pub mod ops;
pub mod pipeline;
pub mod sinks;
pub mod sources;
pub mod stage;
pub mod stages;
pub mod types;
pub mod yaml;
