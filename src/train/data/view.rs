//! How a picture becomes a model's input: as it is, or varied: another part of it, mirrored, in other colours.

use crate::error::{Error, Result};
use crate::infer::InputSpec;
use crate::labels::UNLABELLED;
use crate::ops::resize::{Plan, Resize, plan, plan_of};
use crate::train::random::Random;
use crate::train::recipe::Augment;
use crate::types::{Image, Size};

/// The least side of an object in input pixels, and the least share of it that must be seen.
const SMALLEST: f64 = 2.0;
const VISIBLE: f64 = 0.25;

/// How a picture becomes a model's input.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    plan: Plan,
    /// Whether it is mirrored.
    flip: bool,
    /// Factors of brightness, contrast and saturation.
    color: Option<[f64; 3]>,
}

impl View {
    /// As the stage `resize` does it, for a picture of this size.
    #[must_use]
    pub fn plain(size: Size, input: &InputSpec) -> Self {
        Self { plan: plan(size, input.size, input.fit), flip: false, color: None }
    }

    /// A random one.
    #[must_use]
    pub fn varied(size: Size, input: &InputSpec, settings: &Augment, random: &Random) -> Self {
        let part = (settings.crop < 1.0).then(|| {
            // `RandomResizedCrop` of torchvision: an area and an aspect ratio, then a place.
            let share = random.between(0, settings.crop, 1.0);
            let ratio = random.between(1, (3.0_f64 / 4.0).ln(), (4.0_f64 / 3.0).ln()).exp();
            let (w, h) = ((share * ratio).sqrt().min(1.0), (share / ratio).sqrt().min(1.0));
            let (x, y) = (random.between(2, 0.0, 1.0 - w), random.between(3, 0.0, 1.0 - h));
            let (across, down) = (f64::from(size.width), f64::from(size.height));
            plan_of(size, [x * across, y * down, (x + w) * across, (y + h) * down], input.size, input.fit)
        });
        let flip = settings.flip && random.unit(4) < 0.5;
        let factor = |at| random.between(at, 1.0 - settings.color, 1.0 + settings.color);
        let color = (settings.color > 0.0).then(|| [factor(5), factor(6), factor(7)]);
        Self { plan: part.flatten().unwrap_or_else(|| plan(size, input.size, input.fit)), flip, color }
    }

    /// Makes the picture that the model sees.
    ///
    /// # Errors
    /// [`Error::Internal`] if the picture is not of the size that was planned for.
    pub fn apply(&self, image: &Image, input: &InputSpec) -> Result<Image> {
        if image.size != self.plan.placement.frame {
            let (real, planned) = (image.size, self.plan.placement.frame);
            return Err(Error::Data(format!("its header says {planned}, but it is {real}; write it anew")));
        }
        let mut resized = Image::default();
        Resize::default().apply(image, &self.plan, input.filter, input.pad, &mut resized)?;
        if let Some(factors) = self.color {
            recolor(&mut resized, factors);
        }
        if self.flip {
            mirror(&mut resized);
        }
        Ok(resized)
    }

    /// Objects as the model should see them: those of which enough is in the picture, cut off at its edges.
    #[must_use]
    pub fn objects(&self, objects: &[([f64; 4], usize)]) -> Vec<([f32; 4], usize)> {
        let [left, top, wide, high] = self.plan.target.map(f64::from);
        let left = if self.flip { f64::from(self.plan.input.width) - left - wide } else { left };
        let seen = |(corners, class): &([f64; 4], usize)| {
            let [x1, y1, x2, y2] = self.place(*corners);
            let cut = [x1.max(left), y1.max(top), x2.min(left + wide), y2.min(top + high)];
            let (w, h) = (cut[2] - cut[0], cut[3] - cut[1]);
            let enough = w >= SMALLEST && h >= SMALLEST && w * h >= VISIBLE * (x2 - x1) * (y2 - y1);
            enough.then(|| (cut.map(|side| side as f32), *class))
        };
        objects.iter().filter_map(seen).collect()
    }

    /// The class map of the picture as the model should see it, with the class of the nearest pixel; what is not part of the
    /// picture is not labelled.
    #[must_use]
    pub fn map(&self, map: &[u8]) -> Vec<u8> {
        let (input, frame) = (self.plan.input, self.plan.placement.frame);
        let ([left, top, wide, high], [x0, y0, w, h]) = (self.plan.target, self.plan.source);
        let nearest = |at: u32, first: u32, sides: u32, from: f64, all: f64, most: u32| {
            let inside = at.checked_sub(first).filter(|at| *at < sides)?;
            let place = from + (f64::from(inside) + 0.5) * all / f64::from(sides);
            Some((place as usize).min(most as usize - 1))
        };
        let columns: Vec<Option<usize>> = (0..input.width)
            .map(|x| if self.flip { input.width - 1 - x } else { x })
            .map(|x| nearest(x, left, wide, x0, w, frame.width))
            .collect();
        let mut seen = Vec::with_capacity(input.pixels());
        for y in 0..input.height {
            let row = nearest(y, top, high, y0, h, frame.height);
            seen.extend(columns.iter().map(|x| {
                let pixel = row.zip(*x).and_then(|(y, x)| map.get(y * frame.width as usize + x));
                pixel.copied().unwrap_or(UNLABELLED)
            }));
        }
        seen
    }

