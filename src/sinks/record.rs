//! Video files.

use super::output::make_parent;
use crate::error::{Error, Result};
use crate::media::avi::AviWriter;
use crate::media::jpeg;
use crate::stage::{Env, LineEnv, Sink, SinkConfig};
use crate::types::{Image, Packet, Products, Size};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Writes a video: of the annotated pictures if there are any, otherwise of the frames. The extension of the path sets
/// the format: `.mp4` is H.264 (needs a build with `openh264`), `.avi` is MJPEG.
///
/// `- record: { path: out/door.mp4 }`
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The file to write, ending in `.mp4` or `.avi`.
    pub path: String,
    /// H.264: the quantisation parameter, from 10 (large file, high quality) to 51 (small file, low quality).
    #[serde(default = "default_qp")]
    pub qp: u8,
    /// MJPEG: the JPEG quality, 1–100.
    #[serde(default = "default_quality")]
    pub quality: u8,
}

const fn default_qp() -> u8 {
    26
}

const fn default_quality() -> u8 {
    85
}

#[derive(Clone, Copy, PartialEq)]
enum Format {
    Mp4,
    Avi,
}

impl Record {
    fn format(&self) -> Result<Format> {
        let extension = Path::new(&self.path).extension().map(|e| e.to_string_lossy().to_lowercase());
        match extension.as_deref() {
            Some("mp4") if cfg!(feature = "openh264") => Ok(Format::Mp4),
            Some("mp4") => Err(Error::Config(
                "this build has no `openh264`, which .mp4 needs; write to an .avi, or build with `--features openh264`"
                    .into(),
            )),
            Some("avi") => Ok(Format::Avi),
            _ => Err(Error::Config(format!("`path` is {:?}; it must end in .mp4 or .avi", self.path))),
        }
    }
}

impl SinkConfig for Record {
    fn needs(&self) -> Products {
        Products::empty()
    }

    fn writes(&self) -> Option<PathBuf> {
        Some(PathBuf::from(&self.path))
    }

    fn check(&self, _env: &Env) -> Result<()> {
        if !(10..=51).contains(&self.qp) {
            return Err(Error::Config(format!("`qp` is {}; it must lie between 10 and 51", self.qp)));
        }
        if !(1..=100).contains(&self.quality) {
            return Err(Error::Config(format!("`quality` is {}; it must lie between 1 and 100", self.quality)));
        }
        self.format().map(|_| ())
    }

    fn open(&self, env: &LineEnv) -> Result<Box<dyn Sink>> {
        self.check(env)?;
        let path = env.outputs.path(&self.path);
        make_parent(&path)?;
        // Fail now, not at the first frame, if the file cannot be written.
        std::fs::File::create(&path).map_err(|e| Error::io(&path, e))?;
        let (format, settings) = (self.format()?, self.clone());
        Ok(Box::new(Recording { settings, path, format, first: None, writer: None }))
    }
}

struct Recording {
    settings: Record,
    path: PathBuf,
    format: Format,
    /// The first picture; it is held until the second one determines its duration.
    first: Option<(Duration, Image)>,
    writer: Option<Writer>,
}

/// An encoder and its file.
enum Writer {
    Avi {
        file: AviWriter,
        size: Size,
        fps: f64,
        quality: u8,
        bytes: Vec<u8>,
    },
    #[cfg(feature = "openh264")]
    Mp4(Box<mp4::Mp4>),
}

impl Recording {
    fn start(&self, size: Size, fps: f64) -> Result<Writer> {
        let path = &*self.path;
        if self.format == Format::Avi {
            let file = AviWriter::create(path, size, fps)?;
            return Ok(Writer::Avi { file, size, fps, quality: self.settings.quality, bytes: Vec::new() });
        }
        #[cfg(feature = "openh264")]
        return Ok(Writer::Mp4(Box::new(mp4::Mp4::create(path, size, fps, self.settings.qp)?)));
        #[cfg(not(feature = "openh264"))]
        Err(Error::Internal("an .mp4 without openh264".into()))
    }

    /// Starts the file with the first picture; `gap` is the time to the second one.
    fn begin(&mut self, gap: Option<Duration>) -> Result<()> {
        let Some((pts, image)) = self.first.take() else { return Ok(()) };
        let fps = gap.filter(|gap| !gap.is_zero()).map_or(10.0, |gap| 1.0 / gap.as_secs_f64()).clamp(0.1, 240.0);
        let mut writer = self.start(image.size, fps)?;
        writer.push(&image, pts)?;
        self.writer = Some(writer);
        Ok(())
    }
}

impl Writer {
    #[cfg_attr(not(feature = "openh264"), expect(unused_variables, reason = "an AVI has a single frame rate"))]
    fn push(&mut self, image: &Image, pts: Duration) -> Result<()> {
        match self {
            Self::Avi { file, size, quality, bytes, .. } => {
                if image.size != *size {
                    return Err(changed(*size, image.size));
                }
                bytes.clear();
                jpeg::encode(image, *quality, bytes)?;
                file.push(bytes)
            }
            #[cfg(feature = "openh264")]
            Self::Mp4(mp4) => mp4.push(image, pts),
        }
    }
}

