//! Convolutions and pools that follow each other, a few rows at a time: what one leaves for the next stays in the second
//! cache, in a few rows of its own, instead of a whole map.

use super::conv::Conv;
use super::depthwise::Depthwise;
use super::pack::share;
use super::pool::Pool;
use super::window::{Bases, Window};

/// Maps between two steps that are at least this large, in floats, are worth a strip.
pub const LARGE: usize = 256 << 10;
/// What the rows of a strip may take, in floats: a quarter of a second cache of 2 MB, and half of one of 1 MB.
const ROOM: usize = 128 << 10;

/// A step of a strip.
pub enum Member {
    Conv(Conv),
    Depthwise(Depthwise),
    Pool(Pool),
}

impl Member {
    unsafe fn rows(&self, bases: &Bases, first: usize, count: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            match self {
                Self::Conv(step) => step.rows(bases, first, count),
                Self::Depthwise(step) => step.rows(bases, first, count),
                Self::Pool(step) => step.rows(bases, first, count),
            }
        }
    }

    fn macs(&self) -> usize {
        match self {
            Self::Conv(step) => step.macs(),
            Self::Depthwise(step) => step.macs(),
            Self::Pool(_) => 0,
        }
    }
}

/// A map between two steps, of which a few rows are held.
#[derive(Clone, Copy, Debug)]
pub struct Between {
    pub height: usize,
    /// Floats of a row, and of the zeros in front of the first.
    pub row: usize,
    pub margin: usize,
    /// How the next step looks at it: kernel, stride, dilation and the rows before, downward.
    pub reach: usize,
    pub stride: usize,
    pub before: usize,
}

impl Between {
    /// With the window of the step that reads it.
    #[must_use]
    pub fn new(height: usize, row: usize, margin: usize, window: &Window) -> Self {
        let reach = (window.kernel[0] - 1) * window.dilation[0] + 1;
        Self { height, row, margin, reach, stride: window.stride[0], before: window.before[0] }
    }

    /// The rows that `count` rows of the next step look at.
    fn rows(&self, count: usize) -> usize {
        (count - 1) * self.stride + self.reach
    }
}

/// Steps, and the maps between them.
pub struct Strip {
    members: Vec<Member>,
    between: Vec<Between>,
    /// Rows that each of them holds, and where they lie in the scratch.
    held: Vec<(usize, usize)>,
    /// Rows of the last step that are computed at once, and all of them.
    rows: usize,
    height: usize,
    scratch: usize,
}

impl Strip {
    /// A strip of at least two steps; `height` is that of the last one's output.
    #[must_use]
    pub fn new(members: Vec<Member>, between: Vec<Between>, height: usize) -> Self {
        let need = |rows: usize| {
            // From the last map backwards.
            let mut count = rows;
            let mut held = vec![(0, 0); between.len()];
            for (at, map) in between.iter().enumerate().rev() {
                count = map.rows(count);
                held[at].0 = count;
            }
            let mut place = 0;
            for (map, held) in between.iter().zip(&mut held) {
                held.1 = place;
                place += (held.0 * map.row + 2 * map.margin).next_multiple_of(16) + 16;
            }
            (held, place)
        };
        let mut rows = height;
        while rows > 1 && need(rows).1 > ROOM {
            rows = rows.div_ceil(2);
        }
        let (held, scratch) = need(rows);
        Self { members, between, held, rows, height, scratch }
    }

    /// Floats of scratch that a part needs.
    #[must_use]
    pub fn scratch(&self) -> usize {
        self.scratch
    }

    /// Multiplications in a run.
    #[must_use]
    pub fn macs(&self) -> usize {
        self.members.iter().map(Member::macs).sum()
    }

    /// Computes part `part` of `parts`.
    ///
    /// # Safety
    /// As of [`Conv::run`]; `scratch` has [`Strip::scratch`] floats for this part alone.
    pub(super) unsafe fn run(&self, memory: *mut f32, scratch: *mut f32, part: usize, parts: usize) {
        let (first, count) = share(self.height, parts, part);
        // SAFETY: the caller's promise. Borders must be 0, whatever was there before.
        unsafe { std::ptr::write_bytes(scratch, 0, self.scratch) };
        // For each map: the row that it begins with, which may lie above the map, and the row behind the last that it has.
        let mut have = [(isize::MIN, isize::MIN); MOST];
        let strips = count.div_ceil(self.rows);
        for at in 0..strips {
            let (start, rows) = share(count, strips, at);
            // SAFETY: the caller's promise.
            unsafe { self.strip(memory, scratch, &mut have, first + start, rows) };
        }
    }

    unsafe fn strip(
        &self,
        memory: *mut f32,
        scratch: *mut f32,
        have: &mut [(isize, isize); MOST],
        first: usize,
        count: usize,
    ) {
        // What is needed of each map, from the last backwards.
        let mut need = [(0_isize, 0_isize); MOST];
        let (mut from, mut until) = (first as isize, (first + count) as isize);
        for (at, map) in self.between.iter().enumerate().rev() {
            until = (until - 1) * map.stride as isize - map.before as isize + map.reach as isize;
            from = from * map.stride as isize - map.before as isize;
            need[at] = (from, until);
            // The step before it computes rows of the map only.
            (from, until) = (from.max(0), until.min(map.height as isize).max(1));
        }
        for (at, member) in self.members.iter().enumerate() {
            let input = at.checked_sub(1).map(|at| self.base(scratch, at, have[at].0));
            if at == self.between.len() {
                let from = input.unwrap_or(memory);
                // SAFETY: rows of the map; what it reads was computed below.
                unsafe { member.rows(&Bases { from, to: memory, add: memory }, first, count) };
                continue;
            }
            let (map, (from, until)) = (&self.between[at], need[at]);
            let place = scratch.wrapping_add(self.held[at].1);
            let (old, done) = have[at];
            let keep = (done - from).max(0);
            let start = if done == isize::MIN || keep == 0 { from } else { done };
            // SAFETY: rows that are needed again move to the front; rows outside the map are zeros.
            unsafe {
                let row = |y: isize| place.add(map.margin + (y - from) as usize * map.row);
                if start > from && old != from {
                    let source = place.add(map.margin + (from - old) as usize * map.row);
                    std::ptr::copy(source, row(from), keep as usize * map.row);
                }
                have[at] = (from, until);
                let bases = Bases { from: input.unwrap_or(memory), to: self.base(scratch, at, from), add: memory };
                let (inside, last) = (start.clamp(0, map.height as isize), until.min(map.height as isize));
                for y in (start..until).filter(|y| *y < 0 || *y >= map.height as isize) {
                    std::ptr::write_bytes(row(y), 0, map.row);
                }
                if last > inside {
                    member.rows(&bases, inside as usize, (last - inside) as usize);
                }
            }
        }
    }

    /// Where row 0 of a map would lie, if its rows begin with `first`.
    fn base(&self, scratch: *mut f32, at: usize, first: isize) -> *mut f32 {
        let map = &self.between[at];
        scratch.wrapping_add(self.held[at].1 + map.margin).wrapping_offset(-first * map.row as isize)
    }
}

/// Maps between the steps of a strip, at most.
pub const MOST: usize = 8;
