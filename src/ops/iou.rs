//! How much two boxes overlap, and conversions between box formats.
//!
//! Same numbers as `torchvision.ops` (box_iou, generalized_box_iou, distance_box_iou,
//! complete_box_iou, box_convert, remove_small_boxes) and `pycocotools.mask.iou`.

use crate::types::{BBox, Corners};

fn intersection(a: &BBox, b: &BBox) -> f32 {
    let width = (a.x2.min(b.x2) - a.x1.max(b.x1)).max(0.0);
    let height = (a.y2.min(b.y2) - a.y1.max(b.y1)).max(0.0);
    width * height
}

/// Intersection over union, 0–1. Two empty boxes give 0, where torchvision gives NaN.
#[must_use]
pub fn iou(a: &BBox, b: &BBox) -> f32 {
    let inter = intersection(a, b);
    let ratio = inter / (a.area() + b.area() - inter);
    if ratio.is_nan() { 0.0 } else { ratio }
}

/// The smallest box around both.
fn hull(a: &BBox, b: &BBox) -> BBox {
    BBox::new(a.x1.min(b.x1), a.y1.min(b.y1), a.x2.max(b.x2), a.y2.max(b.y2))
}

/// Generalised IoU, -1–1. Rezatofighi et al. 2019, eq. 3.
#[must_use]
pub fn generalized(a: &BBox, b: &BBox) -> f32 {
    let inter = intersection(a, b);
    let union = a.area() + b.area() - inter;
    let around = hull(a, b).area();
    let value = iou(a, b) - (around - union) / around;
    if value.is_nan() { 0.0 } else { value }
}

/// As in torchvision: avoids division by 0 in distance and complete IoU.
const EPSILON: f32 = 1e-7;

/// Squared distance of the centres over the squared diagonal of the hull.
fn distance_term(a: &BBox, b: &BBox) -> f32 {
    let around = hull(a, b);
    let (w, h) = (around.x2 - around.x1, around.y2 - around.y1);
    let dx = f32::midpoint(a.x1, a.x2) - f32::midpoint(b.x1, b.x2);
    let dy = f32::midpoint(a.y1, a.y2) - f32::midpoint(b.y1, b.y2);
    (dx * dx + dy * dy) / (w * w + h * h + EPSILON)
}

/// Distance IoU. Zheng et al. 2020, eq. 7.
#[must_use]
pub fn distance(a: &BBox, b: &BBox) -> f32 {
    iou(a, b) - distance_term(a, b)
}

/// Complete IoU: distance IoU minus a term for different aspect ratios. Zheng et al. 2020, eq. 10.
#[must_use]
pub fn complete(a: &BBox, b: &BBox) -> f32 {
    let angle = |c: &BBox| ((c.x2 - c.x1) / (c.y2 - c.y1)).atan();
    let overlap = iou(a, b);
    let gap = angle(a) - angle(b);
    let v = 4.0 / (std::f32::consts::PI * std::f32::consts::PI) * gap * gap;
    let alpha = v / (1.0 - overlap + v + EPSILON);
    let value = overlap - distance_term(a, b) - alpha * v;
    if value.is_nan() { 0.0 } else { value }
}

/// IoU of COCO's evaluation, for boxes as `[x, y, width, height]`. Against a crowd, the denominator is
/// the area of `found` alone. Source: `pycocotools`, `maskApi.c::bbIou`.
#[must_use]
pub fn coco(found: [f64; 4], truth: [f64; 4], crowd: bool) -> f64 {
    let side = |axis: usize| {
        let end = (found[axis] + found[axis + 2]).min(truth[axis] + truth[axis + 2]);
        (end - found[axis].max(truth[axis])).max(0.0)
    };
    let inter = side(0) * side(1);
    let area = found[2] * found[3];
    let union = if crowd { area } else { area + truth[2] * truth[3] - inter };
    if inter > 0.0 && union > 0.0 { inter / union } else { 0.0 }
}

/// `[x, y, width, height]` of a box: top-left corner and size.
#[must_use]
pub fn to_xywh(b: &BBox) -> [f32; 4] {
    [b.x1, b.y1, b.x2 - b.x1, b.y2 - b.y1]
}

