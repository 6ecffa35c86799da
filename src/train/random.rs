//! Random numbers that follow from what they are for, and not from what was drawn before: the same for any number of
//! threads and after any interruption.

/// Random numbers for one purpose.
#[derive(Clone, Copy, Debug)]
pub struct Random(u64);

/// The finaliser of SplitMix64 (Steele, Lea and Flood 2014).
const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

impl Random {
    /// Numbers that follow from these.
    #[must_use]
    pub fn of(keys: &[u64]) -> Self {
        Self(keys.iter().fold(0, |state, key| mix(state.wrapping_add(0x9E37_79B9_7F4A_7C15) ^ mix(*key))))
    }

    /// The number at a place.
    #[must_use]
    pub const fn bits(&self, at: u64) -> u64 {
        mix(self.0.wrapping_add(at.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15)))
    }

    /// From 0 (inclusive) to 1 (exclusive).
    #[must_use]
    pub fn unit(&self, at: u64) -> f64 {
        (self.bits(at) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Between two numbers.
    #[must_use]
    pub fn between(&self, at: u64, least: f64, most: f64) -> f64 {
        least + (most - least) * self.unit(at)
    }

    /// Of a normal distribution with mean 0 and deviation 1 (Box and Muller 1958).
    #[must_use]
    pub fn normal(&self, at: u64) -> f64 {
        let (a, b) = (1.0 - self.unit(2 * at), self.unit(2 * at + 1));
        (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos()
    }

    /// The numbers below `count` in random order (Fisher and Yates; Knuth 1969, algorithm P).
    #[must_use]
    pub fn order(&self, count: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..count).collect();
        for at in (1..count).rev() {
            let other = (self.bits(at as u64) % (at as u64 + 1)) as usize;
            order.swap(at, other);
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_spread_evenly_and_follow_from_their_keys() {
        let random = Random::of(&[1, 2]);
        let mean = (0..10_000).map(|at| random.unit(at)).sum::<f64>() / 10_000.0;
        assert!((mean - 0.5).abs() < 0.01, "{mean}");
        let normal: Vec<f64> = (0..10_000).map(|at| random.normal(at)).collect();
        let mean = normal.iter().sum::<f64>() / 10_000.0;
        let square = normal.iter().map(|v| v * v).sum::<f64>() / 10_000.0;
        assert!(mean.abs() < 0.03 && (square - 1.0).abs() < 0.05, "{mean} {square}");
        assert_ne!(random.bits(0), Random::of(&[2, 1]).bits(0));
        let mut order = random.order(100);
        assert_ne!(order, (0..100).collect::<Vec<_>>());
        order.sort_unstable();
        assert_eq!(order, (0..100).collect::<Vec<_>>());
    }
}
