//! Conversion between colour spaces: YUV with the `yuv` crate; grey, HSV and Lab with the same numbers as OpenCV.

use crate::error::{Error, Result};
use crate::types::{Image, PixelFormat, Size};
use yuv::{YuvBiPlanarImage, YuvConversionMode, YuvGrayImage, YuvPlanarImage, YuvRange, YuvStandardMatrix};

/// How luma and chroma were computed, and whether the levels use all of 0–255.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Colorimetry {
    /// Weights of red, green, blue.
    pub matrix: YuvStandardMatrix,
    /// 16–235 or 0–255.
    pub range: YuvRange,
}

impl Colorimetry {
    /// BT.601, 16–235: standard definition video and cameras.
    pub const BT601: Self = Self { matrix: YuvStandardMatrix::Bt601, range: YuvRange::Limited };
    /// BT.601, 0–255: JPEG and MJPEG.
    pub const JPEG: Self = Self { matrix: YuvStandardMatrix::Bt601, range: YuvRange::Full };

    /// From the numbers of a stream (ITU-T H.273 `MatrixCoefficients`). If a stream does not specify it, BT.601 is
    /// assumed, as ffmpeg and OpenCV do, and not what players guess from the height: frames of data sets were made by
    /// those two.
    #[must_use]
    pub const fn of_stream(matrix: u8, full_range: bool) -> Self {
        let matrix = match matrix {
            1 => YuvStandardMatrix::Bt709,
            4 => YuvStandardMatrix::Fcc,
            7 => YuvStandardMatrix::Smpte240,
            9 | 10 => YuvStandardMatrix::Bt2020,
            // 5 and 6 say so, and 2 says nothing.
            _ => YuvStandardMatrix::Bt601,
        };
        let range = if full_range { YuvRange::Full } else { YuvRange::Limited };
        Self { matrix, range }
    }
}

/// How many luma samples share a chroma sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subsampling {
    /// One chroma sample for 2x2 pixels.
    Yuv420,
    /// One chroma sample for 2x1 pixels.
    Yuv422,
    /// One chroma sample for each pixel.
    Yuv444,
    /// No chroma.
    Yuv400,
}

impl Subsampling {
    /// Width and height of the chroma planes.
    #[must_use]
    pub const fn chroma(self, size: Size) -> Size {
        match self {
            Self::Yuv420 => Size::new(size.width.div_ceil(2), size.height.div_ceil(2)),
            Self::Yuv422 => Size::new(size.width.div_ceil(2), size.height),
            Self::Yuv444 => size,
            Self::Yuv400 => Size::new(0, 0),
        }
    }

    /// The size in bytes of a picture of three 8-bit planes.
    #[must_use]
    pub const fn bytes(self, size: Size) -> usize {
        size.pixels() + 2 * self.chroma(size).pixels()
    }
}

/// Three 8-bit planes without padding.
#[derive(Clone, Copy, Debug)]
pub struct Planes<'a> {
    /// Brightness, `[height, width]`.
    pub y: &'a [u8],
    /// Blue difference.
    pub u: &'a [u8],
    /// Red difference.
    pub v: &'a [u8],
    /// How the chroma planes are sampled.
    pub sampling: Subsampling,
    /// Width and height in pixels.
    pub size: Size,
}

fn failed(e: &yuv::YuvError) -> Error {
    Error::Data(format!("colour conversion: {e}"))
}

/// Converts planar YUV to RGB into `rgb`'s buffer. Chroma is not interpolated (nearest).
///
/// # Errors
/// [`Error::Data`] if the planes are too short for the size.
pub fn planar_to_rgb(planes: &Planes<'_>, how: Colorimetry, rgb: &mut Image) -> Result<()> {
    let Size { width, height } = planes.size;
    rgb.reshape(planes.size, PixelFormat::Rgb8);
    let stride = rgb.stride() as u32;
    let (range, matrix) = (how.range, how.matrix);
    if planes.sampling == Subsampling::Yuv400 {
        let gray = YuvGrayImage { y_plane: planes.y, y_stride: width, width, height };
        return yuv::yuv400_to_rgb(&gray, &mut rgb.data, stride, range, matrix).map_err(|e| failed(&e));
    }
    let chroma_stride = planes.sampling.chroma(planes.size).width;
    let image = YuvPlanarImage {
        y_plane: planes.y,
        y_stride: width,
        u_plane: planes.u,
        u_stride: chroma_stride,
        v_plane: planes.v,
        v_stride: chroma_stride,
        width,
        height,
    };
    let convert = match planes.sampling {
        Subsampling::Yuv422 => yuv::yuv422_to_rgb,
        Subsampling::Yuv444 => yuv::yuv444_to_rgb,
        _ => yuv::yuv420_to_rgb,
    };
    convert(&image, &mut rgb.data, stride, range, matrix).map_err(|e| failed(&e))
}