/// A box from `[x, y, width, height]`.
#[must_use]
pub fn from_xywh([x, y, w, h]: [f32; 4]) -> BBox {
    BBox::new(x, y, x + w, y + h)
}

/// `[cx, cy, width, height]` of a box: centre and size.
#[must_use]
pub fn to_cxcywh(b: &BBox) -> [f32; 4] {
    [f32::midpoint(b.x1, b.x2), f32::midpoint(b.y1, b.y2), b.x2 - b.x1, b.y2 - b.y1]
}

/// A box from `[cx, cy, width, height]`.
#[must_use]
pub fn from_cxcywh([cx, cy, w, h]: [f32; 4]) -> BBox {
    BBox::new(cx - 0.5 * w, cy - 0.5 * h, cx + 0.5 * w, cy + 0.5 * h)
}

/// Whether both sides are at least `min_side_px` long.
#[must_use]
pub fn is_at_least(b: &BBox, min_side_px: f32) -> bool {
    b.x2 - b.x1 >= min_side_px && b.y2 - b.y1 >= min_side_px
}

/// How much two turned boxes overlap, 0–1: the probabilistic IoU of the Gaussians with the boxes' means and covariances
/// (Murrugarra-Llerena et al. 2021, Gaussian Bounding Boxes and Probabilistic Intersection-over-Union, §3.2). Same numbers
/// as Ultralytics' `batch_probiou`, which its NMS uses.
#[must_use]
pub fn prob_iou(a: &Corners, b: &Corners) -> f32 {
    const TINY: f64 = 1e-7;
    let gauss = |c: &Corners| {
        let side = |from: [f32; 2], to: [f32; 2]| [f64::from(to[0] - from[0]), f64::from(to[1] - from[1])];
        let (u, v) = (side(c[0], c[1]), side(c[1], c[2]));
        // A side adds a twelfth of its square to the variance in its direction.
        let [xx, yy, xy] = [u[0] * u[0] + v[0] * v[0], u[1] * u[1] + v[1] * v[1], u[0] * u[1] + v[0] * v[1]];
        let centre = [0, 1].map(|axis| c.iter().map(|p| f64::from(p[axis])).sum::<f64>() / 4.0);
        (centre, xx / 12.0, yy / 12.0, xy / 12.0)
    };
    let ((ca, xxa, yya, xya), (cb, xxb, yyb, xyb)) = (gauss(a), gauss(b));
    let (xx, yy, xy) = (xxa + xxb, yya + yyb, xya + xyb);
    let (dx, dy) = (ca[0] - cb[0], ca[1] - cb[1]);
    let both = xx * yy - xy * xy;
    let apart = 0.25 * (xx * dy * dy + yy * dx * dx - 2.0 * xy * dx * dy) / (both + TINY);
    let own = |xx: f64, yy: f64, xy: f64| (xx * yy - xy * xy).max(0.0);
    let shape = 0.5 * (both / (4.0 * (own(xxa, yya, xya) * own(xxb, yyb, xyb)).sqrt() + TINY) + TINY).ln();
    let distance = (apart + shape).clamp(TINY, 100.0);
    (1.0 - (1.0 - (-distance).exp() + TINY).sqrt()) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_box_is_a_third_of_the_union() {
        let (a, b) = (BBox::new(0.0, 0.0, 2.0, 2.0), BBox::new(1.0, 0.0, 3.0, 2.0));
        assert!((iou(&a, &b) - 1.0 / 3.0).abs() < 1e-6);
        assert!((generalized(&a, &b) - 1.0 / 3.0).abs() < 1e-6);
    }

    #[test]
    fn empty_boxes_give_zero_and_no_nan() {
        let empty = BBox::new(3.0, 3.0, 3.0, 3.0);
        for value in [iou(&empty, &empty), generalized(&empty, &empty), complete(&empty, &empty)] {
            assert!(value == 0.0, "{value}");
        }
    }

    #[test]
    fn a_crowd_is_measured_by_the_found_box_alone() {
        let found = [0.0, 0.0, 1.0, 1.0];
        let crowd = [0.0, 0.0, 10.0, 10.0];
        assert!((coco(found, crowd, true) - 1.0).abs() < 1e-12);
        assert!((coco(found, crowd, false) - 0.01).abs() < 1e-12);
    }
}
