//! Activations, one vector at a time.

use super::siblings::siblings;
use super::vector::Vector;

/// What is done to each value behind a convolution or by itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Act {
    /// `min(max(x, lo), hi)`: ReLU, ReLU6, Clip; with infinite bounds, nothing.
    Clamp(f32, f32),
    /// `x` where it is at least 0, else `x` times this.
    Leaky(f32),
    /// `x * sigmoid(x)`.
    Silu,
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
    /// `min(max(alpha * x + beta, 0), 1)`.
    HardSigmoid(f32, f32),
    /// `x * min(max(x / 6 + 0.5, 0), 1)`.
    HardSwish,
    /// `exp(x)`.
    Exp,
    /// `x * factor + summand`, rounded once.
    Affine(f32, f32),
}

impl Act {
    /// Changes nothing.
    pub const NONE: Self = Self::Clamp(f32::NEG_INFINITY, f32::INFINITY);

    /// The bounds, if that is all there is to do: a convolution does it on the way.
    #[must_use]
    pub fn bounds(self) -> Option<(f32, f32)> {
        match self {
            Self::Clamp(lo, hi) => Some((lo, hi)),
            _ => None,
        }
    }
}

impl Act {
    /// One value, for tables.
    #[must_use]
    pub fn of(self, x: f32) -> f32 {
        match self {
            Self::Clamp(lo, hi) => x.max(lo).min(hi),
            Self::Leaky(slope) => {
                if x < 0.0 {
                    x * slope
                } else {
                    x
                }
            }
            Self::Silu => x / (1.0 + (-x).exp()),
            Self::Sigmoid => 1.0 / (1.0 + (-x).exp()),
            Self::HardSigmoid(alpha, beta) => (alpha * x + beta).clamp(0.0, 1.0),
            Self::HardSwish => x * (x / 6.0 + 0.5).clamp(0.0, 1.0),
            Self::Exp => x.exp(),
            Self::Affine(factor, summand) => x * factor + summand,
        }
    }
}

/// 2^r on [-0.5, 0.5] to half a unit in the last place: Taylor's coefficients adjusted at the ends (Cody and Waite,
/// Software Manual for the Elementary Functions, 1980, chapter 6, gives the reduction).
#[allow(clippy::excessive_precision, clippy::approx_constant, reason = "the coefficients as they were found")]
const POWERS: [f32; 6] = [1.339_887_4e-3, 9.618_437_4e-3, 5.550_332_5e-2, 0.240_226_48, 0.693_147_2, 1.0];
const FIRST: f32 = 1.535_336_2e-4;

/// `2^rest`, for -0.5 to 0.5.
#[inline(always)]
unsafe fn power_of_rest<V: Vector>(rest: V) -> V {
    // SAFETY: the caller has the features of `V`.
    unsafe {
        let mut power = V::splat(FIRST);
        power = power.fma(rest, V::splat(POWERS[0]));
        power = power.fma(rest, V::splat(POWERS[1]));
        power = power.fma(rest, V::splat(POWERS[2]));
        power = power.fma(rest, V::splat(POWERS[3]));
        power = power.fma(rest, V::splat(POWERS[4]));
        power = power.fma(rest, V::splat(POWERS[5]));
        power
    }
}

/// `exp(x)`, within 3 units in the last place; from 88.3 upward the largest power, below -87.3 about 1e-38.
#[inline(always)]
pub unsafe fn exp<V: Vector>(x: V) -> V {
    // SAFETY: the caller has the features of `V`.
    unsafe {
        // Bounds first, so that what is not a number stays so.
        let x = V::splat(88.3).min(V::splat(-87.3).max(x));
        let whole = x.mul(V::splat(std::f32::consts::LOG2_E)).round();
        // ln 2 in two parts.
        let rest = whole.fma(V::splat(-0.693_359_4), x);
        let rest = whole.fma(V::splat(2.121_944_4e-4), rest);
        let rest = rest.mul(V::splat(std::f32::consts::LOG2_E));
        power_of_rest(rest).scale(whole)
    }
}

