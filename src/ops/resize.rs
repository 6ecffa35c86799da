//! Resizes a frame to the size a model expects, and maps boxes back.

use super::cv_linear::CvLinear;
use super::resample::{Kernel, resample};
use crate::error::{Error, Result};
use crate::types::{Image, PixelFormat, Placement, Size};
use fast_image_resize as fir;
use fir::images::{TypedCroppedImageMut, TypedImage, TypedImageRef};
use fir::{FilterType, PixelTrait, ResizeAlg, ResizeOptions, Resizer, pixels};

/// How pixels are weighted when resizing. Each filter gives the same numbers as the named one of Pillow or OpenCV.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Filter {
    /// Pillow `BILINEAR`: a triangle filter that widens with the reduction, so nothing flickers. The default.
    #[default]
    Bilinear,
    /// Pillow `NEAREST`.
    Nearest,
    /// Pillow `BICUBIC`.
    Bicubic,
    /// Pillow `HAMMING`.
    Hamming,
    /// Pillow `BOX`.
    Box,
    /// Pillow `LANCZOS`.
    Lanczos,
    /// OpenCV `INTER_LINEAR`: four pixels, however large the reduction.
    CvLinear,
    /// OpenCV `INTER_NEAREST`.
    CvNearest,
    /// OpenCV `INTER_AREA`.
    CvArea,
    /// OpenCV `INTER_CUBIC`.
    CvCubic,
}

/// How a frame with another aspect ratio is fitted into the input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fit {
    /// Fill the input; the picture is distorted.
    #[default]
    Stretch,
    /// Keep the aspect ratio; pad on both sides (Ultralytics).
    Letterbox,
    /// Like `letterbox`, but the size is rounded down to whole pixels (NanoDet's samples).
    LetterboxFloor,
    /// Keep the aspect ratio; pad on the right and at the bottom (YOLOX).
    LetterboxTopLeft,
    /// Keep the aspect ratio; cut off what does not fit, equally on both sides.
    Crop,
    /// `fit: { crop_from: 256 }`: make the shorter side this long and cut the input out of the middle, as the classifiers of
    /// torchvision and timm were trained (`Resize(256)`, `CenterCrop(224)`). At least the input's longer side.
    CropFrom(u32),
}

impl Fit {
    /// Refuses a middle that is larger than what it is cut from.
    ///
    /// # Errors
    /// Returns what is wrong.
    pub fn check(self, input: Size) -> std::result::Result<(), String> {
        match self {
            Self::CropFrom(side) if side < input.width.max(input.height) || side > 16_384 => Err(format!(
                "{side}; an input of {input} is cut out of it, so it must lie between {} and 16384",
                input.width.max(input.height)
            )),
            _ => Ok(()),
        }
    }
}

/// Which part of the frame goes where in the input.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plan {
    /// Left, top, width, height of the part of the frame that is used, in frame pixels.
    pub source: [f64; 4],
    /// Left, top, width, height of its place in the input, in whole input pixels.
    pub target: [u32; 4],
    /// Size of the input.
    pub input: Size,
    /// The mapping from the input back to the frame.
    pub placement: Placement,
}

