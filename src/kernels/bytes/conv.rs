//! Dense convolutions of levels, exact: `Σ (x - x0) (w - w0)` in 32 bits, then one rounding.

use super::super::Isa;
use super::super::arena::Arena;
use super::super::math::{FinishFn, finish};
use super::super::pack::{share, shares};
use super::super::siblings::sibling;
use super::super::view::Map;
use super::super::window::{Epilogue, Window};
use super::dot::{Form, form};
use super::tile::{Tile, TileFn, lanes, most_pixels, most_vectors, table};

/// Bytes of the input that a chunk of rows covers.
const CHUNK: usize = 64 << 10;

/// What the sums become.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Out {
    /// Levels from `lo` to `hi`, of which `zero` stands for 0.
    Levels { zero: u8, lo: u8, hi: u8 },
    /// Floats, and what follows them.
    Floats(Epilogue),
}

/// The numbers of a convolution of levels.
#[derive(Clone, Debug)]
pub struct Numbers {
    /// Weights less their zero, `[outputs][inputs][rows][columns]`: nine bits and a sign.
    pub weights: Vec<i16>,
    /// One for each output, in units of the product of the scales.
    pub bias: Vec<i32>,
    /// The level of the input that stands for 0.
    pub zero: i32,
    /// What a sum is multiplied by, for each output.
    pub scales: Vec<f32>,
}

impl Numbers {
    /// The bias with what the input's zero adds to each sum taken off, if `flip` is taken off the levels beforehand.
    #[must_use]
    pub fn start(&self, flip: i32) -> Vec<i32> {
        let size = self.weights.len() / self.bias.len().max(1);
        let sum = |of: &[i16]| of.iter().map(|w| i32::from(*w)).sum::<i32>();
        let one = |(bias, of): (&i32, &[i16])| bias.wrapping_sub((self.zero - flip).wrapping_mul(sum(of)));
        self.bias.iter().zip(self.weights.chunks_exact(size.max(1))).map(one).collect()
    }
}

#[derive(Clone, Copy, Debug)]
struct Panel {
    channel: usize,
    vectors: usize,
    /// Where its weights begin, in bytes.
    weights: usize,
    /// Its extra groups, and where their weights begin.
    extras: (usize, usize),
    rest: usize,
}

/// A convolution with its weights and places.
pub struct Conv {
    from: Map,
    to: Map,
    window: Window,
    out: Out,
    isa: Isa,
    spill: bool,
    panels: Vec<Panel>,
    groups: usize,
    taps: usize,
    weights: Arena,
    rest: Arena,
    places: Vec<usize>,
    bias: Vec<i32>,
    scales: Arena,
    tiles: Vec<Vec<TileFn>>,
    finish: FinishFn,
}

