//! JPEG pictures: `zune-jpeg` reads them, `jpeg-encoder` writes them.

use crate::error::{Error, Result};
use crate::types::{Image, PixelFormat, Size};
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

/// Decodes a JPEG to 8-bit RGB into `image`'s buffer.
///
/// # Errors
/// [`Error::Data`] if the bytes are not a readable JPEG.
pub fn decode(bytes: &[u8], image: &mut Image) -> Result<()> {
    let options = DecoderOptions::default().jpeg_set_out_colorspace(ColorSpace::RGB).set_strict_mode(false);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(|e| Error::Data(format!("JPEG: {e:?}")))?;
    let (width, height) = decoder.dimensions().ok_or_else(|| Error::Data("JPEG: it has no size".into()))?;
    super::limits::check_size(width as u32, height as u32, "JPEG")?;
    image.reshape(Size::new(width as u32, height as u32), PixelFormat::Rgb8);
    decoder.decode_into(&mut image.data).map_err(|e| Error::Data(format!("JPEG: {e:?}")))
}

/// Encodes a picture as baseline JPEG (4:2:0, or 4:4:4 from quality 90 on) and appends it to `out`.
///
/// # Errors
/// [`Error::Data`] if the picture is larger than JPEG allows (65,535 per side).
pub fn encode(image: &Image, quality: u8, out: &mut Vec<u8>) -> Result<()> {
    let (Ok(width), Ok(height)) = (u16::try_from(image.size.width), u16::try_from(image.size.height)) else {
        return Err(Error::Data(format!("a picture of {} is too large for a JPEG", image.size)));
    };
    let color = match image.format {
        PixelFormat::Rgb8 => jpeg_encoder::ColorType::Rgb,
        PixelFormat::Gray8 => jpeg_encoder::ColorType::Luma,
    };
    let encoder = jpeg_encoder::Encoder::new(out, quality);
    encoder.encode(&image.data, width, height, color).map_err(|e| Error::Internal(format!("JPEG: {e}")))
}