/// Plans how a frame is resized to the size of an input.
#[must_use]
pub fn plan(frame: Size, input: Size, fit: Fit) -> Plan {
    let (fw, fh) = (f64::from(frame.width), f64::from(frame.height));
    let (iw, ih) = (f64::from(input.width), f64::from(input.height));
    let whole = [0.0, 0.0, fw, fh];
    match fit {
        Fit::Stretch => Plan {
            source: whole,
            target: [0, 0, input.width, input.height],
            input,
            placement: Placement { scale: ((fw / iw) as f32, (fh / ih) as f32), offset: (0.0, 0.0), frame },
        },
        Fit::Letterbox => letterbox(frame, input, &LetterboxRule::default()),
        Fit::LetterboxTopLeft | Fit::LetterboxFloor => {
            // YOLOX `preproc`: the size is rounded down to whole pixels, and boxes are divided by the ratio.
            let ratio = (iw / fw).min(ih / fh);
            let size = [((fw * ratio) as u32).max(1), ((fh * ratio) as u32).max(1)];
            let scale = (1.0 / ratio) as f32;
            let centre = |input: u32, side: u32| if fit == Fit::LetterboxFloor { (input - side) / 2 } else { 0 };
            let (left, top) = (centre(input.width, size[0]), centre(input.height, size[1]));
            Plan {
                source: whole,
                target: [left, top, size[0], size[1]],
                input,
                placement: Placement {
                    scale: (scale, scale),
                    offset: (-(left as f32) * scale, -(top as f32) * scale),
                    frame,
                },
            }
        }
        Fit::Crop | Fit::CropFrom(_) => {
            let least = (iw / fw).max(ih / fh);
            let ratio = match fit {
                Fit::CropFrom(side) => (f64::from(side) / fw.min(fh)).max(least),
                _ => least,
            };
            // Rounding must not move the part past the frame's edges.
            let (w, h) = ((iw / ratio).min(fw), (ih / ratio).min(fh));
            let (x, y) = (((fw - w) / 2.0).max(0.0), ((fh - h) / 2.0).max(0.0));
            let (w, h) = (w.min(fw - x), h.min(fh - y));
            let scale = (1.0 / ratio) as f32;
            Plan {
                source: [x, y, w, h],
                target: [0, 0, input.width, input.height],
                input,
                placement: Placement { scale: (scale, scale), offset: (x as f32, y as f32), frame },
            }
        }
    }
}

/// Plans how a part of a frame, `[x1, y1, x2, y2]` in pixels, is resized to the size of an input. Anything outside the
/// frame is cut off; returns `None` if less than a pixel is left.
#[must_use]
pub fn plan_of(frame: Size, [x1, y1, x2, y2]: [f64; 4], input: Size, fit: Fit) -> Option<Plan> {
    let (left, top) = (x1.max(0.0).floor(), y1.max(0.0).floor());
    let (right, bottom) = (x2.min(f64::from(frame.width)).ceil(), y2.min(f64::from(frame.height)).ceil());
    let (w, h) = (right - left, bottom - top);
    if !(w >= 1.0 && h >= 1.0) {
        return None;
    }
    let mut plan = plan(Size::new(w as u32, h as u32), input, fit);
    plan.source[0] += left;
    plan.source[1] += top;
    plan.placement.offset.0 += left as f32;
    plan.placement.offset.1 += top as f32;
    plan.placement.frame = frame;
    Some(plan)
}

/// The options of Ultralytics' `LetterBox`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LetterboxRule {
    /// Whether a frame smaller than the input is enlarged.
    pub scale_up: bool,
    /// Whether padding is split between both sides.
    pub center: bool,
    /// Pad only to a multiple of this many pixels (`auto` with its `stride`); the input shrinks.
    pub multiple: Option<u32>,
}

impl Default for LetterboxRule {
    fn default() -> Self {
        Self { scale_up: true, center: true, multiple: None }
    }
}

/// Plans a letterbox as Ultralytics' `LetterBox` (8.x) does; boxes are mapped back as its `scale_boxes` does.
#[must_use]
pub fn letterbox(frame: Size, input: Size, rule: &LetterboxRule) -> Plan {
    let (fw, fh) = (f64::from(frame.width), f64::from(frame.height));
    let (iw, ih) = (f64::from(input.width), f64::from(input.height));
    let mut ratio = (ih / fh).min(iw / fw);
    if !rule.scale_up {
        ratio = ratio.min(1.0);
    }
    let (w, h) = ((fw * ratio).round_ties_even().max(1.0), (fh * ratio).round_ties_even().max(1.0));
    let (mut pad_w, mut pad_h) = (iw - w, ih - h);
    if let Some(multiple) = rule.multiple {
        (pad_w, pad_h) = (pad_w % f64::from(multiple), pad_h % f64::from(multiple));
    }
    let input = Size::new((w + pad_w) as u32, (h + pad_h) as u32);
    let share = if rule.center { 0.5 } else { 0.0 };
    // Ultralytics subtracts 0.1 from the half before rounding, so that an odd pixel goes to the far side.
    let first = |pad: f64| if rule.center { (pad * share - 0.1).round_ties_even().max(0.0) } else { 0.0 };
    let (left, top) = (first(pad_w), first(pad_h));
    // The mapping back undoes the rounding to whole pixels on each axis, as `scale_boxes` does.
    let scale = (fw / w, fh / h);
    Plan {
        source: [0.0, 0.0, fw, fh],
        target: [left as u32, top as u32, w as u32, h as u32],
        input,
        placement: Placement {
            scale: (scale.0 as f32, scale.1 as f32),
            offset: ((-left * scale.0) as f32, (-top * scale.1) as f32),
            frame,
        },
    }
}

