//! Softmax and ArgMax along an axis.

use super::Isa;
use super::arena::Arena;
use super::loops::Loops;
use super::siblings::{sibling, siblings};

/// Softmax along one axis of values in any order. The loops are over the other axes; operands: output, input.
pub struct Softmax {
    loops: Loops<2>,
    length: usize,
    strides: [usize; 2],
}

impl Softmax {
    #[must_use]
    pub fn new(loops: Loops<2>, length: usize, strides: [usize; 2]) -> Self {
        Self { loops, length, strides }
    }

    /// # Safety
    /// As of [`super::Conv::run`].
    pub(super) unsafe fn run(&self, memory: *mut f32, part: usize, parts: usize) {
        let [to_stride, from_stride] = self.strides;
        let [to_step, from_step] = self.loops.strides;
        self.loops.each(part, parts, |[to, from]| {
            for line in 0..self.loops.inner {
                // SAFETY: both views were checked against the arena.
                unsafe {
                    let (to, from) = (memory.add(to + line * to_step), memory.add(from + line * from_step));
                    let mut most = f32::NEG_INFINITY;
                    for at in 0..self.length {
                        let value = *from.add(at * from_stride);
                        most = if value > most { value } else { most };
                    }
                    let mut sum = 0.0;
                    for at in 0..self.length {
                        let value = (*from.add(at * from_stride) - most).exp();
                        sum += value;
                        *to.add(at * to_stride) = value;
                    }
                    for at in 0..self.length {
                        *to.add(at * to_stride) /= sum;
                    }
                }
            }
        });
    }
}

/// The index of the first maximum along one axis, as a float. The loops are over the other axes; operands: output, input.
pub struct ArgMax {
    loops: Loops<2>,
    length: usize,
    stride: usize,
    /// Whether the input holds levels.
    levels: bool,
    maxima: Maxima,
}

impl ArgMax {
    #[must_use]
    pub fn new(isa: Isa, loops: Loops<2>, length: usize, stride: usize, levels: bool) -> Self {
        Self { loops, length, stride, levels, maxima: Maxima::new(isa, length) }
    }

    /// # Safety
    /// As of [`super::Conv::run`].
    pub(super) unsafe fn run(&self, memory: *mut f32, part: usize, parts: usize) {
        let [to_step, from_step] = self.loops.strides;
        // Vectors read a line to the end of its padding.
        let in_vectors = self.stride == 1 && self.maxima.fits(from_step);
        self.loops.each(part, parts, |[to, from]| {
            if in_vectors {
                let lines = Lines { length: self.length, step: from_step, count: self.loops.inner, to_step };
                // SAFETY: as below.
                unsafe {
                    match self.levels {
                        true => self.maxima.of_levels(&lines, memory.cast::<u8>().add(from), memory.add(to)),
                        false => self.maxima.of_floats(&lines, memory.add(from), memory.add(to)),
                    }
                }
                return;
            }
            for line in 0..self.loops.inner {
                let from = from + line * from_step;
                // SAFETY: both views were checked against the arena.
                unsafe {
                    let index = match self.levels {
                        true => index_of_first(memory.cast::<u8>().add(from), self.length, self.stride),
                        false => index_of_first(memory.add(from).cast_const(), self.length, self.stride),
                    };
                    *memory.add(to + line * to_step) = index as f32;
                }
            }
        });
    }
}

/// Many lines of values side by side.
#[derive(Clone, Copy)]
pub(super) struct Lines {
    pub length: usize,
    /// The distance of two lines, and their number.
    pub step: usize,
    pub count: usize,
    /// The distance of two indices.
    pub to_step: usize,
}

/// Finds the first maximum of lines of floats or of levels. They are read in steps of 16 values.
pub(super) struct Maxima {
    length: usize,
    /// What is added to floats and to levels, for each place of a line.
    ends: Arena,
    places: Arena,
    floats: unsafe fn(&Lines, *const f32, *const f32, *mut f32),
    levels: unsafe fn(&Lines, *const f32, *const u8, *mut f32),
}

impl Maxima {
    /// For lines of so many values.
    pub(super) fn new(isa: Isa, length: usize) -> Self {
        let padded = length.next_multiple_of(16);
        let of = |value: &dyn Fn(usize) -> f32, rest: f32| -> Arena {
            Arena::of(&(0..padded).map(|at| if at < length { value(at) } else { rest }).collect::<Vec<f32>>())
        };
        Self {
            length,
            ends: of(&|_| 0.0, f32::NEG_INFINITY),
            places: of(&|at| (PLACES - 1.0) - at as f32, -1e9),
            floats: sibling!(isa, of_floats),
            levels: sibling!(isa, of_levels),
        }
    }

    /// Whether it can tell so many places apart.
    pub(super) fn takes(length: usize) -> bool {
        length < PLACES as usize
    }

    /// Whether lines at this distance can be read in vectors.
    pub(super) fn fits(&self, step: usize) -> bool {
        step >= self.length.next_multiple_of(16) && Self::takes(self.length)
    }

