//! The sizes of a convolution, and the strips in which its columns are made.

use super::window::Window;
use std::ops::Range;

/// The sizes of a convolution.
#[derive(Clone, Copy)]
pub struct Sizes {
    pub window: Window,
    pub batch: usize,
    pub groups: usize,
    /// Channels of the input and of the output in a group.
    pub from: usize,
    pub to: usize,
    pub map: [usize; 2],
    pub result: [usize; 2],
}

impl Sizes {
    pub fn taps(&self) -> usize {
        self.from * self.window.kernel[0] * self.window.kernel[1]
    }

    pub fn area(&self) -> usize {
        self.result[0] * self.result[1]
    }

    pub fn channel(&self) -> usize {
        self.map[0] * self.map[1]
    }

    /// The strips of a result whose columns are made at a time.
    pub fn strips(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let high = self.result[0];
        let step = if self.window.is_point() { high.max(1) } else { Window::strip(self.taps(), self.result[1]) };
        (0..high).step_by(step).map(move |top| top..(top + step).min(high))
    }

    /// The columns of a strip: those of the map itself if windows are single places.
    pub fn columns<'a>(&self, map: &'a [f32], rows: &Range<usize>, room: &'a mut Vec<f32>) -> &'a [f32] {
        if self.window.is_point() {
            return map;
        }
        room.resize(self.taps() * rows.len() * self.result[1], 0.0);
        self.window.columns(map, [self.from, self.map[0], self.map[1]], rows.clone(), self.result[1], room);
        room
    }
}
