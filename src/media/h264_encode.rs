//! H.264 for the videos that we write: `rusty_h264`, pure Rust, or openh264 in a build with that feature.
//!
//! Constrained Baseline with a fixed quantisation parameter: every player decodes it, no picture waits for a later one,
//! and the encoder keeps no queue. `cargo bench --bench encode --features openh264` compares the two.

use super::limits::check_size;
use crate::error::{Error, Result};
use crate::types::{Image, Size};
use yuv::{BufferStoreMut, YuvConversionMode, YuvPlanarImageMut, YuvRange, YuvStandardMatrix};

/// The largest picture of level 5.2: 36,864 blocks of 16x16 (ITU-T H.264, table A-1).
pub const MAX_PIXELS: usize = 36_864 * 256;

/// Encodes pictures of one size.
pub struct H264Encoder {
    size: Size,
    planes: Vec<u8>,
    engine: Engine,
}

#[cfg(not(feature = "openh264"))]
use rusty::Engine;

#[cfg(feature = "openh264")]
use open::Engine;

/// One picture in planes: luma, then both chroma planes of half the width and height.
struct Planar<'a> {
    size: Size,
    y: &'a [u8],
    u: &'a [u8],
    v: &'a [u8],
}

impl H264Encoder {
    /// Prepares an encoder for pictures of `size`, about `fps` a second, with the quantisation parameter `qp` (10 to
    /// 51). The first picture can be decoded on its own, and others on request. An odd side loses its last column or row.
    ///
    /// # Errors
    /// [`Error::Data`] if the size does not fit H.264.
    pub fn new(size: Size, fps: f64, qp: u8) -> Result<Self> {
        let even = Size::new(size.width & !1, size.height & !1);
        check_size(size.width, size.height, "H.264")?;
        if even.width < 16 || even.height < 16 || even.pixels() > MAX_PIXELS {
            return Err(Error::Data(format!(
                "frames of {size} do not fit H.264 (16x16 to {MAX_PIXELS} pixels); record to an .avi"
            )));
        }
        let engine = Engine::new(even, fps, qp)?;
        Ok(Self { size, planes: vec![0; even.pixels() * 3 / 2], engine })
    }

    /// Returns the size of the encoded pictures: both sides are even.
    #[must_use]
    pub const fn coded_size(&self) -> Size {
        Size { width: self.size.width & !1, height: self.size.height & !1 }
    }

    /// Encodes an RGB picture, as one that can be decoded on its own if `key` is set, and appends its access unit
    /// (Annex B) to `bits`.
    ///
    /// # Errors
    /// [`Error::Internal`] if the encoder fails.
    pub fn encode(&mut self, image: &Image, key: bool, bits: &mut Vec<u8>) -> Result<()> {
        let Size { width, height } = self.coded_size();
        let luma = width as usize * height as usize;
        let (y, chroma) = self.planes.split_at_mut(luma);
        let (u, v) = chroma.split_at_mut(luma / 4);
        let mut planar = YuvPlanarImageMut {
            y_plane: BufferStoreMut::Borrowed(y),
            y_stride: width,
            u_plane: BufferStoreMut::Borrowed(u),
            u_stride: width / 2,
            v_plane: BufferStoreMut::Borrowed(v),
            v_stride: width / 2,
            width,
            height,
        };
        let (range, matrix) = (YuvRange::Limited, YuvStandardMatrix::Bt601);
        let stride = image.stride() as u32;
        yuv::rgb_to_yuv420(&mut planar, &image.data, stride, range, matrix, YuvConversionMode::Balanced)
            .map_err(|e| Error::Internal(format!("colour conversion: {e}")))?;
        let (y, chroma) = self.planes.split_at(luma);
        let (u, v) = chroma.split_at(luma / 4);
        self.engine.encode(&Planar { size: Size::new(width, height), y, u, v }, key, bits)
    }
}

#[cfg(not(feature = "openh264"))]
// The groups of bits are the fields.
#[allow(clippy::unusual_byte_groupings)]
mod rusty {
    use super::Planar;
    use crate::error::{Error, Result};
    use crate::host::catch;
    use crate::media::fmp4::split_annex_b;
    use crate::types::Size;
    use rusty_h264_common::YuvPlanes;
    use rusty_h264_encoder::{Encoder, EncoderConfig};

    pub struct Engine {
        encoder: Encoder,
        /// The encoder writes into this; large enough for every picture seen so far.
        room: Vec<u8>,
    }

