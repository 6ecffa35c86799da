//! The six kinds of object, each a function from a point of its own box to a colour.
//!
//! `u` runs from 0 (left) to 1 (right), `v` from 0 (top) to 1 (bottom) of the object's box.
//! `None` means the point is not part of the object.

use super::noise::{circle, triangle, value_noise};

/// A roughly linear colour, 0–1 per channel.
pub type Rgb = [f32; 3];

/// What distinguishes one object of a class from another.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// Main colour.
    pub paint: Rgb,
    /// Second colour.
    pub trim: Rgb,
    /// Seed of the texture.
    pub seed: u32,
    /// Gait, roll or tilt, in turns.
    pub phase: f32,
    /// Whether the object faces left.
    pub mirrored: bool,
}

/// The classes, in the order of their numbers.
pub const CLASSES: [&str; 6] = ["person", "car", "dog", "ball", "cup", "book"];

/// Width divided by height of a class's box.
pub const fn aspect(class: u16) -> f32 {
    match class {
        0 => 0.46,
        1 => 2.05,
        2 => 1.45,
        3 => 1.0,
        4 => 1.05,
        _ => 1.25,
    }
}

/// The colour of a class at `(u, v)`.
pub fn shade(class: u16, u: f32, v: f32, style: &Style) -> Option<Rgb> {
    let u = if style.mirrored { 1.0 - u } else { u };
    let colour = match class {
        0 => person(u, v, style),
        1 => car(u, v, style),
        2 => dog(u, v, style),
        3 => ball(u, v, style),
        4 => cup(u, v, style),
        _ => book(u, v, style),
    }?;
    let grain = 0.88 + 0.24 * value_noise(u * 23.0, v * 23.0, style.seed);
    Some(scale(colour, grain))
}

fn scale(c: Rgb, k: f32) -> Rgb {
    [c[0] * k, c[1] * k, c[2] * k]
}

/// Returns whether a point lies in an ellipse with this centre and these radii.
fn ellipse(u: f32, v: f32, cu: f32, cv: f32, ru: f32, rv: f32) -> bool {
    let (a, b) = ((u - cu) / ru, (v - cv) / rv);
    a * a + b * b <= 1.0
}

/// Returns whether a point lies in a bar between two points with the given half width.
fn bar(u: f32, v: f32, from: (f32, f32), to: (f32, f32), half: f32, aspect: f32) -> bool {
    let (px, py) = ((u - from.0) * aspect, v - from.1);
    let (dx, dy) = ((to.0 - from.0) * aspect, to.1 - from.1);
    let along = ((px * dx + py * dy) / (dx * dx + dy * dy)).clamp(0.0, 1.0);
    let (ex, ey) = (px - along * dx, py - along * dy);
    ex * ex + ey * ey <= half * half
}

fn person(u: f32, v: f32, style: &Style) -> Option<Rgb> {
    const ASPECT: f32 = 0.46;
    let step = triangle(style.phase);
    let skin = [0.86, 0.66 - 0.2 * style.trim[0], 0.5 - 0.2 * style.trim[0]];
    if ellipse(u, v, 0.5, 0.095, 0.165, 0.092) {
        return Some(if v < 0.07 { [0.2, 0.13, 0.08] } else { skin });
    }
    let hand = (0.5 + 0.36 * step, 0.5);
    if bar(u, v, (0.52, 0.23), hand, 0.036, ASPECT) {
        return Some(if v > 0.46 { skin } else { scale(style.paint, 0.8) });
    }
    if (0.185..0.56).contains(&v) && (u - 0.5).abs() < 0.27 - 0.08 * (v - 0.2) {
        let stripe = if ((v * 26.0) as i32) % 3 == 0 { 1.25 } else { 1.0 };
        return Some(scale(style.paint, stripe));
    }
    for side in [1.0, -1.0] {
        let foot = (0.5 + 0.34 * step * side, 0.965);
        if bar(u, v, (0.5 + 0.07 * side, 0.55), foot, 0.05, ASPECT) {
            let dark = if side > 0.0 { 1.0 } else { 0.75 };
            return Some(if v > 0.94 { [0.1, 0.1, 0.1] } else { scale(style.trim, dark) });
        }
    }
    None
}

fn car(u: f32, v: f32, style: &Style) -> Option<Rgb> {
    for centre in [0.22, 0.78] {
        if ellipse(u, v, centre, 0.8, 0.095, 0.195) {
            let hub = ellipse(u, v, centre, 0.8, 0.05, 0.1);
            return Some(if hub { [0.7, 0.7, 0.72] } else { [0.07, 0.07, 0.08] });
        }
    }
    let body_top = 0.4 + 0.1 * (u - 0.45).abs();
    if (body_top..0.84).contains(&v) && (0.01..0.99).contains(&u) {
        if u > 0.94 && v < 0.58 {
            return Some([0.98, 0.95, 0.7]);
        }
        if u < 0.05 && v < 0.6 {
            return Some([0.85, 0.1, 0.08]);
        }
        if (u - 0.5).abs() < 0.006 {
            return Some(scale(style.paint, 0.55));
        }
        let shine = if v < body_top + 0.08 { 1.25 } else { 1.1 - 0.4 * v };
        return Some(scale(style.paint, shine));
    }
    let (left, right) = (0.18 + 0.16 * (0.45 - v), 0.82 - 0.42 * (0.45 - v));
    if (0.03..0.45).contains(&v) && (left..right).contains(&u) {
        let pillar = (u - 0.5).abs() < 0.016;
        let glass = v > 0.1 && u > left + 0.045 && u < right - 0.05 && !pillar;
        return Some(if glass { [0.32, 0.43, 0.5] } else { style.paint });
    }
    None
}

