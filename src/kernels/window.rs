//! The window of a convolution and what follows its sums; which convolutions are computed by Winograd's filtering.

use super::math::{Act, Finish};
use super::view::Map;

/// The window of a convolution. Padding is part of the input's map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    pub kernel: [usize; 2],
    pub stride: [usize; 2],
    pub dilation: [usize; 2],
    /// Rows above and columns to the left that the first window covers.
    pub before: [usize; 2],
}

impl Window {
    /// A window of one pixel.
    pub const POINT: Self = Self { kernel: [1; 2], stride: [1; 2], dilation: [1; 2], before: [0; 2] };

    /// Of the taps of a window, those that lie on a map: the row or column of the first, and how many there are.
    #[must_use]
    pub fn on(&self, axis: usize, at: usize, side: usize) -> (usize, usize) {
        let start = (at * self.stride[axis]) as isize - self.before[axis] as isize;
        let step = self.dilation[axis] as isize;
        let skip = if start < 0 { (-start + step - 1) / step } else { 0 };
        let end = ((side as isize - start + step - 1) / step).min(self.kernel[axis] as isize);
        ((start + skip * step) as usize, (end - skip).max(0) as usize)
    }

    /// Where the first window of a row of the output begins in the input's buffer; a map of a strip may begin before its base,
    /// so that the place wraps around.
    #[must_use]
    pub fn corner(&self, from: &Map, y: usize) -> usize {
        let before = self.before[0] * from.row + self.before[1] * from.pixel;
        (from.offset + y * self.stride[0] * from.row).wrapping_sub(before)
    }

    /// How many rows and columns of zeros a dense convolution of these maps (`[channels, height, width]`) needs before and
    /// after its input.
    #[must_use]
    pub fn border(&self, from: [usize; 3], to: [usize; 3], depthwise: bool) -> [[usize; 2]; 2] {
        let winograd = !depthwise && by_winograd(self, from[0], to[0], to[1], to[2]);
        let after = |axis: usize| match winograd {
            true => winograd_after(from[axis + 1], to[axis + 1], self.before[axis]),
            false => self.after(axis, from[axis + 1], to[axis + 1]),
        };
        [self.before, [after(0), after(1)]]
    }

    /// How far the windows of `to` pixels reach past `from` pixels, on an axis.
    #[must_use]
    pub fn after(&self, axis: usize, from: usize, to: usize) -> usize {
        let reach = (to - 1) * self.stride[axis] + (self.kernel[axis] - 1) * self.dilation[axis] + 1;
        reach.saturating_sub(from + self.before[axis])
    }
}

/// Where maps begin: in the arena, or, of a strip, in a few rows of their own.
#[derive(Clone, Copy)]
pub(super) struct Bases {
    pub from: *const f32,
    pub to: *mut f32,
    pub add: *const f32,
}

impl Bases {
    /// All maps lie in the arena.
    pub fn all(memory: *mut f32) -> Self {
        Self { from: memory, to: memory, add: memory }
    }
}

/// What happens to the sums: activation, another map, second activation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Epilogue {
    pub act: Act,
    pub add: Option<Map>,
    pub then: Act,
}

impl Epilogue {
    /// Only an activation.
    #[must_use]
    pub const fn act(act: Act) -> Self {
        Self { act, add: None, then: Act::NONE }
    }

    /// All of it, for steps that do nothing of it themselves.
    pub(super) fn whole(&self) -> Option<Finish> {
        let nothing = self.act == Act::NONE && self.add.is_none();
        (!nothing).then_some(Finish { act: self.act, add: self.add.is_some(), then: self.then })
    }

    /// The bounds that a tile keeps, and whether it adds the other map; and what is left for later.
    pub(super) fn split(&self) -> (f32, f32, bool, Option<Finish>) {
        let none = (f32::NEG_INFINITY, f32::INFINITY);
        match (self.act.bounds(), self.add, self.then.bounds()) {
            (Some((lo, hi)), None, _) => (lo, hi, false, None),
            (Some(act), Some(_), Some((lo, hi))) if act == none => (lo, hi, true, None),
            (Some(act), Some(_), None) if act == none => {
                (none.0, none.1, true, Some(Finish { act: self.then, add: false, then: Act::NONE }))
            }
            (_, add, _) => (none.0, none.1, false, Some(Finish { act: self.act, add: add.is_some(), then: self.then })),
        }
    }
}

/// Whether a convolution is computed by Winograd's filtering. The rule looks at nothing but shapes: results must not depend
/// on load.
#[must_use]
pub fn by_winograd(window: &Window, inputs: usize, outputs: usize, height: usize, width: usize) -> bool {
    let plain = window.kernel == [3, 3] && window.stride == [1, 1] && window.dilation == [1, 1];
    plain && inputs >= 16 && outputs >= 16 && height.div_ceil(4) * width.div_ceil(4) >= 9
}

/// How far the tiles of `to` pixels reach past `from` pixels, on an axis with `before` pixels of padding.
fn winograd_after(from: usize, to: usize, before: usize) -> usize {
    (4 * to.div_ceil(4) + 2).saturating_sub(from + before)
}
