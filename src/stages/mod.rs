//! What is done with packets: one stage per file.

mod annotate;
mod cam;
mod checks;
mod classify;
mod detect;
mod nms;
mod reconstruct;
mod resize;
mod scores;
mod segment;

pub use detect::Detect;
pub use nms::Nms;
pub use resize::Resize;

use crate::stage::registry;

registry! {
    /// All stages, in the order of the manual.
    STAGES: StageConfig;
    resize => resize::Resize,
    detect => detect::Detect,
    nms => nms::Nms,
    classify => classify::Classify,
    cam => cam::Cam,
    segment => segment::Segment,
    reconstruct => reconstruct::Reconstruct,
    annotate => annotate::Annotate,
}
