//! H.264, using `rust_h264`: packets of any container in, pictures in display order out.

use super::h264_access::{self, Access};
use super::limits::check_size;
use super::picture::{Picture, Pixels, VideoReader};
use crate::error::{Error, Result};
use crate::host::catch;
use crate::ops::color::{Colorimetry, Planes, Subsampling};
use crate::types::Size;
use rust_h264::decoder::{ChromaFormat, Decoder, Frame};
use rust_h264::nal::{NalUnit, NalUnitType, SpsInfo, parse_avcc, parse_avcc_config, parse_sps_info};
use std::time::Duration;

/// When a packet's picture is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Its presentation time in nanoseconds.
    pub nanos: i64,
    /// It is not shown at all, only needed to decode others.
    pub hidden: bool,
}

/// Supplies the packets of one H.264 track: whole access units with length-prefixed NAL units.
pub trait PacketSource: Send {
    /// Reads the next packet into `data` and returns when it is shown; `None` at the end.
    ///
    /// # Errors
    /// [`Error::Data`] or [`Error::Io`].
    fn next_packet(&mut self, data: &mut Vec<u8>) -> Result<Option<Stamp>>;
    /// Returns the `AVCDecoderConfigurationRecord` of the track.
    fn config(&self) -> &[u8];
    /// Returns `MatrixCoefficients` of ITU-T H.273 and whether all levels are used, as the container says it. It counts
    /// where the stream itself says nothing (matrix 2).
    fn colour(&self) -> (u8, bool);
    /// Returns the number of packets that are shown, if known.
    fn count(&self) -> Option<u64>;
    /// Returns what people should know about the file, such as that it was cut.
    fn remark(&self) -> Option<&str>;
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
    /// The next to show, once it is certain.
    ready: Option<(i64, Frame)>,
    current: Option<Frame>,
    narrow: [Vec<u8>; 3],
    data: Vec<u8>,
    start: Option<i64>,
    index: u64,
    ended: bool,
    begun: Begun,
    /// How many pictures could not be decoded, because what they build on is not in the file.
    lost: u64,
    remark: Option<String>,
}

