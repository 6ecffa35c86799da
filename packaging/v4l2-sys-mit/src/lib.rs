//! Bindings of `linux/videodev2.h` for the crate `v4l`: what it and nokhwa use, no more.
//!
//! The published `v4l2-sys-mit` runs bindgen, and so wants libclang, wherever it is built. The text of these bindings is
//! the same for 32 and 64 bits (`long` differs, and with it the layout); it was generated once with bindgen 0.72 from the
//! headers of Linux 6.1:
//!
//! ```text
//! bindgen::Builder::default()
//!     .header_contents("w.h", "#include <linux/videodev2.h>\n")
//!     .use_core().layout_tests(false).generate_comments(false).derive_default(false)
//!     .blocklist_type("v4l2_ctrl_(h264|hevc|vp8|vp9|mpeg2|fwht|hdr10|av1).*")
//!     .allowlist_item(…)      // each name with `v4l2_` or `V4L2_` in the sources of v4l 0.14 and nokhwa-bindings-linux 0.1.4
//! ```
//!
//! `layout.rs` holds the sizes that clang gave for both widths; a build for which one differs does not compile.
//! `tests/v4l2.rs` of Ocelli asks the C compiler again.
#![no_std]

#[allow(non_camel_case_types, non_snake_case, non_upper_case_globals, dead_code, missing_docs)]
#[rustfmt::skip]
mod bindings;
mod layout;

pub use bindings::*;