/// `1 + exp(-x)`, between 1 and 2^120: what logistic functions divide by. Without the second part of ln 2 it is within
/// 1e-5 of its own size where it is large, and 3 units in the last place where it is not.
#[inline(always)]
unsafe fn divisor<V: Vector>(x: V) -> V {
    // SAFETY: the caller has the features of `V`.
    unsafe {
        let bits = x.mul(V::splat(-std::f32::consts::LOG2_E));
        let bits = V::splat(120.0).min(V::splat(-120.0).max(bits));
        let whole = bits.round();
        let rest = bits.sub(whole);
        power_of_rest(rest).scale(whole).add(V::splat(1.0))
    }
}

#[inline(always)]
unsafe fn sigmoid<V: Vector>(x: V) -> V {
    // SAFETY: the caller has the features of `V`.
    unsafe { V::splat(1.0).div(divisor(x)) }
}

/// One vector through an activation.
#[inline(always)]
pub unsafe fn apply<V: Vector>(act: Act, x: V) -> V {
    // SAFETY: the caller has the features of `V`.
    unsafe {
        let (zero, one) = (V::splat(0.0), V::splat(1.0));
        match act {
            Act::Clamp(lo, hi) => V::splat(hi).min(V::splat(lo).max(x)),
            // One part of the sum is always 0.
            Act::Leaky(slope) => zero.min(x).fma(V::splat(slope), zero.max(x)),
            Act::Silu => x.div(divisor(x)),
            Act::Sigmoid => sigmoid(x),
            Act::HardSigmoid(alpha, beta) => one.min(zero.max(x.fma(V::splat(alpha), V::splat(beta)))),
            Act::HardSwish => x.mul(one.min(zero.max(x.fma(V::splat(1.0 / 6.0), V::splat(0.5))))),
            Act::Exp => exp(x),
            Act::Affine(factor, summand) => x.fma(V::splat(factor), V::splat(summand)),
        }
    }
}

/// What follows a convolution that its tile cannot do itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Finish {
    pub act: Act,
    /// Whether another map is added behind the activation.
    pub add: bool,
    /// What is done after that.
    pub then: Act,
}

siblings! {
    /// Finishes `pixels` × `channels` values: activation, sum, second activation. The last vector of a pixel may reach past
    /// its channels if `spill`.
    fn finish<V>(
        finish: &Finish, pixels: usize, channels: usize, spill: bool,
        to: *mut f32, to_pixel: usize, other: *const f32, other_pixel: usize,
    ) {
        // SAFETY: the caller has the features of `V`, and both pointers have this many pixels and channels.
        unsafe {
            macro_rules! pass { ($x:ident $(, $q:ident)? => $value:expr) => {
                for pixel in 0..pixels {
                    let row = to.add(pixel * to_pixel);
                    let mut channel = 0;
                    while channel < channels {
                        let at = row.add(channel);
                        let $x = V::load(at);
                        $(let $q = V::load(other.add(pixel * other_pixel + channel));)?
                        let value = $value;
                        if spill || channels - channel >= V::LANES { value.store(at) } else { value.store_first(at, channels - channel) }
                        channel += V::LANES;
                    }
                }
            } }
            // A constant activation lets the compiler leave out the choice in the loop.
            match (finish.act, finish.add) {
                (Act::Silu, false) => pass!(x => apply(Act::Silu, x)),
                (Act::Silu, true) => pass!(x, other => apply(finish.then, apply(Act::Silu, x).add(other))),
                (Act::HardSwish, false) => pass!(x => apply(Act::HardSwish, x)),
                (Act::Leaky(slope), false) => pass!(x => apply(Act::Leaky(slope), x)),
                (act, false) => pass!(x => apply(act, x)),
                (act, true) => pass!(x, other => apply(finish.then, apply(act, x).add(other))),
            }
        }
    }
}

pub(super) type FinishFn = unsafe fn(&Finish, usize, usize, bool, *mut f32, usize, *const f32, usize);
