//! Levels and the floats that they stand for, value by value, on values in any order.

use super::super::Isa;
use super::super::loops::Loops;
use super::super::siblings::{sibling, siblings};
use super::table::{self, Floats, LookUp, LookUpFloats};

/// What levels stand for: `(level - zero) * scale`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quant {
    pub scale: f32,
    /// As stored, from 0 to 255.
    pub zero: u8,
}

impl Quant {
    /// What a level stands for.
    #[must_use]
    pub fn value(&self, level: u8) -> f32 {
        (f32::from(level) - f32::from(self.zero)) * self.scale
    }

    /// The level of a value (ONNX, QuantizeLinear).
    #[must_use]
    pub fn level(&self, value: f32) -> u8 {
        ((value / self.scale).round_ties_even() + f32::from(self.zero)).clamp(0.0, 255.0) as u8
    }
}

siblings! {
    /// Floats to levels.
    fn round_line<V>(quant: Quant, count: usize, from: *const f32, to: *mut u8) {
        // SAFETY: the caller has the features of `V`; both lines have `count` values.
        unsafe {
            let (scale, zero, most) = (V::splat(quant.scale), V::splat(f32::from(quant.zero)), V::splat(255.0));
            // A product, and what it lacks: the bits of a division (Markstein 1990, theorem 4).
            let inverse = V::splat(1.0 / quant.scale);
            let minus = V::splat(-1.0);
            let mut at = 0;
            while at < count {
                let n = (count - at).min(V::LANES);
                // Lanes behind the last value are read, and dropped.
                let value = V::load(from.add(at));
                let near = value.mul(inverse);
                let level = near.mul(minus).fma(scale, value).fma(inverse, near).round().add(zero);
                // What is not a number becomes 0.
                let level = level.max(V::splat(0.0)).min(most);
                if n == V::LANES { level.store_all_levels(to.add(at)) } else { level.store_levels(to.add(at), n) }
                at += n;
            }
        }
    }
}

pub type RoundFn = unsafe fn(Quant, usize, *const f32, *mut u8);

/// Floats to levels, as this processor does it.
#[must_use]
pub fn round_sibling(isa: Isa) -> RoundFn {
    sibling!(isa, round_line)
}

siblings! {
    /// Levels to floats.
    fn value_line<V>(quant: Quant, count: usize, from: *const u8, to: *mut f32) {
        // SAFETY: as above.
        unsafe {
            let (scale, zero) = (V::splat(quant.scale), V::splat(f32::from(quant.zero)));
            let mut at = 0;
            while at + V::LANES <= count {
                V::load_levels(from.add(at)).sub(zero).mul(scale).store(to.add(at));
                at += V::LANES;
            }
            if at < count {
                V::load_levels(from.add(at)).sub(zero).mul(scale).store_first(to.add(at), count - at);
            }
        }
    }
}

/// Sums and products of levels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pair {
    /// `round(fma(b, second, fma(a, first, rest)))`: how ONNX Runtime's QLinearAdd rounds (measured). It, too, adds 128 to
    /// signed levels first.
    Add { first: f32, second: f32, rest: f32 },
    /// `round(fma((a - first) * (b - second), scale, zero))`: likewise QLinearMul.
    Mul { first: f32, second: f32, scale: f32, zero: f32 },
}

siblings! {
    /// Two levels to one.
    fn pair_line<V>(pair: Pair, count: usize, a: *const u8, b: *const u8, to: *mut u8) {
        // SAFETY: as above.
        unsafe {
            let (none, most) = (V::splat(0.0), V::splat(255.0));
            let mut at = 0;
            while at < count {
                let n = (count - at).min(V::LANES);
                let (mut x, mut y) = ([0_u8; 16], [0_u8; 16]);
                let (p, q) = if n == V::LANES { (a.add(at), b.add(at)) } else {
                    std::ptr::copy_nonoverlapping(a.add(at), x.as_mut_ptr(), n);
                    std::ptr::copy_nonoverlapping(b.add(at), y.as_mut_ptr(), n);
                    (x.as_ptr(), y.as_ptr())
                };
                let (p, q) = (V::load_levels(p), V::load_levels(q));
                let level = match pair {
                    Pair::Add { first, second, rest } => {
                        q.fma(V::splat(second), p.fma(V::splat(first), V::splat(rest))).round()
                    }
                    Pair::Mul { first, second, scale, zero } => {
                        p.sub(V::splat(first)).mul(q.sub(V::splat(second))).fma(V::splat(scale), V::splat(zero)).round()
                    }
                };
                most.min(none.max(level)).store_levels(to.add(at), n);
                at += n;
            }
        }
    }
}

