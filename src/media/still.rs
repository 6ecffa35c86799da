//! Pictures in files: JPEG, PNG and BMP, recognised by their first bytes.

use super::limits::check_size;
use super::{jpeg, png};
use crate::error::{Error, Result};
use crate::types::{Image, PixelFormat, Size};
use zune_jpeg::zune_core::bytestream::ZCursor;

/// Decodes a picture to 8-bit RGB into `image`'s buffer.
///
/// # Errors
/// [`Error::Data`] if it is not a JPEG, PNG or BMP, or is damaged.
pub fn decode(bytes: &[u8], image: &mut Image) -> Result<()> {
    match bytes {
        [0xFF, 0xD8, ..] => jpeg::decode(bytes, image),
        [0x89, b'P', b'N', b'G', ..] => png::decode(bytes, image),
        [b'B', b'M', ..] => decode_bmp(bytes, image),
        _ => Err(Error::Data("not a JPEG, PNG or BMP".into())),
    }
}

fn decode_bmp(bytes: &[u8], image: &mut Image) -> Result<()> {
    let bad = |e: zune_bmp::BmpDecoderErrors| Error::Data(format!("BMP: {e:?}"));
    let mut decoder = zune_bmp::BmpDecoder::new(ZCursor::new(bytes));
    decoder.decode_headers().map_err(bad)?;
    let (width, height) = decoder.dimensions().ok_or_else(|| Error::Data("BMP: it has no size".into()))?;
    check_size(width as u32, height as u32, "BMP")?;
    let pixels = decoder.decode().map_err(bad)?;
    image.reshape(Size::new(width as u32, height as u32), PixelFormat::Rgb8);
    match pixels.len() / (width * height) {
        3 => image.data.copy_from_slice(&pixels[..width * height * 3]),
        4 => image.data.chunks_exact_mut(3).zip(pixels.chunks_exact(4)).for_each(|(t, p)| t.copy_from_slice(&p[..3])),
        1 => image.data.chunks_exact_mut(3).zip(&pixels).for_each(|(t, &p)| t.fill(p)),
        other => return Err(Error::Data(format!("BMP: {other} bytes per pixel; only 1, 3 and 4 can be read"))),
    }
    Ok(())
}
