//! Which input takes the picture, and what the others need.

use crate::error::{Error, Result};
use crate::infer::ProbeInput;
use crate::onnx::{DataType, Model, element_type, pb::ValueInfoProto};
use crate::types::Size;
use std::fmt::Write as _;

/// The input that takes the picture.
#[expect(clippy::struct_excessive_bools, reason = "each is seen in the graph by itself")]
pub struct Input {
    name: String,
    pub dtype: DataType,
    pub size: Size,
    pub channels: usize,
    pub nhwc: bool,
    /// The graph scales levels itself.
    scales_levels: bool,
    /// It has no axis for a batch.
    pub is_flat: bool,
    shape: Vec<usize>,
    /// There are others, so that the card must name it.
    is_one_of_several: bool,
    /// Inputs that are the same for every picture, and what they get in words of the card.
    constants: Vec<(String, &'static str)>,
}

/// Inputs that detectors ask for beside the picture, by their names. Boxes then come in pixels of the model input.
const KNOWN: [(&str, &str); 6] = [
    ("orig_target_sizes", "[width, height]"),
    ("orig_size", "[width, height]"),
    ("im_shape", "[height, width]"),
    ("image_shape", "[height, width]"),
    ("scale_factor", "[1, 1]"),
    ("im_scale", "[1, 1]"),
];

impl Input {
    /// Finds the picture's input, and gives the model its constants.
    pub fn of(model: &mut Model, imgsz: Option<&str>, size: Option<Size>, guesses: &mut Vec<String>) -> Result<Self> {
        let all: Vec<ValueInfoProto> = model.inputs().cloned().collect();
        let Some(plane) = all.iter().find_map(|value| Plane::of(value, false)).or_else(|| {
            let found = all.iter().find_map(|value| Plane::of(value, true));
            found.inspect(|_| guesses.push("the graph does not fix the number of channels; 3 were assumed".into()))
        }) else {
            let names: Vec<&str> = all.iter().map(ValueInfoProto::label).collect();
            return Err(Error::Model(format!(
                "no input takes a picture with 1 or 3 channels; the inputs are {}",
                names.join(", ")
            )));
        };
        if let Some(batch) = plane.batch.filter(|batch| *batch > 1) {
            return Err(Error::Model(format!(
                "the graph takes {batch} pictures at once, and we give it one at a time; export it with a batch size of 1 (Ultralytics: `batch=1`), or with an open batch"
            )));
        }
        let mut sides =
            imgsz.unwrap_or_default().trim_matches(['[', ']']).split(',').map(|side| side.trim().parse().ok());
        // Height and width, or one number for both.
        let said = sides.next().flatten().map(|h| (h, sides.next().flatten().unwrap_or(h)));
        let said = size.map(|size| (size.height as usize, size.width as usize)).or(said);
        if plane.sides.0.is_none() || plane.sides.1.is_none() {
            let (h, w) = said.unwrap_or((640, 640));
            if size.is_none() {
                guesses.push(format!(
                    "the graph does not fix its input size; {w}x{h} was assumed: give the one it was trained with as `--size WIDTHxHEIGHT`"
                ));
            }
        }
        let (height, width) =
            (plane.sides.0.or(said.map(|s| s.0)).unwrap_or(640), plane.sides.1.or(said.map(|s| s.1)).unwrap_or(640));
        let mut shape =
            if plane.nhwc { vec![1, height, width, plane.channels] } else { vec![1, plane.channels, height, width] };
        if plane.is_flat {
            shape.remove(0);
        }
        let sides =
            u32::try_from(width).ok().zip(u32::try_from(height).ok()).filter(|(w, h)| *w <= 16384 && *h <= 16384);
        let (width, height) =
            sides.ok_or_else(|| Error::Model(format!("an input of {width}x{height} is too large")))?;
        let size = Size::new(width, height);
        let mut constants = Vec::new();
        for other in all.iter().map(ValueInfoProto::label).filter(|name| *name != plane.name) {
            let Some((_, words)) = KNOWN.iter().find(|(known, _)| *known == other) else {
                guesses.push(format!("the graph has a further input `{other}`: put it into `model.state` if an output is fed back, or into `model.constants` if it is the same for every picture"));
                continue;
            };
            let value = |word: &str| match word {
                "width" => f64::from(width),
                "height" => f64::from(height),
                number => number.parse().unwrap_or(1.0),
            };
            let values: Vec<f64> = words.trim_matches(['[', ']']).split(", ").map(value).collect();
            model.fix_input(other, &values)?;
            constants.push((other.to_owned(), *words));
        }
        let scales_levels = scales_levels(model, &plane.name);
        let Plane { name, dtype, channels, nhwc, is_flat, .. } = plane;
        Ok(Self {
            name,
            dtype,
            size,
            channels,
            nhwc,
            shape,
            scales_levels,
            is_flat,
            is_one_of_several: all.len() > 1,
            constants,
        })
    }

    pub fn probe(&self) -> ProbeInput {
        ProbeInput { name: self.name.clone(), shape: self.shape.clone(), nhwc: self.nhwc, kind: self.dtype }
    }

    /// Whether the graph asks for this beside the picture.
    pub fn asks_for(&self, name: &str) -> bool {
        self.constants.iter().any(|(asked, _)| asked == name)
    }

    /// The lines of `model.constants`.
    pub fn constants(&self) -> String {
        let mut text = String::new();
        for (at, (name, words)) in self.constants.iter().enumerate() {
            let _ = writeln!(text, "{}    {name}: {words}", if at == 0 { "  constants:\n" } else { "" });
        }
        text
    }