/// Layouts of raw camera frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Raw {
    /// Y plane, then U and V interleaved.
    Nv12,
    /// Y plane, then V and U interleaved.
    Nv21,
    /// Y, U, V planes.
    I420,
    /// Y, V, U planes.
    Yv12,
    /// Y U Y V.
    Yuyv,
    /// U Y V Y.
    Uyvy,
}

/// Converts a raw camera frame to RGB into `rgb`'s buffer. The caller keeps `scratch` from frame to frame;
/// packed layouts are unpacked into it, because `yuv` 0.8.20 is up to 19 levels off OpenCV for those.
///
/// # Errors
/// [`Error::Data`] if `raw` is too short for the size.
pub fn raw_to_rgb(
    raw: &[u8],
    layout: Raw,
    size: Size,
    how: Colorimetry,
    scratch: &mut Vec<u8>,
    rgb: &mut Image,
) -> Result<()> {
    let Size { width, height } = size;
    let packed = matches!(layout, Raw::Yuyv | Raw::Uyvy);
    let row = width.div_ceil(2) as usize * 4;
    let need = if packed { row * height as usize } else { Subsampling::Yuv420.bytes(size) };
    if raw.len() < need {
        return Err(Error::Data(format!("a {size} frame of {} bytes; {need} are needed", raw.len())));
    }
    if packed {
        let sampling = Subsampling::Yuv422;
        unpack(&raw[..need], layout, size, scratch);
        let (y, chroma) = scratch.split_at(size.pixels());
        let (u, v) = chroma.split_at(sampling.chroma(size).pixels());
        return planar_to_rgb(&Planes { y, u, v, sampling, size }, how, rgb);
    }
    rgb.reshape(size, PixelFormat::Rgb8);
    let (stride, range, matrix) = (rgb.stride() as u32, how.range, how.matrix);
    let (y, chroma) = raw.split_at(size.pixels());
    if matches!(layout, Raw::Nv12 | Raw::Nv21) {
        let uv_stride = width.div_ceil(2) * 2;
        let image = YuvBiPlanarImage { y_plane: y, y_stride: width, uv_plane: chroma, uv_stride, width, height };
        let convert = if layout == Raw::Nv12 { yuv::yuv_nv12_to_rgb } else { yuv::yuv_nv21_to_rgb };
        return convert(&image, &mut rgb.data, stride, range, matrix, YuvConversionMode::Balanced)
            .map_err(|e| failed(&e));
    }
    let (first, second) = chroma.split_at(Subsampling::Yuv420.chroma(size).pixels());
    let (u, v) = if layout == Raw::I420 { (first, second) } else { (second, first) };
    planar_to_rgb(&Planes { y, u, v, sampling: Subsampling::Yuv420, size }, how, rgb)
}

/// Splits `Y U Y V` or `U Y V Y` into three planes, one after the other in `planes`.
fn unpack(raw: &[u8], layout: Raw, size: Size, planes: &mut Vec<u8>) {
    let (width, half) = (size.width as usize, size.width.div_ceil(2) as usize);
    planes.resize(Subsampling::Yuv422.bytes(size), 0);
    let (luma, chroma) = planes.split_at_mut(size.pixels());
    let (blue, red) = chroma.split_at_mut(half * size.height as usize);
    let [y0, u, y1, v] = if layout == Raw::Yuyv { [0, 1, 2, 3] } else { [1, 0, 3, 2] };
    for (line, row) in raw.chunks_exact(half * 4).enumerate() {
        for (pair, four) in row.as_chunks::<4>().0.iter().enumerate() {
            let at = line * width + pair * 2;
            luma[at] = four[y0];
            if pair * 2 + 1 < width {
                luma[at + 1] = four[y1];
            }
            blue[line * half + pair] = four[u];
            red[line * half + pair] = four[v];
        }
    }
}

/// Brightness of a pixel: OpenCV's `COLOR_RGB2GRAY` (BT.601, 15-bit fixed point).
#[must_use]
pub const fn luma([r, g, b]: [u8; 3]) -> u8 {
    ((r as u32 * 9798 + g as u32 * 19235 + b as u32 * 3735 + (1 << 14)) >> 15) as u8
}

