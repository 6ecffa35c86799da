//! A small detector: plain convolutions, a pyramid of three strides, and YOLOX's rows (Ge et al. 2021, §2.1).

use super::builder::{Builder, Conv};
use super::wanted::{Made, Wanted};

/// Channels of the pyramid and of the towers.
const PYRAMID: usize = 48;
const TOWER: usize = 32;

/// Makes the graph.
#[must_use]
pub fn build(wanted: &Wanted) -> Made {
    let mut net = Builder::new(wanted.size, wanted.seed);
    let mut x = Builder::picture();
    for (channels, stride) in [(16, 2), (24, 2), (24, 1)] {
        x = net.block(&x, Conv::new(channels, 3, stride));
    }
    let mut levels = Vec::new();
    for channels in [48, 64, 96] {
        x = net.block(&x, Conv::new(channels, 3, 2));
        x = net.block(&x, Conv::new(channels, 3, 1));
        levels.push(net.block(&x, Conv::new(PYRAMID, 1, 1)));
    }
    for at in [1, 0] {
        let up = net.twice(&levels[at + 1]);
        levels[at] = net.add(&levels[at], &up);
    }
    let mut maps = Vec::new();
    for level in &levels {
        let tower = net.block(level, Conv::new(PYRAMID, 3, 1));
        let boxes = net.block(&tower, Conv::new(TOWER, 3, 1));
        let sides = net.conv(&boxes, Conv::new(4, 1, 1), Some(0.0));
        // Almost all cells see nothing (Lin et al. 2017, Focal Loss, §3.3).
        let object = net.conv(&boxes, Conv::new(1, 1, 1), Some(-4.0));
        let kinds = net.block(&tower, Conv::new(TOWER, 3, 1));
        let kinds = net.conv(&kinds, Conv::new(wanted.classes, 1, 1), Some(-2.0));
        let row = net.concat(&sides, &object);
        maps.push(net.concat(&row, &kinds));
    }
    let rows = net.rows(&maps);
    let (w, h) = (wanted.size.width as usize, wanted.size.height as usize);
    let cells: usize = [8, 16, 32].iter().map(|stride| w.div_ceil(*stride) * h.div_ceil(*stride)).sum();
    let model = net.finish(&rows, "rows_out", &[1, cells, 5 + wanted.classes]);
    Made { model, family: "yolo: { kind: x, scores: logit }" }
}
