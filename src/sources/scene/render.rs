//! Paints the scene: a still background, the objects on it, then light and noise over everything.

use super::noise::{hash, unit, value_noise};
use super::shapes::{self, Rgb};
use super::world::{self, Object, Setting};
use crate::ops::contour::polygons;
use crate::types::{BBox, Detection, Image, PixelFormat, Size};

/// A rendered world that knows its contents. The same settings produce the same bytes on every machine.
#[derive(Debug)]
pub struct Renderer {
    setting: Setting,
    seed: u32,
    count: u32,
    noise: f32,
    size: Size,
    background: Vec<Rgb>,
    linear: Vec<Rgb>,
    /// For each pixel, 1 + the index of the visible object, or 0 for the background.
    ids: Vec<u8>,
    objects: Vec<Object>,
    /// The number of visible and of covered pixels of each object.
    seen: Vec<Seen>,
    /// The ids of the objects in the truth of the last picture.
    shown: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    x1: u32,
    y1: u32,
    x2: u32,
    y2: u32,
    visible: u32,
    covered: u32,
}

/// An object counts as truth if at least this fraction of it is visible …
const MIN_VISIBLE_PART: f32 = 0.25;
/// … and at least this many of its pixels.
const MIN_VISIBLE_PIXELS: u32 = 40;

impl Renderer {
    /// Creates a renderer of `count` objects (at most 60) on frames of `size`; `noise` is the sensor's, in levels of
    /// 255.
    #[must_use]
    pub fn new(setting: Setting, seed: u32, count: u32, noise: f32, size: Size) -> Self {
        let background = match setting {
            Setting::Street => paint_background(size, |x, y| street(x, y, seed)),
            Setting::Table => paint_background(size, |x, y| table(x, y, seed)),
        };
        Self {
            setting,
            seed,
            count: count.min(60),
            noise,
            size,
            linear: background.clone(),
            background,
            ids: vec![0; size.pixels()],
            objects: Vec::new(),
            seen: Vec::new(),
            shown: Vec::new(),
        }
    }

    /// Renders the picture at `time` seconds; `frame` seeds its noise. Truth boxes enclose the visible part of an
    /// object, in pixels; hidden objects (less than a quarter visible) are omitted.
    pub fn render(&mut self, time: f32, frame: u32, image: &mut Image, truth: &mut Vec<Detection>) {
        let wide = self.size.width as f32 / self.size.height as f32;
        world::objects_at(self.setting, self.seed, self.count, wide, time, &mut self.objects);
        self.linear.copy_from_slice(&self.background);
        self.ids.fill(0);
        self.seen.clear();
        self.seen.resize(self.objects.len(), Seen::default());
        for index in 0..self.objects.len() {
            self.paint_object(index);
        }
        self.find_visible();
        self.expose(time, frame, image);
        truth.clear();
        self.shown.clear();
        for (at, (object, seen)) in self.objects.iter().zip(&self.seen).enumerate() {
            let part = seen.visible as f32 / seen.covered.max(1) as f32;
            if seen.visible >= MIN_VISIBLE_PIXELS && part >= MIN_VISIBLE_PART {
                let corner = [seen.x1, seen.y1, seen.x2 + 1, seen.y2 + 1].map(|v| v as f32);
                let bbox = BBox::new(corner[0], corner[1], corner[2], corner[3]);
                truth.push(Detection::new(bbox, object.class, 1.0));
                self.shown.push(at as u8 + 1);
            }
        }
    }

    /// For each pixel of the last picture, 1 + the class of the visible object, or 0 for the background.
    #[must_use]
    pub fn class_map(&self) -> Vec<u8> {
        let class = |&id: &u8| match id {
            0 => 0,
            id => self.objects[usize::from(id) - 1].class as u8 + 1,
        };
        self.ids.iter().map(class).collect()
    }

