//! Pictures for reports: a frame with what was found on it, and several of them side by side.

use super::rows::{Name, Object};
use crate::error::Result;
use crate::media::jpeg;
use crate::ops::draw::{Color, Labels, Text, class_color, corners, edges, fill, outline};
use crate::ops::resize::{Filter, Fit, Resize, plan};
use crate::stage::{Env, LineEnv, SourceConfig};
use crate::types::{Image, PixelFormat, Size};
use std::collections::{BTreeMap, BTreeSet};

/// Frames by name.
pub type Frames = BTreeMap<Name, Image>;

/// Plays a source again to get some of its frames.
///
/// # Errors
/// If the source cannot be opened or read.
pub fn fetch(source: &dyn SourceConfig, id: &str, env: &Env, wanted: &BTreeSet<Name>, into: &mut Frames) -> Result<()> {
    let mut seqs: BTreeSet<u64> = wanted.iter().filter(|(source, _)| source == id).map(|(_, seq)| *seq).collect();
    if seqs.is_empty() {
        return Ok(());
    }
    let mut source = source.open(&LineEnv::alone(env, id))?;
    while let Some(packet) = source.next()? {
        if seqs.remove(&packet.frame.seq) {
            into.insert((id.to_owned(), packet.frame.seq), packet.frame.image.clone());
        }
        if seqs.is_empty() {
            break;
        }
    }
    Ok(())
}

/// Returns a picture as a JPEG whose longer side is at most this long, and the JPEG's size.
///
/// # Errors
/// If it has no pixels.
pub fn thumbnail(image: &Image, side: u32) -> Result<(Vec<u8>, Size)> {
    let Size { width, height } = image.size;
    let longer = width.max(height).max(1);
    let mut bytes = Vec::new();
    if longer <= side {
        jpeg::encode(image, 75, &mut bytes)?;
        return Ok((bytes, image.size));
    }
    let scaled = |length: u32| ((u64::from(length) * u64::from(side) / u64::from(longer)) as u32).max(1);
    let size = Size::new(scaled(width), scaled(height));
    let mut small = Image::default();
    Resize::default().apply(image, &plan(image.size, size, Fit::Stretch), Filter::Bilinear, 0, &mut small)?;
    jpeg::encode(&small, 75, &mut bytes)?;
    Ok((bytes, size))
}

/// Draws objects on a copy of a frame, with red rings around the marked ones.
#[must_use]
pub fn drawn(frame: &Image, objects: &[Object], marked: &[Object]) -> Image {
    let (mut picture, mut labels) = (frame.clone(), Labels::default());
    for object in objects.iter().rev() {
        edges(&mut picture, &object.bbox, class_color(object.class));
    }
    for object in objects {
        let text = format!("{} {:.0}%", object.label, object.score * 100.0);
        labels.draw(&mut picture, &object.bbox, &text, class_color(object.class));
    }
    for object in marked {
        ring(&mut picture, object, [255, 40, 40]);
    }
    picture
}

fn ring(picture: &mut Image, object: &Object, color: Color) {
    let ((x1, y1), (x2, y2)) = corners(&object.bbox);
    outline(picture, (x1 - 3, y1 - 3), (x2 + 3, y2 + 3), 2, color);
}

/// Puts pictures side by side, each with a title above it.
#[must_use]
pub fn beside(pictures: &[(&str, &Image)]) -> Image {
    let height = pictures.iter().map(|(_, picture)| picture.size.height).max().unwrap_or(1);
    let font = Text::for_picture(height);
    let title = font.measure("A").1 + 4;
    let gap = 4;
    let width = pictures.iter().map(|(_, picture)| picture.size.width + gap).sum::<u32>();
    let mut all = Image::new(Size::new(width.max(1), height + title), PixelFormat::Rgb8);
    let mut left = 0u32;
    for (name, picture) in pictures {
        let (x, wide) = (left as usize * 3, picture.stride());
        for y in 0..picture.size.height {
            let start = (y + title) as usize * all.stride() + x;
            all.data[start..start + wide].copy_from_slice(picture.row(y));
        }
        let (x, right) = (left.cast_signed(), (left + picture.size.width).cast_signed());
        fill(&mut all, (x, 0), (right, title.cast_signed()), [24, 24, 24]);
        font.draw(&mut all, x + 4, 1, name, [255, 255, 255]);
        left += picture.size.width + gap;
    }
    all
}
