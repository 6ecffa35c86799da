//! JPEG pictures: `zune-jpeg` reads them, `jpeg-encoder` writes them.

use super::huffman;
use crate::error::{Error, Result};
use crate::types::{Image, PixelFormat, Size};
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

/// What was wrong with a picture whose missing parts were filled up.
pub type Damage = String;

/// Decodes a JPEG to 8-bit RGB into `image`'s buffer. If its pixels are damaged, the rest is filled up, and the answer
/// says what was wrong.
///
/// # Errors
/// [`Error::Data`] if the bytes are not a readable JPEG.
pub fn decode(bytes: &[u8], image: &mut Image) -> Result<Option<Damage>> {
    decode_with_exif(bytes, image).map(|(damage, _)| damage)
}

/// Like [`decode`]; returns the EXIF data, too.
///
/// # Errors
/// [`Error::Data`] if the bytes are not a readable JPEG.
pub fn decode_with_exif(bytes: &[u8], image: &mut Image) -> Result<(Option<Damage>, Option<Vec<u8>>)> {
    let bytes = huffman::complete(bytes);
    match decode_as(&bytes, true, image) {
        Ok(exif) => Ok((None, exif)),
        Err(fault) => decode_as(&bytes, false, image).map(|exif| (Some(fault.to_string()), exif)),
    }
}

/// Decodes the JPEGs of a live stream, which has no use for half a picture.
#[derive(Debug, Default)]
pub struct LiveJpeg {
    /// How many damaged pictures came one after the other.
    damaged: u32,
}

/// So many damaged pictures one after the other are the camera's way, and better than none.
const ITS_WAY: u32 = 20;

impl LiveJpeg {
    /// Decodes a picture. A damaged one is an error, unless all of them are.
    ///
    /// # Errors
    /// [`Error::Data`] if the bytes are not a whole JPEG.
    pub fn decode(&mut self, bytes: &[u8], image: &mut Image) -> Result<()> {
        let Some(damage) = decode(bytes, image)? else {
            self.damaged = 0;
            return Ok(());
        };
        self.damaged = self.damaged.saturating_add(1);
        if self.damaged == ITS_WAY {
            tracing::warn!("{damage}; all pictures have such damage, so they are shown as they are from now on");
        }
        if self.damaged < ITS_WAY { Err(Error::Data(damage)) } else { Ok(()) }
    }
}

fn decode_as(bytes: &[u8], strict: bool, image: &mut Image) -> Result<Option<Vec<u8>>> {
    let bad = |e: DecodeErrors| Error::Data(format!("JPEG: {e:?}"));
    let options = DecoderOptions::default().jpeg_set_out_colorspace(ColorSpace::RGB).set_strict_mode(false);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(bad)?;
    let (width, height) = decoder.dimensions().ok_or_else(|| Error::Data("JPEG: it has no size".into()))?;
    super::limits::check_size(width as u32, height as u32, "JPEG")?;
    image.reshape(Size::new(width as u32, height as u32), PixelFormat::Rgb8);
    // Bytes between headers harm nothing; faults in the pixels do.
    decoder.set_options(options.set_strict_mode(strict));
    decoder.decode_into(&mut image.data).map_err(bad)?;
    Ok(decoder.exif().cloned())
}

/// Returns the size that a JPEG's header states.
#[must_use]
pub fn size(bytes: &[u8]) -> Option<Size> {
    size_with_exif(bytes).map(|(size, _)| size)
}

/// Returns the size that a JPEG's header states, and its EXIF data.
#[must_use]
pub fn size_with_exif(bytes: &[u8]) -> Option<(Size, Option<Vec<u8>>)> {
    let mut decoder = JpegDecoder::new(ZCursor::new(bytes));
    decoder.decode_headers().ok()?;
    let (width, height) = decoder.dimensions()?;
    Some((Size::new(width as u32, height as u32), decoder.exif().cloned()))
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