fn changed(from: Size, to: Size) -> Error {
    Error::Data(format!(
        "frames changed from {from} to {to}; a video file has one size; `snapshot` can write pictures of any size"
    ))
}

impl Sink for Recording {
    fn write(&mut self, packet: &Packet) -> Result<()> {
        let image = packet.canvas.as_deref().unwrap_or(&packet.frame.image);
        let pts = packet.frame.pts;
        if self.writer.is_none() {
            let Some((before, _)) = &self.first else {
                self.first = Some((pts, image.clone()));
                return Ok(());
            };
            let gap = pts.saturating_sub(*before);
            self.begin(Some(gap))?;
        }
        self.writer.as_mut().map_or(Ok(()), |writer| writer.push(image, pts))
    }

    fn finish(&mut self) -> Result<()> {
        self.begin(None)?;
        match self.writer.take() {
            Some(Writer::Avi { file, size, fps, .. }) => file.finish(size, fps),
            #[cfg(feature = "openh264")]
            Some(Writer::Mp4(mut mp4)) => mp4.finish(),
            None => Ok(()),
        }
    }
}

#[cfg(feature = "openh264")]
mod mp4 {
    use super::changed;
    use crate::error::{Error, Result};
    use crate::media::fmp4::{Fmp4Writer, TIMESCALE};
    use crate::types::{Image, Size};
    use openh264::encoder::{
        Encoder, EncoderConfig, FrameRate, IntraFramePeriod, QpRange, RateControlMode, UsageType, VuiConfig,
    };
    use openh264::formats::YUVSlices;
    use openh264::{OpenH264API, Timestamp};
    use std::fs::File;
    use std::io::BufWriter;
    use std::path::Path;
    use std::time::Duration;
    use yuv::{BufferStoreMut, YuvConversionMode, YuvPlanarImageMut, YuvRange, YuvStandardMatrix};

    /// The limit of openh264: 36,864 blocks of 16x16.
    const MAX_PIXELS: usize = 36_864 * 256;

    /// H.264 by openh264 in fragmented MP4.
    pub struct Mp4 {
        encoder: Encoder,
        file: Fmp4Writer<BufWriter<File>>,
        /// The size of the frames; the encoded picture is cropped to even sides.
        size: Size,
        planes: Vec<u8>,
        bits: Vec<u8>,
        last: u64,
        frame_ticks: u64,
    }

    impl Mp4 {
        pub fn create(path: &Path, size: Size, fps: f64, qp: u8) -> Result<Self> {
            let even = Size::new(size.width & !1, size.height & !1);
            if even.width < 16 || even.height < 16 || even.pixels() > MAX_PIXELS {
                return Err(Error::Data(format!(
                    "frames of {size} do not fit H.264 (16x16 to {MAX_PIXELS} pixels); record to an .avi"
                )));
            }
            let config = EncoderConfig::new()
                .qp(QpRange::new(qp, qp))
                .max_frame_rate(FrameRate::from_hz(fps as f32))
                .usage_type(UsageType::CameraVideoRealTime)
                .rate_control_mode(RateControlMode::Off)
                .skip_frames(false)
                .intra_frame_period(IntraFramePeriod::from_num_frames((fps * 2.0).clamp(1.0, 250.0) as u32))
                .vui(VuiConfig::bt601());
            let failed = |e: openh264::Error| Error::Internal(format!("openh264: {e}"));
            let encoder = Encoder::with_api_config(OpenH264API::from_source(), config).map_err(failed)?;
            let file = BufWriter::new(File::create(path).map_err(|e| Error::io(path, e))?);
            Ok(Self {
                encoder,
                file: Fmp4Writer::new(file, &path.display().to_string(), even),
                size,
                planes: vec![0; even.pixels() * 3 / 2],
                bits: Vec::new(),
                last: 0,
                frame_ticks: (f64::from(TIMESCALE) / fps) as u64,
            })
        }

        pub fn push(&mut self, image: &Image, pts: Duration) -> Result<()> {
            if image.size != self.size {
                return Err(changed(self.size, image.size));
            }
            let (width, height) = (self.size.width & !1, self.size.height & !1);
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
            let side = width as usize;
            let (y, chroma) = self.planes.split_at(luma);
            let (u, v) = chroma.split_at(luma / 4);
            let source = YUVSlices::new((y, u, v), (side, height as usize), (side, side / 2, side / 2));
            let stamp = Timestamp::from_millis(pts.as_millis() as u64);
            let encoded =
                self.encoder.encode_at(&source, stamp).map_err(|e| Error::Internal(format!("openh264: {e}")))?;
            self.bits.clear();
            encoded.write_vec(&mut self.bits);
            let ticks = (pts.as_nanos() * u128::from(TIMESCALE) / 1_000_000_000) as u64;
            self.last = ticks.max(self.last);
            self.file.push(&self.bits, self.last)
        }

        pub fn finish(&mut self) -> Result<()> {
            self.file.finish(self.last + self.frame_ticks)
        }
    }
}
