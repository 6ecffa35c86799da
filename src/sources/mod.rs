//! Where frames come from: one source a file.

mod images;
pub mod scene;
mod start;
mod video;

use crate::registry;

registry! {
    /// All sources, in the order of the manual.
    SOURCES: SourceConfig;
    video => video::Video,
    images => images::Images,
    scene => scene::Scene,
}
