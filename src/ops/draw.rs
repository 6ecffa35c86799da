//! Draws boxes, text, class maps and heatmaps on a picture.

use crate::types::{BBox, Image, InstanceMask, PixelFormat};
use noto_sans_mono_bitmap::{FontWeight, RasterHeight, get_raster, get_raster_width};

/// Red, green, blue.
pub type Color = [u8; 3];

/// A colour for each class. Consecutive classes are far apart in hue, and all are bright enough for black text.
#[must_use]
pub const fn class_color(class: u16) -> Color {
    const PALETTE: [Color; 12] = [
        [255, 176, 59],
        [84, 200, 255],
        [255, 105, 145],
        [150, 230, 90],
        [205, 150, 255],
        [255, 235, 90],
        [70, 225, 190],
        [255, 140, 90],
        [130, 170, 255],
        [230, 120, 230],
        [190, 200, 120],
        [150, 220, 230],
    ];
    PALETTE[class as usize % PALETTE.len()]
}

/// The text heights that the font supports, in pixels.
const HEIGHTS: [(u32, RasterHeight); 4] =
    [(16, RasterHeight::Size16), (20, RasterHeight::Size20), (24, RasterHeight::Size24), (32, RasterHeight::Size32)];

/// Text of one size: a raster of the font, enlarged by an integer factor for large pictures.
#[derive(Clone, Copy, Debug)]
pub struct Text {
    raster: RasterHeight,
    zoom: u32,
}

impl Text {
    /// Text that is readable on a picture of this height: about a thirtieth of it, at least 16 pixels.
    #[must_use]
    pub fn for_picture(height: u32) -> Self {
        let wanted = (height / 30).max(16);
        if wanted >= 40 {
            return Self { raster: RasterHeight::Size20, zoom: wanted / 20 };
        }
        let fitting = HEIGHTS.iter().rev().find(|(px, _)| *px <= wanted);
        Self { raster: fitting.map_or(RasterHeight::Size16, |(_, raster)| *raster), zoom: 1 }
    }

    /// Width and height of a text in pixels.
    #[must_use]
    pub fn measure(self, text: &str) -> (u32, u32) {
        let advance = get_raster_width(FontWeight::Bold, self.raster) as u32 * self.zoom;
        (text.chars().count() as u32 * advance, self.raster.val() as u32 * self.zoom)
    }

    /// Draws a text with its top-left corner at `(x, y)`; characters the font lacks become `?`.
    pub fn draw(self, image: &mut Image, x: i32, y: i32, text: &str, color: Color) {
        let advance = (get_raster_width(FontWeight::Bold, self.raster) as u32 * self.zoom).cast_signed();
        let glyph = |c| get_raster(c, FontWeight::Bold, self.raster);
        let mut left = x;
        for c in text.chars() {
            if let Some(raster) = glyph(c).or_else(|| glyph('?')) {
                self.draw_glyph(image, left, y, raster.rows(), color);
            }
            left += advance;
        }
    }

    fn draw_glyph(self, image: &mut Image, x: i32, y: i32, rows: std::slice::ChunksExact<'_, u8>, color: Color) {
        let zoom = self.zoom.cast_signed();
        for (row, line) in rows.enumerate() {
            for (column, &cover) in line.iter().enumerate().filter(|(_, cover)| **cover > 0) {
                let (px, py) = (x + column as i32 * zoom, y + row as i32 * zoom);
                for at in 0..zoom * zoom {
                    blend(image, px + at % zoom, py + at / zoom, color, cover);
                }
            }
        }
    }
}

/// Blends a colour into one pixel; does nothing outside the picture.
fn blend(image: &mut Image, x: i32, y: i32, color: Color, cover: u8) {
    let (Ok(x), Ok(y)) = (u32::try_from(x), u32::try_from(y)) else { return };
    if x >= image.size.width || y >= image.size.height {
        return;
    }
    let channels = image.format.channels();
    let at = y as usize * image.stride() + x as usize * channels;
    mix(&mut image.data[at..at + channels], color, cover);
}

