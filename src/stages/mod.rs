//! What is done with packets: one stage a file.

mod annotate;
mod detect;
mod nms;
mod resize;

use crate::registry;

registry! {
    /// All stages, in the order of the manual.
    STAGES: StageConfig;
    resize => resize::Resize,
    detect => detect::Detect,
    nms => nms::Nms,
    annotate => annotate::Annotate,
}
