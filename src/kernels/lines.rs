//! Lines of values for the way back of a training: weighted sums of lines, products of lines, gradients within bounds.
//!
//! All lines are as long as a multiple of [`STEP`], so that no processor has a rest. Sums have [`STEP`] lanes on all of them,
//! so that they give the same bytes.

use super::Isa;
use super::siblings::{sibling, siblings};

/// Values that are treated together.
pub const STEP: usize = 16;

/// Lines are made this long.
#[must_use]
pub const fn padded(len: usize) -> usize {
    len.div_ceil(STEP) * STEP
}

siblings! {
    /// `to[i] = start + sum of weights[s] * from[places[s] + i]`.
    fn weigh<V>(to: *mut f32, len: usize, start: f32, from: *const f32, places: *const usize, weights: *const f32, count: usize) {
        // SAFETY: the caller has the features of `V`; all lines reach as far as `len`.
        unsafe {
            let mut at = 0;
            while at + 2 * V::LANES <= len {
                let (mut a, mut b) = (V::splat(start), V::splat(start));
                for source in 0..count {
                    let (from, weight) = (from.add(*places.add(source) + at), V::splat(*weights.add(source)));
                    a = V::load(from).fma(weight, a);
                    b = V::load(from.add(V::LANES)).fma(weight, b);
                }
                a.store(to.add(at));
                b.store(to.add(at + V::LANES));
                at += 2 * V::LANES;
            }
            while at < len {
                let mut a = V::splat(start);
                for source in 0..count {
                    a = V::load(from.add(*places.add(source) + at)).fma(V::splat(*weights.add(source)), a);
                }
                a.store(to.add(at));
                at += V::LANES;
            }
        }
    }
}

siblings! {
    /// `sums[s][lane] += line[i] * from[places[s] + i]`, `i` over all with this lane.
    fn dots<V>(sums: *mut f32, line: *const f32, len: usize, from: *const f32, places: *const usize, count: usize) {
        // SAFETY: as of `weigh`; there are `STEP` sums for each place.
        unsafe {
            for source in 0..count {
                let (from, sums) = (from.add(*places.add(source)), sums.add(source * STEP));
                let mut lane = 0;
                while lane < STEP {
                    let mut sum = V::load(sums.add(lane));
                    let mut at = lane;
                    while at < len {
                        sum = V::load(line.add(at)).fma(V::load(from.add(at)), sum);
                        at += STEP;
                    }
                    sum.store(sums.add(lane));
                    lane += V::LANES;
                }
            }
        }
    }
}

siblings! {
    /// Puts values within bounds.
    fn clamp<V>(to: *mut f32, len: usize, lo: f32, hi: f32) {
        for at in 0..len {
            // SAFETY: there are `len` values. The loop is made of the processor's vectors by the compiler.
            unsafe { *to.add(at) = (*to.add(at)).max(lo).min(hi) };
        }
    }
}

siblings! {
    /// Makes those of `to` zero whose result lies on a bound.
    fn within<V>(to: *mut f32, result: *const f32, len: usize, lo: f32, hi: f32) {
        for at in 0..len {
            // SAFETY: as above.
            unsafe {
                let y = *result.add(at);
                *to.add(at) = if y > lo && y < hi { *to.add(at) } else { 0.0 };
            }
        }
    }
}

siblings! {
    /// Adds up a line of any length in lanes, and the rest behind them.
    fn total<V>(from: *const f32, len: usize, sum: *mut f32) {
        // SAFETY: as above; lanes are a part of the line.
        unsafe {
            let mut sums = [0.0_f32; STEP];
            let mut lane = 0;
            while lane < STEP {
                let (mut part, mut at) = (V::splat(0.0), lane);
                while at + STEP - lane <= len {
                    part = part.add(V::load(from.add(at)));
                    at += STEP;
                }
                part.store(sums.as_mut_ptr().add(lane));
                lane += V::LANES;
            }
            let mut all = 0.0;
            for lane in 0..STEP {
                all += sums[lane];
            }
            for at in len / STEP * STEP..len {
                all += *from.add(at);
            }
            *sum = all;
        }
    }
}

/// Lines with the kernels of a processor.
pub struct Lines {
    clamp: unsafe fn(*mut f32, usize, f32, f32),
    within: unsafe fn(*mut f32, *const f32, usize, f32, f32),
    total: unsafe fn(*const f32, usize, *mut f32),
    weigh: unsafe fn(*mut f32, usize, f32, *const f32, *const usize, *const f32, usize),
    dots: unsafe fn(*mut f32, *const f32, usize, *const f32, *const usize, usize),
}

impl Lines {
    /// For a kind of processor, which must be one of [`Isa::here`].
    ///
    /// # Panics
    /// If this processor cannot run it.
    #[must_use]
    pub fn new(isa: Isa) -> Self {
        assert!(Isa::here().contains(&isa), "kernels of another processor");
        Self {
            clamp: sibling!(isa, clamp),
            within: sibling!(isa, within),
            total: sibling!(isa, total),
            weigh: sibling!(isa, weigh),
            dots: sibling!(isa, dots),
        }
    }

