//! Numbers that look random and are the same on every machine: integer hashes, no libm.

/// A well-mixed 32-bit hash of three numbers (the finaliser of `MurmurHash3`, applied repeatedly).
pub const fn hash(a: u32, b: u32, c: u32) -> u32 {
    mix(a ^ mix(b ^ mix(c ^ 0x9E37_79B9)))
}

const fn mix(mut h: u32) -> u32 {
    h ^= h >> 16;
    h = h.wrapping_mul(0x85EB_CA6B);
    h ^= h >> 13;
    h = h.wrapping_mul(0xC2B2_AE35);
    h ^ (h >> 16)
}

/// A hash as a number from 0 (inclusive) to 1 (exclusive).
pub fn unit(a: u32, b: u32, c: u32) -> f32 {
    (hash(a, b, c) >> 8) as f32 / 16_777_216.0
}

/// Smooth noise from 0 to 1 on a lattice of unit cells (value noise, cubic fade).
pub fn value_noise(x: f32, y: f32, seed: u32) -> f32 {
    let (x0, y0) = (x.floor(), y.floor());
    let fade = |t: f32| t * t * (3.0 - 2.0 * t);
    let (fx, fy) = (fade(x - x0), fade(y - y0));
    let at = |dx: i32, dy: i32| unit((x0 as i32 + dx).cast_unsigned(), (y0 as i32 + dy).cast_unsigned(), seed);
    let top = at(0, 0) + (at(1, 0) - at(0, 0)) * fx;
    let bottom = at(0, 1) + (at(1, 1) - at(0, 1)) * fx;
    top + (bottom - top) * fy
}

/// A triangle wave of period 1 between -1 and 1.
pub fn triangle(t: f32) -> f32 {
    let phase = t - t.floor();
    4.0 * (phase - 0.5).abs() - 1.0
}

/// A point on the unit circle for a turn from 0 to 1, without `sin`: four quarter arcs, each in the rational form
/// `((1-t²)/(1+t²), 2t/(1+t²))`. The speed is nearly even, and the numbers are the same everywhere.
pub fn circle(turn: f32) -> (f32, f32) {
    let turn = (turn - turn.floor()) * 4.0;
    let quarter = turn.floor();
    // tan of an eighth turn is 0.4142; bending `t` towards it evens out the speed.
    let t = turn - quarter;
    let t = t * (0.828_427 + 0.171_573 * t);
    let (c, s) = ((1.0 - t * t) / (1.0 + t * t), 2.0 * t / (1.0 + t * t));
    match quarter as i32 {
        0 => (c, s),
        1 => (-s, c),
        2 => (-c, -s),
        _ => (s, -c),
    }
}