    /// # Safety
    /// The lines are there, and reach to a multiple of 16 values.
    pub(super) unsafe fn of_floats(&self, lines: &Lines, from: *const f32, to: *mut f32) {
        // SAFETY: the caller's promise.
        unsafe { (self.floats)(lines, self.ends.at(0), from, to) }
    }

    /// # Safety
    /// As [`Maxima::of_floats`].
    pub(super) unsafe fn of_levels(&self, lines: &Lines, from: *const u8, to: *mut f32) {
        // SAFETY: the caller's promise.
        unsafe { (self.levels)(lines, self.places.at(0), from, to) }
    }
}

/// A level and its place make one float, exactly: `level * PLACES + PLACES - 1 - place`.
const PLACES: f32 = 65536.0;

siblings! {
    fn of_levels<V>(lines: &Lines, places: *const f32, from: *const u8, to: *mut f32) {
        // SAFETY: the caller has the features of `V`, so many lines, and so many places for indices.
        unsafe {
            let factor = V::splat(PLACES);
            for at in 0..lines.count {
                let line = from.add(at * lines.step);
                let mut most = V::splat(-PLACES);
                for start in (0..lines.length).step_by(V::LANES) {
                    most = V::load_levels(line.add(start)).fma(factor, V::load(places.add(start))).max(most);
                }
                let place = PLACES as u32 - 1 - (most.most() as u32 & (PLACES as u32 - 1));
                *to.add(at * lines.to_step) = place as f32;
            }
        }
    }
}

siblings! {
    fn of_floats<V>(lines: &Lines, ends: *const f32, from: *const f32, to: *mut f32) {
        // SAFETY: as above.
        unsafe {
            for at in 0..lines.count {
                let line = from.add(at * lines.step);
                let mut most = V::splat(f32::NEG_INFINITY);
                for start in (0..lines.length).step_by(V::LANES) {
                    most = V::load(line.add(start)).add(V::load(ends.add(start))).max(most);
                }
                let most = most.most();
                let mut place = 0;
                while place < lines.length && *line.add(place) != most {
                    place += 1;
                }
                // None of them is a number.
                *to.add(at * lines.to_step) = if place < lines.length { place as f32 } else { 0.0 };
            }
        }
    }
}

/// What is not a number is less than all numbers.
trait Key: Copy + PartialOrd {
    fn key(self) -> Self;
}

impl Key for u8 {
    #[inline(always)]
    fn key(self) -> Self {
        self
    }
}

impl Key for f32 {
    #[inline(always)]
    fn key(self) -> Self {
        if self.is_nan() { Self::NEG_INFINITY } else { self }
    }
}

/// The index of the first maximum, of values in any order.
#[inline(always)]
unsafe fn index_of_first<T: Key>(from: *const T, length: usize, stride: usize) -> usize {
    // SAFETY: the caller gives this many values.
    unsafe {
        let (mut best, mut most) = (0, (*from).key());
        for at in 1..length {
            let value = (*from.add(at * stride)).key();
            // Nobody can predict which class is next.
            let more = value > most;
            best = std::hint::select_unpredictable(more, at, best);
            most = std::hint::select_unpredictable(more, value, most);
        }
        best
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_ways_find_the_first_maximum() {
        let none = f32::NAN;
        let lines: [&[f32]; 7] = [
            &[1.0],
            &[-0.0, 0.0],
            &[none, -f32::INFINITY, -1.0, none],
            &[none, none],
            &[2.0, 3.0, 3.0, -1.0],
            &[-5.0, -4.0, -4.5],
            &[f32::INFINITY, none, 1.0],
        ];
        let mut cases: Vec<Vec<f32>> = lines.iter().map(|line| line.to_vec()).collect();
        cases
            .extend((1..70).map(|length| (0..length).map(|at| ((at * at * 31 + length) % 23) as f32 - 11.0).collect()));
        for line in cases {
            let right = (0..line.len()).rev().fold(line.len() - 1, |best, at| {
                let (value, most) = (line[at], line[best]);
                if value >= most || most.is_nan() { at } else { best }
            });
            let mut padded = line.clone();
            padded.resize(line.len().next_multiple_of(16), 99.0);
            // SAFETY: lines are padded, and there is one place.
            unsafe {
                assert_eq!(index_of_first(line.as_ptr(), line.len(), 1), right, "{line:?}");
                for isa in Isa::here() {
                    let (mut to, maxima) = ([-1.0], Maxima::new(isa, line.len()));
                    let lines = Lines { length: line.len(), step: 0, count: 1, to_step: 0 };
                    maxima.of_floats(&lines, padded.as_ptr(), to.as_mut_ptr());
                    assert_eq!(to[0], right as f32, "{isa:?}: {line:?}");
                    if line.iter().any(|value| !value.is_finite() || value.fract() != 0.0) {
                        continue;
                    }
                    let levels: Vec<u8> = padded.iter().map(|value| (*value + 20.0) as u8).collect();
                    maxima.of_levels(&lines, levels.as_ptr(), to.as_mut_ptr());
                    assert_eq!(to[0], right as f32, "{isa:?}: levels of {line:?}");
                }
            }
        }
    }
}
