//! The boxes that detectors start from.

use crate::types::{BBox, Size};

/// Anchors of the SSD of TensorFlow's object detection API, `[N]` of `[cx, cy, w, h]` relative to the input (0–1).
///
/// The order is levels, rows, columns, and within a cell the ratios as given, then the extra square
/// between this level's scale and the next (`interpolated`). The lowest level may have only three
/// boxes (`reduce_lowest`): a square of scale 0.1, then ratios 2 and 1/2. Source:
/// `anchor_generators/multiple_grid_anchor_generator.py::create_ssd_anchors`; maps of 19, 10, 5, 3, 2
/// and 1 cells give the 1917 anchors of SSD MobileNet at 300x300.
#[must_use]
pub fn tf_ssd(spec: &TfSsd) -> Vec<[f32; 4]> {
    let levels = spec.maps.len();
    let scale_of = |level: usize| {
        let step = (spec.max_scale - spec.min_scale) / (levels.max(2) - 1) as f32;
        spec.min_scale + step * level as f32
    };
    let mut anchors = Vec::new();
    for (level, map) in spec.maps.iter().enumerate() {
        let scale = scale_of(level);
        let next = if level + 1 < levels { scale_of(level + 1) } else { 1.0 };
        let mut shapes: Vec<(f32, f32)> = Vec::new();
        if level == 0 && spec.reduce_lowest {
            shapes.extend([(0.1, 1.0), (scale, 2.0), (scale, 0.5)]);
        } else {
            shapes.extend(spec.ratios.iter().map(|&ratio| (scale, ratio)));
            if spec.interpolated {
                shapes.push(((scale * next).sqrt(), 1.0));
            }
        }
        for_each_cell(*map, |cx, cy| {
            for &(scale, ratio) in &shapes {
                let root = ratio.sqrt();
                anchors.push([cx, cy, scale * root, scale / root]);
            }
        });
    }
    anchors
}

/// The parameters of [`tf_ssd`].
#[derive(Clone, Debug, PartialEq)]
pub struct TfSsd {
    /// Width and height in cells of each feature map.
    pub maps: Vec<Size>,
    /// Scale of the first level; TensorFlow's default is 0.2.
    pub min_scale: f32,
    /// Scale of the last level; TensorFlow's default is 0.95.
    pub max_scale: f32,
    /// Aspect ratios (width over height) of the boxes of a cell.
    pub ratios: Vec<f32>,
    /// Whether a square between two levels' scales is added.
    pub interpolated: bool,
    /// Whether the lowest level has only three boxes per cell.
    pub reduce_lowest: bool,
}

/// Default boxes of torchvision's `DefaultBoxGenerator`, `[N]` of `[cx, cy, w, h]` relative to the input.
///
/// The boxes of a cell: a square of the level's scale, a square of the geometric mean of this scale and the
/// next, then each ratio and its inverse. `steps_px` are the strides; without them, the cells divide the
/// input equally. With `clip`, widths and heights are clipped to 0–1, but centres are not. Liu et al. 2016
/// (SSD), §2.2.
#[must_use]
pub fn default_boxes(
    maps: &[Size],
    scales: &[f64],
    ratios: &[Vec<f64>],
    steps_px: Option<&[f64]>,
    clip: bool,
    input: Size,
) -> Vec<[f32; 4]> {
    let side = |side: f64| if clip { side.clamp(0.0, 1.0) as f32 } else { side as f32 };
    let mut boxes = Vec::new();
    for (level, map) in maps.iter().enumerate() {
        let (Some(&scale), Some(&next)) = (scales.get(level), scales.get(level + 1)) else { break };
        let between = (scale * next).sqrt();
        let mut shapes = vec![(scale, scale), (between, between)];
        for ratio in ratios.get(level).into_iter().flatten() {
            let root = ratio.sqrt();
            shapes.extend([(scale * root, scale / root), (scale / root, scale * root)]);
        }
        let cells = match steps_px.and_then(|steps| steps.get(level)) {
            Some(step) => (f64::from(input.width) / step, f64::from(input.height) / step),
            None => (f64::from(map.width), f64::from(map.height)),
        };
        for y in 0..map.height {
            for x in 0..map.width {
                let (cx, cy) = ((f64::from(x) + 0.5) / cells.0, (f64::from(y) + 0.5) / cells.1);
                boxes.extend(shapes.iter().map(|&(w, h)| [cx as f32, cy as f32, side(w), side(h)]));
            }
        }
    }
    boxes
}

