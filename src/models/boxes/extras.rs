//! What rows of finished boxes hold beyond the box and its class: an angle, points, the weights of a mask.

use super::spec::{Boxes, Column};
use crate::error::{Error, Result};
use crate::infer::Outputs;
use crate::types::{BBox, Corners, Details, Detection, Placement, Point, Size};
use std::sync::Arc;

/// Gathers what belongs to the objects of a frame.
pub struct Extras {
    /// What was gathered.
    pub details: Details,
    /// The number of points of each object.
    points: usize,
    /// Whether each point has a score.
    scored: bool,
    /// The output with the prototypes and their number.
    masks: Option<(usize, usize)>,
    input: Size,
    shape: Vec<usize>,
    skeleton: Arc<[[u16; 2]]>,
}

impl Extras {
    /// Creates a gatherer for a card's settings.
    pub fn new(spec: &Boxes, input: Size) -> Self {
        let has = |column: Column| spec.columns.contains(&column);
        let points = spec.points.as_ref().filter(|_| has(Column::Points));
        Self {
            details: Details::default(),
            points: points.map_or(0, |points| points.count),
            scored: points.is_some_and(|points| points.scores),
            masks: spec.masks.filter(|_| has(Column::Masks)).map(|masks| (masks.output, masks.count)),
            input,
            shape: Vec::new(),
            skeleton: points.map(|points| points.skeleton.as_slice().into()).unwrap_or_default(),
        }
    }

    /// Whether objects have points or masks.
    pub const fn are_there(&self) -> bool {
        self.points > 0 || self.masks.is_some()
    }

    /// Begins a frame, with buffers that may have been swapped for others.
    pub fn begin(&mut self) {
        self.details.clear();
        self.details.points_each = self.points;
        self.details.skeleton = Arc::clone(&self.skeleton);
    }

    /// Adds what belongs to `new`, which are the answers of one row; `false` if it holds what is not a number.
    /// `[cx, cy, w, h]` are in input pixels, and so are the points.
    pub fn add(
        &mut self,
        middle: [f32; 4],
        angle: Option<f32>,
        points: &[f32],
        weights: &[f32],
        placement: &Placement,
        new: &mut [Detection],
    ) -> bool {
        if let Some(angle) = angle {
            let corners = corners(middle, angle, placement);
            let bbox = around(&corners).clip(placement.frame);
            new.iter_mut().for_each(|object| (object.corners, object.bbox) = (Some(corners), bbox));
        }
        if !self.are_there() {
            return true;
        }
        if points.iter().chain(weights).any(|v| !v.is_finite()) {
            return false;
        }
        let width = 2 + usize::from(self.scored);
        let (each, count) = (self.points, weights.len());
        let details = &mut self.details;
        let before = |all: usize, each: usize| all.checked_div(each);
        let detail = before(details.points.len(), each).or(before(details.coefficients.len(), count)).unwrap_or(0);
        details.points.extend(points.chunks_exact(width).map(|p| {
            let [x, y] = placement.point([p[0], p[1]]);
            Point { x, y, score: p.get(2).copied() }
        }));
        details.coefficients.extend_from_slice(weights);
        new.iter_mut().for_each(|object| object.detail = Some(detail as u32));
        true
    }

    /// Reads the maps that masks are made of.
    pub fn prototypes(&mut self, outputs: &dyn Outputs, placement: &Placement) -> Result<()> {
        let Some((output, count)) = self.masks else { return Ok(()) };
        let maps = self.details.prototypes.get_or_insert_default();
        outputs.read(output, 1.0, 0, &mut self.shape, &mut maps.values)?;
        let [1, found, height, width] = self.shape[..] else {
            return Err(wrong(outputs, output, &self.shape, count));
        };
        if found != count {
            return Err(wrong(outputs, output, &self.shape, count));
        }
        (maps.count, maps.size) = (count, Size::new(width as u32, height as u32));
        (maps.input, maps.placement) = (self.input, *placement);
        Ok(())
    }
}

fn wrong(outputs: &dyn Outputs, output: usize, shape: &[usize], count: usize) -> Error {
    Error::Model(format!(
        "model `{}`: output {output} has shape {shape:?}; `masks` of the card expects [1, {count}, H, W]",
        outputs.model()
    ))
}

/// The corners of a box `[cx, cy, w, h]` that is turned clockwise by `angle` radians, in frame pixels.
fn corners([cx, cy, w, h]: [f32; 4], angle: f32, placement: &Placement) -> Corners {
    let (sin, cos) = angle.sin_cos();
    let (along, down) = ([w / 2.0 * cos, w / 2.0 * sin], [-h / 2.0 * sin, h / 2.0 * cos]);
    [(1.0, 1.0), (1.0, -1.0), (-1.0, -1.0), (-1.0, 1.0)].map(|(u, v)| {
        let x = cx + u * along[0] + v * down[0];
        let y = cy + u * along[1] + v * down[1];
        [x * placement.scale.0 + placement.offset.0, y * placement.scale.1 + placement.offset.1]
    })
}

/// The upright box around a turned one.
fn around(corners: &Corners) -> BBox {
    let most = |axis: usize| corners.iter().map(|c| c[axis]).fold(f32::NEG_INFINITY, f32::max);
    let least = |axis: usize| corners.iter().map(|c| c[axis]).fold(f32::INFINITY, f32::min);
    BBox::new(least(0), least(1), most(0), most(1))
}