/// Fills the rectangle from `(x1, y1)` up to but excluding `(x2, y2)`; parts outside the picture are ignored.
pub fn fill(image: &mut Image, (x1, y1): (i32, i32), (x2, y2): (i32, i32), color: Color) {
    let limit = |v: i32, side: u32| v.clamp(0, side.cast_signed()) as usize;
    let (left, right) = (limit(x1, image.size.width), limit(x2, image.size.width));
    let (top, bottom) = (limit(y1, image.size.height), limit(y2, image.size.height));
    if left >= right {
        return;
    }
    let (stride, channels) = (image.stride(), image.format.channels());
    for y in top..bottom {
        let row = &mut image.data[y * stride + left * channels..y * stride + right * channels];
        match image.format {
            PixelFormat::Rgb8 => row.as_chunks_mut::<3>().0.fill(color),
            PixelFormat::Gray8 => row.fill(super::color::luma(color)),
        }
    }
}

/// Draws the outline of a rectangle, `thick` pixels wide, inside its edges.
pub fn outline(image: &mut Image, (x1, y1): (i32, i32), (x2, y2): (i32, i32), thick: i32, color: Color) {
    fill(image, (x1, y1), (x2, y1 + thick), color);
    fill(image, (x1, y2 - thick), (x2, y2), color);
    fill(image, (x1, y1), (x1 + thick, y2), color);
    fill(image, (x2 - thick, y1), (x2, y2), color);
}

/// The corners of a box as whole pixels.
#[must_use]
pub fn corners(b: &BBox) -> ((i32, i32), (i32, i32)) {
    // A detector may place a box anywhere.
    let near = |v: f32| (v.round() as i32).clamp(-FAR, FAR);
    ((near(b.x1), near(b.y1)), (near(b.x2), near(b.y2)))
}

/// The line width that suits a picture.
#[must_use]
pub fn line_width(image: &Image) -> i32 {
    (image.size.height / 240).max(2).cast_signed()
}

/// Farther away than any picture is wide.
const FAR: i32 = 1 << 20;

/// Places labels so that they cover neither each other nor what else was reserved. Keeps its buffer from picture to
/// picture.
#[derive(Clone, Debug, Default)]
pub struct Labels {
    taken: Vec<[i32; 4]>,
}

impl Labels {
    /// Begins a new picture.
    pub fn clear(&mut self) {
        self.taken.clear();
    }

    /// Keeps labels out of a rectangle.
    pub fn reserve(&mut self, (x1, y1): (i32, i32), (x2, y2): (i32, i32)) {
        self.taken.push([x1, y1, x2, y2]);
    }

    fn is_free(&self, [x1, y1, x2, y2]: [i32; 4]) -> bool {
        !self.taken.iter().any(|t| x1 < t[2] && t[0] < x2 && y1 < t[3] && t[1] < y2)
    }

    /// Draws the label of a box: above it if there is room, else inside, below, or a line further down inside. If all
    /// places are taken, it is left out: give the most important box its label first.
    pub fn draw(&mut self, image: &mut Image, bbox: &BBox, text: &str, color: Color) {
        if text.is_empty() {
            return;
        }
        let ((from, to), thick) = (corners(bbox), line_width(image));
        let font = Text::for_picture(image.size.height);
        let (width, height) = font.measure(text);
        let (width, height) = (width.cast_signed() + 2 * thick, height.cast_signed());
        let (across, down) = (image.size.width.cast_signed(), image.size.height.cast_signed());
        let x = from.0.clamp(0, (across - width).max(0));
        let right = (to.0 - width).clamp(0, (across - width).max(0));
        let inside = (1..12).map(|line| from.1 + line * height).take_while(|y| y + height <= to.1);
        let rows = [from.1 - height, from.1, to.1].into_iter().chain(inside);
        let places = rows.flat_map(|y| [(x, y), (right, y)]);
        let fits = |&(_, y): &(i32, i32)| y >= 0 && y + height <= down;
        let free = |&(x, y): &(i32, i32)| self.is_free([x, y, x + width, y + height]);
        let Some((x, y)) = places.filter(fits).find(free) else { return };
        self.reserve((x, y), (x + width, y + height));
        fill(image, (x, y), (x + width, y + height), color);
        font.draw(image, x + thick, y, text, [0, 0, 0]);
    }
}