    /// The lowest level that admits pictures of this size at this rate (ITU-T H.264, table A-1): its number, its most
    /// blocks a second, its most blocks a picture.
    const LEVELS: [(u8, u64, u64); 11] = [
        (10, 1_485, 99),
        (11, 3_000, 396),
        (13, 11_880, 396),
        (21, 19_800, 792),
        (30, 40_500, 1_620),
        (31, 108_000, 3_600),
        (32, 216_000, 5_120),
        (40, 245_760, 8_192),
        (42, 522_240, 8_704),
        (50, 589_824, 22_080),
        (51, 983_040, 36_864),
    ];

    fn level(size: Size, fps: f64) -> u8 {
        let blocks = u64::from(size.width.div_ceil(16)) * u64::from(size.height.div_ceil(16));
        let rate = (blocks as f64 * fps).ceil() as u64;
        LEVELS.iter().find(|(_, most, picture)| *most >= rate && *picture >= blocks).map_or(52, |level| level.0)
    }

    /// Keys come on request; a decoder that lost something recovers after this many pictures at the latest.
    const MOST_BETWEEN_KEYS: u32 = 600;

    fn failed(e: impl std::fmt::Display) -> Error {
        Error::Internal(format!("H.264 encoder: {e}"))
    }

    impl Engine {
        pub fn new(size: Size, fps: f64, qp: u8) -> Result<Self> {
            // `baseline` reads no environment variable, unlike `new`.
            let mut config = EncoderConfig::baseline(size.width as usize, size.height as usize);
            config.level_idc = level(size, fps);
            config.qp = qp;
            config.gop_size = MOST_BETWEEN_KEYS;
            config.framerate = fps as f32;
            let encoder = catch(|| Encoder::new(config)).map_err(failed)?.map_err(|e| failed(format!("{e:?}")))?;
            Ok(Self { encoder, room: Vec::new() })
        }

        pub fn encode(&mut self, picture: &Planar<'_>, key: bool, bits: &mut Vec<u8>) -> Result<()> {
            if key {
                self.encoder.request_keyframe();
            }
            let (width, height) = (picture.size.width as usize, picture.size.height as usize);
            let planes = YuvPlanes::new(width, height, picture.y, picture.u, picture.v, width, width / 2)
                .ok_or_else(|| failed("planes of the wrong size"))?;
            // A picture of noise at the finest quality can need more than its pixels.
            self.room.resize(width * height * 4 + 4096, 0);
            let written = catch(|| self.encoder.encode_into(&planes, &mut self.room))
                .map_err(failed)?
                .map_err(|e| failed(format!("{e:?}")))?;
            for nal in split_annex_b(self.room.get(..written).unwrap_or_default()) {
                bits.extend([0, 0, 0, 1]);
                match nal.first().map(|byte| byte & 31) {
                    Some(7) => bits.extend(with_colours(nal)),
                    _ => bits.extend_from_slice(nal),
                }
            }
            Ok(())
        }
    }