/// The scales that torchvision spreads between two ratios when none are given (SSDLite: 0.2 and 0.95).
#[must_use]
pub fn spread_scales(levels: usize, min_ratio: f64, max_ratio: f64) -> Vec<f64> {
    let step = (max_ratio - min_ratio) / (levels.max(2) - 1) as f64;
    (0..levels).map(|level| min_ratio + step * level as f64).chain([1.0]).collect()
}

/// Anchors of torchvision's `AnchorGenerator` (RetinaNet, Faster R-CNN), as corners in input pixels.
///
/// The base boxes of a level are rounded to whole pixels and centred on the top-left corner of each
/// cell. Ratios are height over width. The order is rows, columns, ratios, sizes.
/// Ren et al. 2015 (Faster R-CNN), §3.1.1.
#[must_use]
pub fn grid_anchors(maps: &[Size], sizes_px: &[Vec<f32>], ratios: &[Vec<f32>], input: Size) -> Vec<BBox> {
    let mut anchors = Vec::new();
    for ((map, sizes), ratios) in maps.iter().zip(sizes_px).zip(ratios) {
        let mut base = Vec::new();
        for ratio in ratios {
            let (h_part, w_part) = (ratio.sqrt(), 1.0 / ratio.sqrt());
            base.extend(sizes.iter().map(|size| {
                let (w, h) = (w_part * size / 2.0, h_part * size / 2.0);
                [-w, -h, w, h].map(f32::round_ties_even)
            }));
        }
        let stride = (input.width / map.width.max(1), input.height / map.height.max(1));
        for y in 0..map.height {
            for x in 0..map.width {
                let (sx, sy) = ((x * stride.0) as f32, (y * stride.1) as f32);
                anchors.extend(base.iter().map(|b| BBox::new(b[0] + sx, b[1] + sy, b[2] + sx, b[3] + sy)));
            }
        }
    }
    anchors
}

/// Calls `visit` with the centre of each cell, row by row, relative to the map.
fn for_each_cell(map: Size, mut visit: impl FnMut(f32, f32)) {
    for y in 0..map.height {
        for x in 0..map.width {
            visit((x as f32 + 0.5) / map.width as f32, (y as f32 + 0.5) / map.height as f32);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: the last level of SSD300 is one cell with the scales 0.87 and 1.05; torchvision clips widths and heights
    /// unless `clip=False`.
    #[test]
    fn default_boxes_are_clipped_if_asked() {
        let boxes =
            |clip| default_boxes(&[Size::new(1, 1)], &[0.87, 1.05], &[vec![2.0]], None, clip, Size::new(300, 300));
        let wide = 0.87 * 2f32.sqrt();
        let narrow = 0.87 / 2f32.sqrt();
        let close = |found: [f32; 4], w: f32, h: f32| {
            assert!((found[2] - w).abs() < 1e-6 && (found[3] - h).abs() < 1e-6, "{found:?}, not {w} x {h}");
            assert_eq!(found[..2], [0.5, 0.5]);
        };
        close(boxes(false)[2], wide, narrow);
        close(boxes(false)[3], narrow, wide);
        close(boxes(true)[2], 1.0, narrow);
        close(boxes(true)[0], 0.87, 0.87);
    }

    #[test]
    fn ssd_mobilenet_has_1917_anchors() {
        let spec = TfSsd {
            maps: [19, 10, 5, 3, 2, 1].map(|n| Size::new(n, n)).to_vec(),
            min_scale: 0.2,
            max_scale: 0.95,
            ratios: vec![1.0, 2.0, 0.5, 3.0, 1.0 / 3.0],
            interpolated: true,
            reduce_lowest: true,
        };
        let anchors = tf_ssd(&spec);
        assert_eq!(anchors.len(), 1917);
        assert_eq!(anchors[0], [0.5 / 19.0, 0.5 / 19.0, 0.1, 0.1]);
    }
}
