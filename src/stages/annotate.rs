//! Draws what was found.

use crate::error::{Error, Result};
use crate::ops::draw::{Text, class_color, fill, outline};
use crate::stage::{Env, Stage, StageConfig};
use crate::types::{Detection, Image, Packet, Pool, Products};
use serde::Deserialize;
use std::fmt::Write as _;

/// Draws boxes with labels and scores on a copy of the frame, readable at any size.
///
/// `- annotate` or `- annotate: { scores: false }`
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Annotate {
    /// Write class names.
    #[serde(default = "yes")]
    pub labels: bool,
    /// Write scores in per cent.
    #[serde(default = "yes")]
    pub scores: bool,
    /// Also draw what is really there, thin and white; only a `scene` knows.
    #[serde(default)]
    pub truth: bool,
}

const fn yes() -> bool {
    true
}

impl StageConfig for Annotate {
    fn needs(&self) -> Products {
        if self.truth { Products::DETECTIONS | Products::TRUTH } else { Products::DETECTIONS }
    }

    fn gives(&self) -> Products {
        Products::CANVAS
    }

    fn build(&self, _env: &Env) -> Result<Box<dyn Stage>> {
        Ok(Box::new(Drawing { settings: self.clone(), canvases: Pool::new(), text: String::new() }))
    }
}

struct Drawing {
    settings: Annotate,
    canvases: Pool<Image>,
    text: String,
}

impl Stage for Drawing {
    fn process(&mut self, mut packet: Packet) -> Result<Option<Packet>> {
        let (settings, text) = (&self.settings, &mut self.text);
        let canvas = self.canvases.fill(|canvas| {
            canvas.copy_from(&packet.frame.image);
            if settings.truth {
                for real in packet.truth.iter().flat_map(|truth| truth.iter()) {
                    let (from, to) = corners(real);
                    outline(canvas, from, to, 1, [255, 255, 255]);
                }
            }
            let found = packet.detections.as_ref().map_or(&[][..], |found| found.as_slice());
            // The best are drawn last, so that nothing covers their labels.
            for detection in found.iter().rev() {
                text.clear();
                if settings.labels {
                    match packet.label(detection.class) {
                        Some(label) => text.push_str(label),
                        None => _ = write!(text, "{}", detection.class),
                    }
                }
                if settings.scores {
                    let space = if text.is_empty() { "" } else { " " };
                    let _ = write!(text, "{space}{:.0}%", detection.score * 100.0);
                }
                draw(canvas, detection, text);
            }
            Ok::<(), Error>(())
        })?;
        packet.canvas = Some(canvas);
        Ok(Some(packet))
    }
}

fn corners(detection: &Detection) -> ((i32, i32), (i32, i32)) {
    let b = detection.bbox;
    ((b.x1.round() as i32, b.y1.round() as i32), (b.x2.round() as i32, b.y2.round() as i32))
}

fn draw(canvas: &mut Image, detection: &Detection, text: &str) {
    let color = class_color(detection.class);
    let (from, to) = corners(detection);
    let thick = (canvas.size.height / 240).max(2).cast_signed();
    outline(canvas, from, to, thick, color);
    if text.is_empty() {
        return;
    }
    let font = Text::for_picture(canvas.size.height);
    let (width, height) = font.measure(text);
    let (width, height) = (width.cast_signed() + 2 * thick, height.cast_signed());
    // Above the box; inside it where the picture ends; never out of the picture.
    let y = if from.1 >= height { from.1 - height } else { from.1.max(0) };
    let x = from.0.clamp(0, (canvas.size.width.cast_signed() - width).max(0));
    fill(canvas, (x, y), (x + width, y + height), color);
    font.draw(canvas, x + thick, y, text, [0, 0, 0]);
}