impl Conv {
    #[must_use]
    pub fn new(isa: Isa, [from, to]: [Map; 2], spill: bool, window: Window, numbers: &Numbers, out: Out) -> Self {
        let lanes = lanes(isa);
        let [rows, columns] = window.kernel;
        let inputs = from.channels;
        let side_by_side = window.dilation[1] == 1 && from.pixel == inputs;
        let (taps, length) = if side_by_side { (1, columns * inputs) } else { (columns, inputs) };
        let groups = length.div_ceil(4);
        let form = form(isa);
        let mut conv = Self {
            from,
            to,
            window,
            out,
            isa,
            spill,
            panels: Vec::new(),
            groups,
            taps,
            weights: Arena::new(0),
            rest: Arena::new(0),
            places: Vec::new(),
            bias: Vec::new(),
            scales: Arena::new(0),
            tiles: table(isa),
            finish: sibling!(isa, finish),
        };
        let (mut weights, mut rest) = (Vec::new(), Vec::new());
        let vectors = to.channels.div_ceil(lanes);
        let count = vectors.div_ceil(most_vectors(isa));
        // The group of four that an input of a tap is in, and its place there.
        let place = |row: usize, column: usize, input: usize| match side_by_side {
            true => (row * groups + (column * inputs + input) / 4, (column * inputs + input) % 4),
            false => ((row * taps + column) * groups + input / 4, input % 4),
        };
        let size = inputs * rows * columns;
        let taps_of: Vec<(usize, usize)> = (0..rows * columns).map(|at| (at / columns, at % columns)).collect();
        for at in 0..count {
            let (first, vectors) = share(vectors, count, at);
            let (channel, width) = (first * lanes, vectors * lanes);
            // `[groups][width][4]`.
            let mut all = vec![0_i16; rows * taps * groups * width * 4];
            for input in 0..inputs {
                for (at, (row, column)) in taps_of.iter().enumerate() {
                    let (group, k) = place(*row, *column, input);
                    let to = &mut all[group * width * 4..][..width * 4];
                    let from = numbers.weights[channel * size + input * taps_of.len() + at..].iter().step_by(size);
                    to.iter_mut().skip(k).step_by(4).zip(from).for_each(|(to, weight)| *to = *weight);
                }
            }
            let panel =
                Panel { channel, vectors, weights: weights.len(), extras: (conv.places.len(), 0), rest: rest.len() };
            conv.panels.push(panel);
            for (group, of) in all.chunks_exact(width * 4).enumerate() {
                let byte = |weight: &i16| *weight as i8 as i16 == *weight;
                write(form, lanes, of, &mut weights);
                if form.is_bytes() && !of.iter().all(byte) {
                    let more: Vec<i16> = of.iter().map(|weight| weight - (*weight).clamp(-128, 127)).collect();
                    write(form, lanes, &more, &mut rest);
                    let (row, tap, group) = (group / groups / taps, group / groups % taps, group % groups);
                    let tap = tap * window.dilation[1] * from.pixel;
                    conv.places.push(row * window.dilation[0] * from.row + tap + 4 * group);
                }
            }
            if let Some(panel) = conv.panels.last_mut() {
                panel.extras.1 = conv.places.len() - panel.extras.0;
            }
        }
        let padded = vectors * lanes;
        let flip = if form == Form::Signed { 128 } else { 0 };
        let (mut bias, mut scales) = (numbers.start(flip), numbers.scales.clone());
        bias.resize(padded, 0);
        scales.resize(padded, 0.0);
        (conv.weights, conv.rest) = (Arena::of_bytes(&weights), Arena::of_bytes(&rest));
        (conv.bias, conv.scales) = (bias, Arena::of(&scales));
        conv
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
    /// As of [`super::super::Conv::run`].
    pub(in super::super) unsafe fn run(&self, memory: *mut f32, part: usize, parts: usize) {
        let add = if let Out::Floats(epilogue) = &self.out { epilogue.add } else { None };
        let flat =
            self.window == Window::POINT && self.from.flat() && self.to.flat() && add.is_none_or(|add| add.flat());
        let (length, enough) = match flat {
            true => (self.to.height * self.to.width, 24 * parts),
            false => (self.to.height, 2 * parts),
        };
        let [(first, count), panels] = shares(length, enough, self.panels.len(), part, parts);
        let row = if flat { self.from.pixel } else { self.from.row * self.window.stride[0] };
        let chunk = (CHUNK / row.max(1)).max(if flat { 84 } else { 1 });
        let chunks = count.div_ceil(chunk);
        for at in 0..chunks {
            let (start, count) = share(count, chunks, at);
            for panel in &self.panels[panels.0..panels.0 + panels.1] {
                let start = first + start;
                if flat {
                    // SAFETY: the caller's promise; the pixels lie in the maps.
                    unsafe { self.line(memory, panel, 0, start, count) };
                } else {
                    // SAFETY: as above.
                    (start..start + count).for_each(|y| unsafe { self.line(memory, panel, y, 0, self.to.width) });
                }
            }
        }
    }

    /// A panel of `count` pixels of row `y` from `x` on.
    unsafe fn line(&self, memory: *mut f32, panel: &Panel, y: usize, x: usize, count: usize) {
        let (from, to, window) = (&self.from, &self.to, &self.window);
        let lanes = lanes(self.isa);
        let width = panel.vectors * lanes;
        let channels = (to.channels - panel.channel).min(width);
        let whole = self.spill || channels == width;
        let (zero, lo, hi) = match self.out {
            Out::Levels { zero, lo, hi } => {
                let zero = f32::from(zero);
                (zero, f32::from(lo) - zero, f32::from(hi) - zero)
            }
            Out::Floats(_) => (0.0, 0.0, 0.0),
        };
        let tile = Tile {
            rows: window.kernel[0],
            row: window.dilation[0] * from.row,
            taps: self.taps,
            tap: window.dilation[1] * from.pixel,
            groups: self.groups,
            pixel: window.stride[1] * from.pixel,
            to_pixel: to.pixel,
            weights: form(self.isa).bytes() * lanes,
            extras: panel.extras.1,
            places: self.places[panel.extras.0..].as_ptr(),
            rest: self.rest.byte(panel.rest),
            lo,
            hi,
            zero,
            last: if whole { lanes } else { channels - (panel.vectors - 1) * lanes },
        };
        let tiles = count.div_ceil(most_pixels(self.isa, panel.vectors));
        let corner = window.corner(from, y).wrapping_add(x * tile.pixel);
        let (bias, scales) = (self.bias[panel.channel..].as_ptr(), self.scales.at(panel.channel));
        let mut done = 0;
        for at in 0..tiles {
            let (_, pixels) = share(count, tiles, at);
            let place = to.offset + y * to.row + (x + done) * to.pixel + panel.channel;
            let kernel = self.tiles[panel.vectors][pixels];
            // SAFETY: the maps were checked against the arena; a window reaches as far as its map's border.
            unsafe {
                let a = memory.cast::<u8>().cast_const().add(corner.wrapping_add(done * tile.pixel));
                let weights = self.weights.byte(panel.weights);
                match &self.out {
                    Out::Levels { .. } => {
                        let levels = memory.cast::<u8>().add(place);
                        kernel(&tile, a, weights, bias, scales, levels, std::ptr::null_mut());
                    }
                    Out::Floats(epilogue) => {
                        let floats = memory.add(place);
                        kernel(&tile, a, weights, bias, scales, std::ptr::null_mut(), floats);
                        let add = epilogue.add;
                        let other = add.map_or(std::ptr::null(), |add| {
                            memory.add(add.offset + y * add.row + (x + done) * add.pixel + panel.channel).cast_const()
                        });
                        if let Some(rest) = epilogue.whole() {
                            let pixel = add.map_or(0, |add| add.pixel);
                            (self.finish)(&rest, pixels, channels, whole, floats, to.pixel, other, pixel);
                        }
                    }
                }
            }
            done += pixels;
        }
    }
}

/// Appends the weights of a group, `[vectors * lanes][4]`.
fn write(form: Form, lanes: usize, group: &[i16], to: &mut Vec<u8>) {
    for vector in group.chunks_exact(lanes * 4) {
        match form {
            Form::Bytes | Form::Signed => to.extend(vector.iter().map(|weight| (*weight).clamp(-128, 127) as i8 as u8)),
            Form::Lanes => {
                let weights = (0..4).flat_map(|input| vector.iter().skip(input).step_by(4));
                weights.for_each(|weight| to.extend(weight.to_le_bytes()));
            }
            Form::Pairs => {
                for half in 0..2 {
                    let pairs = vector.chunks_exact(4).flat_map(|four| [four[half], four[half + 2]]);
                    pairs.for_each(|weight| to.extend(weight.to_le_bytes()));
                }
            }
        }
    }
}