/// Draws the edges of a box.
pub fn edges(image: &mut Image, bbox: &BBox, color: Color) {
    let ((from, to), thick) = (corners(bbox), line_width(image));
    outline(image, from, to, thick, color);
}

/// Draws a round dot.
pub fn dot(image: &mut Image, (x, y): (i32, i32), radius: i32, color: Color) {
    for (dx, dy) in (-radius..=radius).flat_map(|dy| (-radius..=radius).map(move |dx| (dx, dy))) {
        if dx * dx + dy * dy <= radius * radius {
            blend(image, x + dx, y + dy, color, 255);
        }
    }
}

/// Draws a straight line, `thick` pixels wide.
pub fn line(image: &mut Image, from: [f32; 2], to: [f32; 2], thick: i32, color: Color) {
    // What lies far outside is cut off, so that no line takes long.
    let most = 4.0 * image.size.width.max(image.size.height) as f32;
    let near = |[x, y]: [f32; 2]| [x.clamp(-most, most), y.clamp(-most, most)];
    let (from, to) = (near(from), near(to));
    let (dx, dy) = (to[0] - from[0], to[1] - from[1]);
    let steps = dx.abs().max(dy.abs()).ceil().max(1.0) as i32;
    let half = thick / 2;
    for step in 0..=steps {
        let part = step as f32 / steps as f32;
        let (x, y) = ((from[0] + dx * part).round() as i32 - half, (from[1] + dy * part).round() as i32 - half);
        fill(image, (x, y), (x + thick, y + thick), color);
    }
}

/// Colours the pixels of an object, and its rim stronger. `cover` (0–255) is the opacity.
pub fn stain(image: &mut Image, mask: &InstanceMask<'_>, color: Color, cover: u8) {
    if mask.frame != image.size {
        return;
    }
    let (stride, channels) = (image.stride(), image.format.channels());
    let inside = |x: u32, y: u32| mask.columns.contains(&x) && mask.rows.contains(&y) && mask.contains(x, y);
    for y in mask.rows.clone() {
        let (mut before, mut now) = (false, inside(mask.columns.start, y));
        for x in mask.columns.clone() {
            let after = inside(x + 1, y);
            if now {
                let is_rim = !before || !after || !inside(x, y.wrapping_sub(1)) || !inside(x, y + 1);
                let at = y as usize * stride + x as usize * channels;
                mix(&mut image.data[at..at + channels], color, if is_rim { 255 } else { cover });
            }
            (before, now) = (now, after);
        }
    }
}

/// Colours each pixel by its class; class 0, the background, stays as it is. `cover` (0–255) is the opacity. A class
/// map of another size is ignored.
pub fn tint(image: &mut Image, classes: &[u8], cover: u8) {
    if classes.len() != image.size.pixels() {
        return;
    }
    let channels = image.format.channels();
    for (pixel, &class) in image.data.chunks_exact_mut(channels).zip(classes).filter(|(_, class)| **class > 0) {
        mix(pixel, class_color(u16::from(class) - 1), cover);
    }
}

/// Colours each pixel by the value (0–1) of a map of the picture's size, from blue (low) to red (high). A map of
/// another size is ignored.
pub fn heat(image: &mut Image, values: &[f32], cover: u8) {
    if values.len() != image.size.pixels() {
        return;
    }
    let channels = image.format.channels();
    for (pixel, &value) in image.data.chunks_exact_mut(channels).zip(values) {
        mix(pixel, heat_color(value), cover);
    }
}

