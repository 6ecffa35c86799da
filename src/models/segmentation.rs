//! Segmentation: one class per pixel. DeepLab, FCN, U-Net, SegNet, PSPNet and LR-ASPP differ only in their graphs.

use super::numbers::logit;
use crate::error::{Error, Result};
use crate::infer::{Card, Outputs};
use crate::ops::normalize::Layout;
use crate::ops::upsample::{Axis, Scores, argmax};
use crate::types::{Mask, Placement, Size};
use crate::yaml::Fault;
use serde::Deserialize;

/// `family: { segmentation: { form: logits } }`
#[derive(Clone, Copy, Debug, Default, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Segmentation {
    /// What the output holds.
    #[serde(default)]
    pub form: Form,
    /// Order of the output's axes, if it differs from the input's.
    #[serde(default)]
    pub layout: Option<Layout>,
    /// How the output is scaled to the size of the frame.
    #[serde(default)]
    pub upsample: Upsample,
    /// Whether the corners of the output are aligned with those of the input (PyTorch's `align_corners`).
    #[serde(default)]
    pub align_corners: bool,
    /// The output of the graph to use, counted from 0.
    #[serde(default)]
    pub output: usize,
    /// For `form: binary` and `probability`: minimum probability of the foreground.
    #[serde(default)]
    #[schemars(extend("exclusiveMinimum" = 0, "exclusiveMaximum" = 1))]
    pub threshold: Option<f32>,
}

/// What the output of a segmentation model holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// One score per class and cell, `[1, classes, H, W]` or `[1, H, W, classes]`; the largest wins.
    #[default]
    Logits,
    /// One logit per cell, `[1, 1, H, W]` or `[1, H, W, 1]`: class 1 if it is above the threshold's logit, else 0.
    Binary,
    /// One probability (0–1) per cell, `[1, 1, H, W]` or `[1, H, W, 1]`, as mattes have: class 1 if it is above the
    /// threshold, else 0.
    Probability,
    /// Class numbers, `[1, H, W]`, `[1, 1, H, W]` or `[1, H, W, 1]`.
    Classes,
}

/// How an output is scaled to the size of the frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Upsample {
    /// Interpolates the scores, then picks the largest: smooth edges. Class numbers always use `nearest`.
    #[default]
    Bilinear,
    /// Picks the largest score in each cell, then the nearest cell: cheap, but with jagged edges.
    Nearest,
}

/// Turns outputs into class maps of the frame's size.
pub struct Segmenter {
    spec: Segmentation,
    layout: Layout,
    classes: usize,
    input: Size,
    shape: Vec<usize>,
    values: Vec<f32>,
    best: Vec<u8>,
    /// Axes, and what they were made for.
    axes: Option<(Placement, [usize; 2], Axis, Axis)>,
}

impl Segmenter {
    /// Creates a segmenter for a card's input size, layout and labels.
    ///
    /// # Errors
    /// [`Error::Model`] if the card has no labels, or more than a class map can hold.
    pub fn new(spec: Segmentation, card: &Card) -> Result<Self> {
        let classes = card.labels.len();
        if !(2..=256).contains(&classes) {
            let message = format!("family.segmentation: {classes} labels; it needs 2 to 256, including the background");
            return Err(card.error(Fault::new(card.family.place, message)));
        }
        if spec.threshold.is_some_and(|t| !(t > 0.0 && t < 1.0)) {
            let threshold = spec.threshold.unwrap_or_default();
            let message = format!("family.segmentation.threshold: {threshold}; it must lie between 0 and 1");
            return Err(card.error(Fault::new(card.family.place, message)));
        }
        let layout = spec.layout.unwrap_or(card.fields.input.layout);
        let input = card.fields.input.size;
        let (shape, values, best) = (Vec::new(), Vec::new(), Vec::new());
        Ok(Self { spec, layout, classes, input, shape, values, best, axes: None })
    }

