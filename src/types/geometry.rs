//! Sizes, boxes, and the mapping between a frame and a model input.

use serde::{Deserialize, Serialize};

/// Width and height in pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Size {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

impl Size {
    /// Creates a size from width and height, in that order.
    #[must_use]
    pub const fn new(width: u32, height: u32) -> Self {
        Self { width, height }
    }

    /// The number of pixels.
    #[must_use]
    pub const fn pixels(self) -> usize {
        self.width as usize * self.height as usize
    }
}

impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

/// Reads `[640, 480]`: width first.
impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let [width, height] = <[u32; 2]>::deserialize(deserializer)?;
        let sane = 1..=16_384;
        if !sane.contains(&width) || !sane.contains(&height) {
            return Err(serde::de::Error::custom(format!(
                "a size of {width}x{height}; width and height must lie between 1 and 16384"
            )));
        }
        Ok(Self { width, height })
    }
}

impl Serialize for Size {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        [self.width, self.height].serialize(serializer)
    }
}

impl schemars::JsonSchema for Size {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "Width and height in pixels",
            "type": "array", "items": { "type": "integer", "minimum": 1, "maximum": 16384 },
            "minItems": 2, "maxItems": 2
        })
    }
}

/// Corners in pixels; `x2` and `y2` are exclusive.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BBox {
    /// Left edge.
    pub x1: f32,
    /// Top edge.
    pub y1: f32,
    /// Right edge.
    pub x2: f32,
    /// Bottom edge.
    pub y2: f32,
}

impl BBox {
    /// Creates a box from its corners `x1, y1, x2, y2`.
    #[must_use]
    pub const fn new(x1: f32, y1: f32, x2: f32, y2: f32) -> Self {
        Self { x1, y1, x2, y2 }
    }

    /// `(x2 - x1) * (y2 - y1)`; negative when one side is inverted, as in torchvision's `box_area`.
    #[must_use]
    pub fn area(&self) -> f32 {
        (self.x2 - self.x1) * (self.y2 - self.y1)
    }

    /// The part inside a picture of `size`, as torchvision's `clip_boxes_to_image`.
    #[must_use]
    pub fn clip(&self, size: Size) -> Self {
        let (w, h) = (size.width as f32, size.height as f32);
        Self {
            x1: self.x1.clamp(0.0, w),
            y1: self.y1.clamp(0.0, h),
            x2: self.x2.clamp(0.0, w),
            y2: self.y2.clamp(0.0, h),
        }
    }

    /// Whether no corner is NaN or infinite.
    #[must_use]
    pub fn is_finite(&self) -> bool {
        self.x1.is_finite() && self.y1.is_finite() && self.x2.is_finite() && self.y2.is_finite()
    }
}

/// Where a frame lies in the model input, and thus the mapping back: `frame = input * scale + offset`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Placement {
    /// Frame pixels per input pixel, horizontally and vertically.
    pub scale: (f32, f32),
    /// The frame coordinates of the input's top-left corner.
    pub offset: (f32, f32),
    /// Size of the frame; boxes are clipped to it.
    pub frame: Size,
}

impl Default for Placement {
    fn default() -> Self {
        Self { scale: (1.0, 1.0), offset: (0.0, 0.0), frame: Size::default() }
    }
}

impl Placement {
    /// Maps a box from input pixels to frame pixels and clips it to the frame.
    #[must_use]
    pub fn to_frame(&self, b: BBox) -> BBox {
        BBox {
            x1: b.x1 * self.scale.0 + self.offset.0,
            y1: b.y1 * self.scale.1 + self.offset.1,
            x2: b.x2 * self.scale.0 + self.offset.0,
            y2: b.y2 * self.scale.1 + self.offset.1,
        }
        .clip(self.frame)
    }

    /// Maps a point `[x, y]` from input pixels to frame pixels.
    #[must_use]
    pub fn point(&self, [x, y]: [f32; 2]) -> [f32; 2] {
        let limit = |v: f32, side: u32| v.clamp(0.0, side as f32);
        [
            limit(x * self.scale.0 + self.offset.0, self.frame.width),
            limit(y * self.scale.1 + self.offset.1, self.frame.height),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_comes_back_scaled_shifted_and_clipped() {
        let placement = Placement { scale: (2.0, 2.0), offset: (0.0, -10.0), frame: Size::new(100, 50) };
        let found = placement.to_frame(BBox::new(5.0, 2.0, 60.0, 20.0));
        assert_eq!(found, BBox::new(10.0, 0.0, 100.0, 30.0));
    }

    #[test]
    fn absurd_sizes_are_refused() {
        assert!(serde_json::from_str::<Size>("[0, 4]").is_err());
        assert!(serde_json::from_str::<Size>("[4000000000, 4]").is_err());
        assert_eq!(serde_json::from_str::<Size>("[640, 480]").ok(), Some(Size::new(640, 480)));
    }
}
