//! Draws what was found.

use crate::error::{Error, Result};
use crate::ops::draw::{
    Labels, Text, class_color, corners, dot, edges, fill, heat, line, line_width, outline, stain, tint,
};
use crate::ops::upsample::{Axis, bilinear};
use crate::stage::{Emitter, Env, LineEnv, Stage, StageConfig};
use crate::types::{Detection, Found, Heatmap, Image, Mask, Objects, Packet, Placement, Point, Pool, Products, Size};
use serde::Deserialize;
use std::fmt::Write as _;
use std::sync::Arc;

/// Draws the answers of the lines above on a copy of the frame, readable at any size: boxes with labels, scores, points
/// and masks, the colours of a segmentation with their names, a heatmap with the class that it explains, the answers of a
/// classifier. Labels do not cover each other; where there is no room for all, those with the lowest scores are left out.
///
/// `- annotate` or `- annotate: { scores: false }`
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Annotate {
    /// Show class names.
    #[serde(default = "yes")]
    pub labels: bool,
    /// Show scores in per cent.
    #[serde(default = "yes")]
    pub scores: bool,
    /// Also draw what is really there, thin and white, if the source knows it.
    #[serde(default)]
    pub truth: bool,
    /// Opacity of the colours of a segmentation, a heatmap or the masks of objects, 0–1.
    #[serde(default = "half")]
    pub cover: f32,
}

const fn half() -> f32 {
    0.5
}

const fn yes() -> bool {
    true
}

impl StageConfig for Annotate {
    fn needs(&self) -> Products {
        if self.truth { Products::TRUTH } else { Products::empty() }
    }

    fn needs_any(&self) -> Products {
        Products::DETECTIONS | Products::CLASSES | Products::MASK | Products::HEATMAP
    }

    fn check(&self, _env: &Env) -> Result<()> {
        super::checks::check_score("cover", self.cover)
    }

    fn gives(&self) -> Products {
        Products::CANVAS
    }

    fn build(&self, _env: &LineEnv) -> Result<Box<dyn Stage>> {
        Ok(Box::new(Drawing {
            settings: self.clone(),
            canvases: Pool::new(),
            text: String::new(),
            spread: Spread::default(),
            labels: Labels::default(),
            cells: Vec::new(),
        }))
    }
}

struct Drawing {
    settings: Annotate,
    canvases: Pool<Image>,
    text: String,
    spread: Spread,
    labels: Labels,
    cells: Vec<f32>,
}

/// Resizes heatmaps to the size of the frame.
#[derive(Default)]
struct Spread {
    /// What the axes were computed for: grid, input, and the mapping from input to frame.
    of: Option<(Size, Size, Placement)>,
    down: Axis,
    across: Axis,
    values: Vec<f32>,
}

impl Spread {
    fn over_frame(&mut self, map: &Heatmap) -> &[f32] {
        let of = Some((map.size, map.input, map.placement));
        if self.of != of {
            let (frame, p) = (map.placement.frame, map.placement);
            let axis = |cells: u32, input: u32, frame: u32, scale: f32, offset: f32| {
                let place = |at: usize| (at as f32 + 0.5 - offset) / scale * cells as f32 / input as f32 - 0.5;
                Axis::new(cells as usize, frame as usize, place)
            };
            self.down = axis(map.size.height, map.input.height, frame.height, p.scale.1, p.offset.1);
            self.across = axis(map.size.width, map.input.width, frame.width, p.scale.0, p.offset.0);
            self.of = of;
        }
        bilinear(&map.values, map.size.width as usize, &self.down, &self.across, &mut self.values);
        &self.values
    }
}

