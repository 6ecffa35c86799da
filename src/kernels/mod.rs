//! Fast kernels: convolutions and what stands between them, on maps `[H, W, C]`.
//!
//! A kernel is written once, over [`vector::Vector`], and made for each kind of processor by `siblings!`; the plain one is
//! what the others are tested against, and all give the same bytes. [`program::Program`] strings them together over one
//! arena. This is the only place with `unsafe` code: kernels work with pointers, and every pointer comes from a [`view::View`]
//! that was checked against the arena when the program was made. docs/kernels.md says how to add one.
#![allow(unsafe_code)]
#![allow(missing_docs, reason = "inner parts; what is not plain from its name is said")]
#![allow(
    clippy::inline_always,
    clippy::missing_safety_doc,
    clippy::return_self_not_must_use,
    clippy::must_use_candidate,
    clippy::too_many_arguments,
    reason = "a vector's methods must be inlined into functions with the processor's features, and are never called elsewhere"
)]
#![allow(
    clippy::needless_range_loop,
    clippy::absurd_extreme_comparisons,
    clippy::manual_is_multiple_of,
    clippy::out_of_bounds_indexing,
    clippy::cast_lossless,
    clippy::cast_ptr_alignment,
    clippy::wildcard_imports,
    clippy::large_enum_variant,
    clippy::pointers_in_nomem_asm_block,
    reason = "unrolled loops index registers by constants, of which dead branches see all"
)]

mod arena;
pub mod bytes;
mod classes;
pub mod conv;
mod copy;
mod depthwise;
pub mod draft;
pub mod gemm;
mod isa;
pub mod lines;
mod loops;
pub mod map;
mod math;
mod pack;
pub mod pool;
pub mod program;
mod reduce;
pub mod resize;
mod schedule;
mod seat;
mod siblings;
mod step;
mod strip;
pub mod team;
mod tile;
mod vector;
pub mod view;
pub mod window;
mod winograd;

pub use conv::Conv;
pub use depthwise::Depthwise;
pub use isa::{Isa, Kernels};
pub use math::Act;
