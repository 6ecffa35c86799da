//! Pictures in files: JPEG, PNG and BMP, recognised by their first bytes and turned upright as their EXIF data asks.

use super::jpeg::Damage;
use super::limits::check_size;
use super::{jpeg, png};
use crate::error::{Error, Result};
use crate::types::{Image, PixelFormat, Size};
use image::codecs::bmp::BmpDecoder;
use image::metadata::Orientation;
use image::{ColorType, DynamicImage, ImageDecoder, RgbImage};
use std::io::{Cursor, Read as _};
use std::path::Path;

/// Decodes a picture to 8-bit RGB into `image`'s buffer, turned as its EXIF data asks. A damaged JPEG is filled up, and
/// the answer says what was wrong.
///
/// # Errors
/// [`Error::Data`] if it is not a JPEG, PNG or BMP, or cannot be read.
pub fn decode(bytes: &[u8], image: &mut Image) -> Result<Option<Damage>> {
    decode_upright(bytes, image).map(|(damage, _)| damage)
}

/// Like [`decode`]; also returns whether width and height changed places, because the picture is stored on its side.
///
/// # Errors
/// As [`decode`].
pub fn decode_upright(bytes: &[u8], image: &mut Image) -> Result<(Option<Damage>, bool)> {
    let (damage, exif) = match bytes {
        [0xFF, 0xD8, ..] => jpeg::decode_with_exif(bytes, image)?,
        [0x89, b'P', b'N', b'G', ..] => (None, png::decode(bytes, image)?),
        [b'B', b'M', ..] => (None, decode_bmp(bytes, image).map(|()| None)?),
        _ => return Err(Error::Data(format!("not a JPEG, PNG or BMP{}", what_else(bytes)))),
    };
    let orientation = exif.as_deref().and_then(orientation);
    if let Some(orientation) = orientation.filter(|o| *o != Orientation::NoTransforms) {
        turn(image, orientation)?;
    }
    Ok((damage, orientation.is_some_and(is_sideways)))
}

fn orientation(exif: &[u8]) -> Option<Orientation> {
    // Some programs put the name of the JPEG segment in front of it.
    Orientation::from_exif_chunk(exif.strip_prefix(b"Exif\0\0").unwrap_or(exif))
}

fn is_sideways(orientation: Orientation) -> bool {
    use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
    [Rotate90, Rotate270, Rotate90FlipH, Rotate270FlipH].contains(&orientation)
}

/// Returns the size of a picture's file as stored, from its first bytes, and whether its EXIF data lays it on its side; `None`
/// if it is not one of a kind that is read.
#[must_use]
pub fn stored_size(path: &Path) -> Option<(Size, bool)> {
    let mut bytes = Vec::new();
    std::fs::File::open(path).ok()?.take(1 << 18).read_to_end(&mut bytes).ok()?;
    let big = |at: usize| bytes.get(at..at + 4).map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]));
    let little = |at: usize| bytes.get(at..at + 4).map(|b| i32::from_le_bytes([b[0], b[1], b[2], b[3]]).unsigned_abs());
    match bytes.as_slice() {
        [0xFF, 0xD8, ..] => {
            let (size, exif) = jpeg::size_with_exif(&bytes)?;
            Some((size, exif.as_deref().and_then(orientation).is_some_and(is_sideways)))
        }
        [0x89, b'P', b'N', b'G', ..] => Some((Size::new(big(16)?, big(20)?), false)),
        [b'B', b'M', ..] => Some((Size::new(little(18)?, little(22)?), false)),
        _ => None,
    }
}

/// Turns a picture.
fn turn(image: &mut Image, orientation: Orientation) -> Result<()> {
    let Size { width, height } = image.size;
    let pixels = RgbImage::from_raw(width, height, std::mem::take(&mut image.data));
    let pixels = pixels.ok_or_else(|| Error::Internal("a picture without its pixels".into()))?;
    let mut turned = DynamicImage::ImageRgb8(pixels);
    turned.apply_orientation(orientation);
    image.size = Size::new(turned.width(), turned.height());
    image.data = turned.into_rgb8().into_raw();
    Ok(())
}

