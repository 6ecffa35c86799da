//! Pooling over windows: maximum and mean. A window takes only what lies on the map.

use super::Isa;
use super::pack::share;
use super::siblings::{sibling, siblings};
use super::view::Map;
use super::window::{Bases, Window};

/// What a window becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooling {
    Max,
    /// The sum divided by the pixels on the map.
    Mean,
    /// The sum divided by the size of the window.
    MeanOfWindow,
}

siblings! {
    /// One window of `rows` × `columns` pixels, all channels. `scale` is what a sum is multiplied by; 0 asks for the maximum.
    fn window<V>(
        from: *const f32, row: usize, tap: usize, rows: usize, columns: usize, channels: usize, scale: f32, to: *mut f32, spill: bool,
    ) {
        // SAFETY: the caller has the features of `V`; the window lies on the map.
        unsafe {
            let mut channel = 0;
            while channel < channels {
                let mut value = V::splat(if scale == 0.0 { f32::NEG_INFINITY } else { 0.0 });
                for y in 0..rows {
                    for x in 0..columns {
                        let next = V::load(from.add(y * row + x * tap + channel));
                        // What is not a number stays.
                        value = if scale == 0.0 { value.max(next) } else { value.add(next) };
                    }
                }
                if scale != 0.0 { value = value.mul(V::splat(scale)); }
                let to = to.add(channel);
                if spill || channels - channel >= V::LANES { value.store(to) } else { value.store_first(to, channels - channel) }
                channel += V::LANES;
            }
        }
    }
}

type WindowFn = unsafe fn(*const f32, usize, usize, usize, usize, usize, f32, *mut f32, bool);

/// Pooling with its places.
pub struct Pool {
    from: Map,
    to: Map,
    spill: bool,
    window: Window,
    pooling: Pooling,
    line: WindowFn,
}

impl Pool {
    #[must_use]
    pub fn new(isa: Isa, [from, to]: [Map; 2], spill: bool, window: Window, pooling: Pooling) -> Self {
        Self { from, to, spill, window, pooling, line: sibling!(isa, window) }
    }

    /// # Safety
    /// As of [`super::Conv::run`].
    pub(super) unsafe fn run(&self, memory: *mut f32, part: usize, parts: usize) {
        let (first, count) = share(self.to.height, parts, part);
        // SAFETY: the caller's promise.
        unsafe { self.rows(&Bases::all(memory), first, count) };
    }

    /// Computes `count` rows from `first` on.
    ///
    /// # Safety
    /// As of [`super::Conv::rows`].
    pub(super) unsafe fn rows(&self, bases: &Bases, first: usize, count: usize) {
        let (from, to, window) = (&self.from, &self.to, &self.window);
        for y in first..first + count {
            let (top, rows) = window.on(0, y, from.height);
            for x in 0..to.width {
                let (left, columns) = window.on(1, x, from.width);
                let scale = match self.pooling {
                    Pooling::Max => 0.0,
                    Pooling::Mean => 1.0 / (rows * columns).max(1) as f32,
                    Pooling::MeanOfWindow => 1.0 / (window.kernel[0] * window.kernel[1]) as f32,
                };
                // SAFETY: the window lies on the map, which was checked against the arena.
                unsafe {
                    let at = bases.from.wrapping_add(from.offset + top * from.row + left * from.pixel);
                    let out = bases.to.wrapping_add(to.offset + y * to.row + x * to.pixel);
                    let (row, tap) = (window.dilation[0] * from.row, window.dilation[1] * from.pixel);
                    (self.line)(at, row, tap, rows, columns, to.channels, scale, out, self.spill);
                }
            }
        }
    }
}