impl Stage for Drawing {
    fn process(&mut self, mut packet: Packet, out: &mut Emitter) -> Result<()> {
        let (settings, text, spread, places) = (&self.settings, &mut self.text, &mut self.spread, &mut self.labels);
        let cells = &mut self.cells;
        let cover = (settings.cover * 255.0) as u8;
        let canvas = self.canvases.fill(|canvas| {
            canvas.copy_from(&packet.frame.image);
            if let Some(mask) = &packet.mask {
                tint(canvas, &mask.classes, cover);
            }
            if let Some(map) = &packet.heatmap {
                heat(canvas, spread.over_frame(map), cover);
            }
            if settings.truth {
                for real in packet.truth.iter().flat_map(|truth| truth.iter()) {
                    let (from, to) = corners(&real.bbox);
                    outline(canvas, from, to, 1, [255, 255, 255]);
                }
            }
            places.clear();
            let mut line = 0;
            if let Some(map) = packet.heatmap.as_ref().filter(|_| settings.labels)
                && let Some(class) = map.class
            {
                text.clear();
                text.push_str("why: ");
                name_of(text, map.by.label(class), class);
                caption(canvas, &mut line, text, places);
            }
            let answers = packet.classes.iter().flat_map(|best| best.iter().map(|answer| (answer, &best.by)));
            for (answer, by) in answers {
                text.clear();
                name_of(text, by.label(answer.class).filter(|_| settings.labels), answer.class);
                if settings.scores {
                    percent(text, answer.score);
                }
                caption(canvas, &mut line, text, places);
            }
            if let Some(mask) = packet.mask.as_ref().filter(|_| settings.labels) {
                legend(canvas, mask, places, text);
            }
            let Some(Found { items: found, .. }) = &packet.detections else { return Ok::<(), Error>(()) };
            // The edges of the best ones are drawn last, and their labels find a place first.
            for detection in found.iter().rev() {
                if let Some(mask) = found.mask(detection, cells) {
                    stain(canvas, &mask, class_color(detection.class), cover);
                }
            }
            for detection in found.iter().rev() {
                draw(canvas, detection, found);
            }
            for detection in found.iter() {
                text.clear();
                if settings.labels {
                    name_of(text, packet.label(detection.class), detection.class);
                }
                if settings.scores {
                    percent(text, detection.score);
                }
                for kind in detection.kinds.iter().filter(|_| settings.labels) {
                    let _ = write!(text, " {}", kind.by.label(kind.best.class).unwrap_or("?"));
                }
                places.draw(canvas, &detection.bbox, text, class_color(detection.class));
            }
            Ok(())
        })?;
        packet.canvas = Some(canvas);
        out.emit(packet);
        Ok(())
    }
}

fn percent(text: &mut String, score: f32) {
    let space = if text.is_empty() { "" } else { " " };
    let _ = write!(text, "{space}{:.0}%", score * 100.0);
}

fn name_of(text: &mut String, name: Option<&str>, class: u16) {
    match name {
        Some(name) => text.push_str(name),
        None => _ = write!(text, "{class}"),
    }
}

/// Draws a line of text in the upper left corner; `line` counts from the top.
fn caption(canvas: &mut Image, line: &mut i32, text: &str, places: &mut Labels) {
    let font = Text::for_picture(canvas.size.height);
    let (width, height) = font.measure(text);
    let (width, height) = (width.cast_signed() + 8, height.cast_signed() + 2);
    let top = *line * height;
    fill(canvas, (0, top), (width, top + height), [24, 24, 24]);
    places.reserve((0, top), (width, top + height));
    font.draw(canvas, 4, top + 1, text, [255, 255, 255]);
    *line += 1;
}

/// A class that covers less than this share of the picture is not in the legend.
const LEAST_SHARE: f32 = 0.002;

/// Names the colours of a class map in the lower left corner, at most over three quarters of the height.
fn legend(canvas: &mut Image, mask: &Found<Arc<Mask>>, places: &mut Labels, text: &mut String) {
    let font = Text::for_picture(canvas.size.height);
    let height = font.measure("A").1.cast_signed() + 2;
    let most = (canvas.size.height.cast_signed() * 3 / 4 / height).max(1) as usize;
    let down = canvas.size.height.cast_signed();
    // Class 0 is the background and has no colour.
    let shown = mask.shares().filter(|(class, share)| *class > 0 && *share >= LEAST_SHARE).take(most);
    for (line, (class, _)) in (1..).zip(shown) {
        text.clear();
        name_of(text, mask.by.label(class.into()), class.into());
        let (top, wide) = (down - line * height, font.measure(text).0.cast_signed());
        fill(canvas, (0, top), (height + wide + 8, top + height), [24, 24, 24]);
        fill(canvas, (2, top + 2), (height - 2, top + height - 2), class_color(u16::from(class) - 1));
        font.draw(canvas, height + 4, top + 1, text, [255, 255, 255]);
        places.reserve((0, top), (height + wide + 8, top + height));
    }
}

/// Points whose score is below this are not drawn: the model thinks that they cannot be seen.
const LEAST_POINT: f32 = 0.25;

fn draw(canvas: &mut Image, object: &Detection, all: &Objects) {
    let color = class_color(object.class);
    let thick = line_width(canvas);
    match &object.corners {
        None => edges(canvas, &object.bbox, color),
        Some(corners) => {
            for (at, from) in corners.iter().enumerate() {
                line(canvas, *from, corners[(at + 1) % 4], thick, color);
            }
        }
    }
    let points = all.points(object);
    let seen = |point: &&Point| point.score.is_none_or(|score| score >= LEAST_POINT);
    for [from, to] in all.skeleton() {
        let end = |number: &u16| points.get(usize::from(*number)).filter(seen).map(|point| [point.x, point.y]);
        if let (Some(from), Some(to)) = (end(from), end(to)) {
            line(canvas, from, to, (thick / 2).max(1), color);
        }
    }
    for point in points.iter().filter(seen) {
        dot(canvas, (point.x.round() as i32, point.y.round() as i32), thick, color);
    }
}