    /// Returns a sequence parameter set with the colours that [`super::H264Encoder`] writes, BT.601 in limited range, and
    /// with the promise that pictures come in the order of display (ITU-T H.264, annex E). The encoder's own set ends with
    /// the flag that says there is none of this.
    fn with_colours(sps: &[u8]) -> Vec<u8> {
        let (mut bytes, mut zeros) = (Vec::with_capacity(sps.len() + 16), 0);
        for byte in sps {
            // 7.4.1: a 3 after two zero bytes is no part of the text.
            if zeros < 2 || *byte != 3 {
                bytes.push(*byte);
            }
            zeros = if *byte == 0 { zeros + 1 } else { 0 };
        }
        let mut bits: Vec<bool> =
            bytes.iter().flat_map(|byte| (0..8).rev().map(move |at| byte >> at & 1 == 1)).collect();
        let Some(stop) = bits.iter().rposition(|bit| *bit) else { return sps.to_vec() };
        bits.truncate(stop.saturating_sub(1));
        let mut put = |value: u32, count: u32| bits.extend((0..count).rev().map(|at| value >> at & 1 == 1));
        put(1, 1); // vui_parameters_present_flag
        put(0b00, 2); // no aspect ratio, no overscan
        put(0b1_101_0_1, 6); // video_signal_type: format unspecified, limited range, colours described:
        put(0x06_06_06, 24); // primaries, transfer, matrix of SMPTE 170M
        put(0b00_00_0, 5); // no chroma location, timing, HRD parameters, picture structure
        put(1, 1); // bitstream_restriction_flag
        put(0b1_1_1, 3); // vectors may leave the picture; no bound on bytes and bits: ue(0), ue(0)
        put(0b0_0001_0001, 9); // the longest vectors: ue(16)
        put(0b0_0001_0001, 9);
        put(0b1, 1); // max_num_reorder_frames: ue(0)
        put(0b010, 3); // max_dec_frame_buffering: ue(1)
        put(1, 1); // the stop bit
        let mut out = Vec::with_capacity(bits.len() / 8 + 4);
        for byte in bits.chunks(8) {
            let byte = byte.iter().enumerate().fold(0u8, |sum, (at, bit)| sum | u8::from(*bit) << (7 - at));
            if byte <= 3 && out.ends_with(&[0, 0]) {
                out.push(3);
            }
            out.push(byte);
        }
        out
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        /// The encoder's first parameter set, with its length in front.
        fn first_set() -> Vec<u8> {
            let mut engine = Engine::new(Size::new(64, 32), 25.0, 26).unwrap();
            let (y, c) = ([99; 64 * 32], [128; 32 * 16]);
            let mut bits = Vec::new();
            engine.encode(&Planar { size: Size::new(64, 32), y: &y, u: &c, v: &c }, false, &mut bits).unwrap();
            let set = split_annex_b(&bits)[0];
            [&(set.len() as u32).to_be_bytes()[..], set].concat()
        }

        #[test]
        fn the_level_admits_size_and_rate() {
            // By hand from table A-1: 640x360 is 40 x 23 = 920 blocks.
            assert_eq!(level(Size::new(640, 360), 25.0), 30);
            assert_eq!(level(Size::new(1280, 720), 30.0), 31);
            assert_eq!(level(Size::new(1920, 1080), 30.0), 40);
            assert_eq!(level(Size::new(3840, 2160), 60.0), 52);
        }

        #[test]
        fn the_colours_end_the_parameter_set() {
            // Four bits, the flag, the stop bit.
            let set = with_colours(&[0x67, 0b1010_0_1_00]);
            assert_eq!(set[..2], [0x67, 0b1010_1_00_1]);
            // 1010, then 101 (unspecified) 0 (limited) 1 (described), three times 6, and the rest.
            assert_eq!(set[2..6], [0b101_0_1_000, 0b00110_000, 0b00110_000, 0b00110_000]);
            let info = rust_h264::nal::parse_sps_info(&rust_h264::nal::parse_avcc(&first_set(), 4)[0]).unwrap();
            assert_eq!((info.matrix, info.full_range, info.max_reorder_frames), (6, false, Some(0)));
        }
    }
}

#[cfg(feature = "openh264")]
mod open {
    use super::Planar;
    use crate::error::{Error, Result};
    use crate::types::Size;
    use openh264::encoder::{
        Encoder, EncoderConfig, FrameRate, IntraFramePeriod, QpRange, RateControlMode, UsageType, VuiConfig,
    };
    use openh264::formats::YUVSlices;
    use openh264::{OpenH264API, Timestamp};

    pub struct Engine {
        encoder: Encoder,
        count: u64,
    }

    fn failed(e: openh264::Error) -> Error {
        Error::Internal(format!("openh264: {e}"))
    }

    impl Engine {
        pub fn new(_size: Size, fps: f64, qp: u8) -> Result<Self> {
            let config = EncoderConfig::new()
                .qp(QpRange::new(qp, qp))
                .max_frame_rate(FrameRate::from_hz(fps as f32))
                .usage_type(UsageType::CameraVideoRealTime)
                .rate_control_mode(RateControlMode::Off)
                .skip_frames(false)
                .intra_frame_period(IntraFramePeriod::from_num_frames(600))
                .vui(VuiConfig::bt601());
            let encoder = Encoder::with_api_config(OpenH264API::from_source(), config).map_err(failed)?;
            Ok(Self { encoder, count: 0 })
        }

        pub fn encode(&mut self, picture: &Planar<'_>, key: bool, bits: &mut Vec<u8>) -> Result<()> {
            if key {
                self.encoder.force_intra_frame();
            }
            let (width, height) = (picture.size.width as usize, picture.size.height as usize);
            let strides = (width, width / 2, width / 2);
            let source = YUVSlices::new((picture.y, picture.u, picture.v), (width, height), strides);
            // The stamps only have to grow: without rate control nothing depends on them.
            let stamp = Timestamp::from_millis(self.count * 40);
            self.count += 1;
            self.encoder.encode_at(&source, stamp).map_err(failed)?.write_vec(bits);
            Ok(())
        }
    }
}
