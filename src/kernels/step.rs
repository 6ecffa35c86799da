//! A step of a program, and the buffers between steps.

use super::bytes;
use super::classes::Classes;
use super::conv::Conv;
use super::copy::Copy;
use super::depthwise::Depthwise;
use super::map::{BinaryStep, UnaryStep};
use super::pool::Pool;
use super::reduce::{ArgMax, Softmax};
use super::resize::Resize;
use super::strip::Strip;
use super::view::{Map, View};
use super::window::Window;
use super::winograd::Winograd;

/// A buffer: floats, perhaps as a map with a border of zeros.
#[derive(Clone, Debug)]
pub struct Spec {
    pub length: usize,
    /// Of a map: channels, the distance of two pixels, rows and columns of zeros before and after it.
    pub map: Option<[usize; 4]>,
    pub height: usize,
    pub width: usize,
    /// If it holds levels instead of floats: what its border is filled with.
    pub levels: Option<u8>,
}

impl Spec {
    /// Its length in floats.
    #[must_use]
    pub fn floats(&self) -> usize {
        // Vectors may reach a little further.
        if self.levels.is_some() { self.length.div_ceil(4) + 16 } else { self.length }
    }

    /// What a map must share with another to take its place, if it has a border.
    #[must_use]
    pub fn kept(&self) -> Option<[usize; 5]> {
        let [channels, pixel, before, after] = self.map?;
        let fill = self.levels.map_or(0, |fill| usize::from(fill) + 1);
        (before + after > 0).then_some([self.height, self.width, pixel, channels, fill << 32 | before << 16 | after])
    }

    /// Whether whole vectors may be written behind the last channel of a map: what lies there is nobody's.
    #[must_use]
    pub fn spill(&self, map: &Map, lanes: usize) -> bool {
        let Some([channels, pixel, ..]) = self.map.filter(|_| !map.channels.is_multiple_of(lanes)) else {
            return map.channels.is_multiple_of(lanes);
        };
        let first = map.offset % pixel;
        let last = first + map.channels == channels && map.pixel.is_multiple_of(pixel);
        last && first + map.channels.next_multiple_of(lanes) <= pixel
    }

    /// Whether all windows of an output lie on the map and its border.
    ///
    /// # Errors
    /// Where they do not.
    pub fn covers(&self, from: &Map, to: &Map, window: &Window, depthwise: bool) -> Result<(), String> {
        let sides = |map: &Map| [map.channels, map.height, map.width];
        let need = window.border(sides(from), sides(to), depthwise);
        let [before, after] = need.map(|[down, across]| down.max(across));
        if before + after == 0 {
            return Ok(());
        }
        let fits = self.has_border(from, [before, after]);
        if fits { Ok(()) } else { Err(format!("a window reaches {need:?} outside {self:?}")) }
    }

    /// Of a map: floats of a row with its border, and of the border before the first pixel of a row.
    #[must_use]
    pub fn row(&self) -> Option<(usize, usize)> {
        let [_, pixel, before, after] = self.map?;
        Some(((self.width + before.max(after)) * pixel, before.max(after) * pixel))
    }

    /// Whether a map is the whole one, some of its channels perhaps, with at least this border of zeros around it.
    #[must_use]
    pub fn has_border(&self, map: &Map, [before, after]: [usize; 2]) -> bool {
        let Some([_, pixel, top, bottom]) = self.map else { return before + after == 0 };
        let whole = (map.height, map.width) == (self.height, self.width) && map.pixel == pixel;
        // The first pixel, not counting channels, and the distance of rows.
        let row = (self.width + top.max(bottom)) * pixel;
        let place = map.row == row && map.offset / pixel == (top * row + top * pixel) / pixel;
        before + after == 0 || whole && place && before <= top && after <= bottom
    }
}

impl Map {
    #[must_use]
    pub(super) fn shifted(self, by: usize) -> Self {
        Self { offset: self.offset.wrapping_add(by), ..self }
    }
}

impl View {
    #[must_use]
    pub(super) fn shifted(&self, by: usize) -> Self {
        Self { offset: self.offset + by, ..self.clone() }
    }
}

/// One step.
pub enum Step {
    Conv(Conv),
    Depthwise(Depthwise),
    Winograd(Winograd),
    Pool(Pool),
    Resize(Resize),
    Unary(UnaryStep),
    Binary(BinaryStep),
    Copy(Copy),
    Softmax(Softmax),
    ArgMax(ArgMax),
    Classes(Classes),
    Strip(Strip),
    LevelConv(bytes::conv::Conv),
    LevelDepthwise(bytes::depthwise::Depthwise),
    Level(bytes::levels::LevelStep),
    LevelPair(bytes::levels::PairStep),
    LevelPool(bytes::maps::Pool),
    LevelResize(bytes::maps::Resize),
}

impl Step {
    /// # Safety
    /// As of [`Conv::run`] and [`Winograd::run`].
    pub(super) unsafe fn run(&self, memory: *mut f32, scratch: *mut f32, part: usize, parts: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            match self {
                Self::Conv(step) => step.run(memory, part, parts),
                Self::Depthwise(step) => step.run(memory, part, parts),
                Self::Winograd(step) => step.run(memory, scratch, part, parts),
                Self::Pool(step) => step.run(memory, part, parts),
                Self::Resize(step) => step.run(memory, part, parts),
                Self::Unary(step) => step.run(memory, part, parts),
                Self::Binary(step) => step.run(memory, part, parts),
                Self::Copy(step) => step.run(memory, part, parts),
                Self::Softmax(step) => step.run(memory, part, parts),
                Self::ArgMax(step) => step.run(memory, part, parts),
                Self::Classes(step) => step.run(memory, scratch, part, parts),
                Self::Strip(step) => step.run(memory, scratch, part, parts),
                Self::LevelConv(step) => step.run(memory, part, parts),
                Self::LevelDepthwise(step) => step.run(memory, part, parts),
                Self::Level(step) => step.run(memory, part, parts),
                Self::LevelPair(step) => step.run(memory, part, parts),
                Self::LevelPool(step) => step.run(memory, part, parts),
                Self::LevelResize(step) => step.run(memory, part, parts),
            }
        }
    }

    /// Floats of scratch that a part needs.
    #[must_use]
    pub fn scratch(&self) -> usize {
        match self {
            Self::Winograd(step) => step.scratch(),
            Self::Strip(step) => step.scratch(),
            Self::Classes(step) => step.scratch(),
            _ => 0,
        }
    }

    /// Multiplications in a run.
    #[must_use]
    pub fn macs(&self) -> usize {
        match self {
            Self::Conv(step) => step.macs(),
            Self::Depthwise(step) => step.macs(),
            Self::Winograd(step) => step.macs(),
            Self::Strip(step) => step.macs(),
            Self::LevelConv(step) => step.macs(),
            Self::LevelDepthwise(step) => step.macs(),
            _ => 0,
        }
    }
}