/// Google's Turbo colour map (A. Mikhailov 2019), computed with his polynomials.
#[must_use]
pub fn heat_color(value: f32) -> Color {
    const TERMS: [[f32; 6]; 3] = [
        [0.135_721_4, 4.615_392_6, -42.660_324, 132.131_08, -152.942_4, 59.286_38],
        [0.091_402_61, 2.194_188_4, 4.842_966_6, -14.185_034, 4.277_298_6, 2.829_566],
        [0.106_673_3, 12.641_946, -60.582_05, 110.362_77, -89.903_11, 27.348_25],
    ];
    let v = if value.is_nan() { 0.0 } else { value.clamp(0.0, 1.0) };
    TERMS
        .map(|terms| (terms.iter().rev().fold(0.0, |sum, term| sum * v + term) * 255.0).round().clamp(0.0, 255.0) as u8)
}

fn mix(pixel: &mut [u8], color: Color, cover: u8) {
    let cover = u32::from(cover);
    for (byte, value) in pixel.iter_mut().zip(color) {
        *byte = ((u32::from(*byte) * (255 - cover) + u32::from(value) * cover + 127) / 255) as u8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Size;

    #[test]
    fn drawing_outside_the_picture_is_harmless() {
        let mut image = Image::new(Size::new(8, 8), PixelFormat::Rgb8);
        outline(&mut image, (-5, -5), (100, 3), 2, [9, 9, 9]);
        Text::for_picture(8).draw(&mut image, -3, 6, "Żó", [255, 255, 255]);
        assert_eq!(image.row(2)[0], 9);
        assert_eq!(image.row(0)[0], 0, "the edge at -5 lies outside");
    }

    #[test]
    fn maps_colour_what_they_cover_and_nothing_else() {
        let mut image = Image::new(Size::new(2, 1), PixelFormat::Rgb8);
        tint(&mut image, &[0, 3], 255);
        assert_eq!(image.data, [[0, 0, 0], class_color(2)].concat());
        heat(&mut image, &[0.0; 3], 255);
        assert_eq!(image.data[0], 0, "a map of another size is ignored");
        let [cold, hot] = [heat_color(0.0), heat_color(1.0)];
        assert!(cold[2] > cold[1] && hot[0] > hot[2] && heat_color(f32::NAN) == cold);
    }

    #[test]
    fn labels_cover_neither_each_other_nor_what_is_reserved() {
        let mut image = Image::new(Size::new(320, 240), PixelFormat::Rgb8);
        let mut labels = Labels::default();
        labels.reserve((0, 0), (60, 40));
        let boxes = (0..9).map(|n| BBox::new(10.0 + n as f32, 30.0, 100.0 + n as f32, 80.0 + n as f32));
        for bbox in boxes.chain([BBox::new(-20.0, -20.0, 5.0, 5.0), BBox::new(300.0, 220.0, 400.0, 400.0)]) {
            labels.draw(&mut image, &bbox, "person 87%", [200, 0, 0]);
        }
        let taken = labels.taken.clone();
        assert!(taken.len() > 4, "{taken:?}");
        for (at, a) in taken.iter().enumerate() {
            assert!(a[0] >= 0 && a[1] >= 0 && a[3] <= 240, "{a:?}");
            let overlaps = |b: &&[i32; 4]| a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3];
            assert_eq!(taken[at + 1..].iter().find(overlaps), None, "{a:?}");
        }
        labels.draw(&mut image, &BBox::new(-1e30, 1e30, f32::MAX, f32::MAX), "far", [0, 0, 9]);
        // With a clean slate, the usual place above the box.
        labels.clear();
        labels.draw(&mut image, &BBox::new(100.0, 100.0, 200.0, 200.0), "car", [0, 0, 9]);
        assert_eq!((labels.taken[0][0], labels.taken[0][3]), (100, 100));
    }

    #[test]
    fn text_grows_with_the_picture() {
        let height = |rows| Text::for_picture(rows).measure("x").1;
        assert_eq!((height(240), height(720), height(2160)), (16, 24, 60));
    }
}