fn dog(u: f32, v: f32, style: &Style) -> Option<Rgb> {
    const ASPECT: f32 = 1.45;
    let fur = [0.3 + 0.5 * style.trim[0], 0.2 + 0.38 * style.trim[0], 0.1 + 0.25 * style.trim[1]];
    if ellipse(u, v, 0.9, 0.27, 0.018, 0.026) {
        return Some([0.05, 0.05, 0.05]);
    }
    if ellipse(u, v, 0.72, 0.24, 0.055, 0.17) {
        return Some(scale(fur, 0.55));
    }
    if ellipse(u, v, 0.8, 0.22, 0.12, 0.16) || ellipse(u, v, 0.9, 0.29, 0.09, 0.085) {
        return Some(scale(fur, 1.1));
    }
    if ellipse(u, v, 0.45, 0.5, 0.33, 0.2) || bar(u, v, (0.62, 0.45), (0.76, 0.27), 0.09, ASPECT) {
        let spot = value_noise(u * 7.0, v * 5.0, style.seed ^ 5) > 0.62;
        return Some(if spot { scale(fur, 0.5) } else { fur });
    }
    let wag = 0.06 * triangle(style.phase * 2.0);
    if bar(u, v, (0.15, 0.45), (0.03, 0.16 + wag), 0.035, ASPECT) {
        return Some(scale(fur, 0.85));
    }
    let step = 0.09 * triangle(style.phase);
    let legs = [(0.24, step), (0.3, -step), (0.6, -step), (0.66, step)];
    let on_leg = |&(top, swing): &(f32, f32)| bar(u, v, (top, 0.55), (top + swing, 0.965), 0.042, ASPECT);
    legs.iter().any(on_leg).then(|| scale(fur, 0.8))
}

fn ball(u: f32, v: f32, style: &Style) -> Option<Rgb> {
    let (x, y) = (u * 2.0 - 1.0, v * 2.0 - 1.0);
    let r2 = x * x + y * y;
    if r2 > 1.0 {
        return None;
    }
    let z = (1.0 - r2).sqrt();
    let (c, s) = circle(style.phase);
    // Roll about the axis that points at the viewer, then cut the ball into bands.
    let (rx, ry) = (x * c + y * s, y * c - x * s);
    let band = (rx * 0.8 + z * 0.6).abs() < 0.28 || (ry.abs() < 0.16 && r2 < 0.98);
    let light = (0.35 + 0.75 * (0.55 * z - 0.45 * x - 0.55 * y).max(0.0)).min(1.15);
    Some(scale(if band { style.trim } else { style.paint }, light))
}

fn cup(u: f32, v: f32, style: &Style) -> Option<Rgb> {
    // The mug fills the left three quarters; the handle is a ring on the right.
    let taper = 0.05 * v;
    if ellipse(u, v, 0.38, 0.11, 0.36, 0.1) {
        let coffee = ellipse(u, v, 0.38, 0.12, 0.31, 0.07);
        return Some(if coffee { [0.23, 0.13, 0.07] } else { scale(style.paint, 1.15) });
    }
    let floor = 0.9 + 0.09 * (1.0 - ((u - 0.38) / 0.36) * ((u - 0.38) / 0.36)).max(0.0);
    if (0.11..floor).contains(&v) && (0.02 + taper..0.74 - taper).contains(&u) {
        let round = 1.15 - 1.1 * (u - 0.3).abs();
        let stripe = (0.42..0.6).contains(&v);
        return Some(scale(if stripe { style.trim } else { style.paint }, round));
    }
    let ring = ellipse(u, v, 0.74, 0.48, 0.25, 0.27) && !ellipse(u, v, 0.74, 0.48, 0.155, 0.165);
    (ring && u > 0.68).then(|| scale(style.paint, 0.85))
}

fn book(u: f32, v: f32, style: &Style) -> Option<Rgb> {
    // A book lying flat, seen from above at a slant: cover, spine and the white edge of its pages.
    let lean = 0.16 * (1.0 - v);
    let x = (u - lean) / 0.84;
    if !(0.0..1.0).contains(&x) {
        return None;
    }
    if v > 0.86 {
        let line = ((v * 90.0) as i32) % 2 == 0;
        let page = if line { [0.93, 0.91, 0.85] } else { [0.72, 0.7, 0.64] };
        return (v < 0.985).then_some(if x < 0.05 { style.paint } else { page });
    }
    if v < 0.015 {
        return None;
    }
    let spine = x < 0.09;
    let title = (0.25..0.42).contains(&v) && (0.25..0.85).contains(&x);
    let author = (0.55..0.61).contains(&v) && (0.35..0.75).contains(&x);
    if title || author {
        return Some(style.trim);
    }
    Some(scale(style.paint, if spine { 0.6 } else { 1.0 }))
}