/// Reads the most common kind of BMP: 24 bits, not compressed. `None` if it is another kind, or short of bytes. The crate
/// reads all kinds, but takes almost twice as long.
fn decode_plain_bmp(bytes: &[u8], image: &mut Image) -> Option<()> {
    let number = |at: usize| bytes.get(at..at + 4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]));
    // Planes and bits, then the compression.
    if number(14)? < 40 || number(26)? != 0x0018_0001 || number(30)? != 0 {
        return None;
    }
    let (width, height) = (number(18)?, number(22)?.cast_signed());
    let size = Size::new(width, height.unsigned_abs());
    check_size(size.width, size.height, "BMP").ok()?;
    let stride = (3 * width as usize).next_multiple_of(4);
    let rows = bytes.get(number(10)? as usize..)?;
    let rows = rows.get(..stride * size.height as usize)?;
    image.reshape(size, PixelFormat::Rgb8);
    let target_stride = image.stride();
    for (at, target) in image.data.chunks_exact_mut(target_stride).enumerate() {
        // The bottom row comes first, unless the height is negative.
        let row = if height > 0 { size.height as usize - 1 - at } else { at };
        let source = rows[row * stride..].as_chunks::<3>().0;
        target.as_chunks_mut::<3>().0.iter_mut().zip(source).for_each(|(t, [b, g, r])| *t = [*r, *g, *b]);
    }
    Some(())
}

fn decode_bmp(bytes: &[u8], image: &mut Image) -> Result<()> {
    if decode_plain_bmp(bytes, image).is_some() {
        return Ok(());
    }
    let bad = |e: image::ImageError| Error::Data(format!("BMP: {e}"));
    let decoder = BmpDecoder::new(Cursor::new(bytes)).map_err(bad)?;
    let (width, height) = decoder.dimensions();
    check_size(width, height, "BMP")?;
    image.reshape(Size::new(width, height), PixelFormat::Rgb8);
    match decoder.color_type() {
        ColorType::Rgb8 => decoder.read_image(&mut image.data).map_err(bad),
        _ => {
            let decoded = DynamicImage::from_decoder(decoder).map_err(bad)?;
            image.data = decoded.into_rgb8().into_raw();
            Ok(())
        }
    }
}

/// Says what a file is, if it is a well-known kind that cannot be read.
fn what_else(bytes: &[u8]) -> &'static str {
    match bytes {
        [] => "; the file is empty",
        [b'G', b'I', b'F', b'8', ..] => " but a GIF: play it with `video`, or convert it to PNG",
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => " but a WebP: convert it to JPEG or PNG",
        [b'I', b'I', 42, 0, ..] | [b'M', b'M', 0, 42, ..] => " but a TIFF: convert it to PNG",
        [_, _, _, _, b'f', b't', b'y', b'p', b'h', b'e' | b'm', ..]
        | [_, _, _, _, b'f', b't', b'y', b'p', b'm', b'i', b'f', ..] => " but a HEIC: convert it to JPEG",
        [_, _, _, _, b'f', b't', b'y', b'p', b'a', b'v', b'i', ..] => " but an AVIF: convert it to PNG",
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => " but a video: play it with `video`",
        [0, 5, 22, 7, ..] => " but the notes that macOS keeps beside a file",
        [0xFF, 0x0A, ..] | [0, 0, 0, 12, b'J', b'X', b'L', ..] => " but a JPEG XL: convert it to JPEG or PNG",
        [b'%', b'P', b'D', b'F', ..] => " but a PDF",
        [b'<', ..] => " but HTML, SVG or XML",
        [b'v', b'e', b'r', b's', b'i', b'o', b'n', b' ', ..] => " but a Git LFS pointer: run `git lfs pull`",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_is_instead_is_said() {
        let said = |bytes: &[u8]| decode(bytes, &mut Image::default()).unwrap_err().to_string();
        assert!(said(b"RIFF\0\0\0\0WEBPVP8 ").contains("a WebP"));
        assert!(said(b"\0\0\0\x18ftypheic").contains("a HEIC"));
        assert!(said(b"\0\0\0\x18ftypavif").contains("an AVIF"));
        assert!(said(b"\0\0\0\x18ftypisom").contains("a video"));
        assert!(said(b"").contains("empty"));
    }
}
