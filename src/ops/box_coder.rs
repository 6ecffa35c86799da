//! Converts boxes to offsets from anchors and back.

use super::iou::{from_cxcywh, to_cxcywh};
use crate::types::BBox;

/// Encodes a box as `[dx, dy, dw, dh]` relative to an anchor: the shift of the centre as a fraction of
/// the anchor's size, and the logarithm of the size ratio, each times a weight.
///
/// Liu et al. 2016 (SSD), §2.2; same numbers as torchvision's `BoxCoder`. TensorFlow's
/// `FasterRcnnBoxCoder` is the same with y before x.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BoxCoder {
    /// Weights of `dx, dy, dw, dh`; `[10, 10, 5, 5]` for most SSDs (variances 0.1 and 0.2).
    pub weights: [f32; 4],
    /// Upper limit of `dw` and `dh` after weighting; keeps `exp` finite.
    pub clip: f32,
}

/// torchvision's limit: a box is at most 1000/16 times its anchor.
pub const LOG_1000_16: f32 = 4.135_166_6;

impl BoxCoder {
    /// Creates a coder with these weights and torchvision's limit.
    #[must_use]
    pub const fn new(weights: [f32; 4]) -> Self {
        Self { weights, clip: LOG_1000_16 }
    }

    /// The offsets of `truth` relative to `anchor`.
    #[must_use]
    pub fn encode(&self, truth: &BBox, anchor: &BBox) -> [f32; 4] {
        let [tx, ty, tw, th] = to_cxcywh(truth);
        let [ax, ay, aw, ah] = to_cxcywh(anchor);
        let [wx, wy, ww, wh] = self.weights;
        [wx * (tx - ax) / aw, wy * (ty - ay) / ah, ww * (tw / aw).ln(), wh * (th / ah).ln()]
    }

    /// The box that `offsets` describe relative to an anchor given as `[cx, cy, w, h]`.
    #[must_use]
    pub fn decode(&self, offsets: [f32; 4], [ax, ay, aw, ah]: [f32; 4]) -> BBox {
        let [wx, wy, ww, wh] = self.weights;
        let [dx, dy, dw, dh] = offsets;
        from_cxcywh([
            dx / wx * aw + ax,
            dy / wy * ah + ay,
            (dw / ww).min(self.clip).exp() * aw,
            (dh / wh).min(self.clip).exp() * ah,
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decoding_undoes_encoding() {
        let coder = BoxCoder::new([10.0, 10.0, 5.0, 5.0]);
        let anchor = BBox::new(10.0, 20.0, 50.0, 40.0);
        let truth = BBox::new(14.0, 18.0, 64.0, 52.0);
        let back = coder.decode(coder.encode(&truth, &anchor), to_cxcywh(&anchor));
        for (a, b) in [(back.x1, 14.0), (back.y1, 18.0), (back.x2, 64.0), (back.y2, 52.0)] {
            assert!((a - b).abs() < 1e-4, "{a} {b}");
        }
    }

    #[test]
    fn an_absurd_offset_stays_finite() {
        let found = BoxCoder::new([1.0; 4]).decode([0.0, 0.0, 1e9, 1e9], [0.0, 0.0, 16.0, 16.0]);
        assert!(found.is_finite() && found.x2 < 501.0);
    }
}
