//! Functions of one and of two values, value by value, on values that may lie in any order.

use super::Isa;
use super::loops::Loops;
use super::math::{Act, apply};
use super::siblings::{sibling, siblings};

/// A function of one value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Unary {
    Act(Act),
    Abs,
    Neg,
    Sqrt,
    Tanh,
}

/// A function of two values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binary {
    Add,
    Sub,
    Mul,
    Div,
    Max,
    Min,
    /// The first where it is at least 0, else their product.
    Prelu,
}

impl Binary {
    #[inline(always)]
    fn one(self, a: f32, b: f32) -> f32 {
        match self {
            Self::Add => a + b,
            Self::Sub => a - b,
            Self::Mul => a * b,
            Self::Div => a / b,
            Self::Max => {
                if a > b {
                    a
                } else {
                    b
                }
            }
            Self::Min => {
                if a < b {
                    a
                } else {
                    b
                }
            }
            // As on vectors, so that zeros get the same sign.
            Self::Prelu => {
                let (low, high) = (if 0.0 < a { 0.0 } else { a }, if 0.0 > a { 0.0 } else { a });
                low.mul_add(b, high)
            }
        }
    }
}

siblings! {
    /// `count` values that lie side by side through an activation.
    fn act_line<V>(act: Act, count: usize, from: *const f32, to: *mut f32) {
        // SAFETY: the caller has the features of `V`; both lines have `count` values.
        unsafe {
            let mut at = 0;
            while at + V::LANES <= count {
                apply(act, V::load(from.add(at))).store(to.add(at));
                at += V::LANES;
            }
            if at < count {
                // The rest by itself: values behind it may be written by another part.
                let mut rest = [0.0_f32; 16];
                std::ptr::copy_nonoverlapping(from.add(at), rest.as_mut_ptr(), count - at);
                apply(act, V::load(rest.as_ptr())).store_first(to.add(at), count - at);
            }
        }
    }
}

siblings! {
    /// `count` sums, products …; an operand with a stride of 0 is the same for all.
    fn binary_line<V>(op: Binary, count: usize, a: *const f32, a_stride: usize, b: *const f32, b_stride: usize, to: *mut f32) {
        // SAFETY: as above.
        unsafe {
            macro_rules! pass { ($x:ident, $y:ident => $value:expr) => {{
                let (same_a, same_b) = (V::splat(*a), V::splat(*b));
                let mut at = 0;
                while at + V::LANES <= count {
                    let $x = if a_stride == 0 { same_a } else { V::load(a.add(at)) };
                    let $y = if b_stride == 0 { same_b } else { V::load(b.add(at)) };
                    $value.store(to.add(at));
                    at += V::LANES;
                }
                while at < count {
                    *to.add(at) = op.one(*a.add(at * a_stride), *b.add(at * b_stride));
                    at += 1;
                }
            }} }
            match op {
                Binary::Add => pass!(x, y => x.add(y)),
                Binary::Sub => pass!(x, y => x.sub(y)),
                Binary::Mul => pass!(x, y => x.mul(y)),
                Binary::Div => pass!(x, y => x.div(y)),
                Binary::Max => pass!(x, y => x.max(y)),
                Binary::Min => pass!(x, y => x.min(y)),
                // One part of the sum is always 0.
                Binary::Prelu => pass!(x, y => V::splat(0.0).min(x).fma(y, V::splat(0.0).max(x))),
            }
        }
    }
}

/// One value to one value. Operands: output, input.
pub struct UnaryStep {
    op: Unary,
    loops: Loops<2>,
    act: unsafe fn(Act, usize, *const f32, *mut f32),
}

impl UnaryStep {
    #[must_use]
    pub fn new(isa: Isa, op: Unary, loops: Loops<2>) -> Self {
        Self { op, loops, act: sibling!(isa, act_line) }
    }

    /// # Safety
    /// As of [`super::Conv::run`].
    pub(super) unsafe fn run(&self, memory: *mut f32, part: usize, parts: usize) {
        let [to_stride, from_stride] = self.loops.strides;
        let count = self.loops.inner;
        self.loops.each(part, parts, |[to, from]| {
            // SAFETY: both views were checked against the arena.
            unsafe {
                let (to, from) = (memory.add(to), memory.add(from).cast_const());
                let plain = |f: fn(f32) -> f32| {
                    for at in 0..count {
                        *to.add(at * to_stride) = f(*from.add(at * from_stride));
                    }
                };
                match self.op {
                    Unary::Act(act) if to_stride == 1 && from_stride == 1 => (self.act)(act, count, from, to),
                    Unary::Act(act) => {
                        // In any order, a vector's worth at a time.
                        let mut values = [0.0_f32; 16];
                        for start in (0..count).step_by(16) {
                            let n = (count - start).min(16);
                            for (at, value) in values.iter_mut().enumerate().take(n) {
                                *value = *from.add((start + at) * from_stride);
                            }
                            (self.act)(act, 16, values.as_ptr(), values.as_mut_ptr());
                            for (at, value) in values.iter().enumerate().take(n) {
                                *to.add((start + at) * to_stride) = *value;
                            }
                        }
                    }
                    Unary::Abs => plain(f32::abs),
                    Unary::Neg => plain(|x| -x),
                    Unary::Sqrt => plain(f32::sqrt),
                    Unary::Tanh => plain(f32::tanh),
                }
            }
        });
    }
}

