//! H.264, using `rust_h264`: packets of any container in, pictures in display order out.

use super::limits::check_size;
use super::picture::{Picture, Pixels, VideoReader};
use crate::error::{Error, Result};
use crate::host::catch;
use crate::ops::color::{Colorimetry, Planes, Subsampling};
use crate::types::Size;
use rust_h264::decoder::{ChromaFormat, Decoder, Frame};
use rust_h264::nal::{NalUnit, parse_avcc, parse_avcc_config, parse_sps_info};
use std::time::Duration;

/// Supplies the packets of one H.264 track: whole access units with length-prefixed NAL units.
pub trait PacketSource: Send {
    /// Reads the next packet into `data` and returns its presentation time in nanoseconds; `None` at the end.
    ///
    /// # Errors
    /// [`Error::Data`] or [`Error::Io`].
    fn next_packet(&mut self, data: &mut Vec<u8>) -> Result<Option<i64>>;
    /// Returns the `AVCDecoderConfigurationRecord` of the track.
    fn config(&self) -> &[u8];
    /// Returns the number of packets, if known.
    fn count(&self) -> Option<u64>;
}

/// Decodes a track. Bit-exact with ffmpeg on every clip we have, B-frames and interlacing included.
///
/// Each access unit is decoded and flushed at once, which yields exactly one picture. Pictures are then
/// sorted by time in a window as deep as the reordering that the stream declares. So nothing is held
/// back longer than needed, and a picture keeps the time of its own packet.
pub struct H264Reader<P> {
    packets: P,
    decoder: Decoder,
    length_size: usize,
    depth: usize,
    size: Size,
    how: Colorimetry,
    /// Decoded but not yet shown, sorted by time.
    waiting: Vec<(i64, Frame)>,
    current: Option<Frame>,
    narrow: [Vec<u8>; 3],
    data: Vec<u8>,
    start: Option<i64>,
    index: u64,
    ended: bool,
}

pub(super) fn failed(e: impl std::fmt::Display) -> Error {
    Error::Data(format!("H.264: {e}"))
}

impl<P: PacketSource> H264Reader<P> {
    /// Prepares the decoder with the track's parameter sets.
    ///
    /// # Errors
    /// [`Error::Data`] if they are damaged.
    pub fn new(packets: P) -> Result<Self> {
        let mut decoder = Decoder::new();
        let config = parse_avcc_config(packets.config()).map_err(failed)?;
        let first = config.sps_nals.first().ok_or_else(|| failed("no parameter set"))?;
        let info = parse_sps_info(first).map_err(|e| failed(format!("{e:?}")))?;
        check_size(info.width, info.height, "H.264")?;
        let length_size = config.length_size;
        for nal in config.sps_nals.iter().chain(&config.pps_nals) {
            decode(&mut decoder, nal)?;
        }
        Ok(Self {
            decoder,
            length_size,
            depth: info.max_reorder_frames.unwrap_or(info.reference_frames).min(16) as usize,
            size: Size::new(info.width, info.height),
            how: Colorimetry::of_stream(info.matrix, info.full_range, info.height),
            waiting: Vec::new(),
            current: None,
            narrow: Default::default(),
            data: Vec::new(),
            start: None,
            index: 0,
            ended: false,
            packets,
        })
    }

    /// Decodes packets until the next picture to show is certain.
    fn advance(&mut self) -> Result<Option<(i64, Frame)>> {
        while !self.ended && self.waiting.len() <= self.depth {
            let Some(time) = self.packets.next_packet(&mut self.data)? else {
                self.ended = true;
                break;
            };
            let place = |e: Error| e.at(format_args!("packet {}", self.index));
            for nal in parse_avcc(&self.data, self.length_size) {
                decode(&mut self.decoder, &nal).map_err(place)?;
            }
            let picture = catch(|| self.decoder.flush());
            let picture = picture.map_err(|_| failed("the decoder panicked")).map_err(place)?;
            self.index += 1;
            if let Some(frame) = picture {
                let at = self.waiting.partition_point(|(other, _)| *other < time);
                self.waiting.insert(at, (time, frame));
            }
        }
        Ok(if self.waiting.is_empty() { None } else { Some(self.waiting.remove(0)) })
    }
}

/// Returns the planes of a picture, reduced to 8 bits if they have more.
pub(super) fn planes<'a>(frame: &'a Frame, narrow: &'a mut [Vec<u8>; 3]) -> Planes<'a> {
    let size = Size::new(frame.width, frame.height);
    let sampling = match frame.chroma_format {
        ChromaFormat::Yuv420 => Subsampling::Yuv420,
        ChromaFormat::Yuv422 => Subsampling::Yuv422,
    };
    if frame.bytes_per_sample() == 1 {
        return Planes { y: &frame.y, u: &frame.u, v: &frame.v, sampling, size };
    }
    let shift = frame.bit_depth - 8;
    for (narrow, wide) in narrow.iter_mut().zip([&frame.y, &frame.u, &frame.v]) {
        narrow.clear();
        narrow.extend(wide.as_chunks::<2>().0.iter().map(|&b| (u16::from_le_bytes(b) >> shift) as u8));
    }
    let [y, u, v] = narrow;
    Planes { y, u, v, sampling, size }
}

pub(super) fn decode(decoder: &mut Decoder, nal: &NalUnit<'_>) -> Result<()> {
    match catch(|| decoder.decode_nal(nal).map(|_| ())) {
        Ok(Ok(())) => Ok(()),
        Ok(Err(e)) => Err(failed(format!("{e:?}"))),
        Err(_) => Err(failed("the decoder panicked")),
    }
}

impl<P: PacketSource> VideoReader for H264Reader<P> {
    fn next_picture(&mut self) -> Result<Option<Picture<'_>>> {
        let Some((time, frame)) = self.advance()? else { return Ok(None) };
        let start = *self.start.get_or_insert(time);
        let pts = Duration::from_nanos(u64::try_from(time - start).unwrap_or(0));
        let planes = planes(self.current.insert(frame), &mut self.narrow);
        Ok(Some(Picture { pts, pixels: Pixels::Yuv(planes, self.how) }))
    }

    fn size(&self) -> Size {
        self.size
    }

    fn count(&self) -> Option<u64> {
        self.packets.count()
    }
}