/// Where decoding began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Begun {
    /// Not yet.
    No,
    /// At a picture that is shown at this time. What is shown before it, but follows it in the file, cannot be decoded.
    At(i64),
    /// At or after an IDR picture.
    Whole,
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
        let info = parameters(first)?;
        let (matrix, full_range) = match packets.colour() {
            (matrix, full_range) if info.matrix == 2 => (matrix, full_range || info.full_range),
            _ => (info.matrix, info.full_range),
        };
        let length_size = config.length_size;
        config.sps_nals.iter().try_for_each(|nal| parameters(nal).map(|_| ()))?;
        for nal in config.sps_nals.iter().chain(&config.pps_nals) {
            decode(&mut decoder, nal)?;
        }
        Ok(Self {
            decoder,
            length_size,
            depth: info.max_reorder_frames.unwrap_or(info.reference_frames).min(16) as usize,
            size: Size::new(info.width, info.height),
            how: Colorimetry::of_stream(matrix, full_range),
            waiting: Vec::new(),
            ready: None,
            current: None,
            narrow: Default::default(),
            data: Vec::new(),
            start: None,
            index: 0,
            ended: false,
            begun: Begun::No,
            lost: 0,
            remark: None,
            packets,
        })
    }

    /// Decodes packets until the next picture to show is certain.
    fn advance(&mut self) -> Result<Option<(i64, Frame)>> {
        while !self.ended && self.waiting.len() <= self.depth {
            let Some(stamp) = self.packets.next_packet(&mut self.data)? else {
                self.ended = true;
                if self.begun == Begun::No {
                    return Err(failed(
                        "no picture that decoding can begin with: neither a key picture nor a recovery point",
                    ));
                }
                break;
            };
            let index = self.index;
            self.index += 1;
            let frame = self.decode_packet(stamp, index).map_err(|e| e.at(format_args!("packet {index}")))?;
            if let Some(frame) = frame.filter(|_| !stamp.hidden) {
                let at = self.waiting.partition_point(|(other, _)| *other < stamp.nanos);
                self.waiting.insert(at, (stamp.nanos, frame));
            }
        }
        Ok(if self.waiting.is_empty() { None } else { Some(self.waiting.remove(0)) })
    }

    fn decode_packet(&mut self, stamp: Stamp, index: u64) -> Result<Option<Frame>> {
        let nals = parse_avcc(&self.data, self.length_size);
        let access = if self.begun == Begun::Whole { Access::None } else { h264_access::of(&nals) };
        let time = if stamp.hidden { i64::MIN } else { stamp.nanos };
        self.begun = match (self.begun, access) {
            (_, Access::Idr) => Begun::Whole,
            (Begun::No, Access::Recovery) => Begun::At(time),
            // The very first picture, without a promise: there is nothing better.
            (Begun::No, Access::Intra) if index == 0 => Begun::At(time),
            (Begun::No, Access::Gradual) => {
                return Err(failed("it begins in the middle of a gradual refresh (no key picture)"));
            }
            (begun, _) => begun,
        };
        let lost = match self.begun {
            Begun::No => true,
            Begun::At(first) => !stamp.hidden && stamp.nanos < first,
            Begun::Whole => false,
        };
        for nal in &nals {
            if nal.nal_unit_type == NalUnitType::Sps {
                parameters(nal)?;
            }
            if !lost || matches!(nal.nal_unit_type, NalUnitType::Sps | NalUnitType::Pps) {
                decode(&mut self.decoder, nal)?;
            }
        }
        if lost {
            self.lost += u64::from(!stamp.hidden);
            return Ok(None);
        }
        catch(|| self.decoder.flush()).map_err(|_| failed("the decoder panicked"))
    }

    fn told(&self) -> Option<String> {
        let lost = self.lost;
        let lost = (lost > 0).then(|| {
            format!("{lost} pictures cannot be decoded, because what they build on lies in front of the file's first picture")
        });
        let all: Vec<String> = self.packets.remark().map(str::to_owned).into_iter().chain(lost).collect();
        (!all.is_empty()).then(|| all.join("; "))
    }
}

/// Reads a parameter set. What it asks for is bounded by the highest level there is (Table A-1, level 6.2).
pub(super) fn parameters(nal: &NalUnit<'_>) -> Result<SpsInfo> {
    let info = catch(|| parse_sps_info(nal)).map_err(|_| failed("the parser panicked"))?;
    let info = info.map_err(|e| failed(format!("{e:?}")))?;
    check_size(info.width, info.height, "H.264")?;
    let frames = u64::from(info.reference_frames.max(info.max_reorder_frames.unwrap_or(0)).min(16));
    let blocks = u64::from(info.coded_width / 16) * u64::from(info.coded_height / 16);
    if frames > 1 && frames * blocks > MAX_BLOCKS {
        let (width, height) = (info.width, info.height);
        return Err(failed(format!("{frames} frames of {width}x{height} to be kept: more than any level allows")));
    }
    Ok(info)
}

/// Macroblocks of all frames that a decoder keeps at level 6.2.
const MAX_BLOCKS: u64 = 696_320;

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
    fn prepare(&mut self) -> Result<()> {
        if self.ready.is_none() {
            self.ready = self.advance()?;
            if self.ready.is_none() {
                self.remark = self.told();
            }
        }
        Ok(())
    }

    fn next_picture(&mut self) -> Result<Option<Picture<'_>>> {
        self.prepare()?;
        let Some((time, frame)) = self.ready.take() else { return Ok(None) };
        let start = *self.start.get_or_insert(time);
        let pts = Duration::from_nanos(u64::try_from(time.saturating_sub(start)).unwrap_or(0));
        let planes = planes(self.current.insert(frame), &mut self.narrow);
        Ok(Some(Picture { pts, pixels: Pixels::Yuv(planes, self.how) }))
    }

    fn size(&self) -> Size {
        self.size
    }

    fn count(&self) -> Option<u64> {
        self.packets.count()
    }

    fn remark(&self) -> Option<&str> {
        self.remark.as_deref()
    }
}
