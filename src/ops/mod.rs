//! Pure functions on types: no files, no threads, no clock.

pub mod anchors;
pub mod box_coder;
pub mod cam;
pub mod color;
pub mod contour;
mod cv_linear;
pub mod debayer;
pub mod draw;
pub mod iou;
pub mod matcher;
pub mod nms;
pub mod normalize;
mod resample;
pub mod resize;
pub mod rle;
pub mod upsample;
