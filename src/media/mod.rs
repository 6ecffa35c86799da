//! Containers and codecs, one file per format.

pub mod avi;
#[cfg(feature = "h264")]
mod fallback;
pub mod ffmpeg;
pub mod flight;
pub mod fmp4;
#[cfg(feature = "h264")]
pub mod h264;
#[cfg(feature = "h264")]
mod h264_access;
#[cfg(feature = "h264")]
pub mod h264_encode;
#[cfg(feature = "h264")]
pub mod h264_live;
mod huffman;
pub mod jpeg;
pub mod limits;
pub mod matroska;
pub mod mjpeg;
#[cfg(feature = "h264")]
pub mod mkv;
#[cfg(feature = "h264")]
pub mod mp4;
pub mod picture;
pub mod png;
pub mod still;
pub mod video;
pub mod video_writer;
pub mod y4m;
