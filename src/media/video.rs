//! Opens recorded video of any kind.

use super::picture::VideoReader;
use super::{avi, ffmpeg, y4m};
use crate::error::{Error, Result};
use std::io::Read;
use std::path::Path;

/// Opens a recording. The first bytes identify the format; formats that are not read natively go through `ffmpeg`.
///
/// # Errors
/// [`Error::Io`] if the file cannot be opened, [`Error::Data`] if it is damaged, or if its format needs `ffmpeg` and
/// that is not installed.
pub fn open(path: &Path) -> Result<Box<dyn VideoReader>> {
    let io = |e| Error::io(path, e);
    let mut head = Vec::new();
    std::fs::File::open(path).and_then(|file| file.take(12).read_to_end(&mut head)).map_err(io)?;
    let in_file = |e: Error| e.at(path.display());
    match head.as_slice() {
        [b'Y', b'U', b'V', b'4', b'M', b'P', b'E', b'G', b'2', ..] => {
            Ok(Box::new(y4m::Y4mReader::open(path).map_err(in_file)?))
        }
        [b'R', b'I', b'F', b'F', _, _, _, _, b'A', b'V', b'I', b' '] => {
            match avi::AviReader::open(path).map_err(in_file)? {
                Ok(reader) => Ok(Box::new(reader)),
                Err(codec) => ffmpeg::open(path, &format!("{codec} in AVI")),
            }
        }
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => open_mp4(path),
        [0x1A, 0x45, 0xDF, 0xA3, ..] => open_mkv(path),
        _ => ffmpeg::open(path, "this format"),
    }
}

/// Returns a decoder for a container's H.264 track, or `ffmpeg` if `opened` names another codec.
#[cfg(feature = "h264")]
fn decode_h264<P: super::h264::PacketSource + 'static>(
    path: &Path,
    opened: Result<Result<P, String>>,
    container: &str,
) -> Result<Box<dyn VideoReader>> {
    let in_file = |e: Error| e.at(path.display());
    match opened.map_err(in_file)? {
        Ok(packets) => Ok(Box::new(super::h264::H264Reader::new(packets).map_err(in_file)?)),
        Err(codec) => ffmpeg::open(path, &format!("{codec} in {container}")),
    }
}

#[cfg(feature = "h264")]
fn open_mp4(path: &Path) -> Result<Box<dyn VideoReader>> {
    decode_h264(path, super::mp4::open(path), "MP4")
}

#[cfg(not(feature = "h264"))]
fn open_mp4(path: &Path) -> Result<Box<dyn VideoReader>> {
    ffmpeg::open(path, "MP4 (this build has no `h264`)")
}

#[cfg(all(feature = "mkv", feature = "h264"))]
fn open_mkv(path: &Path) -> Result<Box<dyn VideoReader>> {
    decode_h264(path, super::mkv::open(path), "Matroska")
}

#[cfg(not(all(feature = "mkv", feature = "h264")))]
fn open_mkv(path: &Path) -> Result<Box<dyn VideoReader>> {
    ffmpeg::open(path, "Matroska (this build has no `mkv` or no `h264`)")
}
