//! The anchors of SSD cards.

use crate::ops::anchors::{self, TfSsd};
use crate::types::Size;
use serde::Deserialize;
use std::path::Path;

/// Order of the four offsets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// `dx, dy, dw, dh`: torchvision, Caffe.
    #[default]
    Xywh,
    /// `dy, dx, dh, dw`: TensorFlow.
    Yxhw,
}

/// The largest number of anchors that is accepted.
const MAX_ANCHORS: usize = 1_000_000;

/// Where the anchors come from.
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Anchors {
    /// Anchors of TensorFlow's object detection SSD.
    Tf(TfAnchors),
    /// torchvision's `DefaultBoxGenerator`.
    DefaultBoxes(DefaultBoxes),
    /// Squares of given sizes in each cell of each stride (UltraFace).
    Priors(Priors),
    /// Boxes of given sizes and ratios in each cell of each map (AIZOO's face mask detector).
    Sizes(Sizes),
    /// A NumPy file (`.npy`, 32-bit floats `[N, 4]`) beside the card.
    File(AnchorFile),
}

/// TensorFlow's `ssd_anchor_generator`.
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TfAnchors {
    /// Cells per side of each square feature map.
    pub maps: Vec<u32>,
    /// Scale of the first level.
    #[serde(default = "default_min_scale")]
    pub min_scale: f32,
    /// Scale of the last level.
    #[serde(default = "default_max_scale")]
    pub max_scale: f32,
    /// Aspect ratios (width over height) of a cell's boxes.
    #[serde(default = "default_ratios")]
    pub ratios: Vec<f32>,
}

const fn default_min_scale() -> f32 {
    0.2
}

const fn default_max_scale() -> f32 {
    0.95
}

fn default_ratios() -> Vec<f32> {
    vec![1.0, 2.0, 0.5, 3.0, 1.0 / 3.0]
}

/// torchvision's `DefaultBoxGenerator`.
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DefaultBoxes {
    /// Cells per side of each square feature map.
    pub maps: Vec<u32>,
    /// Scale of each level relative to the input, and one more at the end.
    pub scales: Vec<f64>,
    /// Aspect ratios of each level, in addition to the squares.
    pub ratios: Vec<Vec<f64>>,
    /// Stride of each level in pixels, if the cells do not divide the input into equal parts.
    #[serde(default)]
    pub steps_px: Option<Vec<f64>>,
    /// Whether boxes wider or taller than the input are clipped to its size; torchvision's `clip`.
    #[serde(default = "yes")]
    pub clip: bool,
}

const fn yes() -> bool {
    true
}

/// Squares in the cells of each stride; the priors of Linzaer's Ultra-Light-Fast-Generic-Face-Detector.
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Priors {
    /// Stride of each level in input pixels.
    #[schemars(length(max = 16), inner(range(min = 1)))]
    pub strides: Vec<u32>,
    /// Side lengths of the squares of each level, in input pixels.
    pub sizes_px: Vec<Vec<f32>>,
}

/// For each cell one box of each size with the first ratio, then one box of the first size with each other ratio, like
/// `generate_anchors` of AIZOO's FaceMaskDetection.
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sizes {
    /// Cells per side of each square feature map.
    pub maps: Vec<u32>,
    /// Side lengths of each level's boxes, relative to the input.
    pub sides: Vec<Vec<f32>>,
    /// Aspect ratios (width over height).
    pub ratios: Vec<f32>,
}

/// A NumPy file with anchors relative to the input.
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AnchorFile {
    /// Name of the file, relative to the card.
    pub path: String,
    /// Order of the four numbers.
    #[serde(default)]
    pub order: Order,
}

