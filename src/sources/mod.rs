//! Where frames come from: one source a file.

pub mod scene;
