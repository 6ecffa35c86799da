//! Pools and nearest resizing of levels.

use super::super::pack::share;
use super::super::pool::Pooling;
use super::super::resize::Tap;
use super::super::view::Map;
use super::super::window::Window;
use super::levels::Quant;

/// Pooling of levels with its places.
pub struct Pool {
    from: Map,
    to: Map,
    window: Window,
    pooling: Pooling,
    /// What levels stand for before and after.
    quants: [Quant; 2],
}

impl Pool {
    #[must_use]
    pub fn new([from, to]: [Map; 2], window: Window, pooling: Pooling, quants: [Quant; 2]) -> Self {
        Self { from, to, window, pooling, quants }
    }

    /// # Safety
    /// As of [`super::super::Conv::run`].
    pub(in super::super) unsafe fn run(&self, memory: *mut f32, part: usize, parts: usize) {
        let (from, to, window) = (&self.from, &self.to, &self.window);
        let (first, count) = share(to.height, parts, part);
        let bytes = memory.cast::<u8>();
        let [before, after] = self.quants;
        // Sixteen channels at a time.
        for y in first..first + count {
            let (top, rows) = window.on(0, y, from.height);
            for x in 0..to.width {
                let (left, columns) = window.on(1, x, from.width);
                let pixels = match self.pooling {
                    Pooling::MeanOfWindow => window.kernel[0] * window.kernel[1],
                    _ => rows * columns,
                };
                let scale = before.scale / (after.scale * pixels.max(1) as f32);
                for channel in (0..to.channels).step_by(16) {
                    let n = (to.channels - channel).min(16);
                    let (mut sums, mut most) = ([0_i32; 16], [0_u8; 16]);
                    for ky in 0..rows {
                        for kx in 0..columns {
                            let row = top + ky * window.dilation[0];
                            let at =
                                from.offset + row * from.row + (left + kx * window.dilation[1]) * from.pixel + channel;
                            for lane in 0..n {
                                // SAFETY: the window lies on the map, which was checked against the arena.
                                let level = unsafe { *bytes.add(at + lane) };
                                sums[lane] += i32::from(level) - i32::from(before.zero);
                                most[lane] = most[lane].max(level);
                            }
                        }
                    }
                    let place = to.offset + y * to.row + x * to.pixel + channel;
                    for lane in 0..n {
                        let level = match self.pooling {
                            Pooling::Max => most[lane],
                            _ => {
                                let level = (sums[lane] as f32 * scale).round_ties_even() as i32;
                                (level + i32::from(after.zero)).clamp(0, 255) as u8
                            }
                        };
                        // SAFETY: as above.
                        unsafe { *bytes.add(place + lane) = level };
                    }
                }
            }
        }
    }
}

/// Nearest resizing of levels with its places.
pub struct Resize {
    from: Map,
    to: Map,
    down: Vec<Tap>,
    across: Vec<Tap>,
}

impl Resize {
    #[must_use]
    pub fn new([from, to]: [Map; 2], [down, across]: [Vec<Tap>; 2]) -> Self {
        Self { from, to, down, across }
    }

    /// # Safety
    /// As of [`super::super::Conv::run`].
    pub(in super::super) unsafe fn run(&self, memory: *mut f32, part: usize, parts: usize) {
        let (from, to) = (&self.from, &self.to);
        let (first, count) = share(to.height, parts, part);
        let bytes = memory.cast::<u8>();
        for y in first..first + count {
            for (x, across) in self.across.iter().enumerate() {
                let at = from.offset + self.down[y].at[0] * from.row + across.at[0] * from.pixel;
                // SAFETY: taps lie on the map; both maps were checked against the arena.
                unsafe {
                    let out = bytes.add(to.offset + y * to.row + x * to.pixel);
                    std::ptr::copy_nonoverlapping(bytes.add(at), out, to.channels);
                }
            }
        }
    }
}