    /// The outlines of the visible part of an object in the truth of the last picture, and the number of its pixels.
    #[must_use]
    pub fn outline(&self, nth: usize) -> (Vec<Vec<u32>>, u64) {
        let Some(shown) = self.shown.get(nth) else { return (Vec::new(), 0) };
        let mask: Vec<bool> = self.ids.iter().map(|id| id == shown).collect();
        let count = mask.iter().filter(|inside| **inside).count() as u64;
        (polygons(self.size.width, &mask), count)
    }

    fn paint_object(&mut self, index: usize) {
        let object = self.objects[index];
        let scale = self.size.height as f32;
        let (left, top) = (object.x * scale, object.y * scale);
        let (w, h) = (object.w * scale, object.h * scale);
        self.paint_shadow(&object, scale);
        let columns = clipped(left, left + w, self.size.width);
        for py in clipped(top, top + h, self.size.height) {
            for px in columns.clone() {
                let mut sum = [0.0; 3];
                let mut hits = 0;
                // Four samples per pixel give smooth outlines.
                for (sx, sy) in [(0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75)] {
                    let u = (px as f32 + sx - left) / w;
                    let v = (py as f32 + sy - top) / h;
                    if !(0.0..1.0).contains(&u) || !(0.0..1.0).contains(&v) {
                        continue;
                    }
                    if let Some(colour) = shapes::shade(object.class, u, v, &object.style) {
                        hits += 1;
                        sum = [sum[0] + colour[0], sum[1] + colour[1], sum[2] + colour[2]];
                    }
                }
                if hits == 0 {
                    continue;
                }
                let at = py as usize * self.size.width as usize + px as usize;
                let rest = 1.0 - hits as f32 / 4.0;
                for (channel, add) in self.linear[at].iter_mut().zip(sum) {
                    *channel = *channel * rest + add / 4.0;
                }
                if hits >= 2 {
                    self.ids[at] = index as u8 + 1;
                    self.seen[index].covered += 1;
                }
            }
        }
        // The part outside the picture counts as covered, too: the whole box is counted at the same density.
        let inside = columns.len() as f32 / w.max(1.0);
        let covered = self.seen[index].covered as f32 / inside.clamp(0.05, 1.0);
        self.seen[index].covered = covered as u32;
    }

    /// A soft dark spot under the object's feet.
    fn paint_shadow(&mut self, object: &Object, scale: f32) {
        let (cx, cy) = ((object.x + object.w / 2.0) * scale, (object.y + object.h * 0.97) * scale);
        let (rx, ry) = (object.w * 0.56 * scale, object.h * 0.07 * scale);
        for py in clipped(cy - ry, cy + ry, self.size.height) {
            for px in clipped(cx - rx, cx + rx, self.size.width) {
                let (a, b) = ((px as f32 + 0.5 - cx) / rx, (py as f32 + 0.5 - cy) / ry);
                let near = (1.0 - a * a - b * b).max(0.0);
                let at = py as usize * self.size.width as usize + px as usize;
                for channel in &mut self.linear[at] {
                    *channel *= 1.0 - 0.5 * near;
                }
            }
        }
    }

    fn find_visible(&mut self) {
        for (at, &id) in self.ids.iter().enumerate() {
            if id == 0 {
                continue;
            }
            let (x, y) = ((at % self.size.width as usize) as u32, (at / self.size.width as usize) as u32);
            let seen = &mut self.seen[usize::from(id) - 1];
            if seen.visible == 0 {
                (seen.x1, seen.y1, seen.x2) = (x, y, x);
            }
            seen.visible += 1;
            seen.x1 = seen.x1.min(x);
            seen.x2 = seen.x2.max(x);
            seen.y2 = y;
        }
    }

