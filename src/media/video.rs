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
        [_, _, _, _, b'f', b't', b'y', b'p', ..]
        | [_, _, _, _, b'm', b'o', b'o', b'v', ..]
        | [_, _, _, _, b'm', b'd', b'a', b't', ..]
        | [_, _, _, _, b'w', b'i', b'd', b'e', ..]
        | [_, _, _, _, b'f', b'r', b'e', b'e', ..]
        | [_, _, _, _, b's', b'k', b'i', b'p', ..] => open_mp4(path),
        [0x1A, 0x45, 0xDF, 0xA3, ..] => open_mkv(path),
        _ => ffmpeg::open(path, "this format"),
    }
}

/// Returns a decoder for a container's H.264 track, or `ffmpeg` if `opened` names another codec or failed.
#[cfg(feature = "h264")]
fn decode_h264<P: super::h264::PacketSource + 'static>(
    path: &Path,
    opened: Result<Result<P, String>>,
    container: &str,
) -> Result<Box<dyn VideoReader>> {
    let native = match opened {
        Ok(Ok(packets)) => super::h264::H264Reader::new(packets),
        Ok(Err(codec)) => return ffmpeg::open(path, &format!("{codec} in {container}")),
        Err(error) => Err(error),
    };
    match native {
        Ok(reader) => Ok(Box::new(super::fallback::Native::new(Box::new(reader), path))),
        Err(error @ Error::Data(_)) => super::fallback::instead(path, error, 0),
        Err(error) => Err(error),
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

#[cfg(feature = "h264")]
fn open_mkv(path: &Path) -> Result<Box<dyn VideoReader>> {
    decode_h264(path, super::mkv::open(path), "Matroska")
}

#[cfg(not(feature = "h264"))]
fn open_mkv(path: &Path) -> Result<Box<dyn VideoReader>> {
    ffmpeg::open(path, "Matroska (this build has no `h264`)")
}