impl Anchors {
    /// Returns the anchors as `[cx, cy, w, h]` relative to the input, and the number of the first anchor of each level.
    ///
    /// # Errors
    /// A message that says what is invalid.
    pub fn generate(&self, input: Size, folder: &Path) -> Result<(Vec<[f32; 4]>, Vec<usize>), String> {
        let square = |maps: &[u32]| -> Vec<Size> { maps.iter().map(|&side| Size::new(side, side)).collect() };
        let (maps, levels) = match self {
            Self::Tf(TfAnchors { maps, .. }) | Self::Sizes(Sizes { maps, .. }) => (square(maps), maps.len()),
            Self::DefaultBoxes(DefaultBoxes { maps, ratios, .. }) => (square(maps), ratios.len()),
            Self::Priors(priors) => (priors.maps(input)?, priors.sizes_px.len()),
            Self::File(file) => return read_npy(&folder.join(&file.path), file.order).map(|all| (all, vec![0])),
        };
        let cells: u64 = maps.iter().map(|m| u64::from(m.width) * u64::from(m.height)).fold(0, u64::saturating_add);
        if !(1..=200_000).contains(&cells) {
            return Err(format!("the maps have {cells} cells; expected 1 to 200000"));
        }
        let a_cell = match self {
            Self::Tf(tf) => tf.ratios.len() + 1,
            Self::DefaultBoxes(d) => 2 + 2 * d.ratios.iter().map(Vec::len).max().unwrap_or(0),
            Self::Priors(priors) => priors.sizes_px.iter().map(Vec::len).max().unwrap_or(0),
            Self::Sizes(sizes) => sizes.ratios.len() + sizes.sides.iter().map(Vec::len).max().unwrap_or(0),
            Self::File(_) => 0,
        };
        if cells.saturating_mul(a_cell as u64) > MAX_ANCHORS as u64 {
            return Err(format!("{cells} cells with {a_cell} boxes each; at most {MAX_ANCHORS} anchors are allowed"));
        }
        if levels != maps.len() {
            return Err(format!("{} maps, but {levels} lists of sizes", maps.len()));
        }
        let all = match self {
            Self::Tf(tf) => anchors::tf_ssd(&TfSsd {
                maps: maps.clone(),
                min_scale: tf.min_scale,
                max_scale: tf.max_scale,
                ratios: tf.ratios.clone(),
                interpolated: true,
                reduce_lowest: true,
            }),
            Self::DefaultBoxes(d) => {
                anchors::default_boxes(&maps, &d.scales, &d.ratios, d.steps_px.as_deref(), d.clip, input)
            }
            Self::Priors(priors) => priors.generate(&maps, input),
            Self::Sizes(sizes) => sizes.generate(&maps),
            Self::File(_) => Vec::new(),
        };
        // If every level has the same number of boxes per cell, a level begins where its share of the cells begins.
        let mut first = 0;
        let starts = maps.iter().map(|map| {
            let start = first;
            first += map.pixels() * all.len() / cells as usize;
            start
        });
        let starts = starts.collect();
        Ok((all, starts))
    }
}

impl Priors {
    fn maps(&self, input: Size) -> Result<Vec<Size>, String> {
        if self.strides.contains(&0) || self.strides.len() > 16 {
            return Err(format!("strides {:?}; expected at most 16 numbers, and no zeros", self.strides));
        }
        let map = |&s: &u32| Size::new(input.width.div_ceil(s), input.height.div_ceil(s));
        Ok(self.strides.iter().map(map).collect())
    }

    fn generate(&self, maps: &[Size], input: Size) -> Vec<[f32; 4]> {
        let (w, h) = (input.width as f32, input.height as f32);
        let mut all = Vec::new();
        // Cells are equal parts of the input, even if the stride does not divide it.
        for (map, sizes) in maps.iter().zip(&self.sizes_px) {
            let (across, down) = (map.width as f32, map.height as f32);
            for (y, x) in (0..map.height).flat_map(|y| (0..map.width).map(move |x| (y, x))) {
                let (cx, cy) = ((x as f32 + 0.5) / across, (y as f32 + 0.5) / down);
                all.extend(sizes.iter().map(|size| [cx, cy, size / w, size / h].map(|v| v.clamp(0.0, 1.0))));
            }
        }
        all
    }
}

impl Sizes {
    fn generate(&self, maps: &[Size]) -> Vec<[f32; 4]> {
        let mut all = Vec::new();
        for (map, sizes) in maps.iter().zip(&self.sides) {
            let first = self.ratios.first().copied().unwrap_or(1.0);
            let others = self.ratios.iter().skip(1).map(|&r| (sizes.first().copied().unwrap_or(0.0), r));
            let boxes: Vec<[f32; 2]> =
                sizes.iter().map(|&s| (s, first)).chain(others).map(|(s, r)| [s * r.sqrt(), s / r.sqrt()]).collect();
            for (y, x) in (0..map.height).flat_map(|y| (0..map.width).map(move |x| (y, x))) {
                let (cx, cy) = ((x as f32 + 0.5) / map.width as f32, (y as f32 + 0.5) / map.height as f32);
                all.extend(boxes.iter().map(|[w, h]| [cx, cy, *w, *h]));
            }
        }
        all
    }
}

