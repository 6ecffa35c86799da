//! What is in the scene at a given time: objects on their paths, and the light.

use super::noise::{hash, triangle, unit};
use super::shapes::{Rgb, Style, aspect};

/// Which scene is rendered.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    serde::Deserialize,
    serde::Serialize,
    schemars::JsonSchema,
    clap::ValueEnum,
)]
#[serde(rename_all = "snake_case")]
pub enum Setting {
    /// People, cars and dogs pass in front of houses.
    #[default]
    Street,
    /// Balls, cups and books slide over a wooden table.
    Table,
}

/// One object at one time. The box is in fractions of the frame's height, `x` from the left edge.
#[derive(Clone, Copy, Debug)]
pub struct Object {
    /// Class number, see `shapes::CLASSES`.
    pub class: u16,
    /// Left edge.
    pub x: f32,
    /// Top edge.
    pub y: f32,
    /// Width.
    pub w: f32,
    /// Height.
    pub h: f32,
    /// How near: nearer objects hide farther ones.
    pub depth: f32,
    /// What it looks like.
    pub style: Style,
}

/// Fills `objects` with what is visible at `time` seconds, farthest first.
///
/// `wide` is the frame's width divided by its height.
pub fn objects_at(setting: Setting, seed: u32, count: u32, wide: f32, time: f32, objects: &mut Vec<Object>) {
    objects.clear();
    for slot in 0..count {
        objects.push(match setting {
            Setting::Street => walker(seed, slot, wide, time),
            Setting::Table => slider(seed, slot, wide, time),
        });
    }
    // `sort_unstable` does not allocate, and no two depths are equal for long.
    objects.sort_unstable_by(|a, b| a.depth.total_cmp(&b.depth));
}

/// The light at `time`: a gain for each channel. It swings by a quarter and turns warmer as it dims.
pub fn light_at(seed: u32, time: f32) -> Rgb {
    let swing = 0.22 * triangle(time / 17.0 + unit(seed, 77, 0));
    let warm = 0.05 * triangle(time / 29.0 + unit(seed, 78, 0));
    [0.96 + swing + warm, 0.96 + swing, 0.96 + swing - warm]
}

/// Something that crosses the street again and again, each time as another object.
fn walker(seed: u32, slot: u32, wide: f32, time: f32) -> Object {
    let key = seed ^ (slot << 16);
    let speed = 0.09 + 0.16 * unit(key, 1, 0);
    let room = wide + 1.6;
    let way = time * speed * pace(key) + room * unit(key, 2, 0);
    let lap = (way / room).floor();
    let turn = lap as u32 + 1;
    let class = match hash(key, 3, turn) % 10 {
        0..=4 => 0,
        5..=7 => 1,
        _ => 2,
    };
    // People and dogs use the two pavements, cars the two lanes.
    let near = hash(key, 4, turn).is_multiple_of(2);
    let drift = unit(key, 5, turn);
    let (feet, h) = match (class, near) {
        (0, false) => (0.55 + 0.05 * drift, 0.3 + 0.08 * unit(key, 6, turn)),
        (0, true) => (0.93 + 0.05 * drift, 0.46 + 0.1 * unit(key, 6, turn)),
        (1, false) => (0.68 + 0.03 * drift, 0.25 + 0.05 * unit(key, 6, turn)),
        (1, true) => (0.84 + 0.03 * drift, 0.32 + 0.06 * unit(key, 6, turn)),
        (_, false) => (0.57 + 0.04 * drift, 0.13 + 0.05 * unit(key, 6, turn)),
        (_, true) => (0.95 + 0.04 * drift, 0.2 + 0.07 * unit(key, 6, turn)),
    };
    let w = h * aspect(class);
    let mirrored = !hash(key, 7, turn).is_multiple_of(2);
    let along = way - lap * room - 0.8;
    let x = if mirrored { wide - along } else { along } - w / 2.0;
    let bob = if class == 1 { 0.0 } else { 0.006 * triangle(time * 3.1 + drift) };
    let phase = time * (1.0 + speed * 2.0) + drift;
    Object { class, x, y: feet - h + bob, w, h, depth: feet, style: style(key, turn, phase, mirrored) }
}

fn pace(key: u32) -> f32 {
    1.0 + 0.6 * unit(key, 9, 9)
}

/// Something that is pushed around the table along two triangle waves, and replaced now and then.
fn slider(seed: u32, slot: u32, wide: f32, time: f32) -> Object {
    let key = seed ^ (slot << 16) ^ 0x5555;
    let stay = 11.0 + 6.0 * unit(key, 1, 0);
    let turn = (time / stay + unit(key, 2, 0)).floor() as u32 + 1;
    let class = 3 + (hash(key, 3, turn) % 3) as u16;
    let h = match class {
        3 => 0.16 + 0.14 * unit(key, 6, turn),
        4 => 0.2 + 0.16 * unit(key, 6, turn),
        _ => 0.2 + 0.18 * unit(key, 6, turn),
    };
    let w = h * aspect(class);
    let sway_x = triangle(time * (0.03 + 0.06 * unit(key, 4, turn)) + unit(key, 5, turn));
    let sway_y = triangle(time * (0.02 + 0.05 * unit(key, 7, turn)) + unit(key, 8, turn));
    let x = (wide - w) / 2.0 + sway_x * (wide - w) * 0.52;
    let y = (1.0 - h) / 2.0 + sway_y * (1.0 - h) * 0.47;
    // A ball rolls as far as it moves.
    let phase = if class == 3 { x / (std::f32::consts::PI * h) } else { unit(key, 10, turn) };
    let mirrored = class != 3 && !hash(key, 11, turn).is_multiple_of(2);
    Object { class, x, y, w, h, depth: y + h, style: style(key, turn, phase, mirrored) }
}

/// Two contrasting colours and a texture seed.
fn style(key: u32, turn: u32, phase: f32, mirrored: bool) -> Style {
    let channel = |n: u32| 0.12 + 0.8 * unit(key, 20 + n, turn);
    let paint = [channel(0), channel(1), channel(2)];
    let dark = paint[0] + paint[1] + paint[2] < 1.5;
    let trim = [channel(3), channel(4), channel(5)].map(|c| if dark { 0.45 + 0.55 * c } else { 0.5 * c });
    Style { paint, trim, seed: hash(key, 30, turn), phase, mirrored }
}