    /// Finds the class of each pixel of the frame. The padding of a letterbox is not part of the frame; what a crop cut
    /// off gets the classes of the edge.
    ///
    /// # Errors
    /// [`Error::Model`] if the output does not have the shape in the card.
    pub fn segment(&mut self, outputs: &dyn Outputs, placement: &Placement, mask: &mut Mask) -> Result<()> {
        outputs.read(self.spec.output, 1.0, 0, &mut self.shape, &mut self.values)?;
        let channels = match self.spec.form {
            Form::Logits => self.classes,
            Form::Binary | Form::Probability | Form::Classes => 1,
        };
        let found = match (self.shape.as_slice(), self.layout) {
            ([1, h, w], _) if self.spec.form == Form::Classes => Some((*h, *w)),
            ([1, c, h, w], Layout::Nchw) | ([1, h, w, c], Layout::Nhwc) if *c == channels => Some((*h, *w)),
            _ => None,
        };
        let Some((h, w)) = found.filter(|(h, w)| h * w > 0) else {
            return Err(Error::Model(format!(
                "model `{}`: an output has shape {:?}, but the card says {channels} channels ({:?}, {:?})",
                outputs.model(),
                self.shape,
                self.spec.form,
                self.layout
            )));
        };
        if self.axes.as_ref().is_none_or(|(known, map, ..)| known != placement || *map != [h, w]) {
            let [down, across] = self.make_axes(placement, h, w);
            self.axes = Some((*placement, [h, w], down, across));
        }
        let Some((.., down, across)) = &self.axes else { return Ok(()) };
        mask.size = placement.frame;
        let classes = &mut mask.classes;
        if self.spec.form == Form::Classes {
            let top = self.classes as f32;
            if let Some(bad) = self.values.iter().find(|v| !(0.0..top).contains(*v)) {
                return Err(Error::Model(format!(
                    "model `{}`: an output has class {bad}, but the card has {top} labels",
                    outputs.model()
                )));
            }
            self.best.clear();
            self.best.extend(self.values.iter().map(|&v| v as u8));
            pick(&self.best, w, down, across, classes);
            return Ok(());
        }
        let scores = |values, channels| match self.layout {
            Layout::Nchw => Scores::planes(values, channels, h, w),
            Layout::Nhwc => Scores::cells(values, channels, h, w),
        };
        if matches!(self.spec.form, Form::Binary | Form::Probability) {
            // Two classes: the background's score is the threshold, or its logit.
            let threshold = self.spec.threshold.unwrap_or(0.5);
            let least = if self.spec.form == Form::Binary { logit(threshold) } else { threshold };
            let count = self.values.len();
            self.values.resize(2 * count, 0.0);
            self.values.copy_within(..count, count);
            self.values[..count].fill(least);
            let scores = Scores::planes(&self.values, 2, h, w);
            upsampled(&scores, self.spec.upsample, w, down, across, &mut self.best, classes);
        } else {
            let scores = scores(&self.values, channels);
            upsampled(&scores, self.spec.upsample, w, down, across, &mut self.best, classes);
        }
        Ok(())
    }

    /// Returns where each row and column of the frame lies on the map.
    fn make_axes(&self, placement: &Placement, h: usize, w: usize) -> [Axis; 2] {
        let (frame, input) = (placement.frame, self.input);
        let axis = |cells: usize, frame: u32, input: u32, scale: f32, offset: f32| {
            let place = |at: usize| {
                let pixel = (at as f32 + 0.5 - offset) / scale;
                if self.spec.align_corners {
                    (pixel - 0.5) * (cells - 1) as f32 / (input - 1).max(1) as f32
                } else {
                    pixel * (cells as f32 / input as f32) - 0.5
                }
            };
            Axis::new(cells, frame as usize, place)
        };
        [
            axis(h, frame.height, input.height, placement.scale.1, placement.offset.1),
            axis(w, frame.width, input.width, placement.scale.0, placement.offset.0),
        ]
    }
}

fn upsampled(
    scores: &Scores<'_>,
    how: Upsample,
    width: usize,
    down: &Axis,
    across: &Axis,
    best: &mut Vec<u8>,
    out: &mut Vec<u8>,
) {
    match how {
        Upsample::Bilinear => argmax(scores, down, across, best, out),
        Upsample::Nearest => {
            scores.argmax(best);
            pick(best, width, down, across, out);
        }
    }
}

/// Gives each pixel the class of the nearest cell.
fn pick(best: &[u8], width: usize, down: &Axis, across: &Axis, out: &mut Vec<u8>) {
    out.clear();
    for y in 0..down.len() {
        let row = &best[down.nearest_cell(y) * width..][..width];
        out.extend((0..across.len()).map(|x| row[across.nearest_cell(x)]));
    }
}