    /// Applies light and sensor noise, and converts to 8 bits.
    fn expose(&self, time: f32, frame: u32, image: &mut Image) {
        image.reshape(self.size, PixelFormat::Rgb8);
        let light = world::light_at(self.seed, time).map(|gain| gain * 255.0);
        let pixels = image.data.as_chunks_mut::<3>().0;
        for (at, (pixel, colour)) in pixels.iter_mut().zip(&self.linear).enumerate() {
            // The centred sum of three bytes of one hash is close enough to a bell curve for a sensor.
            let bits = hash(at as u32, frame, self.seed);
            let bell = (bits & 255) + ((bits >> 8) & 255) + ((bits >> 16) & 255);
            let shot = (bell as f32 - 382.5) / 128.0 * self.noise;
            for ((byte, value), gain) in pixel.iter_mut().zip(colour).zip(light) {
                *byte = (value * gain + shot + 0.5).clamp(0.0, 255.0) as u8;
            }
        }
    }
}

/// The whole pixels between two edges, clamped to the picture.
fn clipped(from: f32, to: f32, limit: u32) -> std::ops::Range<u32> {
    let start = from.floor().clamp(0.0, limit as f32) as u32;
    let end = to.ceil().clamp(0.0, limit as f32) as u32;
    start..end.max(start)
}

fn paint_background(size: Size, colour: impl Fn(f32, f32) -> Rgb) -> Vec<Rgb> {
    let scale = size.height as f32;
    let at = |i: usize| {
        let (x, y) = (i % size.width as usize, i / size.width as usize);
        colour((x as f32 + 0.5) / scale, (y as f32 + 0.5) / scale)
    };
    (0..size.pixels()).map(at).collect()
}

fn street(x: f32, y: f32, seed: u32) -> Rgb {
    let grain = value_noise(x * 90.0, y * 90.0, seed) - 0.5;
    if y < 0.5 {
        let house = (x / 0.42).floor();
        let key = seed ^ (house as u32).wrapping_mul(977);
        let roof = 0.05 + 0.13 * unit(key, 1, 0);
        if y < roof {
            return [0.55 + 0.3 * y, 0.7 + 0.2 * y, 0.92];
        }
        let (wx, wy) = ((x - house * 0.42) / 0.105, (y - roof) / 0.115);
        let (fx, fy) = (wx - wx.floor(), wy - wy.floor());
        if (0.25..0.75).contains(&fx) && (0.3..0.85).contains(&fy) && y < 0.44 {
            let lit = unit(key, wx as u32 * 31 + wy as u32, 7) > 0.7;
            return if lit { [0.82, 0.74, 0.45] } else { [0.24, 0.29, 0.35] };
        }
        let brick = if ((y * 70.0) as i32) % 2 == 0 { 0.02 } else { -0.02 };
        let wall = [0.42 + 0.3 * unit(key, 2, 0), 0.38 + 0.24 * unit(key, 3, 0), 0.34 + 0.2 * unit(key, 4, 0)];
        return wall.map(|c| c + brick + 0.08 * grain);
    }
    if !(0.605..0.875).contains(&y) {
        let slab = ((x * 9.0).fract() < 0.04) || ((y * 17.0).fract() < 0.07);
        let level = if slab { 0.45 } else { 0.58 };
        return [level, level * 0.98, level * 0.93].map(|c| c + 0.1 * grain);
    }
    let dash = (0.735..0.748).contains(&y) && (x * 3.0).fract() < 0.55;
    let level = if dash { 0.85 } else { 0.3 + 0.09 * grain };
    [level, level, level * 1.03]
}

fn table(x: f32, y: f32, seed: u32) -> Rgb {
    let plank = (y / 0.22).floor();
    let key = seed ^ (plank as u32).wrapping_mul(7919);
    if (y / 0.22).fract() < 0.02 {
        return [0.2, 0.13, 0.08];
    }
    let warp = value_noise(x * 2.0, y * 5.0, key) * 6.0;
    let rings = (y * 46.0 + warp + 8.0 * unit(key, 1, 0)).fract();
    let grain = value_noise(x * 12.0, y * 160.0, key ^ 9);
    let level = 0.72 + 0.16 * (rings - 0.5).abs() + 0.18 * (grain - 0.5) + 0.12 * (unit(key, 2, 0) - 0.5);
    [0.86 * level, 0.62 * level, 0.4 * level]
}