    /// The line that begins with `input:`. `fit` is what the metadata tell, if they do; levels are then divided by 255.
    /// `is_imagenet`: whether they are probably normalised as for ImageNet.
    pub fn line(&self, family: &str, fit: Option<&str>, is_imagenet: bool, guesses: &mut Vec<String>) -> String {
        let mut parts = Vec::new();
        if self.is_one_of_several {
            parts.push(format!("name: {:?}", self.name));
        }
        parts.push(format!("size: [{}, {}]", self.size.width, self.size.height));
        match fit {
            Some(words) => parts.push(words.into()),
            None if family.starts_with("yolo: { kind: x") => parts.push("fit: letterbox_top_left".into()),
            None if family.starts_with("yolo") => parts.push("fit: letterbox".into()),
            None => {}
        }
        let bgr = family.starts_with("yolo: { kind: x") || family.starts_with("yunet") || family.starts_with("nanodet");
        parts.push(match (self.channels, bgr) {
            (1, _) => "color: gray".into(),
            (_, true) => "color: bgr".into(),
            _ => "color: rgb".into(),
        });
        parts.push(if self.nhwc { "layout: nhwc" } else { "layout: nchw" }.into());
        match self.dtype {
            DataType::U8 => parts.push("dtype: u8".into()),
            DataType::I8 => parts.push("dtype: i8".into()),
            _ if fit.is_some() => parts.push(PARTS.into()),
            _ if self.scales_levels => parts.push(LEVELS.into()),
            _ => parts.push(self.normalised(family, is_imagenet, bgr, guesses)),
        }
        let known = fit.is_some() || self.scales_levels || matches!(self.dtype, DataType::U8 | DataType::I8);
        format!("input: {{ {} }}{}\n", parts.join(", "), if known { "" } else { " # ?" })
    }

    /// How levels become floats, in words of the card.
    fn normalised(&self, family: &str, is_imagenet: bool, bgr: bool, guesses: &mut Vec<String>) -> String {
        let maps = family.starts_with("classifier") || family.starts_with("segmentation");
        let (what, text) = match () {
            () if is_imagenet || (maps && !self.nhwc) => (
                "PyTorch's ImageNet values",
                "dtype: f32, mean: [123.675, 116.28, 103.53], std: [58.395, 57.12, 57.375]",
            ),
            () if maps => (
                "-1 to 1, as most of TensorFlow's models have them,",
                "dtype: f32, mean: [127.5, 127.5, 127.5], std: [127.5, 127.5, 127.5]",
            ),
            () if bgr => ("unchanged levels (0–255)", LEVELS),
            () => ("levels divided by 255", PARTS),
        };
        guesses.push(format!("a graph does not say how pixels are normalised; {what} are assumed"));
        text.to_owned()
    }
}

/// Levels as they are, and levels as parts of 255.
const LEVELS: &str = "dtype: f32";
const PARTS: &str = "dtype: f32, std: [255, 255, 255]";

/// Whether a graph begins by scaling levels (0–255) itself, as Keras' `Rescaling` and `Normalization` do.
fn scales_levels(model: &Model, input: &str) -> bool {
    let (graph, index) = (model.graph(), model.index());
    let mut value = input;
    for _ in 0..8 {
        let [user] = *index.users(value) else { return false };
        let node = &graph.node[user];
        let number = |holds: fn(f32) -> bool| {
            let made = |name: &str| graph.node[index.maker(name)?].attribute("value")?.t.as_ref();
            let tensor = |name: &String| index.weight(graph, name).or_else(|| made(name))?.floats().ok();
            let held = node.input.iter().filter_map(tensor);
            held.flatten().next().is_some_and(holds)
        };
        match node.op() {
            "Mul" => return number(|v| v > 0.0 && v < 0.02),
            "Div" => return number(|v| v > 50.0),
            "Sub" => return number(|v| v > 50.0),
            "Add" => return number(|v| v < -50.0),
            "Transpose" | "Cast" | "Identity" | "Reshape" => {}
            _ => return false,
        }
        let Some(next) = node.output(0) else { return false };
        value = next;
    }
    false
}

/// An input that may take a picture.
struct Plane {
    name: String,
    dtype: DataType,
    batch: Option<usize>,
    nhwc: bool,
    channels: usize,
    /// Height and width.
    sides: (Option<usize>, Option<usize>),
    /// Without a batch.
    is_flat: bool,
}

impl Plane {
    /// `open` accepts an open number of channels.
    fn of(value: &ValueInfoProto, open: bool) -> Option<Self> {
        let (dtype, shape) = element_type(value)?;
        let mut shape = shape.filter(|s| matches!(s.len(), 3 | 4))?;
        let is_flat = shape.len() == 3;
        if is_flat {
            shape.insert(0, Some(1));
        }
        let plane = |c: Option<usize>| c.filter(|c| matches!(c, 1 | 3));
        let nhwc = plane(shape[1]).is_none() && plane(shape[3]).is_some();
        let found = if nhwc { plane(shape[3]) } else { plane(shape[1]) };
        let channels = found.or((open && shape[1].is_none() && !is_flat).then_some(3))?;
        let sides = if nhwc { (shape[1], shape[2]) } else { (shape[2], shape[3]) };
        // A few numbers are no picture.
        if sides.0.is_some_and(|side| side < 4) || sides.1.is_some_and(|side| side < 4) {
            return None;
        }
        Some(Self { name: value.label().to_owned(), dtype, batch: shape[0], nhwc, channels, sides, is_flat })
    }
}