/// Resizes pictures, keeping its buffers from frame to frame.
#[derive(Debug, Default)]
pub struct Resize {
    resizer: Resizer,
    linear: CvLinear,
}

impl Resize {
    /// Resizes `from` into `into` as planned; what the picture does not cover is filled with `pad`.
    ///
    /// # Errors
    /// [`Error::Internal`] if the plan does not fit the picture.
    pub fn apply(&mut self, from: &Image, plan: &Plan, filter: Filter, pad: u8, into: &mut Image) -> Result<()> {
        into.reshape(plan.input, from.format);
        let [_, _, width, height] = plan.target;
        if width < plan.input.width || height < plan.input.height {
            into.data.fill(pad);
        }
        if plan.source == [0.0, 0.0, f64::from(width), f64::from(height)] && plan.input == from.size {
            into.data.copy_from_slice(&from.data);
            return Ok(());
        }
        if matches!(filter, Filter::CvNearest) {
            nearest_opencv(from, plan, into);
            return Ok(());
        }
        if matches!(filter, Filter::CvLinear) {
            self.linear.apply(from, plan.source, plan.target, into);
            return Ok(());
        }
        let kernel = match filter {
            Filter::Box => Some(Kernel::Box),
            Filter::Lanczos => Some(Kernel::Lanczos),
            Filter::CvArea => Some(Kernel::CvArea),
            Filter::CvCubic => Some(Kernel::CvCubic),
            _ => None,
        };
        if let Some(kernel) = kernel {
            resample(from, plan.source, kernel, plan.target, into);
            return Ok(());
        }
        // One call for each kind of pixel, so that the kinds that we do not have are not compiled in.
        match from.format {
            PixelFormat::Rgb8 => self.convolve::<pixels::U8x3>(from, plan, filter, into),
            PixelFormat::Gray8 => self.convolve::<pixels::U8>(from, plan, filter, into),
        }
    }

    fn convolve<P: PixelTrait>(&mut self, from: &Image, plan: &Plan, filter: Filter, into: &mut Image) -> Result<()> {
        let [left, top, width, height] = plan.target;
        let wrong =
            |e: &dyn std::fmt::Display| Error::Internal(format!("resize of {} to {width}x{height}: {e}", from.size));
        let source = TypedImageRef::<P>::from_buffer(from.size.width, from.size.height, &from.data);
        let source = source.map_err(|e| wrong(&e))?;
        let canvas = TypedImage::<P>::from_buffer(plan.input.width, plan.input.height, &mut into.data);
        let mut canvas = canvas.map_err(|e| wrong(&e))?;
        let mut target =
            TypedCroppedImageMut::from_ref(&mut canvas, left, top, width, height).map_err(|e| wrong(&e))?;
        let [x, y, w, h] = plan.source;
        let options = ResizeOptions::new().resize_alg(algorithm(filter)).crop(x, y, w, h).use_alpha(false);
        self.resizer.resize_typed(&source, &mut target, &options).map_err(|e| wrong(&e))
    }
}

