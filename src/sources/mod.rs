//! Where frames come from: one source per file.

#[cfg(any(feature = "http", feature = "rtsp"))]
mod address;
#[cfg(feature = "camera")]
pub mod camera;
mod exec;
mod faulty;
#[cfg(feature = "http")]
mod http_login;
mod images;
#[cfg(feature = "http")]
mod mjpeg_http;
mod recording;
#[cfg(feature = "rtsp")]
mod rtsp;
pub mod scene;
mod start;
mod truth;
mod video;

pub use faulty::{Faults, Faulty};
pub use recording::Recording;
pub use start::Start;
pub use video::Video;

use crate::stage::registry;

registry! {
    /// All sources, in the order of the manual.
    SOURCES: SourceConfig;
    #[cfg(feature = "camera")]
    camera => camera::Camera,
    picam => exec::Picam,
    #[cfg(feature = "rtsp")]
    rtsp => rtsp::Rtsp,
    #[cfg(feature = "http")]
    mjpeg_http => mjpeg_http::MjpegHttp,
    ffmpeg => exec::Ffmpeg,
    exec => exec::Exec,
    video => video::Video,
    images => images::Images,
    recording => recording::Recording,
    scene => scene::Scene,
}

/// Words of parts that this build leaves out, and the feature that enables each.
pub const LEFT_OUT: &[(&str, &str)] = &[
    #[cfg(not(feature = "camera"))]
    ("camera", "camera"),
    #[cfg(not(feature = "http"))]
    ("mjpeg_http", "http"),
    #[cfg(not(feature = "rtsp"))]
    ("rtsp", "rtsp"),
];
