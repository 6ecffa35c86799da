//! Linear resizing of a map of classes and the index of its maximum at each pixel, a row at a time: the resized map is never
//! stored.

use super::Isa;
use super::bytes::levels::{Quant, RoundFn, round_sibling};
use super::pack::share;
use super::reduce::{Lines, Maxima};
use super::resize::{AcrossFn, MixFn, Tap, across_sibling, mix_sibling};
use super::view::{Map, View};

/// The three steps in one, with their places.
pub struct Classes {
    from: Map,
    /// Where the index of the first pixel goes, and the distances of rows and pixels.
    to: [usize; 3],
    down: Vec<Tap>,
    across: Vec<Tap>,
    quant: Option<Quant>,
    /// Floats of a pixel with its padding.
    pixel: usize,
    mix: MixFn,
    along: AcrossFn,
    round: RoundFn,
    maxima: Maxima,
}

impl Classes {
    #[must_use]
    pub fn new(isa: Isa, from: Map, to: &View, [down, across]: [Vec<Tap>; 2], quant: Option<Quant>) -> Self {
        Self {
            from,
            to: [to.offset, to.strides[2], to.strides[3]],
            down,
            across,
            quant,
            pixel: from.channels.next_multiple_of(16),
            mix: mix_sibling(isa),
            along: across_sibling(isa),
            round: round_sibling(isa),
            maxima: Maxima::new(isa, from.channels),
        }
    }

    /// Floats of the row between the two rows of the map, and of the resized row.
    fn rows(&self) -> [usize; 2] {
        [self.from.width * self.pixel, self.across.len() * self.pixel]
    }

    /// Floats of scratch that a part needs.
    #[must_use]
    pub fn scratch(&self) -> usize {
        let [narrow, wide] = self.rows();
        narrow + 2 * wide + 16
    }

    /// Computes part `part` of `parts`.
    ///
    /// # Safety
    /// As of [`super::Conv::run`]; `scratch` has [`Classes::scratch`] floats for this part alone.
    pub(super) unsafe fn run(&self, memory: *mut f32, scratch: *mut f32, part: usize, parts: usize) {
        let (from, [narrow, wide]) = (&self.from, self.rows());
        let (row, levels) = (scratch.wrapping_add(narrow), scratch.wrapping_add(narrow + wide).cast::<u8>());
        let (first, count) = share(self.down.len(), parts, part);
        for y in first..first + count {
            let down = self.down[y];
            // SAFETY: taps lie on the map, which was checked against the arena; the rows of the scratch are long enough.
            unsafe {
                for x in 0..from.width {
                    let pixel =
                        |at: usize| memory.add(from.offset + down.at[at] * from.row + x * from.pixel).cast_const();
                    (self.mix)(pixel(0), pixel(1), down.weight, from.channels, scratch.add(x * self.pixel));
                }
                (self.along)(scratch, &self.across, self.pixel, row);
                let (length, count) = (from.channels, self.across.len());
                let lines = Lines { length, step: self.pixel, count, to_step: self.to[2] };
                let to = memory.add(self.to[0] + y * self.to[1]);
                match self.quant {
                    None => self.maxima.of_floats(&lines, row, to),
                    Some(quant) => {
                        (self.round)(quant, wide, row, levels);
                        self.maxima.of_levels(&lines, levels, to);
                    }
                }
            }
        }
    }
}
