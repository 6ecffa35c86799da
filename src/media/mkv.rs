//! Matroska: the packets of an H.264 track.

use super::h264::{PacketSource, Stamp};
use super::matroska::MatroskaReader;
use crate::error::{Error, Result};
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

/// The packets of a Matroska file's H.264 track, in decoding order.
pub struct MkvPackets {
    reader: MatroskaReader<BufReader<File>>,
}

/// The largest packet that is accepted.
const MAX_PACKET: u64 = 64 << 20;

/// Opens a file; the inner `Err` names a codec that is not H.264.
///
/// # Errors
/// [`Error::Data`] if it is damaged or has no video, [`Error::Io`].
pub fn open(path: &Path) -> Result<Result<MkvPackets, String>> {
    let file = BufReader::with_capacity(1 << 16, File::open(path).map_err(|e| Error::io(path, e))?);
    let reader = MatroskaReader::new(file, MAX_PACKET)?;
    let track = &reader.track;
    if track.rolled {
        // ffmpeg turns the pictures as the file asks.
        return Ok(Err("rotated H.264".into()));
    }
    if track.codec != "V_MPEG4/ISO/AVC" || track.config.is_empty() || track.encoded {
        return Ok(Err(track.codec.clone()));
    }
    Ok(Ok(MkvPackets { reader }))
}

impl PacketSource for MkvPackets {
    fn next_packet(&mut self, data: &mut Vec<u8>) -> Result<Option<Stamp>> {
        let time = self.reader.next_block(data)?;
        Ok(time.map(|nanos| Stamp { nanos, hidden: false }))
    }

    fn config(&self) -> &[u8] {
        &self.reader.track.config
    }

    fn colour(&self) -> (u8, bool) {
        (self.reader.track.matrix, self.reader.track.full_range)
    }

    fn count(&self) -> Option<u64> {
        None
    }

    fn remark(&self) -> Option<&str> {
        self.reader.is_cut().then_some("the file was cut off")
    }
}