/// Two values to one. Operands: output, both inputs.
pub struct BinaryStep {
    op: Binary,
    loops: Loops<3>,
    line: unsafe fn(Binary, usize, *const f32, usize, *const f32, usize, *mut f32),
}

impl BinaryStep {
    #[must_use]
    pub fn new(isa: Isa, op: Binary, loops: Loops<3>) -> Self {
        Self { op, loops, line: sibling!(isa, binary_line) }
    }

    /// # Safety
    /// As of [`super::Conv::run`].
    pub(super) unsafe fn run(&self, memory: *mut f32, part: usize, parts: usize) {
        let [to_stride, a_stride, b_stride] = self.loops.strides;
        let count = self.loops.inner;
        self.loops.each(part, parts, |[to, a, b]| {
            // SAFETY: all views were checked against the arena.
            unsafe {
                let (to, a, b) = (memory.add(to), memory.add(a).cast_const(), memory.add(b).cast_const());
                if to_stride == 1 && a_stride <= 1 && b_stride <= 1 {
                    (self.line)(self.op, count, a, a_stride, b, b_stride, to);
                } else {
                    for at in 0..count {
                        *to.add(at * to_stride) = self.op.one(*a.add(at * a_stride), *b.add(at * b_stride));
                    }
                }
            }
        });
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Values of all sizes: every 4,093rd bit pattern (also infinities and NaN), small values, and the neighbours of powers of
    /// two. Sigmoid divides by a number close to 2 for small values, and such a quotient is the hardest to round.
    fn values() -> Vec<f32> {
        let spread = (0..=u32::MAX / 4093).map(|at| f32::from_bits(at * 4093));
        let small = (0..20_000).map(|at| at as f32 * 1e-9);
        let near = (-12..12).flat_map(|power| {
            let bits = 2.0_f32.powi(power).to_bits();
            (bits - 50..bits + 50).map(f32::from_bits)
        });
        let near = near.chain(small).flat_map(|value| [value, -value]);
        spread.chain(near).chain([f32::INFINITY, f32::NEG_INFINITY, f32::NAN, -0.0]).collect()
    }

    #[test]
    fn activations_give_the_same_bits_on_every_processor() {
        let values = values();
        let run = |isa: Isa, act: Act| {
            let mut found = vec![0.0; values.len()];
            // SAFETY: both hold as many values; `Isa::here` only names what this processor has.
            unsafe { sibling!(isa, act_line)(act, values.len(), values.as_ptr(), found.as_mut_ptr()) };
            found
        };
        let acts = [
            Act::Clamp(0.0, 6.0),
            Act::Leaky(0.1),
            Act::Silu,
            Act::Sigmoid,
            Act::HardSigmoid(0.2, 0.5),
            Act::HardSwish,
            Act::Exp,
            Act::Affine(0.3, -7.0),
        ];
        for act in acts {
            let plain = run(Isa::Plain, act);
            for isa in Isa::here() {
                let apart =
                    run(isa, act).into_iter().zip(&plain).zip(&values).find(|((ours, plain), _)| {
                        ours.to_bits() != plain.to_bits() && !(ours.is_nan() && plain.is_nan())
                    });
                assert!(apart.is_none(), "{act:?} on {}: (ours, plain), of {apart:?}", isa.name());
            }
        }
    }

    #[test]
    fn logistic_functions_are_close_to_those_in_double_precision() {
        let values: Vec<f32> = values().into_iter().filter(|v| v.abs() < 80.0).collect();
        let most = |act: Act, right: fn(f64) -> f64| {
            let mut found = vec![0.0; values.len()];
            // SAFETY: both hold as many values.
            unsafe { act_line::plain(act, values.len(), values.as_ptr(), found.as_mut_ptr()) };
            let apart = found.iter().zip(&values).map(|(&found, &value)| {
                let right = right(f64::from(value));
                (f64::from(found) - right).abs() / right.abs().max(f64::from(f32::MIN_POSITIVE))
            });
            apart.fold(0.0_f64, f64::max)
        };
        // Three units in the last place near 0; the argument of a large power is rounded before it is raised.
        let sigmoid = most(Act::Sigmoid, |x| 1.0 / (1.0 + (-x).exp()));
        let silu = most(Act::Silu, |x| x / (1.0 + (-x).exp()));
        let exp = most(Act::Exp, f64::exp);
        assert!(sigmoid < 1e-5 && silu < 1e-5 && exp < 3e-7, "{sigmoid:e}, {silu:e}, {exp:e}");
    }
}