const fn algorithm(filter: Filter) -> ResizeAlg {
    match filter {
        Filter::Bilinear => ResizeAlg::Convolution(FilterType::Bilinear),
        // The filters of `resample` and `cv_linear` never get here.
        Filter::Nearest | Filter::CvNearest | Filter::CvLinear | Filter::Box | Filter::CvArea => ResizeAlg::Nearest,
        Filter::Lanczos => ResizeAlg::Convolution(FilterType::Lanczos3),
        Filter::Bicubic | Filter::CvCubic => ResizeAlg::Convolution(FilterType::CatmullRom),
        Filter::Hamming => ResizeAlg::Convolution(FilterType::Hamming),
    }
}

/// OpenCV's nearest filter takes the pixel at `floor(x * scale)`, half a pixel off from everyone else's.
fn nearest_opencv(from: &Image, plan: &Plan, into: &mut Image) {
    let [left, top, width, height] = plan.target;
    let [x0, y0, w, h] = plan.source;
    let channels = from.format.channels();
    let stride = into.stride();
    let pick = |at: u32, count: u32, start: f64, length: f64, limit: u32| {
        let place = start + (f64::from(at) * (length / f64::from(count))).floor();
        (place as u32).min(limit - 1) as usize
    };
    for y in 0..height {
        let row = from.row(pick(y, height, y0, h, from.size.height) as u32);
        let start = (top + y) as usize * stride + left as usize * channels;
        let target = &mut into.data[start..start + width as usize * channels];
        for (x, out) in target.chunks_exact_mut(channels).enumerate() {
            let source = pick(x as u32, width, x0, w, from.size.width) * channels;
            out.copy_from_slice(&row[source..source + channels]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::BBox;

    #[test]
    fn a_letterbox_goes_there_and_back() {
        let plan = plan(Size::new(640, 360), Size::new(320, 320), Fit::Letterbox);
        assert_eq!(plan.target, [0, 70, 320, 180]);
        let found = plan.placement.to_frame(BBox::new(0.0, 70.0, 320.0, 250.0));
        assert_eq!(found, BBox::new(0.0, 0.0, 640.0, 360.0));
    }

    #[test]
    fn a_crop_uses_the_middle() {
        let plan = plan(Size::new(640, 360), Size::new(100, 100), Fit::Crop);
        assert_eq!(plan.source, [140.0, 0.0, 360.0, 360.0]);
        assert_eq!(plan.placement.to_frame(BBox::new(0.0, 0.0, 100.0, 100.0)), BBox::new(140.0, 0.0, 500.0, 360.0));
    }

    /// torchvision's `Resize(256)` makes 512 x 256 of 640 x 320, and `CenterCrop(224)` takes columns 144 to 368 and rows 16
    /// to 240 of that.
    #[test]
    fn a_middle_is_cut_out_of_a_larger_size() {
        let plan = plan(Size::new(640, 320), Size::new(224, 224), Fit::CropFrom(256));
        assert_eq!(plan.source, [180.0, 20.0, 280.0, 280.0]);
        assert!(Fit::CropFrom(200).check(Size::new(224, 224)).is_err());
    }

    #[test]
    fn a_crop_of_any_size_stays_inside() {
        let mut resizer = Resize::default();
        for (width, height) in [(1280, 720), (640, 360), (1640, 1232), (333, 77), (719, 1281)] {
            let from = Image::new(Size::new(width, height), PixelFormat::Gray8);
            for side in [416, 320, 640, 97] {
                let plan = plan(from.size, Size::new(side, side), Fit::Crop);
                resizer.apply(&from, &plan, Filter::Bilinear, 0, &mut Image::default()).unwrap();
            }
        }
    }

    #[test]
    fn padding_is_filled_and_the_picture_lands_in_its_place() {
        let mut from = Image::new(Size::new(4, 2), PixelFormat::Rgb8);
        from.data.fill(200);
        let mut into = Image::default();
        let plan = plan(from.size, Size::new(4, 4), Fit::LetterboxTopLeft);
        Resize::default().apply(&from, &plan, Filter::Bilinear, 114, &mut into).unwrap();
        assert_eq!(into.row(1), [200; 12]);
        assert_eq!(into.row(2), [114; 12]);
    }
}
