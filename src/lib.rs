//! Ocelli turns a camera, a stream or a recording into answers on a small computer.

pub mod cli;
pub mod error;
pub mod media;
pub mod ops;
pub mod sources;
pub mod types;
pub mod yaml;