    /// Puts values within bounds.
    pub fn clamp(&self, values: &mut [f32], [lo, hi]: [f32; 2]) {
        // SAFETY: the processor was checked in `new`.
        unsafe { (self.clamp)(values.as_mut_ptr(), values.len(), lo, hi) };
    }

    /// Makes gradients zero where the result lies on a bound.
    ///
    /// # Panics
    /// If there are fewer results than gradients.
    pub fn within(&self, gradients: &mut [f32], results: &[f32], [lo, hi]: [f32; 2]) {
        assert!(results.len() >= gradients.len(), "fewer results than gradients");
        // SAFETY: the lengths were just checked, and the processor in `new`.
        unsafe { (self.within)(gradients.as_mut_ptr(), results.as_ptr(), gradients.len(), lo, hi) };
    }

    /// Adds up values.
    #[must_use]
    pub fn total(&self, values: &[f32]) -> f32 {
        let mut sum = 0.0;
        // SAFETY: as above.
        unsafe { (self.total)(values.as_ptr(), values.len(), &raw mut sum) };
        sum
    }

    /// `to[i] = start + sum of weights[s] * from[places[s] + i]`.
    ///
    /// # Panics
    /// If a line is not a multiple of [`STEP`], or one of `from` is shorter than `to`.
    pub fn weigh(&self, to: &mut [f32], start: f32, from: &[f32], places: &[usize], weights: &[f32]) {
        assert!(to.len().is_multiple_of(STEP) && places.len() == weights.len(), "lines of another length");
        assert!(places.iter().all(|place| place + to.len() <= from.len()), "a line is too short");
        // SAFETY: all lengths were just checked, and the processor in `new`.
        unsafe {
            let (len, count) = (to.len(), places.len());
            (self.weigh)(to.as_mut_ptr(), len, start, from.as_ptr(), places.as_ptr(), weights.as_ptr(), count);
        }
    }

    /// Adds `line[i] * from[places[s] + i]` to `sums[s]`, in its lane.
    ///
    /// # Panics
    /// As [`Lines::weigh`].
    pub fn dots(&self, sums: &mut [[f32; STEP]], line: &[f32], from: &[f32], places: &[usize]) {
        assert!(line.len().is_multiple_of(STEP) && places.len() == sums.len(), "lines of another length");
        assert!(places.iter().all(|place| place + line.len() <= from.len()), "a line is too short");
        let (sums, len, count) = (sums.as_mut_ptr().cast(), line.len(), places.len());
        // SAFETY: as above.
        unsafe { (self.dots)(sums, line.as_ptr(), len, from.as_ptr(), places.as_ptr(), count) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_those_of_loops_and_the_same_on_all_processors() {
        let from: Vec<f32> = (0..200).map(|at| ((at * 37 % 101) as f32 - 50.0) / 7.0).collect();
        let (places, weights) = ([0, 3, 40, 111], [0.5, -2.0, 0.25, 1.5]);
        let mut all: Vec<(Vec<u32>, Vec<u32>)> = Vec::new();
        for isa in Isa::here() {
            let lines = Lines::new(isa);
            let mut to = vec![0.0; 48];
            lines.weigh(&mut to, 0.75, &from, &places, &weights);
            for (at, found) in to.iter().enumerate() {
                let sum: f32 = places.iter().zip(weights).map(|(place, weight)| weight * from[place + at]).sum();
                assert!((found - sum - 0.75).abs() < 1e-4, "{isa:?}");
            }
            let mut sums = [[1.0; STEP]; 4];
            lines.dots(&mut sums, &to, &from, &places);
            for (place, sums) in places.iter().zip(&sums) {
                let sum: f32 = to.iter().zip(&from[*place..]).map(|(a, b)| a * b).sum();
                assert!((sums.iter().sum::<f32>() - sum - 16.0).abs() < 1e-2, "{isa:?}");
            }
            let all_of: f32 = from.iter().sum();
            assert!((lines.total(&from) - all_of).abs() < 1e-2, "{isa:?}");
            to.push(lines.total(&from[..131]));
            let mut kept = to.clone();
            lines.within(&mut kept, &to, [-1.0, 1.0]);
            assert!(kept.iter().zip(&to).all(|(kept, y)| *kept == if y.abs() < 1.0 { *y } else { 0.0 }));
            lines.clamp(&mut kept, [0.0, 0.5]);
            assert!(kept.iter().zip(&to).all(|(kept, y)| *kept == if y.abs() < 1.0 { y.clamp(0.0, 0.5) } else { 0.0 }));
            let bits = |values: &[f32]| values.iter().map(|v| v.to_bits()).collect();
            all.push((bits(&to), bits(sums.as_flattened())));
        }
        assert!(all.windows(2).all(|two| two[0] == two[1]));
    }
}