    /// Where a box of the picture is in the input: x1, y1, x2, y2 in pixels; it may reach beyond the edges.
    #[must_use]
    pub fn place(&self, [x1, y1, x2, y2]: [f64; 4]) -> [f64; 4] {
        let placement = self.plan.placement;
        let across = |x: f64| (x - f64::from(placement.offset.0)) / f64::from(placement.scale.0);
        let down = |y: f64| (y - f64::from(placement.offset.1)) / f64::from(placement.scale.1);
        let (left, right) = (across(x1), across(x2));
        let width = f64::from(self.plan.input.width);
        let (left, right) = if self.flip { (width - right, width - left) } else { (left, right) };
        [left, down(y1), right, down(y2)]
    }
}

fn mirror(image: &mut Image) {
    let (channels, stride) = (image.format.channels(), image.stride());
    let width = stride / channels;
    for row in image.data.chunks_exact_mut(stride) {
        for x in 0..width / 2 {
            for channel in 0..channels {
                row.swap(x * channels + channel, (width - 1 - x) * channels + channel);
            }
        }
    }
}

/// Changes brightness, contrast and saturation, one after the other, as Pillow's `ImageEnhance` does, but rounds once.
fn recolor(image: &mut Image, [brightness, contrast, saturation]: [f64; 3]) {
    let channels = image.format.channels();
    let grey = |p: &[u8]| match p {
        [r, g, b] => 0.299 * f64::from(*r) + 0.587 * f64::from(*g) + 0.114 * f64::from(*b),
        _ => f64::from(p[0]),
    };
    let count = (image.data.len() / channels).max(1) as f64;
    let mean = brightness * image.data.chunks_exact(channels).map(grey).sum::<f64>() / count;
    let changed = |level: f64| mean + contrast * (brightness * level - mean);
    for pixel in image.data.chunks_exact_mut(channels) {
        let middle = changed(grey(pixel));
        for level in pixel {
            let value = middle + saturation * (changed(f64::from(*level)) - middle);
            *level = value.round().clamp(0.0, 255.0) as u8;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::PixelFormat;

    fn spec() -> InputSpec {
        crate::yaml::read(&crate::yaml::parse("{ size: [40, 20] }").expect("YAML")).expect("an input")
    }

    /// A white box on black, and where its pixels end up.
    #[test]
    fn boxes_follow_their_pixels() {
        let (size, input) = (Size::new(80, 60), spec());
        let mut image = Image::new(size, PixelFormat::Rgb8);
        let real = [30.0, 20.0, 50.0, 40.0];
        for y in 20..40 {
            image.data[(y * 80 + 30) * 3..(y * 80 + 50) * 3].fill(255);
        }
        for seed in 0..50 {
            let view = View::varied(size, &input, &Augment { color: 0.0, ..Augment::default() }, &Random::of(&[seed]));
            let seen = view.apply(&image, &input).expect("the picture");
            let [x1, y1, x2, y2] = view.place(real);
            let map: Vec<u8> = image.data.iter().step_by(3).map(|level| level / 255).collect();
            let seen_map = view.map(&map);
            let wrong = seen_map.iter().zip(seen.data.iter().step_by(3)).filter(|(a, b)| **a != u8::from(**b > 127));
            assert!(wrong.count() < 40, "{seed}: only edges may differ");
            for y in 0..20 {
                for x in 0..40 {
                    let (cx, cy) = (f64::from(x) + 0.5, f64::from(y) + 0.5);
                    let level = seen.data[(y * 40 + x) as usize * 3];
                    let far = 1.5;
                    if cx > x1 + far && cx < x2 - far && cy > y1 + far && cy < y2 - far {
                        assert!(level > 200, "{seed}: {x},{y} is {level}, inside {:?}", [x1, y1, x2, y2]);
                    } else if cx < x1 - far || cx > x2 + far || cy < y1 - far || cy > y2 + far {
                        assert!(level < 50, "{seed}: {x},{y} is {level}, outside {:?}", [x1, y1, x2, y2]);
                    }
                }
            }
        }
    }

    #[test]
    fn without_settings_nothing_changes() {
        let (size, input) = (Size::new(80, 60), spec());
        let still = Augment { flip: false, crop: 1.0, color: 0.0, ..Augment::default() };
        assert_eq!(View::varied(size, &input, &still, &Random::of(&[1])), View::plain(size, &input));
        let mut image = Image::new(size, PixelFormat::Rgb8);
        image.data.iter_mut().enumerate().for_each(|(at, level)| *level = at as u8);
        let before = image.clone();
        recolor(&mut image, [1.0; 3]);
        assert_eq!(image, before);
        mirror(&mut image);
        mirror(&mut image);
        assert_eq!(image, before);
    }
}
