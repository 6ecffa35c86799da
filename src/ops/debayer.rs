//! Raw images of colour sensors: one colour per pixel in, three out.

use crate::types::{Image, PixelFormat};

/// The 2x2 tile of a colour sensor, starting at the top-left pixel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bayer {
    /// Red green / green blue.
    Rggb,
    /// Blue green / green red.
    Bggr,
    /// Green red / blue green.
    Grbg,
    /// Green blue / red green.
    Gbrg,
}

impl Bayer {
    /// The colour (0 red, 1 green, 2 blue) under a pixel.
    const fn colour(self, x: usize, y: usize) -> usize {
        let tile = match self {
            Self::Rggb => [0, 1, 1, 2],
            Self::Bggr => [2, 1, 1, 0],
            Self::Grbg => [1, 0, 2, 1],
            Self::Gbrg => [1, 2, 0, 1],
        };
        tile[(y & 1) * 2 + (x & 1)]
    }
}

/// Fills in the two missing colours of each pixel with the mean of the nearest pixels that have them.
/// OpenCV's bilinear `cvtColor` gives the same result except for the outermost pixels (and names a
/// tile by the pixel at (1, 1): its `BayerBG` is our `Rggb`).
#[must_use]
pub fn bilinear(raw: &Image, tile: Bayer) -> Image {
    let (width, height) = (raw.size.width as usize, raw.size.height as usize);
    let mut rgb = Image::new(raw.size, PixelFormat::Rgb8);
    for y in 0..height {
        for x in 0..width {
            let (mut sum, mut count) = ([0_u32; 3], [0_u32; 3]);
            for (ny, nx) in neighbours(x, y, width, height) {
                let colour = tile.colour(nx, ny);
                // At a red or blue pixel, the greens are next to it and the third colour is on the diagonals.
                let diagonal = nx != x && ny != y;
                if colour == 1 && diagonal {
                    continue;
                }
                sum[colour] += u32::from(raw.data[ny * width + nx]);
                count[colour] += 1;
            }
            let own = tile.colour(x, y);
            (sum[own], count[own]) = (u32::from(raw.data[y * width + x]), 1);
            let at = (y * width + x) * 3;
            for colour in 0..3 {
                let many = count[colour].max(1);
                rgb.data[at + colour] = ((sum[colour] + many / 2) / many) as u8;
            }
        }
    }
    rgb
}

/// The neighbours of a pixel that are inside the picture, as (row, column).
fn neighbours(x: usize, y: usize, width: usize, height: usize) -> impl Iterator<Item = (usize, usize)> {
    let rows = y.saturating_sub(1)..(y + 2).min(height);
    rows.flat_map(move |ny| (x.saturating_sub(1)..(x + 2).min(width)).map(move |nx| (ny, nx)))
        .filter(move |&at| at != (y, x))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Size;

    #[test]
    fn an_even_surface_stays_even() {
        let raw = Image { size: Size::new(4, 4), format: PixelFormat::Gray8, data: vec![90; 16] };
        assert!(bilinear(&raw, Bayer::Grbg).data.iter().all(|&v| v == 90));
    }
}
