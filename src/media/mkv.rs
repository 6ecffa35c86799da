//! Matroska, using `matroska-demuxer`: finds the H.264 track and reads its packets one by one.

use super::h264::PacketSource;
use crate::error::{Error, Result};
use crate::host::catch;
use matroska_demuxer::{Frame, MatroskaFile, TrackType};
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

/// The packets of a Matroska file's H.264 track, in decoding order.
pub struct MkvPackets {
    file: MatroskaFile<BufReader<File>>,
    track: u64,
    config: Vec<u8>,
    tick_nanos: u64,
    frame: Frame,
}

/// Opens a file; the inner `Err` names a codec that is not H.264.
///
/// # Errors
/// [`Error::Data`] if it is damaged or has no video, [`Error::Io`].
pub fn open(path: &Path) -> Result<Result<MkvPackets, String>> {
    let file = BufReader::new(File::open(path).map_err(|e| Error::io(path, e))?);
    let parsed = catch(|| MatroskaFile::open(file));
    let file = match parsed {
        Ok(Ok(file)) => file,
        Ok(Err(e)) => return Err(Error::Data(format!("Matroska: {e}"))),
        Err(_) => return Err(Error::Data("Matroska: damaged elements".into())),
    };
    let Some(track) = file.tracks().iter().find(|track| track.track_type() == TrackType::Video) else {
        return Err(Error::Data("Matroska: no video track".into()));
    };
    let config = track.codec_private().unwrap_or_default().to_vec();
    if track.codec_id() != "V_MPEG4/ISO/AVC" || config.is_empty() || track.content_encodings().is_some() {
        return Ok(Err(track.codec_id().to_owned()));
    }
    let track = track.track_number().get();
    let tick_nanos = file.info().timestamp_scale().get();
    Ok(Ok(MkvPackets { file, track, config, tick_nanos, frame: Frame::default() }))
}

impl PacketSource for MkvPackets {
    fn next_packet(&mut self, data: &mut Vec<u8>) -> Result<Option<i64>> {
        loop {
            let more = catch(|| self.file.next_frame(&mut self.frame));
            match more {
                Ok(Ok(true)) if self.frame.track == self.track => {
                    std::mem::swap(data, &mut self.frame.data);
                    let nanos = u128::from(self.frame.timestamp) * u128::from(self.tick_nanos);
                    return Ok(Some(i64::try_from(nanos).unwrap_or(i64::MAX)));
                }
                Ok(Ok(true)) => {}
                Ok(Ok(false)) => return Ok(None),
                Ok(Err(e)) => return Err(Error::Data(format!("Matroska: {e}"))),
                Err(_) => return Err(Error::Data("Matroska: damaged blocks".into())),
            }
        }
    }

    fn config(&self) -> &[u8] {
        &self.config
    }

    fn count(&self) -> Option<u64> {
        None
    }
}
