//! Dense convolutions as sums over windows, without copying the windows (implicit GEMM). A pointwise convolution and a
//! fully connected layer are the same with a window of one pixel.

use super::Isa;
use super::arena::Arena;
use super::math::{FinishFn, finish};
use super::pack::{Kernel, Panel, pack, share, shares};
use super::siblings::sibling;
use super::tile::{Tile, TileFn, most_pixels, table};
use super::view::Map;
use super::window::{Bases, Epilogue, Window};

/// What of the input a chunk of rows covers, in bytes: it stays in the second cache while all panels pass over it.
const CHUNK: usize = 128 << 10;

/// A dense convolution with its weights and places.
pub struct Conv {
    from: Map,
    to: Map,
    window: Window,
    epilogue: Epilogue,
    weights: Arena,
    bias: Arena,
    panels: Vec<Panel>,
    isa: Isa,
    /// Whether a whole vector may be written behind the last channel.
    spill: bool,
    /// Tiles by vectors and pixels.
    tiles: Vec<Vec<TileFn>>,
    finish: FinishFn,
}

impl Conv {
    /// Packs weights `[outputs][inputs][rows][columns]`.
    #[must_use]
    pub fn new(
        isa: Isa,
        [from, to]: [Map; 2],
        spill: bool,
        window: Window,
        epilogue: Epilogue,
        weights: &[f32],
        bias: &[f32],
    ) -> Self {
        let kernel =
            Kernel { outputs: to.channels, inputs: from.channels, rows: window.kernel[0], columns: window.kernel[1] };
        let run = if Self::is_flat(&from, &to, &window, &epilogue) { to.height * to.width } else { to.width };
        let packed = pack(isa, kernel, weights, bias, run);
        Self {
            from,
            to,
            window,
            epilogue,
            weights: Arena::of(&packed.weights),
            bias: Arena::of(&packed.bias),
            panels: packed.panels,
            isa,
            spill,
            tiles: table(isa),
            finish: sibling!(isa, finish),
        }
    }

    /// Whether all pixels are one run.
    fn is_flat(from: &Map, to: &Map, window: &Window, epilogue: &Epilogue) -> bool {
        *window == Window::POINT && from.flat() && to.flat() && epilogue.add.is_none_or(|add| add.flat())
    }

    /// Multiplications in a run.
    #[must_use]
    pub fn macs(&self) -> usize {
        self.to.height
            * self.to.width
            * self.to.channels
            * self.from.channels
            * self.window.kernel.iter().product::<usize>()
    }

    /// Computes part `part` of `parts`.
    ///
    /// # Safety
    /// `memory` is the arena that the maps were checked against, and no other part writes the same pixels.
    pub(super) unsafe fn run(&self, memory: *mut f32, part: usize, parts: usize) {
        let flat = Self::is_flat(&self.from, &self.to, &self.window, &self.epilogue);
        // Rows, or runs of a list of pixels, or panels, if there are too few of those.
        let (length, enough) = match flat {
            true => (self.to.height * self.to.width, 24 * parts),
            false => (self.to.height, 2 * parts),
        };
        let [(first, count), panels] = shares(length, enough, self.panels.len(), part, parts);
        // SAFETY: the caller's promise.
        unsafe { self.range(&Bases::all(memory), first, count, panels, flat) };
    }

    /// Computes `count` rows from `first` on.
    ///
    /// # Safety
    /// As of [`Conv::run`], with maps that begin at these bases.
    pub(super) unsafe fn rows(&self, bases: &Bases, first: usize, count: usize) {
        let flat = Self::is_flat(&self.from, &self.to, &self.window, &self.epilogue);
        let run = if flat { self.to.width } else { 1 };
        // SAFETY: the caller's promise.
        unsafe { self.range(bases, first * run, count * run, (0, self.panels.len()), flat) };
    }

    unsafe fn range(&self, bases: &Bases, first: usize, count: usize, panels: (usize, usize), flat: bool) {
        let panels = &self.panels[panels.0..panels.0 + panels.1];
        let row = if flat { self.from.pixel } else { self.from.row * self.window.stride[0] };
        let chunk = (CHUNK / (row * 4).max(1)).max(if flat { 84 } else { 1 });
        let chunks = count.div_ceil(chunk);
        for at in 0..chunks {
            let (start, count) = share(count, chunks, at);
            for panel in panels {
                if flat {
                    // SAFETY: as of this function; the pixels lie in the maps.
                    unsafe { self.line(bases, panel, 0, first + start, count) };
                } else {
                    for y in first + start..first + start + count {
                        // SAFETY: as above.
                        unsafe { self.line(bases, panel, y, 0, self.to.width) };
                    }
                }
            }
        }
    }

    /// A panel of `count` pixels of row `y` from `x` on.
    unsafe fn line(&self, bases: &Bases, panel: &Panel, y: usize, x: usize, count: usize) {
        let (from, to, window) = (&self.from, &self.to, &self.window);
        let side_by_side = window.dilation[1] == 1 && from.pixel == from.channels;
        let (lo, hi, adds, rest) = self.epilogue.split();
        let lanes = self.isa.lanes();
        let width = panel.vectors * lanes;
        let channels = (to.channels - panel.channel).min(width);
        let whole = self.spill || channels == width;
        let add = self.epilogue.add;
        let mut tile = Tile {
            rows: window.kernel[0],
            row: window.dilation[0] * from.row,
            taps: window.kernel[1],
            tap: window.dilation[1] * from.pixel,
            depth: from.channels,
            pixel: window.stride[1] * from.pixel,
            to_pixel: to.pixel,
            add_pixel: add.map_or(0, |add| add.pixel),
            lo,
            hi,
            last: if whole { lanes } else { channels - (panel.vectors - 1) * lanes },
        };
        if side_by_side {
            (tile.taps, tile.depth) = (1, window.kernel[1] * from.channels);
        }
        let tiles = count.div_ceil(most_pixels(self.isa, panel.vectors));
        let corner = window.corner(from, y).wrapping_add(x * tile.pixel);
        let mut done = 0;
        for at in 0..tiles {
            let (_, pixels) = share(count, tiles, at);
            // SAFETY: the maps were checked against the arena; a window reaches as far as its map's border.
            unsafe {
                let a = bases.from.wrapping_add(corner.wrapping_add(done * tile.pixel));
                let c = bases.to.wrapping_add(to.offset + y * to.row + (x + done) * to.pixel + panel.channel);
                let other = add.map_or(std::ptr::null(), |add| {
                    bases.add.wrapping_add(add.offset + y * add.row + (x + done) * add.pixel + panel.channel)
                });
                let before = if adds { other } else { std::ptr::null() };
                let kernel = self.tiles[panel.vectors][pixels];
                kernel(&tile, a, self.weights.at(panel.weights), self.bias.at(panel.channel), c, before);
                if let Some(rest) = &rest {
                    (self.finish)(rest, pixels, channels, whole, c, to.pixel, other, tile.add_pixel);
                }
            }
            done += pixels;
        }
    }
}
