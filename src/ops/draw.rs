//! Boxes and text on a picture.

use crate::types::{Image, PixelFormat};
use noto_sans_mono_bitmap::{FontWeight, RasterHeight, get_raster, get_raster_width};

/// Red, green, blue.
pub type Color = [u8; 3];

/// A colour for each class: neighbours in number are far apart in hue, all bright enough for black text.
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

/// Text heights that the font has, in pixels.
const HEIGHTS: [(u32, RasterHeight); 4] =
    [(16, RasterHeight::Size16), (20, RasterHeight::Size20), (24, RasterHeight::Size24), (32, RasterHeight::Size32)];

/// Text of one size: a raster of the font, enlarged by a whole number for large pictures.
#[derive(Clone, Copy, Debug)]
pub struct Text {
    raster: RasterHeight,
    zoom: u32,
}

impl Text {
    /// Text that can be read on a picture of so many rows: about a thirtieth of it, at least 16 pixels.
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

    /// Draws a text with its left top corner at `(x, y)`; characters the font lacks become `?`.
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

/// Mixes a colour into one pixel; outside the picture nothing happens.
fn blend(image: &mut Image, x: i32, y: i32, color: Color, cover: u8) {
    let (Ok(x), Ok(y)) = (u32::try_from(x), u32::try_from(y)) else { return };
    if x >= image.size.width || y >= image.size.height {
        return;
    }
    let channels = image.format.channels();
    let at = y as usize * image.stride() + x as usize * channels;
    let cover = u32::from(cover);
    for (byte, value) in image.data[at..at + channels].iter_mut().zip(color) {
        *byte = ((u32::from(*byte) * (255 - cover) + u32::from(value) * cover + 127) / 255) as u8;
    }
}

/// Fills the rectangle from `(x1, y1)` up to but without `(x2, y2)`; parts outside are left out.
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
    fn text_grows_with_the_picture() {
        let height = |rows| Text::for_picture(rows).measure("x").1;
        assert_eq!((height(240), height(720), height(2160)), (16, 24, 60));
    }
}