/// `Y, Cb, Cr` of a pixel, full range (JFIF 1.02, §7): Pillow's `YCbCr`.
#[must_use]
pub fn to_ycbcr([r, g, b]: [u8; 3]) -> [u8; 3] {
    let [r, g, b] = [f32::from(r), f32::from(g), f32::from(b)];
    let mix = |offset: f32, red: f32, green: f32, blue: f32| {
        (offset + red * r + green * g + blue * b).round().clamp(0.0, 255.0) as u8
    };
    [mix(0.0, 0.299, 0.587, 0.114), mix(128.0, -0.168_736, -0.331_264, 0.5), mix(128.0, 0.5, -0.418_688, -0.081_312)]
}

/// The pixel of `Y, Cb, Cr`; the inverse of [`to_ycbcr`].
#[must_use]
pub fn from_ycbcr([y, cb, cr]: [u8; 3]) -> [u8; 3] {
    let (y, cb, cr) = (f32::from(y), f32::from(cb) - 128.0, f32::from(cr) - 128.0);
    [y + 1.402 * cr, y - 0.344_136 * cb - 0.714_136 * cr, y + 1.772 * cb].map(|v| v.round().clamp(0.0, 255.0) as u8)
}

/// `[h, s, v]` of a pixel with h in 0–179: OpenCV's `COLOR_RGB2HSV`.
#[must_use]
pub fn hsv(pixel: [u8; 3]) -> [u8; 3] {
    let [r, g, b] = pixel.map(f32::from);
    let max = r.max(g).max(b);
    let spread = max - r.min(g).min(b);
    if spread == 0.0 {
        return [0, 0, max as u8];
    }
    let hue = if max == r {
        60.0 * (g - b) / spread
    } else if max == g {
        120.0 + 60.0 * (b - r) / spread
    } else {
        240.0 + 60.0 * (r - g) / spread
    };
    let hue = if hue < 0.0 { hue + 360.0 } else { hue };
    let half = (hue / 2.0).round_ties_even() as u16 % 180;
    [half as u8, (255.0 * spread / max).round_ties_even() as u8, max as u8]
}

/// `[L * 255 / 100, a + 128, b + 128]` of an sRGB pixel under D65: OpenCV's 8-bit `COLOR_RGB2Lab`.
#[must_use]
pub fn lab(pixel: [u8; 3]) -> [u8; 3] {
    let [r, g, b] = pixel.map(|level| {
        let c = f32::from(level) / 255.0;
        if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
    });
    let x = (0.412_453 * r + 0.357_580 * g + 0.180_423 * b) / 0.950_456;
    let y = 0.212_671 * r + 0.715_160 * g + 0.072_169 * b;
    let z = (0.019_334 * r + 0.119_193 * g + 0.950_227 * b) / 1.088_754;
    let [fx, fy, fz] = [x, y, z].map(|t| if t > 0.008_856 { t.cbrt() } else { 7.787 * t + 16.0 / 116.0 });
    let lightness = if y > 0.008_856 { 116.0 * fy - 16.0 } else { 903.3 * y };
    let level = |v: f32| v.round_ties_even().clamp(0.0, 255.0) as u8;
    [level(lightness * 255.0 / 100.0), level(500.0 * (fx - fy) + 128.0), level(200.0 * (fy - fz) + 128.0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_come_back_from_brightness_and_chroma() {
        for rgb in [[0, 0, 0], [255, 255, 255], [200, 30, 60], [10, 240, 90]] {
            let back = from_ycbcr(to_ycbcr(rgb));
            assert!(rgb.iter().zip(back).all(|(a, b)| a.abs_diff(b) <= 2), "{rgb:?} {back:?}");
        }
        assert_eq!(to_ycbcr([255, 0, 0]), [76, 85, 255]);
    }

    #[test]
    fn known_colours_in_every_space() {
        assert_eq!(luma([255, 255, 255]), 255);
        assert_eq!(hsv([255, 0, 0]), [0, 255, 255]);
        assert_eq!(hsv([0, 0, 255]), [120, 255, 255]);
        assert_eq!(lab([255, 255, 255]), [255, 128, 128]);
    }

    #[test]
    fn white_and_black_of_limited_range() {
        let size = Size::new(2, 2);
        let mut rgb = Image::default();
        let raw = [235, 235, 16, 16, 128, 128];
        raw_to_rgb(&raw, Raw::I420, size, Colorimetry::BT601, &mut Vec::new(), &mut rgb).unwrap();
        assert_eq!(rgb.data, [255, 255, 255, 255, 255, 255, 0, 0, 0, 0, 0, 0]);
        assert!(raw_to_rgb(&raw[..5], Raw::I420, size, Colorimetry::BT601, &mut Vec::new(), &mut rgb).is_err());
    }
}