/// Reads `[N, 4]` 32-bit floats (NEP 1). This is our own reader: one kind of array does not justify a crate for all.
fn read_npy(path: &Path, order: Order) -> Result<Vec<[f32; 4]>, String> {
    let bytes = std::fs::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let wrong = || format!("{}: not a NumPy file of 32-bit floats [N, 4]", path.display());
    let header_end = match bytes.get(..12) {
        Some([0x93, b'N', b'U', b'M', b'P', b'Y', 1, _, low, high, ..]) => {
            10 + usize::from(u16::from_le_bytes([*low, *high]))
        }
        _ => return Err(wrong()),
    };
    let header = String::from_utf8_lossy(bytes.get(10..header_end).ok_or_else(wrong)?).into_owned();
    let numbers = bytes.get(header_end..).ok_or_else(wrong)?;
    let (rows, rest) = numbers.as_chunks::<16>();
    let shape = format!("({}, 4)", rows.len());
    // Column-major numbers would be read as rows.
    let in_rows = header.contains("'fortran_order': False");
    if !in_rows || !rest.is_empty() || rows.len() > MAX_ANCHORS || !header.contains("'<f4'") || !header.contains(&shape)
    {
        return Err(wrong());
    }
    let number = |row: &[u8; 16], at: usize| {
        f32::from_le_bytes([row[at * 4], row[at * 4 + 1], row[at * 4 + 2], row[at * 4 + 3]])
    };
    let row = |row: &[u8; 16]| {
        let [a, b, c, d] = [0, 1, 2, 3].map(|at| number(row, at));
        match order {
            Order::Xywh => [a, b, c, d],
            Order::Yxhw => [b, a, d, c],
        }
    };
    Ok(rows.iter().map(row).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_numbers_of_anchors_come_out() {
        let priors = Priors {
            strides: vec![8, 16, 32, 64],
            sizes_px: vec![vec![10.0, 16.0, 24.0], vec![32.0, 48.0], vec![64.0, 96.0], vec![128.0, 192.0, 256.0]],
        };
        let (all, levels) = Anchors::Priors(priors).generate(Size::new(320, 240), Path::new("")).unwrap();
        assert_eq!(all.len(), 4420);
        // Row 7 of the 8 rows of stride 32, which does not divide 240.
        assert!((all[3600 + 600 + 7 * 10 * 2][1] - 7.5 / 8.0).abs() < 1e-6);
        assert_eq!(levels.len(), 4);
        let sizes = Sizes {
            maps: vec![33, 17, 9, 5, 3],
            sides: vec![vec![0.04, 0.056], vec![0.08, 0.11], vec![0.16, 0.22], vec![0.32, 0.45], vec![0.64, 0.72]],
            ratios: vec![1.0, 0.62, 0.42],
        };
        let (all, levels) = Anchors::Sizes(sizes).generate(Size::new(260, 260), Path::new("")).unwrap();
        assert_eq!(all.len(), 5972);
        assert_eq!(levels[1], 33 * 33 * 4);
    }

    #[test]
    fn absurd_anchors_are_refused() {
        let tf = TfAnchors { maps: vec![u32::MAX; 3], min_scale: 0.2, max_scale: 0.9, ratios: vec![1.0] };
        assert!(Anchors::Tf(tf).generate(Size::new(300, 300), Path::new("")).is_err());
        let priors = Priors { strides: vec![8, 16], sizes_px: vec![vec![10.0]] };
        assert!(Anchors::Priors(priors).generate(Size::new(320, 240), Path::new("")).is_err());
        let file = AnchorFile { path: "Cargo.toml".into(), order: Order::Xywh };
        assert!(Anchors::File(file).generate(Size::new(1, 1), Path::new(".")).is_err());
    }
}