/// What a step does with values.
pub enum Work {
    /// Floats to levels.
    Round(Quant),
    /// Levels to floats.
    Value(Quant),
    /// Levels to levels by a table.
    Table(Box<[u8; 256]>),
    /// Levels to floats by a table.
    Lookup(Box<Floats>),
    /// Levels as they are.
    Copy,
}

/// One value to one. Operands: output, input.
pub struct LevelStep {
    work: Work,
    loops: Loops<2>,
    round: RoundFn,
    value: unsafe fn(Quant, usize, *const u8, *mut f32),
    table: LookUp,
    lookup: LookUpFloats,
}

impl LevelStep {
    #[must_use]
    pub fn new(isa: Isa, work: Work, loops: Loops<2>) -> Self {
        let (round, value) = (round_sibling(isa), sibling!(isa, value_line));
        Self { work, loops, round, value, table: table::best(isa), lookup: table::best_floats(isa) }
    }

    /// # Safety
    /// As of [`super::super::Conv::run`].
    pub(in super::super) unsafe fn run(&self, memory: *mut f32, part: usize, parts: usize) {
        let [to_stride, from_stride] = self.loops.strides;
        let bytes = memory.cast::<u8>();
        let side_by_side = to_stride == 1 && from_stride == 1;
        // Lines in another order go value by value.
        let (times, count) = if side_by_side { (1, self.loops.inner) } else { (self.loops.inner, 1) };
        self.loops.each(part, parts, |[to, from]| {
            for at in 0..times {
                let (to, from) = (to + at * to_stride, from + at * from_stride);
                // SAFETY: both views were checked against the arena.
                unsafe {
                    match &self.work {
                        Work::Round(quant) => (self.round)(*quant, count, memory.add(from), bytes.add(to)),
                        Work::Value(quant) => (self.value)(*quant, count, bytes.add(from), memory.add(to)),
                        Work::Table(table) => (self.table)(table, count, bytes.add(from), bytes.add(to)),
                        Work::Lookup(table) => (self.lookup)(table, count, bytes.add(from), memory.add(to)),
                        Work::Copy => std::ptr::copy_nonoverlapping(bytes.add(from), bytes.add(to), count),
                    }
                }
            }
        });
    }
}

/// Two values to one. Operands: output, both inputs.
pub struct PairStep {
    pair: Pair,
    loops: Loops<3>,
    line: unsafe fn(Pair, usize, *const u8, *const u8, *mut u8),
}

impl PairStep {
    #[must_use]
    pub fn new(isa: Isa, pair: Pair, loops: Loops<3>) -> Self {
        Self { pair, loops, line: sibling!(isa, pair_line) }
    }

    /// # Safety
    /// As of [`super::super::Conv::run`].
    pub(in super::super) unsafe fn run(&self, memory: *mut f32, part: usize, parts: usize) {
        let [to_stride, a_stride, b_stride] = self.loops.strides;
        let bytes = memory.cast::<u8>();
        let side_by_side = self.loops.strides == [1; 3];
        let (times, count) = if side_by_side { (1, self.loops.inner) } else { (self.loops.inner, 1) };
        self.loops.each(part, parts, |[to, a, b]| {
            for at in 0..times {
                // SAFETY: all views were checked against the arena.
                unsafe {
                    let (a, b) = (bytes.add(a + at * a_stride), bytes.add(b + at * b_stride));
                    (self.line)(self.pair, count, a, b, bytes.add(to + at * to_stride));
                }
            }
        });
    }
}
